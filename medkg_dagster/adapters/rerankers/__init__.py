"""Rerankers: what reads a query and the best documents again, and puts these in a better order."""
