"""What a step does with the documents of its stage: it does again only what nobody has done before."""

import functools
import hashlib
import importlib.util
import json
from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from operator import attrgetter
from pathlib import Path
from typing import Any

from medkg_dagster.domain.payloads import CONVERSION_FAILED, CONVERTED
from medkg_dagster.plugins import Origin
from medkg_dagster.resolution.plan import PlannedStage
from medkg_dagster.resolution.stage_config import canonical
from medkg_dagster.runtime.state.gathering import GatheredWork, gather_parts
from medkg_dagster.runtime.state.shards import Memo, ShardStore, StoredPart
from medkg_dagster.runtime.state.work_account import WorkAccount
from medkg_dagster.stage_api import DocumentPart, MemoryPart
from medkg_dagster.stage_api._document_loop import (
    DocumentEngine,
    DocumentOutcome,
    DocumentTask,
    DocumentWork,
    fingerprint_of,
)
from medkg_dagster.stage_api._documents import DocumentValues, EndOfFile

_FORMAT = 1
_OF_A_FILE = {"path", "sha256", "media_type"}
_INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True, eq=False)
class MemoEngine:
    """Keeps what comes of documents in shards, and uses what is there.

    Attributes:
        shards: All shards.
        pipeline: The pipeline's name.
        planned: The stage's plan.
        config: The stage's configuration in this run, as written.
        home: The folder for all data.
        inner: Does the work that is not remembered.
        asked_again: Documents that are worked on whatever is remembered of them.
        account: What the work was, once it is done.
    """

    shards: ShardStore
    pipeline: str
    planned: PlannedStage
    config: Mapping[str, Any]
    home: Path
    inner: DocumentEngine
    asked_again: Collection[str] = ()
    account: WorkAccount = field(default_factory=WorkAccount)
    _recalled: dict[str, Sequence[StoredPart]] = field(default_factory=dict)

    def run(
        self, work: DocumentWork, tasks: Sequence[DocumentTask]
    ) -> Iterator[tuple[DocumentTask, DocumentOutcome]]:
        """Yield what comes of each document: first what is remembered, then the others."""
        described = self.described(fingerprint_of(work))
        stage_key = digest(described or self._asset)
        memo = self.shards.memo(stage_key, self.planned.contract.state_types)
        keys = {task.position: self._key(task) for task in tasks}
        left: list[DocumentTask] = []
        gathered = GatheredWork(memo, keys.values())
        places = gathered.places
        for task in sorted(tasks, key=lambda task: tuple(places[keys[task.position]][:1])):
            is_known = described and task.document_id not in self.asked_again
            known = memo.find(places[keys[task.position]]) if is_known else None
            if known is None:
                left.append(task)
            else:
                yield task, gathered.gather(task, keys[task.position], known)
        gathered.close()
        left.sort(key=attrgetter("position"))
        if described is not None:
            computed = {task.position for task in left}
            self.account.stage_key, self.account.depends_on = stage_key, _parts(described)
            self.account.documents = {
                task.document_id: (keys[task.position], task.position not in computed) for task in tasks
            }
        try:
            for task, outcome in self.inner.run(work, left):
                self.account.is_open |= not outcome.is_remembered
                yield task, memo.keep(keys[task.position], outcome)
        finally:
            # What was done before an error or an interrupt need not be done again.
            memo.close()
            self.account.shards |= memo.work

    def keep(self, parts: Iterator[DocumentPart | EndOfFile]) -> list[DocumentPart]:
        """Keep what a stage gives part by part."""
        memo = self._of_asset
        self._recalled.clear()
        kept: list[DocumentPart] = []
        of_file: list[StoredPart] = []
        for part in parts:
            if isinstance(part, EndOfFile):
                if part.version is not None:
                    memo.keep_file(self._file_key(part.version), of_file)
                of_file = []
            elif isinstance(part, MemoryPart):
                kept.append(stored := memo.keep_part(part))
                of_file.append(stored)
            else:
                kept.append(part)
        kept = gather_parts(memo, kept, self._recalled)
        memo.close()
        self.account.shards |= memo.work
        return kept

    def recall(self, version: str) -> Sequence[DocumentPart] | None:
        """Return the parts that came of a file; see `StageContext.recall`."""
        if self.planned.origin is None:
            return None
        key = self._file_key(version)
        found = self._of_asset.recall(key)
        if found is not None:
            self._recalled[key] = found
        return found

    def _file_key(self, version: str) -> str:
        code = [] if self.planned.origin is None else code_of(self.planned.origin)
        return digest([_FORMAT, self.planned.contract.version, code, version])

    @cached_property
    def _of_asset(self) -> Memo:
        return self.shards.memo(digest(self._asset), self.planned.contract.state_types)

    @property
    def _asset(self) -> tuple[str, str]:
        return self.pipeline, self.planned.name

    def described(self, fingerprints: Mapping[str, str]) -> dict[str, Any] | None:
        """Return all that outcomes depend on beside the documents; None where it cannot be known."""
        origin, metadata = self.planned.origin, self.planned.contract
        if origin is None:
            return None
        model = metadata.config_model
        config = self.config if model is None else model.model_validate(dict(self.config)).model_dump()
        return {
            "format": _FORMAT,
            "stage_type": metadata.stage_type,
            "version": metadata.version,
            "code": code_of(origin),
            "config": canonical(config),
            "fingerprints": dict(fingerprints),
        }

    @staticmethod
    def reads_files(inputs: Iterable[DocumentValues]) -> bool:
        """Say whether files that are not in the shards belong to the documents, whose content counts too."""
        return any(_is_of_a_file(part) for values in inputs for part in values)

    def _key(self, task: DocumentTask) -> str:
        sidecars = [
            _file_hash(self.home.joinpath(part.header["path"]).with_suffix(suffix))
            for part in task.parts.values()
            if part is not None and _is_of_a_file(part)
            for suffix in (CONVERTED, CONVERSION_FAILED)
        ]
        return digest([task.inputs_version(), sidecars]) if sidecars else task.inputs_version()


