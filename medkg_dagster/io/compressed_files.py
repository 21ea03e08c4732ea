"""Compressed content, unpacked with a bound."""

from __future__ import annotations

import zlib


def unzipped(content: bytes, limit: int) -> bytes:
    """Return what a gzip file of one member holds.

    Args:
        content: The file's bytes.
        limit: The most bytes that it may hold.

    Raises:
        OSError: It is damaged, ends too early, or holds more.
    """
    member = zlib.decompressobj(wbits=31)
    try:
        unpacked = member.decompress(content, limit)
    except zlib.error as error:
        raise OSError(f"a broken gzip file: {error}") from error
    if not member.eof:
        raise OSError("a gzip file that ends too early, or that holds too much")
    return unpacked
