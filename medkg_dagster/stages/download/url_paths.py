"""The addresses at which a document's file may be, and the dot paths that find them in JSON and XML.

`best_oa_location.pdf_url`, `locations.*.pdf_url`, `link[content-type=application/pdf].URL`,
`article.front.article-meta.self-uri.@href`. A template is an address with such paths in braces:
`https://www.ebi.ac.uk/europepmc/webservices/rest/{pmcid}/fullTextXML`.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import Payload
from medkg_dagster.stages.download.addresses import is_absolute

if TYPE_CHECKING:
    from lxml import etree


ANY = "*"
_STEP = re.compile(r"(?P<name>[^.\[\]]+)(?P<filters>(?:\[[^\[\]=]+=[^\[\]]*\])*)")
_BRACES = re.compile(r"\{([^{}]*)\}")
_FILTER = re.compile(r"\[([^\[\]=]+)=([^\[\]]*)\]")


@dataclass(frozen=True, slots=True)
class Step:
    """One part of a path.

    Attributes:
        name: A key, an element's local name, `*`, a number, or, at the end and in XML only, `@attribute`.
        filters: Keys (attributes or children in XML) and the texts they must have.
    """

    name: str
    filters: tuple[tuple[str, str], ...] = ()

    def __str__(self) -> str:
        return self.name + "".join(f"[{key}={value}]" for key, value in self.filters)


@dataclass(frozen=True, slots=True)
class UrlPath:
    """A path into a payload's content.

    Attributes:
        steps: Its parts.
    """

    steps: tuple[Step, ...]

    @classmethod
    def parse(cls, text: str) -> UrlPath:
        """Read a path.

        Raises:
            ValueError: It is not one; the message says where and why.
        """
        steps: list[Step] = []
        position = 0
        while match := _STEP.match(text, position):
            filters = tuple((key, value) for key, value in _FILTER.findall(match["filters"]))
            steps.append(Step(match["name"], filters))
            position = match.end()
            if text[position : position + 1] != ".":
                break
            position += 1
        if not steps or position != len(text) or text.endswith("."):
            raise ValueError(
                f"{text!r} is no path: it breaks at character {position + 1}; write keys joined by dots, "
                "for example locations.*.pdf_url or link[content-type=application/pdf].URL"
            )
        if any(step.name.startswith("@") for step in steps[:-1]):
            raise ValueError(f"{text!r}: an @attribute can only stand at the end of a path")
        return cls(tuple(steps))

    def __str__(self) -> str:
        return ".".join(map(str, self.steps))

    def in_json(self, value: Any) -> Iterator[str]:
        """Yield the texts the path leads to in a parsed JSON value, in order."""
        found: Iterable[Any] = [value]
        for step in self.steps:
            found = [inner for outer in found for inner in _json_step(outer, step)]
        yield from (text for text in found if isinstance(text, str))

    def in_xml(self, root: etree._Element) -> Iterator[str]:
        """Yield the texts the path leads to in an XML document, in order; the first part is its root."""
        first, *rest = self.steps
        found = [root] if first.name in (ANY, _local(root.tag)) and _xml_passes(root, first) else []
        for step in rest:
            if step.name.startswith("@"):
                yield from (text for element in found for text in _attribute(element, step.name[1:]))
                return
            found = [inner for outer in found for inner in _xml_step(outer, step)]
        yield from (_text(element) for element in found)


@dataclass(frozen=True, slots=True)
class UrlTemplate:
    """An address with paths in braces; it gives one address where each path leads somewhere, else none.

    Attributes:
        literals: The texts around the paths, one more than there are paths.
        paths: The paths.
    """

    literals: tuple[str, ...]
    paths: tuple[UrlPath, ...]

    @classmethod
    def parse(cls, text: str) -> UrlTemplate:
        """Read a template.

        Raises:
            ValueError: A brace is not closed, or what is in braces is no path.
        """
        parts = _BRACES.split(text)
        if any(brace in literal for literal in parts[::2] for brace in "{}"):
            raise ValueError(f"{text!r} has a brace without its counterpart")
        return cls(tuple(parts[::2]), tuple(map(UrlPath.parse, parts[1::2])))

    def in_json(self, value: Any) -> Iterator[str]:
        """Yield the address with what a parsed JSON value says."""
        yield from self._filled([next(path.in_json(value), "") for path in self.paths])

    def in_xml(self, root: etree._Element) -> Iterator[str]:
        """Yield the address with what an XML document says."""
        yield from self._filled([next(path.in_xml(root), "") for path in self.paths])

    def _filled(self, values: Sequence[str]) -> Iterator[str]:
        if all(values):
            quoted = [quote(value, safe="") for value in values]
            yield "".join(text for pair in zip_longest(self.literals, quoted, fillvalue="") for text in pair)


UrlExtractor = UrlPath | UrlTemplate


def parse_extractor(text: str) -> UrlExtractor:
    """Read a template where there is an address, else a path.

    Raises:
        ValueError: It is neither.
    """
    return UrlTemplate.parse(text) if "://" in text else UrlPath.parse(text)


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
    found = (text.strip() for text in _addresses(payload, paths))
    absolute = (f"https:{text}" if text.startswith("//") else text for text in found)
    return tuple(dict.fromkeys((*given, *(text for text in absolute if is_absolute(text)))))


def _addresses(payload: Payload, paths: Sequence[UrlExtractor]) -> Iterator[str]:
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


def _json_step(value: Any, step: Step) -> list[Any]:
    found: list[Any] = []
    if isinstance(value, dict):
        found = list(value.values()) if step.name == ANY else [value[step.name]] if step.name in value else []
    elif isinstance(value, list):
        found = value if step.name == ANY else _item(value, step.name)
    if not step.filters:
        return found
    items = [item for one in found for item in (one if isinstance(one, list) else [one])]
    return [item for item in items if isinstance(item, dict) and _json_passes(item, step)]


def _item(values: list[Any], name: str) -> list[Any]:
    # A number of a thousand digits is no index and would take long to read.
    if not (name.isascii() and name.isdigit() and len(name) < 10):
        return []
    return values[int(name) : int(name) + 1]


def _json_passes(item: dict[str, Any], step: Step) -> bool:
    return all(key in item and _json_text(item[key]) == wanted for key, wanted in step.filters)


def _json_text(value: Any) -> str:
    if isinstance(value, bool):
        return "true" if value else "false"
    return value if isinstance(value, str) else str(value) if isinstance(value, int | float) else ""


def _xml_step(element: etree._Element, step: Step) -> list[etree._Element]:
    children = [child for child in element if isinstance(child.tag, str)]
    if step.name.isascii() and step.name.isdigit():
        children = _item(children, step.name)
    elif step.name != ANY:
        children = [child for child in children if _local(child.tag) == step.name]
    return [child for child in children if _xml_passes(child, step)]


def _xml_passes(element: etree._Element, step: Step) -> bool:
    return all(wanted in _xml_texts(element, key) for key, wanted in step.filters)


def _xml_texts(element: etree._Element, key: str) -> list[str]:
    children = [child for child in element if isinstance(child.tag, str) and _local(child.tag) == key]
    return [*_attribute(element, key), *map(_text, children)]


def _attribute(element: etree._Element, name: str) -> list[str]:
    return [str(value) for key, value in element.attrib.items() if _local(key) == name]


def _text(element: etree._Element) -> str:
    # Comments and instructions hold no text of the element's.
    return "".join(str(text) for text in element.itertext("*")).strip()


def _local(name: Any) -> str:
    return str(name).rpartition("}")[2]
