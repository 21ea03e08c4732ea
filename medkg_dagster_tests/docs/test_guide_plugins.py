"""The packages of the guides, scaffolded, written, installed and run as the guides say."""

from __future__ import annotations

import os
import subprocess
import sys
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
import yaml
from click.testing import CliRunner

from medkg_dagster.cli import main
from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster.resolution import Deployment, load_deployment
from medkg_dagster.settings import Settings
from medkg_dagster.topology.plugins_file import PluginsFile, ReplacesSection, load_plugin_policy
from medkg_dagster_tests.docs.documented import undocumented_fields, unknown_fields
from medkg_dagster_tests.docs.markdown import DOCS, code_blocks, sections, titled

CUSTOM_STAGES = "docs/guides/custom-stages.md"
ENTRY_POINTS = "docs/guides/entry-points.md"
EXTENSIONS = "docs/guides/extensions.md"
MIGRATION = "docs/guides/migration.md"
PACKAGES = {"medkg_keywords", "medkg_everybody"}
PIPELINES = Path("config", "orchestration", "pipelines")


@dataclass(frozen=True)
class Guide:
    """The folder that somebody who follows the guides works in.

    Attributes:
        folder: The scaffolded project; commands run in it.
        site: Beside it, what an installer leaves.
        environment: The environment of commands.
    """

    folder: Path
    site: Path
    environment: Mapping[str, str]

    def run(self, *words: str) -> str:
        """Run a command that must succeed; return what it printed."""
        done = subprocess.run(
            [str(Path(sys.executable).with_name(words[0])), *words[1:]],
            cwd=self.folder,
            env=self.environment,
            capture_output=True,
            text=True,
            timeout=480,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def write(self, page: str, title: str, to: Path | None = None) -> None:
        """Write the block of a page that stands for a file."""
        (self.folder / (to or title)).write_text(titled(page, title))

    def install(self, name: str, version: str, entry_points: Mapping[str, Mapping[str, str]]) -> None:
        """Leave the metadata of a package as an installer does."""
        information = self.site / f"{name.replace('-', '_')}-{version}.dist-info"
        information.mkdir(parents=True)
        (information / "METADATA").write_text(f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        (information / "entry_points.txt").write_text(
            "".join(
                f"[{group}]\n" + "".join(f"{point} = {value}\n" for point, value in points.items())
                for group, points in entry_points.items()
            )
        )

    def install_extension(self, title: str, module: str) -> None:
        """Write a module of the page on extensions and install it under its entry point."""
        (self.site / module).write_text(titled(EXTENSIONS, module))
        points = tomllib.loads(titled(EXTENSIONS, title))["project"]["entry-points"]
        self.install(module.removesuffix(".py").replace("_", "-"), "0.1.0", points)

    def ledger(self) -> JobLedger:
        """Open the ledger of the folder."""
        return JobLedger.open(self.folder / ".medkg")


@pytest.fixture
def guide(tmp_path: Path, repository: Path) -> Guide:
    folder, site = tmp_path / "medkg-keywords", tmp_path / "site"
    environment = {
        name: value for name, value in os.environ.items() if not name.startswith(("MEDKG_", "DAGSTER_"))
    }
    environment |= {
        "PYTHONPATH": os.pathsep.join(map(str, (site, folder / "src", repository))),
        "MEDKG_STRICT": "1",
        "DAGSTER_DISABLE_TELEMETRY": "1",
    }
    scaffolded = CliRunner().invoke(main, ["plugin", "new", "medkg-keywords", "--folder", str(folder)])
    assert scaffolded.exit_code == 0, scaffolded.output
    made = Guide(folder, site, environment)
    for title in ("src/medkg_keywords/keywords.py", "tests/test_keywords.py"):
        made.write(CUSTOM_STAGES, title)
    made.write(CUSTOM_STAGES, str(PIPELINES / "medkg-keywords.yaml"))
    project = tomllib.loads((folder / "pyproject.toml").read_text())["project"]
    made.install(project["name"], project["version"], project["entry-points"])
    return made


def test_the_entry_point_that_the_guide_shows_is_the_one_that_is_made(guide: Guide) -> None:
    project = tomllib.loads((guide.folder / "pyproject.toml").read_text())["project"]

    shown = [
        tomllib.loads(block.text)["project"]["entry-points"]
        for block in code_blocks("toml")
        if block.page in {CUSTOM_STAGES, ENTRY_POINTS}
    ]

    assert shown == [project["entry-points"]] * 2


def test_the_plugin_of_the_guide_registers_resolves_and_passes_its_own_tests(guide: Guide) -> None:
    assert "medkg-keywords 0.1.0" in guide.run("medkg", "stages", "keywords")
    assert "no problems" in guide.run("medkg", "check")
    assert "document <- ir_validation" in guide.run("medkg", "plan", "medkg-keywords")
    assert "3 passed" in guide.run("python", "-m", "pytest", "-q", "-p", "no:cacheprovider")


def test_the_plugin_of_the_guide_makes_its_asset_from_documents_of_a_source_of_ones_own(guide: Guide) -> None:
    guide.install_extension("lines.toml", "medkg_lines.py")
    notes = guide.folder / "notes.txt"
    notes.write_text("Nivolumab and ipilimumab in melanoma.\nInfliximab after colitis.\n")
    config = guide.folder / "run.yaml"
    source = {"adapter": "lines", "params": {"path": str(notes)}}
    config.write_text(
        yaml.safe_dump({"ops": {"medkg_keywords__stages": {"ops": {"ingest": {"config": source}}}}})
    )

    job = ("dagster", "job", "execute", "-m", "medkg_dagster.definitions", "-j", "medkg_keywords")
    guide.run(*job, "-c", str(config))

    with guide.ledger() as ledger:
        runs = {run.stage: run for run in ledger.stage_runs.of_job(JobKey("medkg-keywords", "default"))}
    assert runs["keywords"].output_count == 2
    audit = guide.run("medkg", "stages", "--audit", "medkg-keywords")
    assert "registered" in audit
    assert "discovered" in audit


def test_a_stage_with_a_key_labels_and_a_process_of_its_own_runs_as_the_specification_shows(
    guide: Guide,
) -> None:
    guide.write(ENTRY_POINTS, "lab-keywords.yaml", PIPELINES / "lab-keywords.yaml")

    guide.run("dagster", "job", "execute", "-m", "medkg_dagster.definitions", "-j", "lab_keywords")

    with guide.ledger() as ledger:
        runs = {run.stage: run for run in ledger.stage_runs.of_job(JobKey("lab-keywords", "default"))}
        audit = ledger.registrations.list(subject="lab-keywords.long_words")
    assert runs["long_words"].output_count
    assert dict(runs["long_words"].counts).keys() == {"long_words", "computed", "reused"}
    assert [entry.outcome for entry in audit] == ["overridden"]


@pytest.fixture
def deployed(guide: Guide, monkeypatch: pytest.MonkeyPatch) -> Iterator[Guide]:
    """The guide's package where this process finds it too."""
    monkeypatch.syspath_prepend(str(guide.site))
    monkeypatch.syspath_prepend(str(guide.folder / "src"))
    yield guide
    for module in [name for name in sys.modules if name.partition(".")[0] in PACKAGES]:
        del sys.modules[module]


def load(guide: Guide, written: str | None = None, **settings: Any) -> Deployment:
    config = guide.folder / "config"
    if written is not None:
        (config / "plugins.yaml").write_text(written)
    return load_deployment(Settings(guide.folder / ".medkg", config, **settings))


def names(deployment: Deployment) -> set[str]:
    return {pipeline.name for pipeline in deployment.plan.pipelines}


def test_the_gate_condition_of_the_guide_becomes_a_condition_on_fields(deployed: Guide) -> None:
    deployed.install_extension("everybody.toml", "medkg_everybody.py")
    deployed.write(EXTENSIONS, "approved.yaml", PIPELINES / "approved.yaml")

    deployment = load(deployed)

    assert deployment.plan.problems == ()
    (gate,) = next(item for item in deployment.plan.pipelines if item.name == "approved").gates
    assert [clause.field for clause in gate.condition.clauses] == ["approved.ann", "approved.bo"]
    assert gate.condition.timeout_seconds == 14 * 86_400


@pytest.mark.parametrize(
    "written",
    [
        None,
        "allow: [Medkg.Keywords]",
        "allow: ['medkg-keywords:keywords']",
        "autoload: false",
        "block: ['medkg-keywords:other']",
        "load_seconds: 5",
    ],
)
def test_the_package_is_let_in_where_the_specification_says_so(deployed: Guide, written: str | None) -> None:
    deployment = load(deployed, written)

    assert deployment.plan.problems == ()
    assert names(deployment) == {"medkg-keywords"}


@pytest.mark.parametrize(
    ("written", "reason"),
    [
        ("allow: [another]", "not among what"),
        ("block: [MEDKG_keywords]", "blocked by"),
        ("block: [medkg-keywords]\nallow: [medkg-keywords]", "blocked by"),
        ("blok: [another]", "is not valid, so built-ins are let in only"),
    ],
)
def test_the_package_is_kept_out_where_the_specification_says_so(
    deployed: Guide, written: str, reason: str
) -> None:
    deployment = load(deployed, written)

    assert names(deployment) == set()
    assert any(reason in str(problem) for problem in deployment.plan.problems)
    assert "medkg_keywords.keywords" not in sys.modules


def test_the_rollback_switch_imports_no_plugin_and_says_what_is_missing(deployed: Guide) -> None:
    deployment = load(deployed, plugins=False)

    assert any("MEDKG_PLUGINS=off" in str(problem) for problem in deployment.plan.problems)
    assert "medkg_keywords.keywords" not in sys.modules


def test_a_package_may_take_a_built_ins_place_only_where_the_deployment_says_so(deployed: Guide) -> None:
    stage = deployed.folder / "src" / "medkg_keywords" / "keywords.py"
    before, after = ('of_function(\n        "keywords"', 'of_function(\n        "chunk"')
    stage.write_text(stage.read_text().replace(before, after))
    (deployed.folder / PIPELINES / "medkg-keywords.yaml").unlink()

    kept = load(deployed)
    replaced = load(deployed, "replaces: {stages: {chunk: medkg-keywords}}")

    assert "the built-in is kept" in str(kept.plan.problems)
    assert kept.factory.get_metadata("chunk").state_key == "chunks"
    assert replaced.plan.problems == ()
    assert replaced.factory.get_metadata("chunk").state_key == "keywords"


def test_a_pipeline_imports_a_path_only_where_the_deployment_allows_its_package(deployed: Guide) -> None:
    file = deployed.folder / PIPELINES / "medkg-keywords.yaml"
    path = "medkg_keywords.keywords:register"
    file.write_text(file.read_text().replace(', from: medkg-keywords, version: ">=0.1"', f", from: '{path}'"))
    closed = "block: [medkg-keywords]\n"

    refused = load(deployed, closed)
    allowed = load(deployed, f"{closed}import_prefixes: [medkg_keywords]")

    assert "is not allowed" in str(refused.plan.problems)
    assert allowed.plan.problems == ()
    assert names(allowed) == {"medkg-keywords"}


def test_every_plugins_file_shown_is_valid(tmp_path: Path) -> None:
    blocks = [block for block in code_blocks("yaml") if "plugins" in block.labels]
    for number, block in enumerate(blocks):
        file = tmp_path / f"{number}.yaml"
        file.write_text(block.text)
        assert load_plugin_policy(file).problems == ()

    assert blocks


def test_every_key_of_the_plugins_file_is_documented_and_shown() -> None:
    section = sections(DOCS / "guides" / "entry-points.md")["What a deployment lets in"]
    shown = yaml.safe_load(next(block.text for block in code_blocks("yaml") if "plugins" in block.labels))

    assert [item for item in undocumented_fields(PluginsFile, section) if ": replaces has" not in item] == []
    assert unknown_fields(PluginsFile, section) == []
    assert set(shown) == set(PluginsFile.model_fields)
    assert set(shown["replaces"]) <= set(ReplacesSection.model_fields)
    assert all(f"`{kind}`" in section.text for kind in ReplacesSection.model_fields)
