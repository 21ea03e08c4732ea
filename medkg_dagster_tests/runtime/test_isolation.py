"""Stages in child processes: real processes, real limits."""

from __future__ import annotations

import dataclasses
import json
import logging
import multiprocessing
import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest

from medkg_dagster.domain.gate_conditions import GateCondition
from medkg_dagster.errors import (
    BatchFailedError,
    BatchInterruptedError,
    GateConditionError,
    IsolatedStageError,
    LedgerError,
    SourceError,
    StageConfigError,
    StageContractError,
    StageLimitError,
    StageRegistryError,
    StageResolutionError,
    StateError,
    TransientDownloadError,
)
from medkg_dagster.plugins import PluginPolicy, Replacement
from medkg_dagster.runtime.isolation import stage_process
from medkg_dagster.runtime.isolation.invoke_isolated import InputSource, invoke_isolated
from medkg_dagster.runtime.isolation.messages import Policy
from medkg_dagster.stage_api import (
    EmbeddingBatch,
    ExternalCalls,
    FileRecord,
    FileStatus,
    InMemoryJobRecord,
    StageContext,
    StageMetadata,
    SubprocessIsolation,
)
from medkg_dagster.stage_api._invocation import StageOutcome, invoke
from medkg_dagster.topology.models import PipelineTopologyConfig
from medkg_dagster_tests.runtime import isolated_stages
from medkg_dagster_tests.runtime.isolated_stages import ACT, DOUBLE, NOTES, TARGET, Note

PATIENCE = 240
"""Seconds that nothing comes to, however busy the machine is."""
LIMITS = SubprocessIsolation(memory_mb=512, timeout_seconds=PATIENCE)


def make_ctx(home: Path, **changes: Any) -> StageContext:
    log = logging.getLogger("medkg.test.isolation")
    log.setLevel(logging.DEBUG)
    return StageContext("demo", "acting", "job-1", home, log=log, **changes)


def topology(config: Mapping[str, Any], stage_type: str = "act") -> PipelineTopologyConfig:
    stages: list[dict[str, Any]] = [{"name": "acting", "type": stage_type, "config": dict(config)}]
    clauses = [{"field": "ready", "operator": "exists"}, {"field": "n", "operator": "in", "value": [1, 2]}]
    gate = {"name": "ready", "condition": {"clauses": clauses}}
    stages.append({"name": "ready", "type": "gate", "gate": "ready", "depends_on": ["acting"]})
    plugins = {"stages": [{"type": "act", "from": "medkg-tests", "version": ">=1"}]}
    return PipelineTopologyConfig.model_validate(
        {"name": "demo", "version": "2026-01-01", "stages": stages, "gates": [gate], "plugins": plugins}
    )


def act(
    act: str,
    ctx: StageContext,
    *notes: Note,
    argument: str = "",
    limits: SubprocessIsolation = LIMITS,
    target: str = TARGET,
    metadata: StageMetadata = ACT,
    policy: PluginPolicy | None = None,
    config: Mapping[str, Any] | None = None,
) -> StageOutcome:
    """Let the stage type `act` do one of the acts of the fixtures, in a child process."""
    pipeline = topology({"act": act, "argument": argument, **(config or {})})
    return invoke_isolated(
        target=target,
        metadata=metadata,
        input_sources={"notes": InputSource(TARGET, NOTES, "notes")},
        topology=pipeline,
        definition=pipeline.stages[0],
        ctx=ctx,
        inputs={"notes": notes} if notes else {},
        limits=limits,
        policy=policy or PluginPolicy(),
    )


def has_started(file: Path) -> bool:
    """Whether a stage that starts processes and sleeps has written all their ids."""
    return file.exists() and file.read_text().count(" ") == 2


def is_running(pid: int) -> bool:
    try:
        return "Z" not in Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except OSError:
        return False


