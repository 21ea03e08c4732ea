r"""TeX formulas on one line: `\frac{1}{2}` reads `1/2`; and how scripts and fractions are written."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable, Iterable

_SIMPLE = re.compile(r"[-−+]?\w+(?:\.\w+)?|\W?")
_CHARGE_OR_PRIME = re.compile(r"\d*[-+−–]|[′″'*†]+|°|∘")


def _listed(names: str) -> frozenset[str]:
    return frozenset(names.split())


def _paired(names: str) -> dict[str, str]:
    parts = names.split()
    return dict(zip(parts[::2], parts[1::2], strict=True))


_OPERATORS = _listed("log ln lg exp lim max min sup inf arg argmax argmin")
_FUNCTIONS = _OPERATORS | _listed("sin cos tan cot sec csc sinh cosh tanh det dim gcd ker mod Pr")
_TOKEN = re.compile(r"\\(?:[A-Za-z]+|.)|\d+(?:\.\d+)?|[^\\]", re.DOTALL)
_MAX_DEPTH = 60
_MAX_TOKENS = 4_000
_SYMBOLS = {
    **_paired(
        r"times × cdot · pm ± mp ∓ div ÷ ast ∗ star ⋆ bullet • le ≤ leq ≤ leqslant ≤ ge ≥ geq ≥ geqslant ≥ "
        r"ne ≠ neq ≠ approx ≈ sim ∼ simeq ≃ cong ≅ equiv ≡ propto ∝ ll ≪ gg ≫ sum ∑ prod ∏ int ∫ partial ∂ "
        r"nabla ∇ infty ∞ in ∈ notin ∉ to → rightarrow → leftarrow ← Rightarrow ⇒ leftrightarrow ↔ mapsto "
        r"↦ uparrow ↑ downarrow ↓ cup ∪ cap ∩ subset ⊂ subseteq ⊆ circ ° degree ° textdegree ° prime ′ "
        r"ldots … dots … cdots … vdots … mid | vert | Vert ‖ langle ⟨ rangle ⟩ lbrace { rbrace } lbrack [ "
        r"rbrack ] forall ∀ exists ∃ neg ¬ land ∧ wedge ∧ lor ∨ vee ∨ perp ⊥ ell ℓ hbar ℏ emptyset ∅ "
        r"setminus ∖ backslash \ colon : lfloor ⌊ rfloor ⌋ lceil ⌈ rceil ⌉ micro µ textmu µ AA Å oplus ⊕ "
        r"otimes ⊗ lt < gt > "
    ),
    **dict.fromkeys([",", ";", ":", " ", "\n", "\t", "~", "quad", "qquad"], " "),
    **{mark: mark for mark in "%&#_${}|"},
    **dict.fromkeys(["!", "/", "-"], ""),
    "\\": "; ",
}
_STYLES = _listed(
    "rm it bf sf cal displaystyle textstyle scriptstyle scriptscriptstyle left right middle limits nolimits "
    "nonumber notag hfill normalsize big Big bigg Bigg bigl bigr Bigl Bigr biggl biggr Biggl Biggr"
)
_WRAPPERS = _listed(
    "text textrm textit textbf textsf texttt textnormal mbox hbox operatorname mathrm mathit mathbf mathsf "
    "mathtt mathcal mathbb mathfrak mathscr mathop mathord mathbin mathrel mathnormal boldsymbol bm pmb "
    "boxed underline overline widehat widetilde underbrace overbrace ensuremath emph smash substack"
)
_ACCENTS = {"hat": "\u0302", "bar": "\u0304", "tilde": "\u0303", "vec": "\u20d7", "dot": "\u0307"}


class UnknownTexError(Exception):
    """The TeX holds what this module does not read."""


def read_tex(source: str) -> str:
    """Return a formula on one line.

    Raises:
        UnknownTexError: It holds an unknown command, or is no balanced TeX.
    """
    return " ".join(_Reader(source).read().split())


def tex_body(source: str) -> str:
    """Return TeX without the preamble and the signs around it."""
    before, _, body = source.partition("\\begin{document}")
    text = (body or before).partition("\\end{document}")[0].strip()
    return text.removeprefix("\\[").removesuffix("\\]").strip().strip("$").strip()


def grouped(text: str) -> str:
    """Return text in parentheses where it is more than one number, name or sign."""
    return text if _SIMPLE.fullmatch(text) else f"({text})"


def fraction(above: str, below: str) -> str:
    """Return `1/2`."""
    return f"{grouped(above.strip())}/{grouped(below.strip())}"


def superscript(base: str, script: str) -> str:
    """Return `10^5`; a charge, a prime and the mass of an isotope are joined: `Ca2+`."""
    script = script.strip()
    joined = not base or (_CHARGE_OR_PRIME.fullmatch(script) and not base[-1:].isdigit())
    return base + script if joined or not script else f"{base}^{grouped(script)}"


def subscript(base: str, script: str) -> str:
    """Return `x_i`; a number is joined to a letter: `IC50`."""
    script = script.strip()
    joined = not base or (script.isdigit() and base[-1:].isalpha() and base not in _OPERATORS)
    return base + script if joined or not script else f"{base}_{grouped(script)}"


def row(parts: Iterable[str]) -> str:
    """Join the parts of a row; names of functions and neighbouring numbers stay apart."""
    joined: list[str] = []
    before = ""
    for part in filter(None, parts):
        numbers = before[-1:].isdigit() and part[0].isdigit()
        if numbers or (part[0].isalnum() and before.partition("_")[0] in _FUNCTIONS):
            joined.append(" ")
        joined.append(part)
        before = part
    return "".join(joined)


class _Reader:
    """Reads TeX from left to right, once."""

    def __init__(self, source: str) -> None:
        self._tokens = _TOKEN.findall(source)
        if len(self._tokens) > _MAX_TOKENS:  # scripts of scripts are copied over and over
            raise UnknownTexError
        self._at = 0
        self._depth = 0

    def read(self) -> str:
        text = self._until("")
        if self._at < len(self._tokens):
            raise UnknownTexError
        return text

    def _next(self) -> str:
        return self._tokens[self._at] if self._at < len(self._tokens) else ""

    def _until(self, end: str) -> str:
        """Read up to a closing mark, which is taken, or to the end of all."""
        parts: list[str] = []
        while (mark := self._next()) not in {"", end, "}"}:
            if mark in {"^", "_"}:
                self._at += 1
                write = superscript if mark == "^" else subscript
                parts.append(write(parts.pop() if parts else "", self._argument()))
            else:
                parts.append(self._one())
        if mark != end:
            raise UnknownTexError
        self._at += bool(end)
        return row(parts)

    def _one(self) -> str:
        mark = self._next()
        self._at += 1
        if mark[:1] not in {"{", "\\"}:
            return " " if mark in "~&" or mark.isspace() else mark
        self._depth += 1
        if self._depth > _MAX_DEPTH:
            raise UnknownTexError
        text = self._until("}") if mark == "{" else self._command(mark[1:])
        self._depth -= 1
        return text

    def _argument(self) -> str:
        while self._next().isspace():
            self._at += 1
        if self._next() in {"", "}"}:
            raise UnknownTexError
        return self._one().strip()

    def _command(self, name: str) -> str:
        if name in _SYMBOLS:
            return _SYMBOLS[name]
        if name in _STYLES:
            self._at += name in {"left", "right"} and self._next() == "."
            return ""
        if name in _FUNCTIONS:
            return name
        if name in _WRAPPERS:
            return self._argument()
        return _STRUCTURES[name](self) if name in _STRUCTURES else self._letter(name)

    def _letter(self, name: str) -> str:
        if name in _ACCENTS:
            text = self._argument()
            return text + _ACCENTS[name] if len(text) == 1 else text
        plain = name.removeprefix("var").removeprefix("up")
        case = "CAPITAL" if plain[:1].isupper() else "SMALL"
        try:
            return unicodedata.lookup(f"GREEK {case} LETTER {plain.upper().replace('LAMBDA', 'LAMDA')}")
        except KeyError:
            raise UnknownTexError from None

    def _root(self) -> str:
        index = ""
        if self._next() == "[":
            self._at += 1
            index = self._until("]")
        root = self._argument()
        return f"root_{grouped(index)}({root})" if index else f"sqrt({root})"

    def _stacked(self, write: Callable[[str, str], str]) -> str:
        script = self._argument()
        return write(self._argument(), script)

    def _begin(self) -> str:
        if self._argument() in {"array", "tabular"}:
            self._argument()
        return " "

    def _unprinted(self) -> str:
        self._argument()
        return " "


_STRUCTURES: dict[str, Callable[[_Reader], str]] = {
    **dict.fromkeys(
        ["frac", "dfrac", "tfrac", "cfrac"],
        lambda reader: fraction(reader._argument(), reader._argument()),
    ),
    **dict.fromkeys(
        ["binom", "dbinom", "tbinom"],
        lambda reader: f"({reader._argument()} choose {reader._argument()})",
    ),
    **dict.fromkeys(
        ["hspace", "vspace", "label", "phantom", "hphantom", "vphantom", "end"], _Reader._unprinted
    ),
    "sqrt": _Reader._root,
    "begin": _Reader._begin,
    "tag": lambda reader: f" ({reader._argument()})",
    "overset": lambda reader: reader._stacked(superscript),
    "stackrel": lambda reader: reader._stacked(superscript),
    "underset": lambda reader: reader._stacked(subscript),
}
