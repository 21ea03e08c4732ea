"""What came of a whole batch of documents, used as one where the run before had the same batch.

To look for each document's work costs more than all the rest where nothing has changed at all.
"""

import io
import zipfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

from medkg_dagster.runtime.state.archives import read_archive, use_shards
from medkg_dagster.runtime.state.memo import MemoEngine, digest
from medkg_dagster.runtime.state.shards import StoredValues
from medkg_dagster.runtime.state.work_account import StoredAccount
from medkg_dagster.stage_api import StageContext, Stopwatch
from medkg_dagster.stage_api._document_loop import (
    DocumentWork,
    document_tasks,
    fingerprint_of,
    result_of,
    review,
)
from medkg_dagster.stage_api._invocation import StageOutcome
from medkg_dagster.stage_api._stage_types.registration import Stage


@dataclass(frozen=True, slots=True, eq=False)
class BatchMemo:
    """Remembers a batch of which something came of every document, by a stage that looks at each by itself.

    Attributes:
        engine: Does the work on documents otherwise.
        archive: Where the run before may have written the stage's state.
    """

    engine: MemoEngine
    archive: Any

    def recall(self, stage: Stage, ctx: StageContext, inputs: Mapping[str, Any]) -> StageOutcome | None:
        """Return what came of the batch; None where that is not remembered, or a part of it is gone."""
        watch, account = Stopwatch(), self.engine.account
        account.batch = self._name(stage, ctx, inputs)
        if not account.batch:
            return None
        # The run does the work anew of what cannot be read.
        with suppress(OSError, ValueError, zipfile.BadZipFile):
            content = self.archive.read_bytes()
            before = StoredAccount(zipfile.ZipFile(io.BytesIO(content)))
            batch, count = before.batch
            if batch != account.batch:
                return None
            shards, types = self.engine.shards, self.engine.planned.metadata.state_types
            state = {key: read_archive(content, key, kind, shards) for key, kind in types.items()}
            used = [shards.shard(name).use() for name in before.shards]
            if not all([*used, *map(use_shards, state.values())]):
                return None
            account.stored = before.stored()
            account.shards.update(before.shards)
            work = DocumentWork(self.engine.planned.contract, stage, ctx)
            tasks = document_tasks(work.metadata, inputs)
            made = (dict(zip(state, parts, strict=True)) for parts in zip(*state.values(), strict=True))
            pairs = zip(tasks, made, strict=True)
            review(work, (result_of(task, parts, is_reused=True) for task, parts in pairs))
            _tell(ctx, max(map(len, state.values())))
            return StageOutcome(state, count, watch.seconds)
        return None

    def keep(self, ctx: StageContext, outcome: StageOutcome) -> None:
        """Have the batch remembered with the state that is to be stored."""
        account = self.engine.account
        account.count = outcome.output_count
        if ctx.quarantined or ctx.described.get("left_out") or account.is_open:
            account.batch = ""

    def _name(self, stage: Stage, ctx: StageContext, inputs: Mapping[str, Any]) -> str:
        """Return the hash of all that the work depends on; empty where that is more than can be known."""
        planned = self.engine.planned
        # What a stage shows by `review` it shows of what is remembered too.
        is_judged = planned.contract.checks and not hasattr(stage, "review")
        looks_across = hasattr(stage, "conclude") or is_judged
        is_stored = all(isinstance(values, StoredValues) for values in inputs.values())
        if (
            looks_across
            or not is_stored
            or self.engine.asked_again
            or self.engine.reads_files(inputs.values())
        ):
            return ""
        fingerprints = fingerprint_of(DocumentWork(planned.contract, stage, ctx))
        manifests = {name: values.manifest_version for name, values in inputs.items()}
        described = self.engine.described(fingerprints)
        return "" if described is None else digest([described, manifests])


def _tell(ctx: StageContext, documents: int) -> None:
    ctx.succeeded += documents
    ctx.describe("computed", 0)
    ctx.describe("reused", documents)
    ctx.report_progress(documents, documents, "documents")
