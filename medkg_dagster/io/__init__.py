"""The ground floor: SQL databases, HTTP and files, each once, for every layer above."""
