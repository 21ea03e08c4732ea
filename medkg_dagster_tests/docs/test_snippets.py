"""What the documentation shows can be typed, loaded and run."""

from __future__ import annotations

import re
import shlex
import subprocess
import tomllib
from collections.abc import Callable, Iterator
from pathlib import Path

import click
import pytest
import yaml
from sqlalchemy import create_engine, text

from medkg_dagster.cli import main
from medkg_dagster.ledger import LEDGER_FILE, JobLedger
from medkg_dagster.registry import StageFactory
from medkg_dagster.resolution import load_plan, resolve_pipeline
from medkg_dagster.resolution.plan import PipelinePlan
from medkg_dagster.topology.models import StageDefinition
from medkg_dagster.topology.pipeline_files import LoadedPolicies, load_policies, parse_pipeline
from medkg_dagster_tests.docs.markdown import CodeBlock, anchors, code_blocks, links, pages, read

Run = Callable[..., subprocess.CompletedProcess[str]]


def place(block: CodeBlock) -> str:
    return f"{block.page}:{block.line}"


def marked(language: str, label: str) -> list[CodeBlock]:
    return [block for block in code_blocks(language) if label in block.labels]


def typed_commands() -> Iterator[tuple[str, str]]:
    """Yield every command line in consoles and in backticks, with where it stands."""
    for block in code_blocks("console"):
        for line in block.text.splitlines():
            if line.startswith("$ "):
                yield place(block), line.removeprefix("$ ").removeprefix(".venv/bin/")
    for page in pages():
        for found in re.findall(
            r"`((?:medkg|make) [a-z-][^`]*)`", re.sub(r"```.*?```", "", read(page), flags=re.DOTALL)
        ):
            yield page.name, " ".join(found.split())


@pytest.fixture(scope="module")
def factory() -> StageFactory:
    return StageFactory.load_plugins()


@pytest.fixture(scope="module")
def policies(repository: Path) -> LoadedPolicies:
    return load_policies(repository / "config" / "orchestration" / "resilience.yaml")


def resolve(block: CodeBlock, factory: StageFactory, policies: LoadedPolicies) -> PipelinePlan:
    pipeline, problems = parse_pipeline(block.text, Path(block.page), policies)
    assert pipeline is not None, problems
    return resolve_pipeline(pipeline.topology, factory, policies.policies)


@pytest.mark.parametrize("block", marked("yaml", "pipeline"), ids=place)
def test_every_pipeline_shown_loads_and_resolves(
    block: CodeBlock, factory: StageFactory, policies: LoadedPolicies
) -> None:
    if "gated" in block.labels:
        pipeline, problems = parse_pipeline(block.text, Path(block.page), policies)
        assert pipeline is not None, problems
    else:
        resolve(block, factory, policies)


def test_the_pipeline_of_the_readme_is_the_shipped_one(
    repository: Path, factory: StageFactory, policies: LoadedPolicies
) -> None:
    (block,) = marked("yaml", "same-as=auto")
    shipped = next(
        item for item in load_plan(repository / "config", factory).pipelines if item.name == "auto"
    )

    shown = resolve(block, factory, policies)

    def stages(plan: PipelinePlan) -> set[object]:
        return {(stage.name, stage.wires, stage.order_after, stage.code_version) for stage in plan.stages}

    assert stages(shown) == stages(shipped)


@pytest.mark.parametrize("block", marked("yaml", "stage"), ids=place)
def test_every_stage_shown_has_a_valid_configuration(block: CodeBlock, factory: StageFactory) -> None:
    stage = StageDefinition.model_validate(yaml.safe_load(block.text))

    model = factory.get_metadata(stage.type).config_model

    assert model is not None
    model.model_validate(stage.config)


@pytest.mark.parametrize("block", marked("yaml", "resilience"), ids=place)
def test_every_resilience_file_shown_loads(block: CodeBlock, tmp_path: Path) -> None:
    file = tmp_path / "resilience.yaml"
    file.write_text(block.text)

    assert load_policies(file).problems == ()


