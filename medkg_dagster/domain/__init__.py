"""Frozen values that every layer speaks; nothing here reads a file, a clock or a network."""
