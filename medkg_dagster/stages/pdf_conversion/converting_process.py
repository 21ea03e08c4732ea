"""The process that converts PDFs: `python -m ...pdf_conversion.converting_process MEMORY CONFIG`.

It reads one request per line, as JSON, from standard input: a path, and the processor time it may take. It
answers each with a line: `null` where the IR is written, else the class and message of the error and whether
it may pass.
"""

import atexit
import errno
import gc
import json
import logging
import os
import sys
from pathlib import Path

from medkg_dagster.domain.payloads import CONVERTED, Payload, PayloadFormat
from medkg_dagster.errors import BatchInterruptedError
from medkg_dagster.io.atomic_files import write_atomically
from medkg_dagster.io.child_process import limit_cpu, limit_memory
from medkg_dagster.io.faults import may_pass
from medkg_dagster.io.regular_files import read_regular
from medkg_dagster.stage_api import Document, StageContext
from medkg_dagster.stages.parse import ParseConfig, ParseStage

_MOST_BYTES = sys.maxsize - 1  # the memory is limited already


def main() -> None:
    """Convert until standard input ends."""
    memory, config = int(sys.argv[1]), json.loads(sys.argv[2])
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # what a parser prints must not be taken for an answer
    stage = ParseStage(ParseConfig.model_validate(config))
    limit_memory(memory)
    logging.disable()
    for line in sys.stdin:
        path, cpu_seconds = json.loads(line)
        limit_cpu(cpu_seconds, for_good=False)
        answers.write(json.dumps(convert(stage, Path(path))) + "\n")


def convert(stage: ParseStage, path: Path) -> dict[str, str | bool] | None:
    """Write the IR of a PDF into its sidecar file.

    Returns:
        None, or why it could not be done and whether that may pass. A lack of memory may not: it is limited.
    """
    ctx = StageContext("conversion", "parse", path.stem, path.parent)
    try:
        payload = Payload(
            id=path.stem,
            format=PayloadFormat.PDF,
            content=read_regular(path, _MOST_BYTES, within=path.parent),
            source="download",
            origin=path.name,
        )
        document = _parsed(stage, payload, ctx)
        if document is not None:
            write_atomically(path.with_suffix(CONVERTED), document.model_dump_json().encode())
            return None
        refused = ctx.quarantined[0]
    except (OSError, MemoryError, BatchInterruptedError) as error:
        fault = error.__cause__ or error
        is_memory = isinstance(fault, MemoryError) or getattr(fault, "errno", None) == errno.ENOMEM
        return {
            "error_class": type(fault).__name__,
            "message": str(fault) or "no memory left",
            "may_pass": may_pass(error) is True and not is_memory,
        }
    return {"error_class": refused.error_class, "message": refused.message, "may_pass": False}


def _parsed(stage: ParseStage, payload: Payload, ctx: StageContext) -> Document | None:
    try:
        return stage.parse(payload)
    except Exception as error:  # noqa: BLE001 - `quarantine` judges whether it is the document's fault
        ctx.quarantine(ctx.job_id, error)
        return None


if __name__ == "__main__":
    atexit.register(gc.freeze)  # no last search for garbage, which takes a fifth of a short process
    main()
