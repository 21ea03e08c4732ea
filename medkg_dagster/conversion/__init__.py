"""Work that goes on while a ledger job waits at a gate."""
