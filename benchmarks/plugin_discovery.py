"""Finding and registering a hundred installed plugin packages against doing the same by hand."""

import base64
import hashlib
import json
import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, in_turn

ROOT = Path(__file__).parent.parent
GROUP = "medical_kg.orchestration.stages"

_MODULE = '''"""Replaces words of documents by what a deployment chooses; stage type `replace-words-{number}`."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from medkg_dagster.stage_api import StageContext, StageMetadata, StageRegistration, write_key
from medkg_dagster.stage_api.registration import StageDefinitionView


class Style(StrEnum):
    """What is left of a word."""

    PLACEHOLDER = "placeholder"
    REMOVAL = "removal"


class ReplaceWordsConfig(BaseModel):
    """What is replaced, and by what."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    words: tuple[str, ...] = Field(default=("alpha", "beta"), min_length=1, description="Words to replace.")
    style: Style = Field(default=Style.PLACEHOLDER, description="What is left of a word.")
    placeholder: str = Field(default="[WORD]", max_length=40, description="Stands in place of a word.")
    ignore_case: bool = Field(default=True, description="Whether upper and lower case are the same.")
    minimum_length: int = Field(default=3, ge=1, le=100, description="Shorter words are left alone.")
    share: float = Field(default=1.0, ge=0.0, le=1.0, description="The share of documents looked at.")


class ReplaceWords:
    """Replaces words.

    Args:
        config: What is replaced, and by what.
    """

    def __init__(self, config: ReplaceWordsConfig) -> None:
        self.config = config

    def execute(self, ctx: StageContext, *, texts: tuple[str, ...]) -> tuple[str, ...]:
        """Return the texts with words replaced."""
        return tuple(ctx.for_each(texts, self._replaced, document_id=str))

    def _replaced(self, text: str) -> str:
        return " ".join(self._words(text))

    def _words(self, text: str) -> Iterator[str]:
        for word in text.split():
            is_meant = (word.lower() if self.config.ignore_case else word) in self.config.words
            if not is_meant or len(word) < self.config.minimum_length:
                yield word
            elif self.config.style is Style.PLACEHOLDER:
                yield self.config.placeholder


def build(definition: StageDefinitionView) -> ReplaceWords:
    """Build the stage."""
    return ReplaceWords(ReplaceWordsConfig.model_validate(definition.config))


def register() -> StageRegistration:
    """Return the stage type."""
    metadata = StageMetadata(
        stage_type="replace-words-{number}",
        state_key="texts_{number}",
        output_handler=write_key("texts_{number}"),
        output_counter=len,
        description="Replaces words of documents by what a deployment chooses.",
        config_model=ReplaceWordsConfig,
        state_types={{"texts_{number}": tuple[str, ...]}},
        version="1.2",
        kinds=("python",),
    )
    return StageRegistration(metadata, build)
'''

_METADATA = """Metadata-Version: 2.4
Name: medkg-words-{number}
Version: 1.{number}.0
Summary: Replaces words of documents.
Author-email: Example Authors <authors@example.org>
License-Expression: Apache-2.0
Project-URL: Documentation, https://words.example.org
Project-URL: Source, https://source.example.org/words
Keywords: biomedical,documents,knowledge graph
Classifier: Development Status :: 4 - Beta
Classifier: Programming Language :: Python :: 3
Classifier: Topic :: Scientific/Engineering :: Medical Science Apps.
Requires-Python: >=3.12
Requires-Dist: medkg-dagster>=0.1
Requires-Dist: pydantic<3,>=2.7
Provides-Extra: test
Requires-Dist: pytest>=8; extra == "test"
Description-Content-Type: text/markdown

# medkg-words

"""
_README_BYTES = 5_000
_README_LINE = "Words of a document are looked up one by one and replaced by what the deployment chose.\n"


def measure(packages: int = 100, repeats: int = 9) -> Iterator[Figure]:
    """Measure discovery in fresh processes, and what is imported of packages that are blocked.

    Args:
        packages: How many packages are installed.
        repeats: Rounds that count.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(packages):
            _install(folder, number)
        by_hand = _seconds(folder, "by_hand", packages)
        for title, side in (("", "discover"), (", each named in `allow`", "discover_allowed")):
            pair = in_turn(_seconds(folder, side, packages), by_hand, repeats)
            title = f"discovery of {packages} plugin packages{title}"
            yield Figure.ratio(title, "s CPU", pair, 1.2, "against importing and calling them by hand")
        blocked = packages // 2
        title = f"modules imported of {blocked} blocked packages of {packages}"
        yield Figure.value(title, "modules", _imported_though_blocked(folder, packages, blocked), 0)


def discover(allow: tuple[str, ...] = (), block: tuple[str, ...] = ()) -> dict[str, Any]:
    """Discover and register what is installed, with all that the audit asks for.

    Args:
        allow: What may be loaded; empty allows everything.
        block: What is never loaded.
    """
    from medkg_dagster.plugins import PluginPolicy
    from medkg_dagster.registry import StageFactory

    _import_own_stages()
    policy = PluginPolicy(allow=allow, block=block, written="plugins.yaml")
    start = time.process_time()
    factory = StageFactory.load_plugins(policy)
    problems = factory.problems
    events = (*factory.registry.events, *factory.extensions.events())
    seconds = time.process_time() - start
    assert events
    problems = tuple(str(problem) for problem in problems)
    return {"seconds": seconds, "types": factory.registry.stage_types, "problems": problems}


def discover_allowed(packages: int) -> dict[str, Any]:
    """Discover with a policy that allows each package by name."""
    return discover(allow=_names(packages))


def discover_blocked(packages: int, blocked: int) -> dict[str, Any]:
    """Discover with a policy that blocks the first packages; tell which modules were imported."""
    return {**discover(block=_names(blocked)), "modules": [_module(n) for n in range(packages) if _module(n) in sys.modules]}


def by_hand() -> dict[str, Any]:
    """Import the same modules and call what the entry points name, and nothing else."""
    from importlib.metadata import entry_points

    _import_own_stages()
    start = time.process_time()
    registrations = [point.load()() for point in entry_points().select(group=GROUP)]
    seconds = time.process_time() - start
    types = [item.metadata.stage_type for item in registrations]
    return {"seconds": seconds, "types": types, "problems": ()}
