"""How much of its source a document holds, in lines for people."""

from __future__ import annotations

from collections.abc import Iterator

from medkg_dagster.cli.output import one_line
from medkg_dagster.domain.documents import TextKept
from medkg_dagster.errors import counted


def text_kept_lines(kept: TextKept | None) -> Iterator[str]:
    """Yield the share that is kept, what was found, what was left out and why, and what is lost.

    Args:
        kept: The count; None where nobody counted.
    """
    if kept is None:
        return
    percent = 100 * kept.kept / kept.found if kept.found else 100.0
    counts = [f"{kept.kept:,} of {counted(kept.found, 'glyph' if kept.pages else 'word')}"]
    if kept.pages:
        counts += [f"pages {kept.pages}", f"pages without text {kept.pages_without_text}"]
        counts += [f"glyphs without meaning {kept.glyphs_without_meaning:,}"]
    yield f"holds {percent:.2f} % of its source: {', '.join([*counts, f'tables {kept.tables}'])}"
    if kept.left_out:
        reasons = sorted(kept.left_out.items(), key=lambda item: (-item[1], item[0]))
        yield f"left out: {', '.join(f'{one_line(reason)} {count:,}' for reason, count in reasons)}"
    for loss, advice in kept.losses().items():
        yield f"lost: {loss}; {advice}"
