"""The built-in stage types, one module or package each, reached only through entry points."""
