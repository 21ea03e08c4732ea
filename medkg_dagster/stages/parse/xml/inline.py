"""Text out of mixed content: scripts, formulas and citation marks as they have to be read on one line.

All is text that is not known to be something else. Elements that are not known to stand inside a word are set
apart by white space.
"""

from __future__ import annotations

import re

from medkg_dagster.stages.parse.raised import NUMBERED
from medkg_dagster.stages.parse.xml import Element, child_nodes, plain_text
from medkg_dagster.stages.parse.xml.alternatives import FORMULA_FORMS, choose
from medkg_dagster.stages.parse.xml.elements import FORMULAS, INSIDE_WORDS, LEFT_OUT
from medkg_dagster.stages.parse.xml.formulas import formula_text

_CITATIONS = frozenset({"bibr", "ref"})
_NOTES = frozenset({"fn", "table-fn", "author-notes", "corresp", "aff"})
MARKS = _CITATIONS | _NOTES
"""The types of cross references that stand for a reference or a note."""

_WORD = re.compile(r"[^\W\d_]{2}")
_ORDINAL = re.compile(r"(?:st|nd|rd|th)\b", re.IGNORECASE)
_LONG_WORD = re.compile(r"[^\W\d_]{4}$")
_NUMERIC = re.compile(r"[-−–+]?\d[\d.,\s–−-]*")
_NOTE_LETTER = re.compile(r"[a-z](?: ?, ?[a-z])*|TM")
_BEFORE_LETTER = re.compile(r"[^\W\d_]{3}$|\)$")
_FIRST_WORD = re.compile(r"[^\W\d_][a-z]{2}")
MAX_NOTE_MARK = 2
MAX_NESTED = 5
LONGEST_NAME = 16
_SEPARATORS = re.compile(r"[\s,;.·:\-–—−()\[\]]*")
_BEFORE_INDEX = re.compile(r"(?:^|\W)(?:log|ln|lim|max|min)$", re.IGNORECASE)

# A mark is set between two noncharacters, which no text keeps.
_OPEN, _CLOSE = "\ufdd0", "\ufdd1"
_MARK = f"{_OPEN}([^{_OPEN}{_CLOSE}]*+){_CLOSE}"
_BETWEEN = r"(?:[\s,;.&–—−-]|and\b)*+"
_BRACKETED = rf" ?[\[(]{_BETWEEN}(?:{_MARK}{_BETWEEN})++[\])]"
_IN_BRACKETS = re.compile(rf"{_BRACKETED}(?: ?[,;–—-]?{_BRACKETED})*+")
_MARKS = re.compile(rf" ?{_MARK}(?:[\s,;&–—−-]*+{_MARK})*+")
_ONE_MARK = re.compile(_MARK)
_NONCHARACTERS = re.compile(f"[{_OPEN}{_CLOSE}]")


def inline_text(
    element: Element, *, skip: frozenset[str] = frozenset(), notes: list[Element] | None = None
) -> str:
    """Return all text of an element.

    A numeric superscript after a digit is written with a caret (`10^5`), other scripts are joined to their
    word; citation marks, footnote marks and the footnotes themselves are left out; a formula is on one line.

    Args:
        element: What holds the text.
        skip: Elements to leave out besides.
        notes: Takes the footnotes that stand in the text.

    Returns:
        The text, white space normalised.
    """
    text = InlineText(skip)
    text.content(element)
    if notes is not None:
        notes += text.notes
    return text.finish()


