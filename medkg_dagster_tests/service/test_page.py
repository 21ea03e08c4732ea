"""The page, in a browser without a window."""

import re
import shutil
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from medkg_dagster.service.app import PAGE
from medkg_dagster_tests.service.conftest import serving

CHROMIUM = shutil.which("chromium") or shutil.which("google-chrome")
QUIET = (
    *("--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--disable-sync"),
    *("--disable-background-networking", "--disable-component-update", "--enable-logging=stderr"),
    "--virtual-time-budget=20000",
)
needs_browser = pytest.mark.skipif(CHROMIUM is None, reason="no Chromium is installed")


@pytest.fixture
def browser(tmp_path: Path) -> Iterator[Path]:
    """The folder of a new browser."""
    yield tmp_path / "browser"
    shutil.rmtree(tmp_path / "browser", ignore_errors=True)


def shown(browser: Path, url: str) -> str:
    """Return the page as it stands when all has come, and require that nothing went wrong on it."""
    assert CHROMIUM is not None
    command = [CHROMIUM, *QUIET, f"--user-data-dir={browser}", "--dump-dom", url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=True)
    assert not re.findall(r".*CONSOLE.*", done.stderr)
    return done.stdout


@needs_browser
def test_a_search_shows_documents_with_what_was_looked_for_marked(address: str, browser: Path) -> None:
    page = shown(browser, f"{address}/#q=melanoma")

    assert "4 documents" in page
    assert "<mark>Melanoma</mark>" in page
    assert 'href="#q=melanoma&amp;document=PMID%3A1' in page
    assert '<a class="drug" href="#q=melanoma&amp;entity=DRUGBANK%3A1">Dabrafenib</a>' in page


@needs_browser
def test_how_documents_are_ranked_can_be_chosen_where_there_are_vectors(
    address: str, browser: Path, repository: Path, tmp_path: Path
) -> None:
    with_vectors = shown(browser, f"{address}/#q=melanoma&by=words")
    home = tmp_path / "home"
    with serving(home, repository) as without:
        bare = shown(browser, f"{without}/")

    assert re.search(r'<label id="ranking">', with_vectors)
    assert re.search(r'<label id="ranking" hidden="">', bare)


@needs_browser
def test_a_document_shows_its_mentions_and_its_claims(address: str, browser: Path) -> None:
    page = shown(browser, f"{address}/#document=PMID:1")

    assert re.search(r'<a class="mention drug" href="#entity=DRUGBANK%3A1"[^>]*>Dabrafenib</a>', page)
    assert re.search(r'<aside class="claim [^>]*><a href="#entity=DRUGBANK%3A1">Dabrafenib</a> treats', page)


@needs_browser
def test_a_concept_shows_a_picture_a_list_and_every_sentence(address: str, browser: Path) -> None:
    page = shown(browser, f"{address}/#entity=MESH:1")
    statement = re.search(r'href="(#entity=MESH%3A1&amp;statement=[^"]*DRUGBANK[^"]*)"', page)
    assert statement is not None
    opened = shown(browser, f"{address}/{statement[1].replace('&amp;', '&')}")

    assert '<svg class="neighbourhood"' in page
    assert 'aria-label="Dabrafenib treats Melanoma' in page
    assert "<blockquote>Dabrafenib helps in Melanoma.</blockquote>" in opened


@needs_browser
def test_what_looks_like_html_in_a_document_is_text(address: str, browser: Path) -> None:
    page = shown(browser, f"{address}/#document=PMID:9")

    assert "<title>taken over" not in page
    assert "&lt;script&gt;document.title" in page


@needs_browser
def test_a_name_that_nothing_has_is_said(address: str, browser: Path) -> None:
    assert "No document speaks of qwertz." in shown(browser, f"{address}/#entity=qwertz")


def test_nothing_of_the_page_comes_from_elsewhere() -> None:
    for file in PAGE.iterdir():
        said = file.read_text(encoding="utf-8").replace("http://www.w3.org/2000/svg", "")
        assert not re.search(r"""["'(]\s*(?:https?:)?//""", said), file.name
        assert "innerHTML" not in said
        assert "style=" not in said
