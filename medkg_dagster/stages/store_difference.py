"""What a store of documents lacks of a batch."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import dataclass
from itertools import islice

from medkg_dagster.domain.holdings import DocumentStatus, HeldForm, UsedForm
from medkg_dagster.errors import counted
from medkg_dagster.stage_api import DocumentPart, StageContext

DOCUMENTS_AT_ONCE = 200


@dataclass(frozen=True, slots=True)
class StoreDifference:
    """What is to be done to a store.

    Attributes:
        changed: Documents to write, each with its form and the hash of its input.
        removed: Documents to take out.
        current: The documents of the batch that the store holds afterwards.
    """

    changed: Mapping[str, str]
    removed: Set[str]
    current: Set[str]


def compare_store(ctx: StageContext, held: Mapping[str, str], given: Mapping[str, str]) -> StoreDifference:
    """Compare a batch with the store itself, whatever earlier runs were to have done.

    What the ledger knows as not current is not written, and taken out where the store has it, of whichever
    batch it is. What the ledger does not know stays: nobody said that it is gone.

    Of a document that other jobs hold in other forms the best that was written stays, so that the order of
    runs makes no difference. A form that nothing holds any more is taken out; another comes with the next run
    of a job that holds one.

    Args:
        ctx: The stage's surroundings; the counts are described there.
        held: What the store holds: document to its form and the hash of its input, as they were written.
        given: The batch: document to the hash of its input.
    """
    standing = ctx.job.used_forms(sorted(held.keys() | given.keys()))
    gone = {name for name, one in standing.items() if one.status is not DocumentStatus.CURRENT}
    forms = _forms(ctx, held, given, {name: one for name, one in standing.items() if name not in gone})
    current = given.keys() - gone - forms.superseded
    wanted = {name: f"{forms.own.get(name, '')}:{given[name]}" for name in sorted(current)}
    changed = {name: value for name, value in wanted.items() if held.get(name) != value}
    removed = (gone | forms.unheld) & held.keys()
    new = len(changed.keys() - held.keys())
    unknown = sorted(held.keys() - standing.keys() - given.keys())
    counts = {
        "current": len((held.keys() | current) - removed - gone),
        "new": new,
        "changed": len(changed) - new,
        "withdrawn": len(removed),
        "superseded": len(forms.superseded),
        "held_by_nobody": len(unknown),
    }
    for name, count in counts.items():
        ctx.describe(f"documents_{name}", count)
    ctx.log.info(
        "%d current, %d new, %d changed, %d withdrawn, %d in a better form of another job",
        *list(counts.values())[:5],
    )
    if unknown and standing:
        ctx.log.warning(
            "the store holds %s that no source is known to hold, the first is %s: run the job that brought "
            "it once more, or take it out with `medkg documents withdraw`",
            *(counted(len(unknown), "document"), unknown[0]),
        )
    return StoreDifference(changed, removed, current)


@dataclass(frozen=True, slots=True)
class _Forms:
    """In which form a store is to hold documents.

    Attributes:
        own: The form in which the batch has a document, where the ledger knows one.
        superseded: Documents of the batch that the store holds in a better form.
        unheld: Documents outside the batch of which the store holds a form that nothing holds any more.
    """

    own: Mapping[str, str]
    superseded: Set[str]
    unheld: Set[str]


def _forms(
    ctx: StageContext,
    held: Mapping[str, str],
    given: Mapping[str, str],
    standing: Mapping[str, UsedForm],
) -> _Forms:
    there = {name: held[name].rpartition(":")[0] for name in standing if name in held}
    own = {name: one.key for name, one in standing.items() if one.key and one.is_own}
    others = {
        name
        for name, one in standing.items()
        if (name not in own if name in given else one.key is not None and there[name] not in {"", one.key})
    }
    superseded, unheld = set(), set()
    for name, forms in ctx.job.forms(sorted(others)).items():
        mine = next((number for number, form in enumerate(forms) if form.is_own), len(forms))
        written = _rank(forms, there.get(name, ""))
        if name in given:
            own[name] = forms[mine].key if mine < len(forms) else ""
            if written is not None and written < mine:
                superseded.add(name)
        elif written is None:
            unheld.add(name)
    return _Forms(own, superseded, unheld)


def _rank(forms: Sequence[HeldForm], key: str) -> int | None:
    """Return which of some forms, the best first, a store holds; None where it holds none of them.

    What was written of an item is of that item, also where it is another today; else it may be a copy.
    """
    given = HeldForm(key, is_own=False)
    same = [number for number, form in enumerate(forms) if form.place == given.place]
    copies = [number for number, form in enumerate(forms) if form.content == given.content]
    return next(iter([*same, *copies]), None)


def gone_meanwhile(ctx: StageContext, written: Iterable[str]) -> set[str]:
    """Return those of the documents written just now that are not current any more.

    Who takes a document out tells the ledger first and the store afterwards. So what is current still is to
    stay, or is yet to be taken out by whoever tells the ledger next.
    """
    standing = ctx.job.standing(sorted(written))
    return {name for name, status in standing.items() if status is not DocumentStatus.CURRENT}


def input_hash(*parts: DocumentPart | None, rules: str = "") -> str:
    """Return the hash of all that a store is given of a document.

    Args:
        parts: The document's parts; None where there is none.
        rules: The version of what is made of them on the way.
    """
    versions = [part and part.version for part in parts]
    return hashlib.sha256(repr((rules, versions)).encode()).hexdigest()


def portions(changed: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Yield some documents at a time, so that no more have to be in memory; each is one transaction."""
    names = iter(changed.items())
    while some := dict(islice(names, DOCUMENTS_AT_ONCE)):
        yield some
