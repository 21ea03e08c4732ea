"""Transfers: a request, its answer, and the file it becomes."""