@pytest.mark.parametrize("block", marked("yaml", "run-config"), ids=place)
def test_every_run_configuration_shown_fits_its_job(block: CodeBlock) -> None:
    from dagster import validate_run_config

    from medkg_dagster.definitions import defs

    job = next(label.removeprefix("job=") for label in block.labels if label.startswith("job="))

    assert validate_run_config(defs.resolve_job_def(job), yaml.safe_load(block.text))


@pytest.mark.parametrize("block", [*code_blocks("yaml"), *code_blocks("toml")], ids=place)
def test_every_yaml_and_toml_block_parses(block: CodeBlock) -> None:
    assert yaml.safe_load(block.text) if block.language == "yaml" else tomllib.loads(block.text)


@pytest.mark.parametrize("block", list(code_blocks("python")), ids=place)
def test_every_python_block_compiles(block: CodeBlock) -> None:
    compile(block.text, place(block), "exec")


@pytest.mark.parametrize("block", marked("python", "run"), ids=place)
def test_every_python_block_that_says_so_runs(
    block: CodeBlock, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)

    exec(compile(block.text, place(block), "exec"), {"__name__": "documentation"})


@pytest.mark.parametrize("block", list(code_blocks("sql")), ids=place)
def test_every_query_shown_runs_on_a_ledger(block: CodeBlock, tmp_path: Path) -> None:
    JobLedger.open(tmp_path).close()
    engine = create_engine(f"sqlite:///{tmp_path / LEDGER_FILE}")

    with engine.connect() as connection:
        connection.execute(text(block.text)).all()
    engine.dispose()


@pytest.mark.parametrize(("where", "line"), sorted(set(typed_commands())))
def test_every_command_shown_exists(where: str, line: str, repository: Path) -> None:
    del where
    words = [word for word in shlex.split(line) if "=" not in word or word.startswith("-")]
    if words[0] == "medkg":
        check_medkg(words[1:])
    elif words[0] == "make":
        targets = re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(), re.MULTILINE)
        assert set(words[1:]) <= set(targets)
    elif words[:3] == ["dagster", "job", "execute"]:
        assert words[words.index("-m") + 1] == "medkg_dagster.definitions"


def check_medkg(words: list[str]) -> None:
    """Let click parse the words down to the last command, without running it."""
    command: click.Command = main
    context = click.Context(main, info_name="medkg", **main.context_settings)
    while isinstance(command, click.Group) and words and not words[0].startswith("-"):
        name, found, words = command.resolve_command(context, words)
        assert found is not None
        command = found
        context = click.Context(command, info_name=name, parent=context)
    # A command named in a sentence may stand without its arguments; options must exist all the same.
    context.resilient_parsing = True
    command.parse_args(context, words)


def test_every_make_target_is_documented(repository: Path) -> None:
    targets = set(re.findall(r"^([a-z-]+):", (repository / "Makefile").read_text(), re.MULTILINE))
    shown = {word for _, line in typed_commands() if line.startswith("make ") for word in line.split()[1:]}

    assert targets - shown == set()


@pytest.mark.parametrize("page", pages(), ids=lambda page: page.name)
def test_every_link_resolves(page: Path) -> None:
    for target in links(page):
        if re.match(r"[a-z]+:", target):
            continue
        path, _, anchor = target.partition("#")
        file = (page.parent / path).resolve() if path else page
        assert file.exists(), f"{page.name}: {target}"
        assert not anchor or anchor in anchors(file), f"{page.name}: {target} has no such heading"


def test_every_page_is_reached_from_the_readme(repository: Path) -> None:
    reached: set[Path] = set()
    pending = [repository / "README.md"]
    while pending:
        page = pending.pop()
        if page in reached or page.suffix != ".md" or not page.exists():
            continue
        reached.add(page)
        targets = (target.partition("#")[0] for target in links(page) if ":" not in target)
        pending += [(page.parent / target).resolve() for target in targets if target]

    assert set(pages()) <= reached