def test_the_outcome_is_that_of_a_stage_in_this_process(tmp_path: Path) -> None:
    notes = (Note(words=["a", "b"]), Note(words=["ü"]))
    pipeline = topology({"act": "upper"})
    stage = isolated_stages.build(pipeline, pipeline.stages[0])
    here = invoke(ACT, stage, make_ctx(tmp_path), {"notes": notes})

    there = act("upper", make_ctx(tmp_path), *notes)

    assert (
        (there.state, there.output_count)
        == (here.state, here.output_count)
        == ({"words": ["A", "B", "Ü"]}, 3)
    )


def test_the_child_process_does_not_import_dagster(tmp_path: Path) -> None:
    modules = act("modules", make_ctx(tmp_path)).state["words"]

    assert "medkg_dagster" in modules
    assert not {"dagster", "sqlalchemy", "httpx", "numpy"} & set(modules)


def test_the_stage_knows_its_pipeline_and_job(tmp_path: Path) -> None:
    outcome = act("surroundings", make_ctx(tmp_path))

    assert outcome.state["words"] == ["demo", "acting", "job-1", str(tmp_path), "True"]


def test_what_a_stage_does_to_its_inputs_stays_in_the_child_process(tmp_path: Path) -> None:
    note = Note(words=["kept"])

    act("change_inputs", make_ctx(tmp_path), note)

    assert note.words == ["kept"]


def test_arrays_go_there_and_back(tmp_path: Path) -> None:
    batch = EmbeddingBatch(("c1", "c2"), np.ones((2, 4), dtype=np.float32), "test", lexical=False)
    pipeline = topology({}, "double")

    outcome = invoke_isolated(
        target=TARGET,
        metadata=DOUBLE,
        input_sources={"vectors": InputSource(TARGET, DOUBLE, "vectors")},
        topology=pipeline,
        definition=pipeline.stages[0],
        ctx=make_ctx(tmp_path),
        inputs={"vectors": batch},
        limits=LIMITS,
        policy=PluginPolicy(),
    )

    doubled = outcome.state["vectors"]
    assert (doubled.chunk_ids, doubled.lexical, outcome.output_count) == (("c1", "c2"), True, 2)
    np.testing.assert_array_equal(doubled.vectors, np.full((2, 4), 2, dtype=np.float32))
    np.testing.assert_array_equal(batch.vectors, np.ones((2, 4), dtype=np.float32))


def test_inputs_larger_than_any_buffer_of_the_system_arrive(tmp_path: Path) -> None:
    word = os.urandom(4_000_000).hex()

    outcome = act("write_much", make_ctx(tmp_path), Note(words=[word]))

    assert outcome.state["words"] == [word + word]


@pytest.mark.parametrize("name", ["allocate", "keep_allocating"])
def test_a_stage_that_takes_too_much_memory_is_told_its_limit(tmp_path: Path, name: str) -> None:
    limits = SubprocessIsolation(memory_mb=100, timeout_seconds=PATIENCE)

    with pytest.raises(StageLimitError, match=r"'act' took more than the 100 MB that memory_mb") as caught:
        act(name, make_ctx(tmp_path), limits=limits)

    assert caught.value.error_class == "MemoryError"
    assert name in caught.value.details


def test_memory_within_the_limit_is_given(tmp_path: Path) -> None:
    limits = SubprocessIsolation(memory_mb=250, timeout_seconds=PATIENCE)

    assert act("allocate", make_ctx(tmp_path), limits=limits).state["words"] == ["209715200"]


def test_a_stage_that_takes_too_long_is_killed_with_what_it_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "pids"
    now = time.monotonic
    clock = SimpleNamespace(monotonic=lambda: now() + 2 * PATIENCE * has_started(file))
    monkeypatch.setattr(stage_process, "time", clock)

    with pytest.raises(StageLimitError, match=rf"not done within {PATIENCE} s .* timeout_seconds"):
        act("start_and_sleep", make_ctx(tmp_path), argument=str(file))

    assert [is_running(int(pid)) for pid in file.read_text().split()] == [False, False, False]


