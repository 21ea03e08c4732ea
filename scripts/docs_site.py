"""What mkdocs does for the site besides its own: pages read here as they do in the repository."""

from __future__ import annotations

import posixpath
import re
from typing import Any

_FENCE = re.compile(r"^(`{3,})[ ]*([\w-]+)[^\n`]*\n.*?^\1[ ]*$", re.MULTILINE | re.DOTALL)
_LINK_UP = re.compile(r"(?<!!)\[([^\]]*)\]\((\.\./[^)\s#]*)(#[^)\s]*)?\)")


class Anchors:
    """Gives headings the anchors they have in the repository's own view, the second of a kind with `-1`."""

    def __init__(self) -> None:
        self._given: set[str] = set()

    def start_page(self) -> None:
        """Forget the page before."""
        self._given.clear()

    def __call__(self, text: str, separator: str) -> str:
        """Return the anchor of the next heading."""
        slug = re.sub(r"[^\w\- ]", "", text.strip().lower()).replace(" ", separator)
        anchor, number = slug, 0
        while anchor in self._given:
            number += 1
            anchor = f"{slug}{separator}{number}"
        self._given.add(anchor)
        return anchor


_anchors = Anchors()


def on_config(config: Any) -> None:
    """Let the table of contents use the repository's anchors."""
    config["mdx_configs"].setdefault("toc", {})["slugify"] = _anchors


def on_page_markdown(markdown: str, page: Any, **_: Any) -> str:
    """Take from a page what only the repository understands."""
    _anchors.start_page()
    text = _FENCE.sub(_without_labels, markdown)
    return _LINK_UP.sub(lambda link: _within_site(link, page.file.src_uri), text)


def _without_labels(block: re.Match[str]) -> str:
    """Leave the language of a block alone on its first line; the other words are for tests."""
    _, _, rest = block[0].partition("\n")
    return f"{block[1]}{block[2]}\n{rest}"


def _within_site(link: re.Match[str], page: str) -> str:
    """Return a link as it is, or, where it leads out of the documentation, the path in the repository."""
    target = posixpath.normpath(posixpath.join("docs", posixpath.dirname(page), link[2]))
    return link[0] if target.startswith("docs/") else f"{link[1]} (`{target}`)"
