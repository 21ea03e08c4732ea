import json
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import click
import pytest

from medkg_dagster import __version__
from medkg_dagster.cli import main
from medkg_dagster_tests.cli.conftest import Medkg


def commands(
    group: click.Group, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    for name, command in group.commands.items():
        yield (*path, name), command
        if isinstance(command, click.Group):
            yield from commands(command, (*path, name))


def test_the_version_and_help_are_shown(medkg: Medkg) -> None:
    assert medkg("--version").output == f"medkg, version {__version__}\n"
    assert "Usage:" in medkg("-h").output


@pytest.mark.parametrize(
    ("path", "command"), [pytest.param(*item, id=" ".join(item[0])) for item in commands(main)]
)
def test_every_command_and_option_has_help(
    medkg: Medkg, path: tuple[str, ...], command: click.Command
) -> None:
    assert command.help
    for parameter in command.params:
        if isinstance(parameter, click.Option):
            assert parameter.help, parameter.name
    shown = medkg(*path, "-h")
    assert shown.exit_code == 0
    assert "Usage:" in shown.output


# What each command is given in a home with nothing in it: those that ask about data are refused.
LOOKING = {
    "search": ("melanoma",),
    "graph node": ("melanoma",),
    "path": ("melanoma", "colitis"),
    "reindex": (),
    "export": ("kgx", "folder"),
    "ledger list": (),
    "ledger show": ("default",),
    "ledger files": ("default",),
    "ledger set": ("default", "a=1"),
    "ledger retry": ("default",),
    "ledger cancel": ("default", "--reason", "why"),
    "ledger remove": ("default",),
    "documents list": (),
    "documents show": ("PMID:1",),
    "documents withdraw": ("PMID:1",),
    "documents restore": ("PMID:1",),
    "documents split": ("PMID:1",),
    "why": ("PMID:1",),
    "changes": ("--since", "1d"),
    "state prune": (),
    "prune": ("--older-than", "90d"),
    "summary": (),
    "alerts retry": (),
    "gate list": (),
    "gate approve": ("default", "review", "--reason", "why", "--now"),
    "gate reject": ("default", "review", "--reason", "why"),
    "gate move": ("auto", "review", "other", "--reason", "why"),
}
NEEDS_NO_DATA = {
    "check": (),
    "doctor": (),
    "plan": ("auto",),
    "stages": ("--audit",),
    "triggers": (),
    "schema": (),
    "vocab list": (),
}
# These look at vocabularies only, and say how to have one.
NEEDS_A_VOCABULARY = {
    "vocab info": ("aspirin",),
    "vocab build": (),
    "vocab remove": ("open",),
}
# Of a home without data it serves the page, which says so: `test_serve`, `service/test_app`, `monitoring/`.
SERVES = {"mcp", "serve", "metrics"}
# It asks for its extra first: `cypher/`.
NEEDS_AN_EXTRA = {"graph query"}
# It asks who is told: `test_alerts`.
NEEDS_A_WEBHOOK = {"alerts test"}
MAKES = {"run", "submit", "backup", "restore", "plugin new", "migrate", "vocab install", "vocab add"}


def test_of_every_command_it_is_said_whether_it_makes_anything() -> None:
    leaves = {" ".join(path) for path, command in commands(main) if not isinstance(command, click.Group)}
    assert leaves == {
        *LOOKING,
        *NEEDS_NO_DATA,
        *NEEDS_A_VOCABULARY,
        *SERVES,
        *NEEDS_AN_EXTRA,
        *NEEDS_A_WEBHOOK,
        *MAKES,
    }


@pytest.mark.parametrize("command", NEEDS_A_VOCABULARY)
def test_a_home_without_vocabularies_is_explained_and_stays_as_it_is(
    medkg: Medkg, home: Path, command: str
) -> None:
    for made in (False, True):
        if made:
            home.mkdir()
        result = medkg(*command.split(), *NEEDS_A_VOCABULARY[command])
        assert result.exit_code == 1
        assert "medkg vocab" in result.stderr
        assert result.stderr.count("\n") == 1
        assert home.exists() is made
        assert not made or not any(home.iterdir())


@pytest.mark.parametrize("command", [*LOOKING, *NEEDS_NO_DATA])
@pytest.mark.parametrize("ledger_url", ["", "sqlite:///{folder}/elsewhere.sqlite"])
def test_an_empty_home_is_explained_and_stays_as_it_is(
    medkg: Medkg, home: Path, monkeypatch: pytest.MonkeyPatch, command: str, ledger_url: str
) -> None:
    monkeypatch.chdir(home.parent)
    monkeypatch.setenv("MEDKG_LEDGER_URL", ledger_url.format(folder=home.parent))
    for made in (False, True):
        if made:
            home.mkdir()
        result = medkg(*command.split(), *(LOOKING | NEEDS_NO_DATA)[command])
        if command in LOOKING:
            assert result.exit_code == 1
            assert re.match(r"medkg: (nothing indexed|there is no ledger) yet in ", result.stderr)
            assert "make demo" in result.stderr
            assert result.stderr.count("\n") == 1
        else:
            assert result.exit_code == 0, result.output
        assert home.exists() is made
        assert [file.name for file in home.parent.iterdir()] == (["home"] if made else [])


def test_a_home_with_a_ledger_only_has_nothing_indexed(medkg: Medkg, ledger_home: Path) -> None:
    before = sorted(file.name for file in ledger_home.iterdir())
    for arguments in (("search", "melanoma"), ("graph", "melanoma"), ("export", "kgx")):
        result = medkg(*arguments)
        assert (result.exit_code, result.stdout) == (1, "")
        assert result.stderr.startswith("medkg: ")
    assert sorted(file.name for file in ledger_home.iterdir()) == before


def test_wrong_settings_are_one_line(medkg: Medkg, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MEDKG_STRICT", "maybe")
    result = medkg("check")
    assert result.exit_code == 1
    assert result.stderr == "medkg: MEDKG_STRICT is 'maybe'; set it to on or off (1 or 0)\n"


def test_a_damaged_ledger_is_one_line(medkg: Medkg, home: Path) -> None:
    home.mkdir()
    (home / "ledger.sqlite").write_bytes(b"no database " * 500)
    result = medkg("ledger", "list")
    assert result.exit_code == 1
    assert "file is not a database" in result.stderr
    assert result.stderr.count("\n") == 1


def test_a_closed_pipe_ends_quietly(repository: Path) -> None:
    command = f"{sys.executable} -m medkg_dagster.cli stages --json | head -c 1"
    done = subprocess.run(
        ["bash", "-o", "pipefail", "-c", command], capture_output=True, text=True, cwd=repository, check=False
    )
    assert "Traceback" not in done.stderr


def test_a_command_starts_without_what_only_some_commands_need() -> None:
    code = (
        "import sys\n"
        "import medkg_dagster.cli.root\n"
        "unneeded = ('medkg_dagster.stage_api', 'medkg_dagster.topology', 'dagster', 'sqlalchemy', 'yaml')\n"
        "print([name for name in unneeded if name in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)

    assert done.stdout == "[]\n"


def test_stages_starts_without_dagster_and_without_heavy_libraries(repository: Path) -> None:
    code = (
        "import sys, json\n"
        "from medkg_dagster.cli import main\n"
        "main(['stages'], standalone_mode=False)\n"
        "heavy = ('dagster', 'sqlalchemy', 'numpy', 'lxml', 'httpx', 'pypdfium2', 'ahocorasick_rs')\n"
        "print(json.dumps([name for name in heavy if name in sys.modules]))"
    )
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, cwd=repository, check=True
    )
    lines = done.stdout.splitlines()
    assert lines[0].split()[:2] == ["TYPE", "WRITES"]
    assert any(line.startswith("ingest ") for line in lines)
    assert json.loads(lines[-1]) == []
