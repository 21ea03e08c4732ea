"""A server's response: its headers, its body, what file that is, and the error that a failure stands for."""

from __future__ import annotations

import re
import ssl
import zlib
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass

import httpcore

from medkg_dagster.errors import DownloadError, PermanentDownloadError, TransientDownloadError
from medkg_dagster.io.faults import status_may_pass
from medkg_dagster.io.http import retry_after
from medkg_dagster.stages.download.file_store import Origin, Partial

NETWORK_ERRORS = (
    httpcore.TimeoutException,
    httpcore.NetworkError,
    httpcore.ProtocolError,
    httpcore.UnsupportedProtocol,
)
_DRAINED_BYTES = 64 * 1024
_LONGEST_VALIDATOR = 512
_CONTENT_RANGE = re.compile(r"bytes ([0-9]{1,18})-([0-9]{1,18})/([0-9]{1,18}|\*)")
_PLAIN = ("", "identity", "none", "binary", "utf-8")  # the last three are no encodings, but are met
TOO_MANY_REQUESTS = 429
_MEANINGS = {
    401: "a login is needed",
    403: "the server does not allow it",
    404: "there is no such file",
    410: "the file was removed",
    429: "too many requests",
    451: "it is withheld for legal reasons",
}

PDF = "application/pdf"
XML = "application/xml"

HEAD_BYTES = 4096
TAIL_BYTES = 65_536  # what stands behind the end of a PDF, as `parse` allows
_PDF_WINDOW = 1024
_DECODED_AT_ONCE = 256 * 1024

_ARTICLE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?.*?\?>\s*|<!--.*?-->\s*)*"
    rb"(?:<!DOCTYPE\s+(?:\w+:)?(?:article|pmc-articleset)\b[^>\[]*(?:\[.*?\]\s*)?>\s*)?(?:<\?.*?\?>\s*|<!--.*?-->\s*)*"
    rb"<(?:(?:pmc-articleset|(?:[\w-]+:)?OAI-PMH)[\s>].*?<)?(?:[\w-]+:)?article[\s>]",
    re.DOTALL,
)
_ARTICLE_END = re.compile(rb"</(?:[\w-]+:)?article\s*>")
_PAGE = re.compile(
    rb"(?:\xef\xbb\xbf)?\s*(?:<\?xml.*?\?>\s*|<!--.*?-->\s*)*<(?:!doctype\s+html|html)\b", re.I | re.S
)


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer whose body has not been read.

    Attributes:
        shown: The address of the request, without secrets.
        headers: Names in lower case.
        response: The rest.
    """

    shown: str
    headers: Mapping[str, str]
    response: httpcore.Response

    @classmethod
    def of(cls, shown: str, response: httpcore.Response) -> Answer:
        """Read the headers of a response."""
        headers = {
            name.decode("ascii").lower(): value.decode("utf-8", "replace") for name, value in response.headers
        }
        return cls(shown, headers, response)

    @property
    def status(self) -> int:
        """The status."""
        return self.response.status

    @property
    def length(self) -> int | None:
        """Bytes of the body as declared; None where they are not, or count what is encoded."""
        declared = self.headers.get("content-length", "")
        # `isdigit` alone takes a superscript two for a digit, which `int` refuses.
        return int(declared) if declared.isascii() and declared.isdigit() and self._is_plain else None

    @property
    def etag(self) -> str | None:
        """The entity tag, weak or strong."""
        return self._sendable("etag")

    @property
    def last_modified(self) -> str | None:
        """The date of the last change, as sent."""
        return self._sendable("last-modified")

    @property
    def validator(self) -> str:
        """What `If-Range` can ask for: a strong entity tag or a date; empty without."""
        # A weak tag (`W/"..."`) never matches in `If-Range` (RFC 9110, 13.1.5).
        etag = self.etag or ""
        return etag if etag.startswith('"') else self.last_modified or ""

    def origin(self, boot: str) -> Origin:
        """Return what is to be remembered of where a file comes from."""
        return Origin(self.shown, self.validator if self._is_plain else "", self.length, boot)

    def continues(self, partial: Partial) -> bool:
        """Say whether the body is the rest of what is there."""
        match = _CONTENT_RANGE.fullmatch(self.headers.get("content-range", "").strip())
        if match is None or partial.origin is None or not self._is_plain:
            return False
        start, last = int(match[1]), int(match[2])
        if start != partial.size or last < start or self.length not in (None, last - start + 1):
            return False
        if match[3] != "*" and not int(match[3]) == last + 1 == (partial.origin.total or last + 1):
            return False
        return self.validator in ("", partial.origin.validator)

    def body(self) -> Iterator[bytes]:
        """Yield the body, an encoding undone.

        Raises:
            PermanentDownloadError: The encoding is not known or broken.
            TransientDownloadError: What is encoded ends too early.
        """
        parts = self.response.iter_stream()
        return parts if self._is_plain else decoded(parts, self._encoding)

    def drain(self) -> None:
        """Read a short body to its end, so that the connection can be used again."""
        if (self.length or 0) <= _DRAINED_BYTES and "content-length" in self.headers:
            try:
                for _ in self.response.iter_stream():
                    pass
            except NETWORK_ERRORS:
                return  # the status said all there is to say

    @property
    def _encoding(self) -> str:
        return self.headers.get("content-encoding", "").strip().lower()

    @property
    def _is_plain(self) -> bool:
        return self._encoding in _PLAIN

    def _sendable(self, name: str) -> str | None:
        """Return a validator that can be sent back as it is; a server may have put anything there."""
        value = self.headers.get(name, "")
        return value if value.isascii() and 0 < len(value) <= _LONGEST_VALIDATOR else None


class BusyServerError(TransientDownloadError):
    """The server is there and asks for fewer requests; no reason to think it broken."""


class BudgetSpentError(TransientDownloadError):
    """The time of this attempt at the batch was over before the file's turn came."""


def status_error(url: str, status: int, headers: Mapping[str, str]) -> DownloadError:
    """Return the error that a status stands for, which is no success; names of headers are in lower case."""
    meaning = f" ({_MEANINGS[status]})" if status in _MEANINGS else ""
    message = f"{url}: status {status}{meaning}"
    wait = retry_after(headers.get("retry-after", ""))
    if status == TOO_MANY_REQUESTS:
        return BusyServerError(message, wait)
    if status_may_pass(status):
        return TransientDownloadError(message, wait)
    return PermanentDownloadError(f"{message}; check the address")


def connection_error(url: str, error: Exception) -> DownloadError:
    """Return the error a failed connection or transfer stands for."""
    cause = error.args[0] if error.args else None
    if isinstance(cause, ssl.SSLCertVerificationError):
        return PermanentDownloadError(
            f"{url}: the server's certificate is not valid ({cause.verify_message}); correct the address, "
            "or add its authority to SSL_CERT_FILE"
        )
    if isinstance(error, httpcore.LocalProtocolError | httpcore.UnsupportedProtocol):
        return PermanentDownloadError(f"{url}: no valid request can be made of it: {error}")
    if isinstance(error, httpcore.TimeoutException):
        said = f": {error}" if str(error) else ""
        return TransientDownloadError(f"{url}: no answer in time ({type(error).__name__}{said})")
    return TransientDownloadError(f"{url}: the connection failed: {error or type(error).__name__}")


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
