"""What a step does with the documents of its stage: it does again only what nobody has done before."""

import functools
import hashlib
import importlib.util
import json
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from medkg_dagster.domain.payloads import CONVERSION_FAILED, CONVERTED
from medkg_dagster.plugins import Origin
from medkg_dagster.resolution.plan import PlannedStage
from medkg_dagster.resolution.stage_config import canonical
from medkg_dagster.runtime.state.shards import ShardStore
from medkg_dagster.stage_api import DocumentPart, MemoryPart
from medkg_dagster.stage_api._document_loop import (
    DocumentEngine,
    DocumentOutcome,
    DocumentTask,
    DocumentWork,
    fingerprint_of,
)

_FORMAT = 1
_OF_A_FILE = {"path", "sha256", "media_type"}
_INSTALLED = {"site-packages", "dist-packages"}


@dataclass(frozen=True, slots=True, eq=False)
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
    """

    shards: ShardStore
    pipeline: str
    planned: PlannedStage
    config: Mapping[str, Any]
    home: Path
    inner: DocumentEngine
    asked_again: Collection[str] = ()

    def run(
        self, work: DocumentWork, tasks: Sequence[DocumentTask]
    ) -> Iterator[tuple[DocumentTask, DocumentOutcome]]:
        """Yield what comes of each document: first what is remembered, then the others."""
        described = self._described(fingerprint_of(work))
        memo = self.shards.memo(_digest(described or self._asset), self.planned.contract.state_types)
        keys: dict[int, str] = {}
        left: list[DocumentTask] = []
        for task in tasks:
            keys[task.position] = key = self._key(task)
            is_known = described and task.document_id not in self.asked_again
            known = memo.find(key) if is_known else None
            if known is None:
                left.append(task)
            else:
                yield task, known
        try:
            for task, outcome in self.inner.run(work, left):
                yield task, memo.keep(keys[task.position], outcome)
        finally:
            # What was done before an error or an interrupt need not be done again.
            memo.close()

    def keep(self, parts: Iterator[MemoryPart]) -> list[DocumentPart]:
        """Keep what a stage gives part by part."""
        memo = self.shards.memo(_digest(self._asset), self.planned.contract.state_types)
        kept: list[DocumentPart] = [memo.keep_part(part) for part in parts]
        memo.close()
        return kept

    @property
    def _asset(self) -> tuple[str, str]:
        return self.pipeline, self.planned.name

    def _described(self, fingerprints: Mapping[str, str]) -> dict[str, Any] | None:
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

    def _key(self, task: DocumentTask) -> str:
        sidecars = [
            _file_hash(self.home.joinpath(part.header["path"]).with_suffix(suffix))
            for part in task.parts.values()
            if part is not None and part.header.keys() >= _OF_A_FILE
            for suffix in (CONVERTED, CONVERSION_FAILED)
        ]
        return _digest([task.inputs_version(), sidecars])


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


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True).encode()).hexdigest()
