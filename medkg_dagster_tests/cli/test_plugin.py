"""`medkg plugin new`: which names it takes, and where it writes."""

from pathlib import Path

import pytest
import yaml
from click.testing import CliRunner, Result

from medkg_dagster.cli import main
from medkg_dagster.cli.plugin import describe_project


@pytest.fixture(autouse=True)
def in_a_folder_of_its_own(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("MEDKG_HOME", str(tmp_path / "home"))


def new(*arguments: str) -> Result:
    return CliRunner().invoke(main, ["plugin", "new", *arguments])


def test_a_package_is_made_with_everything_it_needs(tmp_path: Path) -> None:
    result = new("medkg-reading-time")

    assert result.exit_code == 0, result.output
    made = tmp_path / "medkg-reading-time"
    assert {path.relative_to(made).as_posix() for path in made.rglob("*") if path.is_file()} == {
        ".gitignore",
        "README.md",
        "config/orchestration/pipelines/medkg-reading-time.yaml",
        "config/orchestration/resilience.yaml",
        "pyproject.toml",
        "src/medkg_reading_time/__init__.py",
        "src/medkg_reading_time/py.typed",
        "src/medkg_reading_time/reading_time.py",
        "tests/test_reading_time.py",
    }
    assert (
        'reading-time = "medkg_reading_time.reading_time:register"' in (made / "pyproject.toml").read_text()
    )
    assert str(made) in result.output


def test_a_package_with_an_extractor_is_made(tmp_path: Path) -> None:
    result = new("medkg-variants", "--kind", "extractor")

    assert result.exit_code == 0, result.output
    made = tmp_path / "medkg-variants"
    assert "with the extractor variants in" in result.output
    assert (
        '"medical_kg.orchestration.extractors"]\nvariants = "medkg_variants.variants:EXTRACTOR"'
        in (made / "pyproject.toml").read_text()
    )
    pipeline = yaml.safe_load((made / "config/orchestration/pipelines/medkg-variants.yaml").read_text())
    assert pipeline["stages"][-1]["config"]["extractor"] == "variants"
    taken = new("medkg-other", "--kind", "extractor", "--stage-type", "dictionary")
    assert "extractor 'dictionary' is taken by medkg-dagster" in taken.output


def test_folder_and_stage_type_can_be_named(tmp_path: Path) -> None:
    assert new("Acme.Notes", "--folder", "some/where", "--stage-type", "note-length").exit_code == 0

    made = tmp_path / "some" / "where"
    assert (made / "src" / "acme_notes" / "note_length.py").is_file()
    pipeline = yaml.safe_load((made / "config/orchestration/pipelines/acme-notes.yaml").read_text())
    assert pipeline["stages"][-1]["type"] == "note-length"


def test_an_empty_folder_is_filled_and_stays_the_same_folder(tmp_path: Path) -> None:
    target = tmp_path / "empty"
    target.mkdir()
    before = target.stat().st_ino

    assert new("medkg-words", "--folder", "empty").exit_code == 0

    assert target.stat().st_ino == before
    assert (target / "pyproject.toml").is_file()
    assert [path.name for path in tmp_path.iterdir()] == ["empty"]


def test_nothing_is_written_over(tmp_path: Path) -> None:
    (tmp_path / "medkg-words").mkdir()
    (tmp_path / "medkg-words" / "mine.txt").write_text("mine")
    (tmp_path / "file").write_text("mine")

    for arguments in (["medkg-words"], ["medkg-words", "--folder", "file"]):
        result = new(*arguments)
        assert result.exit_code == 1
        assert "name another" in result.output
    assert sorted(path.name for path in tmp_path.rglob("*")) == ["file", "medkg-words", "mine.txt"]


def test_a_place_where_no_folder_can_be_is_an_error_and_nothing_is_left(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("mine")

    result = new("medkg-words", "--folder", "file/words")

    assert result.exit_code == 1
    assert "cannot be written" in result.output
    assert [path.name for path in tmp_path.iterdir()] == ["file"]


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("", "cannot be the name of a package"),
        ("../up", "cannot be the name of a package"),
        ("a/b", "cannot be the name of a package"),
        ("-x", "cannot be the name of a package"),
        ("x-", "cannot be the name of a package"),
        ("3d", "beginning with a letter"),
        ("medkg words", "cannot be the name of a package"),
        ("medkg-wörter", "cannot be the name of a package"),
        ("x" * 81, "at most 80 characters"),
        ("json", "reserved"),
        ("class", "reserved"),
        ("medkg-dagster", "is installed here already"),
        ("pydantic", "is installed here already"),
    ],
)
def test_a_name_that_would_be_no_good_package_is_refused(tmp_path: Path, name: str, said: str) -> None:
    result = new("--", name)

    assert result.exit_code == 1, result.output
    assert said in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("stage_type", "said"),
    [
        ("", "must be letters"),
        ("parse", "taken by medkg-dagster"),
        ("ir_validation", "taken by medkg-dagster (ir-validation)"),
        ("document", "the key it reads"),
        ("config", "cannot be used"),
        ("class", "no keyword"),
        ("../../up", "must be letters"),
        ("two words", "must be letters"),
        ("9lives", "must be letters"),
        ("x" * 81, "more than 80"),
    ],
)
def test_a_stage_type_that_would_not_load_is_refused(tmp_path: Path, stage_type: str, said: str) -> None:
    result = new("medkg-example", "--stage-type", stage_type)

    assert result.exit_code == 1, result.output
    assert said in result.output
    assert "--stage-type" in result.output
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["medkg-on", "Yes.no", "a", "medkg_null", "X__y", "medkg-stage", "dry-run"])
def test_odd_but_valid_names_make_valid_files(tmp_path: Path, name: str) -> None:
    assert new(name, "--folder", "made").exit_code == 0

    project = describe_project(name)
    for source in (tmp_path / "made").rglob("*.py"):
        compile(source.read_text(), source, "exec")
    (pipeline,) = (tmp_path / "made/config/orchestration/pipelines").iterdir()
    assert yaml.safe_load(pipeline.read_text())["name"] == project.pipeline
