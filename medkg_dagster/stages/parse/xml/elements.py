"""Which elements of articles stand inside words, hold formulas, or are no text."""

from __future__ import annotations

INSIDE_WORDS = frozenset(
    {
        *(
            "bold",
            "italic",
            "monospace",
            "overline",
            "roman",
            "sans-serif",
            "sc",
            "strike",
            "underline",
            "ruby",
        ),
        *(
            "rb",
            "rt",
            "rp",
            "sub",
            "sup",
            "abbrev",
            "ext-link",
            "email",
            "uri",
            "named-content",
            "styled-content",
        ),
        *("inline-supplementary-material", "related-article", "related-object", "hr", "x", "xref", "target"),
        *("private-char", "milestone-start", "milestone-end", "institution", "institution-id", "fixed-case"),
        *(
            "overline-start",
            "overline-end",
            "underline-start",
            "underline-end",
            "inline-formula",
            "chem-struct",
        ),
        *("math", "tex-math", "inline-graphic", "index-term", "index-term-range-end", "fn", "inline-media"),
        *("b", "i", "u", "em", "strong", "small", "tt", "span", "a", "font", "article-id", "alternatives"),
    }
)
"""Elements that may stand inside a word; all others set what they hold apart."""

LEFT_OUT = {
    **dict.fromkeys(("inline-graphic", "alt-text", "long-desc", "glyph-data"), "pictures"),
    **dict.fromkeys(("object-id", "sec-meta", "processing-meta", "permissions"), "metadata"),
    **dict.fromkeys(("contrib-group", "aff", "aff-alternatives", "corresp"), "authors and addresses"),
    **dict.fromkeys(("index-term", "index-term-range-end"), "index terms"),
    "ref-list": "references",
}
"""Elements whose content is no text, with what it is counted as."""

FORMULAS = frozenset({"inline-formula", "disp-formula", "tex-math", "math", "DispFormula"})
