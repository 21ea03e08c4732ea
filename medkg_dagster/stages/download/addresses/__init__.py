"""Addresses: found in payloads, read, and let through."""