@pytest.mark.skipif(sys.platform != "linux", reason="other systems do not tell of grandchildren")
def test_processes_of_a_stage_that_take_too_much_memory_together_are_ended_with_it(tmp_path: Path) -> None:
    file = tmp_path / "pids"
    # Each of the four stays within it.
    limits = SubprocessIsolation(memory_mb=300, timeout_seconds=PATIENCE)

    with pytest.raises(
        StageLimitError, match=r"'act' and what it started took more together than the 300 MB"
    ):
        act("start_hoarders", make_ctx(tmp_path), argument=str(file), limits=limits)

    assert [is_running(int(pid)) for pid in file.read_text().split()] == [False] * 4


def test_processor_time_is_limited_too(tmp_path: Path) -> None:
    limits = SubprocessIsolation(memory_mb=512, timeout_seconds=100)

    soft, hard, *core = act("show_limits", make_ctx(tmp_path), limits=limits).state["words"]

    most = 100 * (os.cpu_count() or 1) + 5
    assert most <= int(soft) <= most + 10
    assert (int(hard) - int(soft), core) == (5, ["0", "0"])


def test_a_stage_that_takes_too_much_processor_time_is_told_so(tmp_path: Path) -> None:
    with pytest.raises(StageLimitError, match=r"'act' used up its processor time; raise timeout_seconds"):
        act("spin", make_ctx(tmp_path))


def in_a_daemonic_process(home: Path) -> None:
    assert multiprocessing.current_process().daemon
    words = act("upper", make_ctx(home), Note(words=["a"])).state["words"]
    (home / "words").write_text(" ".join(words))


def test_a_stage_is_isolated_inside_a_daemonic_process_too(tmp_path: Path) -> None:
    worker = multiprocessing.get_context("spawn").Process(
        target=in_a_daemonic_process, args=(tmp_path,), daemon=True
    )
    worker.start()
    worker.join(PATIENCE)

    assert (tmp_path / "words").read_text() == "A"


def test_sys_exit_breaks_the_contract_and_nothing_else(tmp_path: Path) -> None:
    with pytest.raises(StageContractError, match=r"'act' called sys\.exit\(3\)"):
        act("exit_politely", make_ctx(tmp_path))


def test_a_process_that_ends_early_is_told_with_its_exit_code_and_last_words(tmp_path: Path) -> None:
    with pytest.raises(IsolatedStageError, match=r"exit code 3 .*about to leave") as caught:
        act("exit_at_once", make_ctx(tmp_path))

    assert not isinstance(caught.value, StageLimitError)


def test_a_crash_of_a_library_is_told_with_the_place_and_the_limit(tmp_path: Path) -> None:
    with pytest.raises(IsolatedStageError, match=r"SIGSEGV.* 512 MB \(memory_mb") as caught:
        act("crash", make_ctx(tmp_path))

    assert "in crash" in caught.value.details
    assert "it wrote last: Fatal Python error: Segmentation fault in File" in str(caught.value)


def test_a_crash_is_noticed_though_a_forked_process_lives_on(tmp_path: Path) -> None:
    with pytest.raises(IsolatedStageError, match="SIGABRT"):
        act("crash_with_a_child", make_ctx(tmp_path))


@pytest.mark.parametrize(
    ("name", "message"),
    [
        pytest.param("close_everything", "exit code 1 .*Bad file descriptor", id="closes-descriptors"),
        pytest.param("shut_down", "closed its connection", id="closes-the-connection"),
        pytest.param("talk_rubbish", "something else than a message", id="writes-to-descriptors"),
    ],
)
def test_a_stage_that_meddles_with_the_channel_is_told_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, message: str
) -> None:
    if name == "shut_down":  # the process lives on, so that waiting for its exit code is in vain
        monkeypatch.setattr(stage_process, "_EXIT_SECONDS", 0.1)
    with pytest.raises(IsolatedStageError, match=message):
        act(name, make_ctx(tmp_path))


def test_a_thread_that_a_stage_forgot_does_not_hold_the_step(tmp_path: Path) -> None:
    assert act("wait_for_a_thread", make_ctx(tmp_path)).state["words"] == ["done"]


