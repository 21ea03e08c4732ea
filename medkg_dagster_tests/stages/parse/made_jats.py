"""JATS articles made at random from known words, to see that parsing finds all of them in order."""

from __future__ import annotations

from collections.abc import Callable
from itertools import count
from random import Random

_INLINE = ("{}", "<italic>{}</italic>", "<bold>{}</bold>", "<sup><italic>{}</italic></sup>", "<uri>{}</uri>")
_MARKS = (
    "",
    "",
    ' [<xref ref-type="bibr" rid="r1">1</xref>,<xref ref-type="bibr" rid="r2">2</xref>]',
    '<xref ref-type="bibr" rid="r1"><sup>1</sup></xref>',
    '<sup><xref ref-type="bibr" rid="r1">1</xref>–<xref ref-type="bibr" rid="r3">3</xref></sup>',
)


class MadeArticle:
    """An article and the words that its text has to have.

    Attributes:
        words: The words in reading order; each stands in the article once.
        xml: The article.
    """

    def __init__(self, chance: Random) -> None:
        self._chance = chance
        self._numbers = count(1)
        self.words: list[str] = []
        title = self._inline()
        abstract = self._several(self._paragraph, 2)
        body = self._several(self._paragraph, 2) + self._several(self._section, 3)
        back = self._several(self._back, 2)
        self.xml = (
            f"<article><front><article-meta><title-group><article-title>{title}</article-title></title-group>"
            f"<abstract>{abstract}</abstract></article-meta></front><body>{body}</body><back>{back}"
            "<ref-list><ref id='r1'><mixed-citation>Cited</mixed-citation></ref></ref-list></back></article>"
        )

    def _word(self) -> str:
        word = f"w{_spelt(next(self._numbers))}"
        self.words.append(word)
        return word

    def _several(self, make: Callable[..., str], most: int, *arguments: int) -> str:
        return "".join(make(*arguments) for _ in range(self._chance.randint(1, most)))

    def _inline(self) -> str:
        number = self._chance.randint(1, 6)
        return " ".join(self._chance.choice(_INLINE).format(self._word()) for _ in range(number))

    def _paragraph(self, depth: int = 0) -> str:
        text = self._inline() + self._chance.choice(_MARKS)
        inner = self._deep(depth + 1) if depth < 2 and self._chance.random() < 0.3 else ""
        text += f"{inner} {self._inline()}" if inner else ""
        note = f"<fn><p>{self._inline()}</p></fn>" if self._chance.random() < 0.1 else ""
        return f"<p>{text}{note}</p>"

    def _section(self, depth: int = 0) -> str:
        title = f"<title>{self._inline()}</title>"
        blocks = "".join(self._block(depth) for _ in range(self._chance.randint(0, 4)))
        inner = (
            self._several(self._section, 2, depth + 1) if depth < 2 and self._chance.random() < 0.4 else ""
        )
        return f"<sec>{title}{blocks}{inner}</sec>"

    def _back(self) -> str:
        tag = self._chance.choice(["ack", "notes", "app", "glossary", "fn-group"])
        if tag == "fn-group":
            return f"<fn-group><fn><p>{self._inline()}</p></fn></fn-group>"
        return f"<{tag}><title>{self._inline()}</title>{self._paragraph()}</{tag}>"

    def _block(self, depth: int) -> str:
        return self._chance.choice([self._paragraph, self._deep if depth < 2 else self._paragraph])(depth)

    def _deep(self, depth: int) -> str:
        makers = [self._list, self._quote, self._box, self._table, self._figure, self._definitions]
        return self._chance.choice(makers)(depth)

    def _list(self, depth: int) -> str:
        return f"<list>{self._several(self._list_item, 3, depth)}</list>"

    def _list_item(self, depth: int) -> str:
        text = self._inline()
        inner = self._deep(depth + 1) if depth < 2 and self._chance.random() < 0.3 else ""
        return f"<list-item><label>•</label><p>{text}</p>{inner}</list-item>"

    def _table(self, _: int) -> str:
        head = f"<caption><title>{self._inline()}</title></caption>"
        rows = self._several(self._row, 4)
        foot = f"<table-wrap-foot><fn><p>{self._inline()}</p></fn></table-wrap-foot>"
        return f"<table-wrap>{head}<table>{rows}</table>{foot}</table-wrap>"

    def _row(self) -> str:
        return f"<tr>{self._several(self._cell, 4)}</tr>"

    def _cell(self) -> str:
        span = self._chance.choice(["", "", ' colspan="2"', ' rowspan="2"'])
        return f"<td{span}>{self._inline()}</td>"

    def _figure(self, depth: int) -> str:
        caption = f"<label>{self._word()}</label><caption><p>{self._inline()}</p></caption>"
        return f"<fig>{caption}{self._paragraph(depth + 1)}</fig>"

    def _quote(self, depth: int) -> str:
        return f"<disp-quote>{self._paragraph(depth + 1)}<attrib>{self._inline()}</attrib></disp-quote>"

    def _definitions(self, _: int) -> str:
        item = "<def-item><term>{}</term><def><p>{}</p></def></def-item>"
        return f"<def-list>{item.format(self._inline(), self._inline())}</def-list>"

    def _box(self, depth: int) -> str:
        return f"<boxed-text><title>{self._inline()}</title>{self._paragraph(depth + 1)}</boxed-text>"


def _spelt(number: int) -> str:
    return "".join(chr(ord("a") + int(digit)) for digit in str(number))
