"""Index stores: chunks, full text and vectors."""