def test_what_a_stage_prints_is_logged(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    outcome = act("print_lines", make_ctx(tmp_path))

    assert outcome.state["words"] == ["printed"]
    logged = {(record.levelname, record.getMessage()) for record in caplog.records}
    assert logged == {
        ("INFO", "from print"),
        ("INFO", "MKG1 from the descriptor"),
        ("WARNING", "without an end"),
    }


def test_a_flood_of_lines_is_cut(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.INFO)

    act("print_much", make_ctx(tmp_path), argument="20000")

    assert len(caplog.records) == 1001
    assert "more than 1000 lines" in caplog.messages[-1]


def test_logs_and_progress_come_to_the_step(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    progress: list[tuple[int, int | None, str]] = []

    ctx = make_ctx(tmp_path, report_progress=lambda *told: progress.append(told))
    act("say", ctx, argument="100%")

    assert [(record.levelname, record.getMessage().splitlines()[0]) for record in caplog.records] == [
        ("DEBUG", "details of 100%"),
        ("ERROR", "it is 12 o'clock"),
        ("WARNING", "a library warns"),
        ("ERROR", "with a traceback"),
    ]
    assert "ValueError: caught" in caplog.messages[-1]
    assert progress[-1] == (3, 3, "words")


def test_quarantined_documents_and_descriptions_come_to_the_step(tmp_path: Path) -> None:
    ctx = make_ctx(tmp_path)

    notes = (Note(words=words) for words in (["good"], ["x", "bad"], ["y", "gone"]))
    outcome = act("quarantine", ctx, *notes)

    assert outcome.state["words"] == ["good"]
    refused, retracted = ctx.quarantined
    assert (refused.document_id, refused.stage, refused.error_class) == (
        "x",
        "acting",
        "UnreadableDocumentError",
    )
    assert (refused.status, refused.is_fault) == ("quarantined", True)
    assert (retracted.status, retracted.is_fault) == ("retracted", False)
    assert ctx.succeeded == 1
    assert ctx.described == {
        "kept": 1,
        "table": [{"word": "a", "count": 1.5}, {"word": "b", "count": None}],
    }


def test_a_failed_batch_still_tells_its_documents(tmp_path: Path) -> None:
    ctx = make_ctx(tmp_path)

    with pytest.raises(BatchFailedError, match="1 of 1 document failed"):
        act("quarantine", ctx, Note(words=["bad"]))

    assert [item.document_id for item in ctx.quarantined] == ["bad"]


def test_the_ratio_of_failures_is_that_of_the_step(tmp_path: Path) -> None:
    strict = dataclasses.replace(ACT, max_failure_ratio=0.1)

    with pytest.raises(BatchFailedError):
        act(
            "quarantine",
            make_ctx(tmp_path),
            *[Note(words=[word]) for word in ("good", "good", "good", "bad", "bad")],
            metadata=strict,
        )


def test_the_ledger_job_is_read_and_changed(tmp_path: Path) -> None:
    first = FileRecord(document_id="doc:1", status=FileStatus.FAILED, url="https://example.org/1")
    job = InMemoryJobRecord({"probe": {"before": 1}}, {"doc:1": first})

    words = act("use_job", make_ctx(tmp_path, job=job)).state["words"]

    assert words == [
        "{'probe': {'before': 1}}",
        "['doc:1', 'doc:2']",
        "['https://example.org/2']",
        "probe.seen exists: True",
        "0.0",
    ]
    assert job.values["probe"] == {"before": 1, "seen": True, "names": ["a", "ü\udc80"]}
    assert job.records["doc:1"] == first
    assert job.records["doc:2"].size == 7


def test_many_threads_of_a_stage_may_use_the_ledger_job_at_once(tmp_path: Path) -> None:
    words = act("use_job_in_threads", make_ctx(tmp_path)).state["words"]

    assert words == [f"thread_{number}=20" for number in range(8)]


def test_a_field_that_is_no_json_is_refused(tmp_path: Path) -> None:
    with pytest.raises(LedgerError, match="cannot be stored as JSON"):
        act("set_what_is_no_json", make_ctx(tmp_path))


def test_a_closed_gate_is_the_same_error_there_and_here(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)

    with pytest.raises(GateConditionError) as caught:
        act("pass_closed_gate", make_ctx(tmp_path))

    assert caplog.messages == ["observed ready equals True: absent"]
    error = caught.value
    assert (error.gate, error.reason, error.observed) == ("ready", "not_met", "ready equals True: absent")


def test_what_the_ledger_raises_comes_as_an_error_of_the_ledger(tmp_path: Path) -> None:
    class Broken(InMemoryJobRecord):
        def pass_gate(self, gate: str, condition: GateCondition) -> Any:
            del gate, condition
            raise OSError("disk full")

    with pytest.raises(LedgerError, match="pass_gate failed: OSError: disk full"):
        act("pass_closed_gate", make_ctx(tmp_path, job=Broken()))


def test_calls_keep_the_pace_that_others_share(tmp_path: Path) -> None:
    taken: list[tuple[str, float]] = []

    def reserve(service: str, interval: float) -> float:
        taken.append((service, interval))
        return len(taken) / 2

    calls = ExternalCalls(timeout_seconds=7.5, rate_limit_per_second=4, failure_threshold=3, reserve=reserve)
    words = act("pace", make_ctx(tmp_path, calls=calls)).state["words"]

    assert words == ["7.5", "3", "[0.5, 1.0, 1.5]"]
    assert taken == [("example.org", 0.25)] * 3


def test_an_error_of_a_plugin_comes_as_the_class_it_derives_from(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match="QuotaError: come back tomorrow") as caught:
        act("raise_error", make_ctx(tmp_path), argument="quota")

    assert any("in raise_error" in note for note in caught.value.__notes__)


def test_a_passing_fault_keeps_when_to_try_again(tmp_path: Path) -> None:
    with pytest.raises(TransientDownloadError) as caught:
        act("raise_error", make_ctx(tmp_path), argument="transient")

    assert (str(caught.value), caught.value.retry_after) == ("busy", 2.5)


def test_any_other_error_comes_with_its_class_and_traceback(tmp_path: Path) -> None:
    with pytest.raises(IsolatedStageError, match="KeyError: 'absent'") as caught:
        act("raise_error", make_ctx(tmp_path), argument="key")

    assert caught.value.error_class == "KeyError"
    assert "in raise_error" in caught.value.details


def test_what_comes_again_each_time_is_not_tried_again(tmp_path: Path) -> None:
    with pytest.raises(IsolatedStageError, match=r"FileNotFoundError: .*model\.bin") as raised:
        act("raise_error", make_ctx(tmp_path), argument="path")

    assert not raised.value.is_retryable


def test_a_service_that_is_away_loses_no_document(tmp_path: Path) -> None:
    ctx = make_ctx(tmp_path)

    with pytest.raises(BatchInterruptedError, match="at doc-1: SourceError: status 503") as raised:
        act("ask_a_service_that_is_away", ctx, Note(words=["doc-1"]))

    assert raised.value.is_retryable
    assert ctx.quarantined == []


def test_a_value_that_is_not_of_its_declared_type_is_refused(tmp_path: Path) -> None:
    with pytest.raises(StateError, match="'words'"):
        act("write_a_wrong_type", make_ctx(tmp_path))


def test_a_configuration_that_does_not_fit_is_named(tmp_path: Path) -> None:
    with pytest.raises(StageConfigError, match="'surprise'"):
        act("upper", make_ctx(tmp_path), config={"surprise": 1})


@pytest.mark.parametrize(
    ("target", "message"),
    [
        pytest.param("register_nothing", "does not register the stage type 'act'", id="nothing"),
        pytest.param("register_never", "RuntimeError: no licence", id="raises"),
        pytest.param("absent", "AttributeError", id="absent"),
    ],
)
def test_an_entry_point_that_loads_no_more_is_named(tmp_path: Path, target: str, message: str) -> None:
    module = TARGET.partition(":")[0]

    with pytest.raises(StageRegistryError, match=message):
        act("upper", make_ctx(tmp_path), target=f"{module}:{target}")


def test_a_plugin_that_changed_on_disk_is_not_mixed_with_what_was_loaded(tmp_path: Path) -> None:
    loaded = dataclasses.replace(ACT, version="0.9")

    with pytest.raises(StageContractError, match=r"'act'.*changed on disk.*'0\.9'"):
        act("upper", make_ctx(tmp_path), metadata=loaded)


def test_the_extensions_that_are_let_in_can_be_found(tmp_path: Path) -> None:
    outcome = act("see_extensions", make_ctx(tmp_path), policy=PluginPolicy(closed="off"))

    assert "hashing" in outcome.state["words"]


def test_what_is_let_in_is_sent_in_full() -> None:
    chosen = Replacement("embedders", "onnx", "their-embedder", "plugins.yaml:3")
    policy = PluginPolicy(
        closed="closed",
        autoload=False,
        allow=("a", "b:c"),
        block=("d",),
        import_prefixes=("e.f",),
        replaces={("embedders", "onnx"): chosen},
        load_seconds=2.5,
        written="plugins.yaml",
    )

    sent = json.loads(json.dumps(Policy.of(policy).model_dump()))

    assert Policy.model_validate(sent).policy() == policy
    assert set(Policy.model_fields) == {field.name for field in dataclasses.fields(PluginPolicy)}


def test_an_input_without_an_importable_type_is_refused(tmp_path: Path) -> None:
    pipeline = topology({})

    with pytest.raises(StageResolutionError, match=r"input 'notes' is registered by code.*entry point"):
        invoke_isolated(
            target=TARGET,
            metadata=ACT,
            input_sources={},
            topology=pipeline,
            definition=pipeline.stages[0],
            ctx=make_ctx(tmp_path),
            inputs={"notes": ()},
            limits=LIMITS,
            policy=PluginPolicy(),
        )


@pytest.mark.parametrize("is_default", [False, True])
def test_a_secret_reaches_the_stage_and_nobody_else(
    tmp_path: Path,
    caplog: pytest.LogCaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
    is_default: bool,
) -> None:
    caplog.set_level(logging.DEBUG)
    name = "MEDKG_TEST_DEFAULT_TOKEN" if is_default else "MEDKG_TEST_TOKEN"
    value = f"isolated-secret-{name.lower()}"
    monkeypatch.setenv(name, value)
    ctx = make_ctx(tmp_path)

    config = {} if is_default else {"token": {"env": name}}
    with pytest.raises(IsolatedStageError) as caught:
        act("tell_secrets", ctx, config=config)

    shown = repr([caplog.messages, str(caught.value), caught.value.details, caught.value.__notes__])
    assert value not in shown
    for text in ("logged", "printed", "raised"):
        assert f"{text} [secret {name}]" in shown
    assert value not in json.dumps([dataclasses.asdict(item) for item in ctx.quarantined])


STEP = """
import signal
import sys
from pathlib import Path
from medkg_dagster_tests.runtime.test_isolation import act, make_ctx
# Whoever started the tests may have told their processes to ignore interrupts.
signal.signal(signal.SIGINT, signal.default_int_handler)
act("start_and_sleep", make_ctx(Path(".")), argument=sys.argv[1])
"""


@pytest.mark.parametrize("how", ["kill", "interrupt"])
def test_the_child_process_ends_with_its_step(tmp_path: Path, how: str) -> None:
    file = tmp_path / "pids"
    with subprocess.Popen(
        [sys.executable, "-c", STEP, str(file)], stderr=subprocess.DEVNULL, start_new_session=True
    ) as step:
        until(lambda: has_started(file))
        pids = [int(pid) for pid in file.read_text().split()]
        assert all(map(is_running, pids))
        if how == "kill":
            step.kill()
        else:
            step.send_signal(2)
        step.wait(PATIENCE)

    until(lambda: not any(map(is_running, pids)))


def until(condition: Any) -> None:
    deadline = time.monotonic() + PATIENCE
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.02)


def test_topology_and_configuration_arrive_as_they_are(tmp_path: Path) -> None:
    extra = {"ratio": float("inf"), "nested": {"a": [1, None, "ü"]}}

    (seen,) = act("show_topology", make_ctx(tmp_path), config={"extra": extra}).state["words"]

    expected = topology({"act": "show_topology", "argument": "", "extra": extra})
    assert seen == repr(expected)
