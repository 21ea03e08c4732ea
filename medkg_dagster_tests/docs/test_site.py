"""The documentation builds as a site that is whole, and that loads nothing from other hosts."""

from __future__ import annotations

import functools
import os
import re
import subprocess
import sys
import urllib.parse
from collections.abc import Iterator
from dataclasses import dataclass, field
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import pytest
import yaml

from medkg_dagster_tests.conftest import REPOSITORY
from medkg_dagster_tests.docs.markdown import DOCS, anchors, code_blocks

PAGES = sorted(DOCS.rglob("*.md"))
LOADING_TAGS = {"script", "link", "img", "iframe", "source", "video", "audio", "embed", "object", "track"}


@dataclass
class BuiltPage(HTMLParser):
    """What a built page refers to.

    Attributes:
        anchors: Its anchors.
        links: Where its links lead.
        loaded: What a browser loads with it.
        paragraphs: The text of its paragraphs.
        blocks: How many blocks of code it has.
    """

    anchors: set[str] = field(default_factory=set)
    links: list[str] = field(default_factory=list)
    loaded: list[str] = field(default_factory=list)
    paragraphs: list[str] = field(default_factory=list)
    blocks: int = 0

    def __post_init__(self) -> None:
        super().__init__()
        self._in_paragraph = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        """Take what the tag refers to."""
        values = {name: value or "" for name, value in attrs}
        self.anchors |= {values["id"]} if "id" in values else set()
        if tag == "a" and "href" in values:
            self.links.append(values["href"])
        if tag in LOADING_TAGS:
            self.loaded += [values[name] for name in ("src", "href", "data", "poster") if name in values]
        self.loaded += _addresses_in_style(values.get("style", ""))
        self.blocks += tag == "pre"
        if tag == "p":
            self._in_paragraph = True
            self.paragraphs.append("")

    def handle_endtag(self, tag: str) -> None:
        """Leave a paragraph."""
        self._in_paragraph = self._in_paragraph and tag != "p"

    def handle_data(self, data: str) -> None:
        """Take the text of a paragraph."""
        if self._in_paragraph:
            self.paragraphs[-1] += data


def _addresses_in_style(style: str) -> list[str]:
    return re.findall(r"(?:url\(|@import)\s*['\"]?\s*([^'\"\s)]+)", style)


@functools.cache
def built(file: Path) -> BuiltPage:
    page = BuiltPage()
    page.feed(file.read_text("utf-8"))
    return page


def nav_entries(value: Any) -> Iterator[str]:
    """Yield the pages of a navigation, at any depth."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from nav_entries(inner)
    else:
        for inner in value:
            yield from nav_entries(inner)


def in_site(page: Path) -> Path:
    """Return where the site has a page, relative to its top."""
    path = page.relative_to(DOCS)
    return path.with_name("index.html") if path.name == "README.md" else path.with_suffix(".html")


@pytest.fixture(scope="module")
def build(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, subprocess.CompletedProcess[str]]:
    """The site's folder, and what mkdocs said; pages are written also where it has warnings."""
    folder = tmp_path_factory.mktemp("site")
    command = [sys.executable, "-m", "mkdocs", "build", "--strict", "--site-dir", str(folder)]
    environment = os.environ | {"PYTHONDONTWRITEBYTECODE": "1"}
    done = subprocess.run(
        command, cwd=REPOSITORY, env=environment, capture_output=True, text=True, timeout=480, check=False
    )
    return folder, done


@pytest.fixture
def site(build: tuple[Path, subprocess.CompletedProcess[str]]) -> Path:
    folder, done = build
    assert (folder / "index.html").is_file(), done.stderr
    return folder


def test_the_site_builds_without_a_warning(build: tuple[Path, subprocess.CompletedProcess[str]]) -> None:
    _, done = build

    assert done.returncode == 0, done.stderr


def test_every_page_is_in_the_navigation_once() -> None:
    navigation = yaml.safe_load((REPOSITORY / "mkdocs.yml").read_text("utf-8"))["nav"]

    assert sorted(nav_entries(navigation)) == [str(page.relative_to(DOCS)) for page in PAGES]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_page_is_built_with_the_anchors_it_has_in_the_repository(page: Path, site: Path) -> None:
    assert anchors(page) - built(site / in_site(page)).anchors == set()


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.name)
def test_every_block_of_code_and_every_list_is_shown_as_one(page: Path, site: Path) -> None:
    shown = built(site / in_site(page))

    written = [block for block in code_blocks() if block.page == str(page.relative_to(REPOSITORY))]
    assert shown.blocks == len(written)
    for paragraph in shown.paragraphs:
        assert not re.search(r"^\s*(?:[-*]|\d+\.) ", paragraph, re.MULTILINE), paragraph
        assert "```" not in paragraph


def test_every_link_and_picture_within_the_site_is_there(site: Path) -> None:
    for file in sorted(site.rglob("*.html")):
        if file.name == "404.html":
            # It is shown in the place of any page, so its links begin at the top.
            continue
        for target in [*built(file).links, *built(file).loaded]:
            parts = urllib.parse.urlsplit(target)
            if parts.scheme or parts.netloc:
                continue
            wanted = (file.parent / urllib.parse.unquote(parts.path)).resolve() if parts.path else file
            assert wanted.is_file(), f"{file.name}: {target}"
            if parts.fragment and wanted.suffix == ".html":
                known = built(wanted).anchors
                assert urllib.parse.unquote(parts.fragment) in known, f"{file.name}: {target}"


def test_nothing_is_loaded_from_another_host(site: Path) -> None:
    loaded = {
        **{file: built(file).loaded for file in site.rglob("*.html")},
        **{file: _addresses_in_style(file.read_text("utf-8")) for file in site.rglob("*.css")},
        **{file: _addresses_in_style(file.read_text("utf-8")) for file in site.rglob("*.svg")},
    }

    assert len(loaded) > len(PAGES)
    foreign = {
        f"{file.name}: {target}"
        for file, targets in loaded.items()
        for target in targets
        if urllib.parse.urlsplit(target).netloc or urllib.parse.urlsplit(target).scheme not in {"", "data"}
    }
    assert foreign == set()


def test_scripts_ask_no_other_host(site: Path) -> None:
    calls = re.compile(
        r"""(?:fetch|importScripts|import|XMLHttpRequest\(\)\.open)\s*\(\s*["'`](?:https?:)?//"""
    )
    for file in site.rglob("*.js"):
        assert not calls.search(file.read_text("utf-8")), file.name


def test_what_leads_out_of_the_documentation_is_shown_as_a_path(site: Path) -> None:
    text = (site / "guides" / "vocabulary.html").read_text("utf-8")

    assert "<code>medkg_dagster/stages/extract/vocabulary/README.md</code>" in text
