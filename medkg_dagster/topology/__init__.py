"""YAML to validated topologies: every error with its file and line, all of them at once."""
