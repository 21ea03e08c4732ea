"""A Dockerfile as a list of instructions."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Instruction:
    """One instruction.

    Attributes:
        name: Its word, in capitals.
        value: What stands behind it, on one line.
    """

    name: str
    value: str

    @property
    def words(self) -> list[str] | None:
        """The words of a command in exec form; None where it is none."""
        start = self.value.find("[")
        if start < 0 or (start and not self.value.endswith("]")):
            return None
        try:
            found = json.loads(self.value[start:])
        except ValueError:
            return None
        return found if all(isinstance(word, str) for word in found) else None


def instructions(text: str) -> list[Instruction]:
    """Return the instructions of a Dockerfile, continued lines put together."""
    lines = [line for line in text.splitlines() if line.strip() and not line.lstrip().startswith("#")]
    whole = re.sub(r"\\\n\s*", " ", "\n".join(lines))
    return [
        Instruction(name.upper(), value.strip())
        for name, _, value in (line.strip().partition(" ") for line in whole.splitlines())
    ]


def stages(text: str) -> list[list[Instruction]]:
    """Return the instructions of each stage of a build, from its `FROM` on."""
    found: list[list[Instruction]] = []
    for instruction in instructions(text):
        if instruction.name == "FROM":
            found.append([])
        if found:
            found[-1].append(instruction)
    return found
