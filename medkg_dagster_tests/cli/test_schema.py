import json
import stat
import subprocess
import sys
from copy import copy
from pathlib import Path

import pytest
from click.testing import CliRunner, Result
from jsonschema import Draft202012Validator

from medkg_dagster.cli.pipelines.yaml_files import OF, schema
from medkg_dagster.errors import ConfigError
from medkg_dagster.settings import Settings


def run(*arguments: str) -> Result:
    # A copy: click keeps with a command which options for help it had, and here it stands without its group.
    return CliRunner().invoke(copy(schema), arguments, obj=Settings.from_environment())


@pytest.mark.parametrize("subject", OF)
def test_each_kind_of_file_has_a_schema(subject: str) -> None:
    result = run("--of", subject)

    assert (result.exit_code, result.stderr) == (0, "")
    Draft202012Validator.check_schema(json.loads(result.stdout))


def test_the_schema_of_a_pipeline_has_the_installed_stage_types() -> None:
    made = json.loads(run().stdout)

    assert {"ingest", "parse"} <= set(made["$defs"]["StageDefinition"]["properties"]["type"]["enum"])
    assert "max_characters" in made["$defs"]["chunk.config"]["properties"]


def test_a_file_is_written_whole_and_alone(tmp_path: Path) -> None:
    file = tmp_path / "schemas" / "pipeline.schema.json"
    for _ in range(2):
        result = run("--output", str(file))
        assert (result.exit_code, result.stdout) == (0, f"wrote {file}\n")

    assert file.read_text("utf-8") == run().stdout
    assert list(file.parent.iterdir()) == [file]


def test_a_place_that_cannot_be_written_is_named_and_left_as_it_is(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")

    result = run("--of", "resilience", "--output", str(tmp_path / "file" / "schema.json"))

    assert isinstance(result.exception, ConfigError)
    assert "the schema cannot be written to" in str(result.exception)
    assert (tmp_path / "file").read_text() == "no folder"


def test_what_is_written_can_be_read_by_whoever_may_read_files(tmp_path: Path) -> None:
    run("--of", "resilience", "--output", str(tmp_path / "made.json"))
    (tmp_path / "plain").touch()

    assert stat.S_IMODE((tmp_path / "made.json").stat().st_mode) == stat.S_IMODE(
        (tmp_path / "plain").stat().st_mode
    )


def test_it_starts_without_dagster_and_without_heavy_libraries(repository: Path) -> None:
    code = (
        "import sys, json\n"
        "from medkg_dagster.cli.pipelines.yaml_files import schema\n"
        "from medkg_dagster.settings import Settings\n"
        "schema.main([], standalone_mode=False, obj=Settings.from_environment())\n"
        "heavy = ('dagster', 'sqlalchemy', 'numpy', 'lxml', 'httpx', 'pypdfium2', 'jsonschema')\n"
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=repository, check=True
    )
    assert json.loads(done.stdout.splitlines()[-1]) == []