class InlineText:
    """Collects a run of text.

    Attributes:
        notes: The footnotes that stand in it.
    """

    def __init__(self, skip: frozenset[str] = frozenset()) -> None:
        self._parts: list[str] = []
        self._skip = skip
        self._behind_script = False
        self._behind_mark = False
        self._has_marks = False
        self.notes: list[Element] = []

    def finish(self) -> str:
        """Return what was collected without citation marks, and begin anew; `notes` stay."""
        text = " ".join("".join(self._parts).split())
        if self._has_marks:
            text = _without_marks(text)
        self._parts, self._behind_script, self._behind_mark, self._has_marks = [], False, False, False
        return text

    def text(self, text: str) -> None:
        """Add text as it stands."""
        text = _NONCHARACTERS.sub("", text)
        if self._behind_script and text[:1].isdigit() and self._before().isdigit():
            self._parts.append(" ")
        if self._behind_mark and _FIRST_WORD.match(text):
            self._parts.append(" ")
        self._behind_script = self._behind_mark = False
        self._parts.append(text)

    def content(self, element: Element) -> None:
        """Add all that an element holds."""
        for node, tag in child_nodes(element):
            if isinstance(node, str):
                self.text(node)
            else:
                self.element(node, tag)

    def element(self, element: Element, tag: str) -> None:
        """Add an element as its kind asks for."""
        if tag in LEFT_OUT or tag in self._skip:
            return
        if tag == "fn":
            self.notes.append(element)
        elif tag == "xref":
            self._reference(element)
        elif tag == "sup":
            self._superscript(element)
        elif tag == "sub":
            self._subscript(element)
        elif tag in FORMULAS:
            self._formula(element, tag)
        elif tag == "alternatives":
            self._alternatives(element)
        elif tag in INSIDE_WORDS:
            self.content(element)
        else:
            self.apart(element)

    def apart(self, element: Element) -> None:
        """Add what an element holds between spaces."""
        self.space()
        self.content(element)
        self.space()

    def space(self) -> None:
        """Set apart what comes next."""
        self._parts.append(" ")
        self._behind_script = False

    def _before(self) -> str:
        return self._parts[-1][-1:] if self._parts else ""

    def _nested(self, element: Element) -> str:
        inner = InlineText(self._skip)
        inner.content(element)
        self.notes += inner.notes
        self._has_marks |= inner._has_marks
        return "".join(inner._parts)

    def _reference(self, element: Element) -> None:
        kind = element.get("ref-type")
        text = self._nested(element)
        plain = _ONE_MARK.sub("", text).strip()
        raised = element.find("sup") is not None
        is_word = bool(_WORD.search(plain)) and not raised
        if kind in _CITATIONS or (
            not is_word and (kind in _NOTES or (kind is None and _is_mark(element, plain)))
        ):
            self._mark(plain if is_word else "")
        else:
            self._parts.append(text)

    def _mark(self, text: str) -> None:
        self._parts.append(f"{_OPEN}{text}{_CLOSE}")
        self._has_marks = True

    def _superscript(self, element: Element) -> None:
        text = self._nested(element)
        rest = _ONE_MARK.sub("", text).strip()
        if _OPEN in text and _SEPARATORS.fullmatch(rest):
            self._mark("")
            return
        before = "".join(self._parts[-1:])[-LONGEST_NAME:]
        if opens_a_block(element):
            # The mark of a note is no part of the first word behind it, as the number of an isotope is.
            self._parts.append(text if _NUMERIC.fullmatch(rest) or len(rest) > MAX_NOTE_MARK else f"{text} ")
            self._behind_mark = True
            return
        if before[-1:].isdigit():
            raised = any(character.isalnum() for character in rest) and not _ORDINAL.match(rest)
        else:
            raised = bool(
                _NUMERIC.fullmatch(rest)
                and (before.endswith(")") or _LONG_WORD.search(before))
                and not NUMBERED.search(before)
            )
            raised = raised or bool(_NOTE_LETTER.fullmatch(rest) and _BEFORE_LETTER.search(before))
        self._parts.append(f"^{rest}" if raised else text)
        self._behind_script = True

    def _subscript(self, element: Element) -> None:
        text = self._nested(element)
        before = "".join(self._parts[-1:])[-8:]
        apart = text.strip()[:1].isdigit() and (before[-1:].isdigit() or _BEFORE_INDEX.search(before))
        self._parts.append(f"_{text.strip()}" if apart else text)
        self._behind_script = True

    def _formula(self, element: Element, tag: str) -> None:
        text = formula_text(element)
        if tag in {"disp-formula", "DispFormula"}:
            self.space()
        if text is None:
            self.content(element)
        else:
            self._parts.append(_NONCHARACTERS.sub("", text))
            for label in element.iterfind("label"):
                self.apart(label)
        if tag in {"disp-formula", "DispFormula"}:
            self.space()
        self._behind_script = text is not None

    def _alternatives(self, element: Element) -> None:
        forms = choose(element)
        if forms and forms[0].tag in FORMULA_FORMS:
            self._parts.append(_NONCHARACTERS.sub("", formula_text(element) or ""))
            return
        for form in forms:
            self.element(form, str(form.tag))


def opens_a_block(element: Element) -> bool:
    """Return whether nothing stands before an element in the block that holds it."""
    for _ in range(MAX_NESTED):
        parent = element.getparent()
        if parent is None or element.getprevious() is not None or (parent.text or "").strip():
            return False
        if parent.tag not in INSIDE_WORDS:
            return True
        element = parent
    return False


def is_mark(element: Element) -> bool:
    """Return whether a cross reference stands for a reference or a note."""
    kind, text = element.get("ref-type"), plain_text(element).strip()
    is_word = bool(_WORD.search(text)) and element.find("sup") is None
    return kind in MARKS or (kind is None and not is_word and _is_mark(element, text))


def _is_mark(element: Element, text: str) -> bool:
    """Whether a cross reference of no stated type is a number that stands for a reference or a note."""
    return bool(element.get("rid")) and len(text) <= 8 and any(character.isdigit() for character in text)


def _without_marks(text: str) -> str:
    """Take citation marks out, with the brackets and commas around them; a name in a sentence stays."""
    return " ".join(_MARKS.sub(_written, _IN_BRACKETS.sub(_removed, text)).split())


def _removed(match: re.Match[str]) -> str:
    return " " if _glues(match) else ""


def _written(match: re.Match[str]) -> str:
    named = [name for name in _ONE_MARK.findall(match[0]) if name]
    if not named:
        return _removed(match)
    text = _ONE_MARK.sub(lambda mark: mark[1], match[0])
    before, after = (
        match.string[match.start() - 1 : match.start()],
        match.string[match.end() : match.end() + 1],
    )
    left = " " if before.isalnum() and text[:1].isalnum() else ""
    return f"{left}{text} " if after.isalnum() else left + text


def _glues(match: re.Match[str]) -> bool:
    """Whether words on both sides would become one."""
    return match.string[match.end() : match.end() + 1].isalnum()
