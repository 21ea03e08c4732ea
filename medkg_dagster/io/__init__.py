"""The ground floor: SQL databases, HTTP, files and child processes, each once, for every layer above."""
