"""Which executor carries out a pipeline, and what its ops ask for."""

import json
import sys
from pathlib import Path

import pytest

from medkg_dagster.compiler.compile_plan import compile_plan
from medkg_dagster.errors import ConfigError
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan
from medkg_dagster.settings import EXECUTORS, Settings
from medkg_dagster_tests.compiler.deployment import PIPELINE, Deployment, instance_in_memory

BROKER = "redis://127.0.0.1:1/0"


def problems(deployment: Deployment, pipeline: str) -> list[str]:
    """Return what is wrong with a pipeline."""
    (deployment.config / "orchestration" / "pipelines" / "pipeline.yaml").write_text(pipeline)
    found = load_plan(deployment.config, StageFactory(deployment.registry)).problems
    return [str(problem) for problem in found]


@pytest.fixture
def deployment(tmp_path: Path) -> Deployment:
    with instance_in_memory() as instance:
        return Deployment(tmp_path, instance)


@pytest.mark.parametrize("name", EXECUTORS)
def test_a_pipeline_has_the_executor_that_it_names(deployment: Deployment, name: str) -> None:
    definitions = deployment.definitions(f"{PIPELINE}execution: {name}\n")

    assert definitions.resolve_job_def("word_count").executor_def.name == name


def test_a_pipeline_that_names_none_has_the_one_of_the_deployment(deployment: Deployment) -> None:
    (deployment.config / "orchestration" / "pipelines" / "pipeline.yaml").write_text(PIPELINE)
    factory = StageFactory(deployment.registry)
    settings = Settings(deployment.home, deployment.config, executor="celery", celery_broker=BROKER)
    definitions = compile_plan(load_plan(deployment.config, factory), factory, settings)

    assert definitions.resolve_job_def("word_count").executor_def.name == "celery"
    assert BROKER not in str(definitions.resolve_job_def("word_count").executor_def.config_schema)


def test_a_deployment_on_celery_without_a_broker_is_refused(deployment: Deployment) -> None:
    factory = StageFactory(deployment.registry)
    plan = load_plan(deployment.config, factory)

    with pytest.raises(ConfigError, match="needs a broker"):
        compile_plan(plan, factory, Settings(deployment.home, deployment.config, executor="celery"))


def test_a_name_that_is_nearly_one_is_answered_with_it(deployment: Deployment) -> None:
    (said,) = problems(deployment, f"{PIPELINE}execution: multi_process\n")

    assert "pipeline.yaml:7: 'execution': there is no executor 'multi_process': did you mean 'multip" in said


@pytest.mark.parametrize("name", ["celery", "k8s"])
def test_an_executor_whose_extra_is_missing_says_what_to_type(
    deployment: Deployment, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    monkeypatch.setitem(sys.modules, f"dagster_{name}", None)

    (said,) = problems(deployment, f"{PIPELINE}execution: {name}\n")

    assert f"the executor '{name}' needs dagster-{name}, which is not installed" in said
    assert f"`pip install 'medkg-dagster[{name}]'`" in said
    settings = Settings(deployment.home, deployment.config, executor=name, celery_broker=BROKER)
    factory = StageFactory(deployment.registry)
    with pytest.raises(ConfigError, match=rf"pip install 'medkg-dagster\[{name}\]'"):
        compile_plan(load_plan(deployment.config, factory), factory, settings)


def with_count(keys: str) -> str:
    """Return the pipeline with more keys in its stage `count`."""
    return PIPELINE.replace("type: count,", f"type: count, {keys},")


def test_resources_are_what_the_pod_of_a_step_asks_for(deployment: Deployment) -> None:
    definitions = deployment.definitions(with_count("resources: {cpu: 2, memory: 4Gi, gpu: 1}"))

    ops = {op.name: op.tags for op in definitions.resolve_job_def("word_count").all_node_defs}
    assert json.loads(ops["word_count__count"]["dagster-k8s/config"]) == {
        "container_config": {
            "resources": {
                "requests": {"cpu": "2", "memory": "4Gi"},
                "limits": {"memory": "4Gi", "nvidia.com/gpu": "1"},
            }
        }
    }
    assert "dagster-k8s/config" not in ops["word_count__read"]


@pytest.mark.parametrize(
    ("resources", "sentence"),
    [
        ("cpu: two", "cpu is a number of processors as 2 or 0.5, or thousandths as 500m, got 'two'"),
        ("cpu: 0", "cpu is a number of processors"),
        ("cpu: 1.5m", "cpu is a number of processors"),
        ("memory: 4GB", "memory is a number with one of the units Ki, Mi, Gi, Ti, k, M, G, T"),
        ("memory: '4'", "memory is a number with one of the units"),
        ("memory: 0Mi", "memory is a number with one of the units"),
        ("gpu: -1", "greater than or equal to 0"),
        ("gpu: 0.5", "gpu"),
        ("cpus: 2", "did you mean 'cpu'"),
    ],
)
def test_resources_that_make_no_sense_are_refused(
    deployment: Deployment, resources: str, sentence: str
) -> None:
    (said,) = problems(deployment, with_count(f"resources: {{{resources}}}"))

    assert sentence in said


@pytest.mark.parametrize("resources", ["cpu: 0.25", "cpu: 500m", "memory: 1.5G", "gpu: 0"])
def test_resources_as_kubernetes_writes_them_are_taken(deployment: Deployment, resources: str) -> None:
    assert problems(deployment, with_count(f"resources: {{{resources}}}")) == []


def test_a_stage_names_the_pool_of_its_op(deployment: Deployment) -> None:
    definitions = deployment.definitions(with_count("pool: gpu-bound"))

    pools = {op.name: op.pools for op in definitions.resolve_job_def("word_count").all_node_defs}
    assert pools["word_count__count"] == {"gpu-bound"}
    assert pools["word_count__read"] == set()


def test_the_name_of_a_pool_has_no_spaces(deployment: Deployment) -> None:
    (said,) = problems(deployment, with_count("pool: gpu bound"))

    assert "the name of a pool is letters, digits" in said
