"""Reads the documentation: sections, tables, code blocks, links."""

from __future__ import annotations

import functools
import re
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from medkg_dagster_tests.conftest import REPOSITORY

DOCS = REPOSITORY / "docs"

_FENCE = re.compile(r"^(`{3,})\s*([^\n`]*)\n(.*?)^\1\s*$", re.MULTILINE | re.DOTALL)
_HEADING = re.compile(r"^(#{1,6})\s+(.*?)\s*$", re.MULTILINE)
_LINK = re.compile(r"!?\[[^\]]*\]\(([^)\s]+)\)")
_CELL_BORDER = re.compile(r"(?<!\\)\|")


@dataclass(frozen=True)
class CodeBlock:
    """A fenced block.

    Attributes:
        page: The page it is on, relative to the checkout.
        line: Its first line, from 1.
        language: The first word after the fence.
        labels: The other words, for example `pipeline` or `title=pyproject.toml`.
        text: What is in it.
    """

    page: str
    line: int
    language: str
    labels: tuple[str, ...]
    text: str

    @property
    def title(self) -> str | None:
        """The file the block stands for, where it says so."""
        return next((item.removeprefix("title=") for item in self.labels if item.startswith("title=")), None)


@dataclass(frozen=True)
class Section:
    """A heading and all that stands below it, deeper headings included."""

    heading: str
    text: str

    def rows(self) -> dict[str, tuple[str, ...]]:
        """Return the tables' rows by every name in backticks in their first cell."""
        found = {}
        for line in self.text.splitlines():
            if line.startswith("|"):
                cells = tuple(
                    cell.strip().replace("\\|", "|") for cell in _CELL_BORDER.split(line.strip())[1:-1]
                )
                found.update(dict.fromkeys(re.findall(r"`([^`]+)`", cells[0]), cells))
        return found


def pages() -> list[Path]:
    """Return every page of the documentation, the ones at the top of the checkout included."""
    return [*sorted(REPOSITORY.glob("*.md")), *sorted(DOCS.rglob("*.md"))]


@functools.cache
def read(page: Path) -> str:
    """Return a page's text."""
    return page.read_text("utf-8")


@functools.cache
def prose(page: Path) -> str:
    """Return a page without its code blocks."""
    return _FENCE.sub("", read(page))


@functools.cache
def sections(page: Path) -> dict[str, Section]:
    """Return a page's sections by heading, as written."""
    text = prose(page)
    found = list(_HEADING.finditer(text))
    result = {}
    for number, match in enumerate(found):
        end = next(
            (later.start() for later in found[number + 1 :] if len(later[1]) <= len(match[1])), len(text)
        )
        result[match[2]] = Section(match[2], text[match.end() : end])
    return result


def code_blocks(language: str | None = None) -> Iterator[CodeBlock]:
    """Yield the code blocks of all pages, or those in one language."""
    for page in pages():
        for match in _FENCE.finditer(read(page)):
            words = match[2].split()
            block = CodeBlock(
                page=str(page.relative_to(REPOSITORY)),
                line=read(page).count("\n", 0, match.start()) + 2,
                language=words[0] if words else "",
                labels=tuple(words[1:]),
                text=match[3],
            )
            if language in {None, block.language}:
                yield block


def titled(page: str, title: str) -> str:
    """Return the block of a page that stands for a file."""
    return next(block.text for block in code_blocks() if block.page == page and block.title == title)


def links(page: Path) -> Iterator[str]:
    """Yield the targets of a page's links and images."""
    yield from _LINK.findall(prose(page))


def anchors(page: Path) -> set[str]:
    """Return the anchors that GitHub gives a page's headings."""
    found: set[str] = set()
    for match in _HEADING.finditer(prose(page)):
        text = re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", match[2]).replace("`", "").lower()
        slug = re.sub(r"[^\w\- ]", "", text).replace(" ", "-")
        number = 0
        while (anchor := f"{slug}-{number}" if number else slug) in found:
            number += 1
        found.add(anchor)
    return found
