"""A home's stores copied while they are in use, and put back."""
