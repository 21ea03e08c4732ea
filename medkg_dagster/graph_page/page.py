"""The page: the drawing, and beside it every statement with the sentences behind it and their documents."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Iterator, Sequence
from html import escape
from importlib import resources
from urllib.parse import urlsplit

from medkg_dagster.errors import counted
from medkg_dagster.graph_page.drawing import colours, drawing, in_order, short
from medkg_dagster.query import Evidence, Neighbour, NeighbourAnswer


def neighbourhood_page(answer: NeighbourAnswer) -> str:
    """Return what is stated of a node as an HTML page that reaches for nothing outside itself.

    Args:
        answer: The neighbours, each with the sentences to be read.
    """
    style, script = (_asset(name) for name in ("page.css", "page.js"))
    policy = (
        f"default-src 'none'; style-src 'unsafe-inline'; script-src '{_hash(script)}'; base-uri 'none'; "
        "form-action 'none'"
    )
    ordered = in_order(answer)
    name, mark = (
        _text(answer.node.name),
        ' <span class="mark">synthetic</span>' if answer.node.synthetic else "",
    )
    kinds = ", ".join(kind.partition(":")[2] for kind in answer.node.category[:1])
    shown = f"{counted(len(ordered), 'statement')} of {answer.total:,}"
    return f"""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta http-equiv="Content-Security-Policy" content="{policy}">
<title>{name}</title>
<style>{style}</style>
</head>
<body>
<a class="skip" href="#statements">To the statements</a>
<header>
<h1>{name} <small>{_text(answer.node.id)} {_text(kinds)}</small>{mark}</h1>
<p>{shown}. Choose an edge, or a statement in the list, to read every sentence behind it.
<span class="legend"><i class="stated"></i> stated <i class="possible"></i> possible only
<i class="denied"></i> denied</span></p>
{"".join(f'<p class="cut">{_text(sentence)}</p>' for sentence in answer.cut)}
</header>
<main>
<section class="drawing" aria-label="Drawing">
{drawing(answer, ordered)}
</section>
<section class="list" id="statements" aria-label="Statements" tabindex="-1">
{_filters(ordered)}
{"".join(_statements(ordered))}
</section>
</main>
<script>{script}</script>
</body>
</html>
"""


def _filters(ordered: Sequence[Neighbour]) -> str:
    chosen = "".join(
        f'<label><input type="checkbox" checked data-predicate="{escape(name, quote=True)}">'
        f'<b style="color:{colour}">{_text(short(name))}</b></label>'
        for name, colour in colours(ordered).items()
    )
    return (
        f'<fieldset><legend>Show</legend><label>with <input type="search" id="words" '
        f'aria-label="Only statements with these words" placeholder="words"></label>{chosen}'
        '<output id="shown" aria-live="polite"></output></fieldset>'
    )


def _statements(ordered: Sequence[Neighbour]) -> Iterator[str]:
    colour = colours(ordered)
    for number, one in enumerate(ordered):
        kind = (
            "denied" if one.negated else "possible" if one.possible_count == one.evidence_count else "stated"
        )
        said = " ".join(
            f'<span class="mark">{mark}</span>'
            for mark, holds in (
                ("denied", one.negated),
                ("possible", kind == "possible"),
                ("synthetic", one.synthetic),
            )
            if holds
        )
        narrowed = "; ".join(f"{slot} {value}" for slot, value in sorted(one.qualifiers.items()))
        times = f"{counted(one.evidence_count, 'time')}, {counted(one.document_count, 'document')}"
        more = one.evidence_count - len(one.evidence)
        rest = f'<p class="cut">{counted(more, "sentence")} more, not in this file</p>' if more > 0 else ""
        predicate = f'<b style="color:{colour[one.predicate]}">{_text(short(one.predicate))}</b>'
        yield (
            f'<details id="s{number}" class="{kind}" data-predicate="{escape(one.predicate, quote=True)}" '
            f'data-node="{escape(one.other.id, quote=True)}">'
            f"<summary>{_text(one.subject.name)} {predicate} {_text(one.object.name)} {said} "
            f"<small>{times}</small></summary>"
            f"{f'<p>{_text(narrowed)}</p>' if narrowed else ''}"
            f"<ol>{''.join(map(_evidence, one.evidence))}</ol>{rest}</details>\n"
        )


def _evidence(where: Evidence) -> str:
    document = where.document
    title = _text(document.title or document.id)
    link = _link(document.url)
    named = f'<a href="{link}" rel="noreferrer">{title}</a>' if link else title
    held = [
        mark
        for mark, holds in (
            ("denied", where.negated),
            ("possible", where.certainty == "possible"),
            ("background", where.background),
            ("synthetic", where.synthetic),
        )
        if holds
    ]
    place = f"characters {where.start}–{where.end}" if where.sentence else _text(where.record_field)
    parts = (_text(document.id), _text(document.date or ""), place, _text(where.licence or ""))
    said = f"<q>{_text(where.sentence)}</q>" if where.sentence else "<i>a structured field says it</i>"
    marks = "".join(f' <span class="mark">{mark}</span>' for mark in held)
    return f"<li>{said}{marks}<br>{named} <small>{' · '.join(filter(None, parts))}</small></li>"


def _link(url: str | None) -> str | None:
    """Return an address of the web as an attribute; of no other kind, which a document might name."""
    if url is None:
        return None
    try:
        is_web = urlsplit(url).scheme in {"http", "https"}
    except ValueError:
        return None
    return escape(url, quote=True) if is_web else None


def _text(text: str) -> str:
    return escape(" ".join(text.split()))


def _asset(name: str) -> str:
    return resources.files(__package__).joinpath(name).read_text("utf-8")


def _hash(script: str) -> str:
    return "sha256-" + base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()
