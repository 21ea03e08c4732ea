"""Finding and registering a hundred installed plugin packages against doing the same by hand."""

import base64
import hashlib
import importlib
import json
import os
import pkgutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from importlib.metadata import entry_points
from pathlib import Path
from typing import Any

from benchmarks.figures import Figure, in_turn

ROOT = Path(__file__).parent.parent
GROUP = "medical_kg.orchestration.stages"
_TYPE = "replace-words-"
_MODULE = "medkg_words_"
_COUNTED = ("medkg_dagster.", _MODULE)
"""What is installed besides is no business of the measurement."""

_CODE = '''"""Replaces words of documents; registers the stage type `replace-words-{number}`."""

from __future__ import annotations

from collections.abc import Iterator
from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from medkg_dagster.stage_api import StageContext, StageMetadata, StageRegistration, write_key
from medkg_dagster.stage_api._stage_types.registration import StageDefinitionView


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
    """Measure discovery in fresh processes, and count what is imported of packages that are blocked.

    Args:
        packages: How many packages are installed.
        repeats: Rounds that count.
    """
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        for number in range(packages):
            _install(folder, number)
        everything = [_distribution(number) for number in range(packages)]
        reference = _seconds(folder, packages, "by_hand")
        for allowed, allow in (("", []), (", each allowed by name", everything)):
            pair = in_turn(_seconds(folder, packages, "discover", allow), reference, repeats)
            title = f"discovery of {packages} packages{allowed}"
            yield Figure.ratio(title, "s CPU", pair, 1.2, "against importing and calling by hand")
        blocked = everything[: packages // 2]
        reply = _child(folder, "discover", [], blocked)
        _check(reply, packages - len(blocked))
        imported = {_module(number) for number in range(len(blocked))} & set(reply["modules"])
        title = f"modules imported of {len(blocked)} blocked packages of {packages}"
        yield Figure.value(title, "modules", len(imported), 0)


def discover(allow: Sequence[str] = (), block: Sequence[str] = ()) -> dict[str, Any]:
    """Discover and register what is installed, and ask for all that the audit and the report show.

    Args:
        allow: Distributions that may be loaded; none allows everything.
        block: Distributions that are never loaded.
    """
    from medkg_dagster.plugins import PluginPolicy
    from medkg_dagster.registry import StageFactory

    _import_own_stages()
    policy = PluginPolicy(allow=tuple(allow), block=tuple(block), written="plugins.yaml")
    start = time.process_time()
    factory = StageFactory.load_plugins(policy)
    problems = factory.problems
    events = factory.events
    seconds = time.process_time() - start
    assert len(events) > len(factory.registry)
    return _reply(seconds, factory.registry.stage_types, [str(problem) for problem in problems])


def by_hand() -> dict[str, Any]:
    """Import the same modules, call what their entry points name, and nothing else."""
    import medkg_dagster.registry  # noqa: F401 - both sides start the clock with the same modules imported

    _import_own_stages()
    start = time.process_time()
    registrations: list[Any] = [
        point.load()() for point in entry_points().select(group=GROUP) if point.module.startswith(_COUNTED)
    ]
    seconds = time.process_time() - start
    return _reply(seconds, [item.metadata.stage_type for item in registrations], [])


def _reply(seconds: float, types: Sequence[str], problems: Sequence[str]) -> dict[str, Any]:
    return {
        "seconds": seconds,
        "types": [name for name in types if name.startswith(_TYPE)],
        "problems": problems,
        "modules": [name for name in sys.modules if name.startswith(_MODULE)],
    }


def _import_own_stages() -> None:
    # So that the clock sees the packages, and of the stages that are always there only the calls.
    import medkg_dagster.stages

    for found in pkgutil.iter_modules(medkg_dagster.stages.__path__, "medkg_dagster.stages."):
        importlib.import_module(found.name)


def _seconds(folder: Path, packages: int, side: str, *arguments: Sequence[str]) -> Callable[[], float]:
    def measured() -> float:
        reply = _child(folder, side, *arguments)
        _check(reply, packages)
        return float(reply["seconds"])

    return measured


def _check(reply: dict[str, Any], types: int) -> None:
    assert len(reply["types"]) == types, reply
    assert not reply["problems"], reply["problems"]


def _child(folder: Path, side: str, *arguments: Sequence[str]) -> dict[str, Any]:
    # As installed: modules compiled once, not at every start.
    environment = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"}
    code = (
        "import json, sys; from benchmarks import plugin_discovery; "
        f"print(json.dumps(plugin_discovery.{side}(*json.load(sys.stdin))))"
    )
    done = subprocess.run(  # noqa: S603 - our own code
        [sys.executable, "-c", code],
        cwd=ROOT,
        env={**environment, "PYTHONPATH": str(folder)},
        input=json.dumps(arguments),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
    )
    reply: dict[str, Any] = json.loads(done.stdout)
    return reply


def _install(folder: Path, number: int) -> None:
    """Put a package into a folder as an installer leaves it: a module and its `.dist-info`."""
    module = _module(number)
    info = f"medkg_words_{number}-1.{number}.0.dist-info"
    readme = _README_LINE * (_README_BYTES // len(_README_LINE))
    files = {
        f"{module}.py": _CODE.format(number=number),
        f"{info}/METADATA": _METADATA.format(number=number) + readme,
        f"{info}/WHEEL": "Wheel-Version: 1.0\nGenerator: example\nRoot-Is-Purelib: true\nTag: py3-none-any\n",
        f"{info}/entry_points.txt": f"[{GROUP}]\n{_TYPE}{number} = {module}:register\n",
        f"{info}/INSTALLER": "pip\n",
    }
    rows = [f"{name},{_digest(text)},{len(text.encode())}" for name, text in files.items()]
    files[f"{info}/RECORD"] = "\n".join([*rows, f"{info}/RECORD,,", ""])
    (folder / info).mkdir()
    for name, text in files.items():
        (folder / name).write_text(text)


def _digest(text: str) -> str:
    digest = base64.urlsafe_b64encode(hashlib.sha256(text.encode()).digest())
    return f"sha256={digest.rstrip(b'=').decode()}"


def _module(number: int) -> str:
    return f"{_MODULE}{number}"


def _distribution(number: int) -> str:
    return f"medkg-words-{number}"
