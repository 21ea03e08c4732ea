"""What a file is, by its bytes."""

from __future__ import annotations

import re
import zlib
from collections.abc import Iterable, Iterator

from medkg_dagster.errors import PermanentDownloadError, TransientDownloadError

PDF = "application/pdf"
XML = "application/xml"
SUFFIXES = {PDF: "pdf", XML: "xml"}

HEAD_BYTES = 4096
TAIL_BYTES = 4096
_PDF_WINDOW = 1024
_DECODED_AT_ONCE = 256 * 1024

_ARTICLE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*"
    rb"(?:<!DOCTYPE\s+(?:\w+:)?article\b[^>\[]*(?:\[.*?\]\s*)?>\s*)?(?:<\?.*?\?>\s*|<!--.*?-->\s*)*"
    rb"<(?:[\w-]+:)?article[\s>]",
    re.DOTALL,
)
_ARTICLE_END = re.compile(rb"</(?:[\w-]+:)?article\s*>")
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml.*?\?>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S
)


def recognise(head: bytes) -> str | None:
    """Return the media type of a file by its first bytes; None where it is none that is taken."""
    if _PAGE.match(head):
        return None
    if b"%PDF-" in head[:_PDF_WINDOW]:
        return PDF
    return XML if _ARTICLE.match(head) else None


def describe_head(head: bytes) -> str:
    """Say what a file begins with, for people."""
    if _PAGE.match(head):
        return "an HTML page"
    if not head:
        return "nothing"
    return f"bytes that begin {head[:16]!r}"


def is_complete(media_type: str, tail: bytes) -> bool:
    """Say whether the last bytes of a file hold the mark that ends its kind."""
    if media_type == PDF:
        return b"%%EOF" in tail
    return _ARTICLE_END.search(tail) is not None


def decoded(parts: Iterable[bytes], encoding: str) -> Iterator[bytes]:
    """Undo a content encoding, a bounded piece at a time.

    Args:
        parts: The body as sent.
        encoding: The value of `Content-Encoding`.

    Yields:
        Pieces of at most 256 KiB, whatever the compressed bytes unfold to.

    Raises:
        PermanentDownloadError: The encoding is not known, or the bytes are not of it.
        TransientDownloadError: The body ends too early.
    """
    if encoding not in ("gzip", "x-gzip", "deflate"):
        raise PermanentDownloadError(
            f"the server sent the encoding {encoding[:40]!r}, which was not asked for"
        )
    inflate = zlib.decompressobj(zlib.MAX_WBITS | 32)  # finds out by itself: gzip or zlib
    try:
        for part in parts:
            rest = part
            while rest and not inflate.eof:
                yield inflate.decompress(rest, _DECODED_AT_ONCE)
                rest = inflate.unconsumed_tail
    except zlib.error as error:
        raise PermanentDownloadError(f"the server sent broken {encoding}: {error}") from error
    if not inflate.eof:
        raise TransientDownloadError(f"the {encoding} stream ended before its end")
