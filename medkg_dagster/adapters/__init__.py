"""Sources, embedders and stores behind the protocols of the stage API, reached only through entry points."""
