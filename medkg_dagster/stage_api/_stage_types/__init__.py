"""The description of a stage type, how it reaches the registry, and the rules it holds to."""
