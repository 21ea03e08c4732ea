"""What was found of one thing that a deployment needs."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Status(StrEnum):
    """What is to be thought of it."""

    OK = "ok"
    NOTE = "note"
    WRONG = "wrong"


@dataclass(frozen=True, slots=True)
class Finding:
    """One line.

    Attributes:
        name: What was looked at.
        status: Whether anything is wrong with it.
        found: What there is, in a sentence.
        way_out: What to do, a command where there is one; empty where nothing is to be done.
    """

    name: str
    status: Status
    found: str
    way_out: str = ""


def fine(name: str, found: str) -> Finding:
    """Return that something is as it should be."""
    return Finding(name, Status.OK, found)


def note(name: str, found: str, way_out: str = "") -> Finding:
    """Return that something is not there, and need not be."""
    return Finding(name, Status.NOTE, found, way_out)


def wrong(name: str, found: str, way_out: str = "") -> Finding:
    """Return that something is wrong; what a message of an error says already need not be said again."""
    return Finding(name, Status.WRONG, found, way_out)
