"""Mappings as SSSOM tables (https://w3id.org/sssom): a head behind `#`, then one mapping a record.

An exact match is an equivalence, curated where a person said so; close matches, and references that are
justified, are equivalences that nobody curated. Of broad, narrow and other matches none is.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from itertools import dropwhile
from pathlib import Path

from medkg_dagster.vocabulary.concepts import CURIE, Equivalence
from medkg_dagster.vocabulary.readers.source_file import SourceFile
from medkg_dagster.vocabulary.readers.tables import records
from medkg_dagster.vocabulary.readers.terms import written_curie

_NEEDED = ("subject_id", "predicate_id", "object_id", "mapping_justification")
_EXACT = "skos:exactMatch"
_SAME = frozenset({_EXACT, "skos:closeMatch", "oboInOwl:hasDbXref", "oio:hasDbXref"})
_BY_HAND = "semapv:ManualMappingCuration"
_NO_TERM = "sssom:NoTermFound"


def read(path: Path, left_out: Counter[str] | None = None) -> Iterator[Equivalence]:
    """Read the mappings.

    Args:
        path: The file.
        left_out: Counts what is left out, by its reason.

    Raises:
        VocabularyError: The file is unreadable or wrong; the message names the line.
    """
    source = SourceFile(path, left_out)
    table = dropwhile(lambda line: line.startswith("#"), source.text_lines())
    is_any = False
    for line, of in records(source, table, _NEEDED):
        is_any = True
        predicate, justification = of["predicate_id"], of["mapping_justification"]
        if reason := _reason_to_leave_out(of["subject_id"], predicate, of["object_id"]):
            source.left_out[reason] += 1
        elif of.get("predicate_modifier"):
            source.left_out["mappings that are denied"] += 1
        elif not justification:
            source.left_out["mappings without a justification"] += 1
        else:
            is_curated = predicate == _EXACT and justification == _BY_HAND
            one, other = (_curie(of[column], line, source) for column in ("subject_id", "object_id"))
            yield Equivalence(one, other, is_curated=is_curated)
    if not is_any:
        raise source.error("the file names no mapping; check that it is whole and of this format", 1)


def _reason_to_leave_out(subject: str, predicate: str, other: str) -> str:
    if _NO_TERM in {subject, other}:
        return "mappings to no term"
    return "" if predicate in _SAME else f"mappings that are {predicate}"


def _curie(text: str, line: int, source: SourceFile) -> str:
    curie = written_curie(text)
    if not CURIE.fullmatch(curie):
        raise source.error(f"{text!r} is not a CURIE such as MESH:D008545; correct it", line)
    return curie
