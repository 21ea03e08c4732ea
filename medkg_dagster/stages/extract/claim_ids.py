"""Identifiers of claims: the same statement of the same text has the same one in every run."""

from __future__ import annotations

import hashlib

from medkg_dagster.stage_api import Document


def claim_id(document: Document, *parts: str | int) -> str:
    """Return the first 32 hexadecimal digits of a SHA-256 over what makes a claim that claim.

    Args:
        document: Its document, whose id and content hash go before the parts.
        parts: Subject, predicate, object, negation (`true` or `false`), first character of its evidence and
            one past the last, and what else tells it from others; each is followed by a NUL.
    """
    hashed = (document.id, document.content_hash, *parts)
    return hashlib.sha256("".join(f"{part}\x00" for part in hashed).encode()).hexdigest()[:32]
