"""Statements on the tables of the ledger. Each runs inside the transaction of its caller."""