def _is_of_a_file(part: DocumentPart) -> bool:
    return part.header.keys() >= _OF_A_FILE


def _parts(described: Mapping[str, Any]) -> dict[str, str]:
    """Return the hash of each of the things that outcomes depend on."""
    fingerprints = {f"fingerprint {name}": value for name, value in described["fingerprints"].items()}
    parts = {**described, **fingerprints}
    del parts["fingerprints"]
    return {name: digest(value)[:16] for name, value in parts.items()}


def code_of(origin: Origin) -> list[str]:
    """Return what changes with the code of a plugin: its version, and where it is not installed its files."""
    found = [origin.target, origin.distribution, origin.version, origin.record_hash]
    return [*found, _source_hash(origin.target.partition(":")[0].partition(".")[0])]


@functools.cache
def _source_hash(package: str) -> str:
    """Return the hash of a package's modules; empty for an installed one, whose version stands for it."""
    spec = importlib.util.find_spec(package)
    if spec is None or spec.origin is None:
        return ""
    place = Path(spec.origin)
    if _INSTALLED & set(place.parts):
        return ""
    files = sorted(place.parent.rglob("*.py")) if spec.submodule_search_locations else [place]
    digest = hashlib.sha256()
    for file in files:
        digest.update(f"{file.relative_to(place.parent)}\x00".encode())
        digest.update(file.read_bytes())
    return digest.hexdigest()


def _file_hash(path: Path) -> str | None:
    try:
        return hashlib.sha256(path.read_bytes()).hexdigest() if path.is_file() else None
    except OSError:
        # The work itself tells what is wrong with it.
        return None


def digest(value: Any) -> str:
    """Return the hash of plain JSON."""
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
