"""Precision, recall and their harmonic mean, with the cases behind them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Set as AbstractSet
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeVar

from benchmarks.figures import Bound, Figure

Item = TypeVar("Item")


@dataclass(frozen=True, slots=True)
class Case:
    """Something found that is not gold, or gold that was not found.

    Attributes:
        pmid: The article.
        fault: `spurious` or `missed`.
        cause: Why, as far as it can be told.
        what: What it is, for a reader.
        context: The text around it, or what else there is to see.
    """

    pmid: str
    fault: str
    cause: str
    what: str
    context: str


@dataclass(slots=True)
class Score:
    """How well something is found, over many articles.

    Attributes:
        name: What is found.
        target: What F1 is to reach, in percent; None where nothing is asked.
        right: How many were found and are gold.
        cases: The others.
    """

    name: str
    target: float | None = None
    right: int = 0
    cases: list[Case] = field(default_factory=list)

    def add(self, gold: AbstractSet[Item], found: AbstractSet[Item]) -> tuple[set[Item], set[Item]]:
        """Count what is right in an article, and return what is spurious and what is missed."""
        self.right += len(gold & found)
        return set(found - gold), set(gold - found)

    def figure(self) -> Figure:
        """Return F1 in percent, with precision, recall and the causes of what is wrong."""
        faults = Counter(case.fault for case in self.cases)
        found, gold = self.right + faults["spurious"], self.right + faults["missed"]
        precision, recall = (100 * self.right / number if number else 0.0 for number in (found, gold))
        f1 = 2 * precision * recall / (precision + recall) if self.right else 0.0
        causes = Counter(f"{case.fault}, {case.cause}" for case in self.cases).most_common()
        note = f"P {precision:.1f} R {recall:.1f}; " + "; ".join(f"{cause}: {n}" for cause, n in causes)
        return Figure.value(self.name, "%", f1, self.target, note, bound=Bound.AT_LEAST)

    def write(self, folder: Path) -> None:
        """Write the cases to a table in a folder, those of one cause together."""
        folder.mkdir(parents=True, exist_ok=True)
        ordered = sorted(
            self.cases, key=lambda case: (case.fault, case.cause, case.what.casefold(), case.pmid)
        )
        rows = [
            "fault\tcause\twhat\tpmid\tcontext",
            *(f"{each.fault}\t{each.cause}\t{each.what}\t{each.pmid}\t{each.context}" for each in ordered),
        ]
        path = folder / f"{self.name.replace(',', '').replace(' ', '-')}.tsv"
        path.write_text("\n".join(rows) + "\n", encoding="utf-8")
