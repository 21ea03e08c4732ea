"""The addresses at which a document's file may be."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence

from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import Payload
from medkg_dagster.stages.download.addresses.url_paths import UrlExtractor
from medkg_dagster.stages.download.addresses.web_addresses import is_absolute


def find_addresses(
    payload: Payload, paths: Sequence[UrlExtractor], given: Sequence[str] = ()
) -> tuple[str, ...]:
    """Return the addresses of a document in the order they are to be tried, each once.

    Args:
        payload: The document; JSON or XML.
        paths: Where in it addresses are.
        given: Addresses that were configured; they come first, whatever they look like.

    Raises:
        UnreadableDocumentError: The payload is neither well-formed JSON nor well-formed XML.
    """
    found = (text.strip() for text in _texts(payload, paths))
    absolute = (f"https:{text}" if text.startswith("//") else text for text in found)
    return tuple(dict.fromkeys((*given, *(text for text in absolute if is_absolute(text)))))


def _texts(payload: Payload, paths: Sequence[UrlExtractor]) -> Iterator[str]:
    start = payload.content[:64].lstrip(b"\xef\xbb\xbf \t\r\n")[:1]
    if not paths or start not in (b"{", b"[", b"<"):
        return
    if start == b"<":
        from medkg_dagster.stages.parse.xml import parse_xml

        root = parse_xml(payload.content, payload.origin)
        for path in paths:
            yield from path.in_xml(root)
        return
    try:
        value = json.loads(payload.content)
    except (ValueError, RecursionError) as error:
        raise UnreadableDocumentError(
            f"{payload.origin}: no well-formed JSON: {error}; fetch it again"
        ) from error
    for path in paths:
        yield from path.in_json(value)
