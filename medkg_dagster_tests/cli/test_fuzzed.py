"""Whatever a command is given, it ends with a result or says what is wrong, and reads the stores alone."""

from collections.abc import Iterator
from pathlib import Path

import click
import pytest
from click.testing import CliRunner
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from medkg_dagster.cli import main
from medkg_dagster_tests.query.asked import TEXTS, examples
from medkg_dagster_tests.query.made_home import make_home

SECRET = "what stands outside of the stores"
# They answer and end. Others serve to no end, start processes, fetch, or read and write files that are given.
ASKED = {
    *("search", "graph", "path", "export", "documents", "why", "ledger", "summary", "changes", "triggers"),
    *("gate", "vocab", "reindex", "state", "check", "plan", "stages", "schema"),
}
LEFT_OUT = {"gate approve", "ledger retry", "vocab install", "vocab add", "vocab build"}


def leaves(
    command: click.Command, path: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], click.Command]]:
    """Yield every command that is no group, with the words that name it."""
    if isinstance(command, click.Group):
        for name, below in command.commands.items():
            yield from leaves(below, (*path, name))
    elif path[0] in ASKED and " ".join(path) not in LEFT_OUT:
        yield path, command


COMMANDS = list(leaves(main))


@st.composite
def command_lines(draw: st.DrawFn) -> list[str]:
    """Draw a command with options and arguments that it knows, and any text for their values."""
    path, command = draw(st.sampled_from(COMMANDS))
    options: list[str] = []
    arguments: list[str] = []
    for parameter in command.params:
        if isinstance(parameter, click.Argument):
            count = parameter.nargs if parameter.nargs > 0 else draw(st.integers(0, 2))
            arguments += [draw(values(parameter)) for _ in range(count)]
        elif isinstance(parameter, click.Option) and draw(st.booleans()):
            name = draw(st.sampled_from([*parameter.opts, *parameter.secondary_opts]))
            options.append(name if parameter.is_flag else f"{name}={draw(values(parameter))}")
    return [*path, *options, *draw(st.sampled_from([["--"], ["--"], []])), *arguments]


def values(parameter: click.Parameter) -> st.SearchStrategy[str]:
    """Return what a parameter may be given; a file is one that can be, in the folder of the command."""
    kind = parameter.type
    if isinstance(kind, click.Path):
        named = TEXTS.map(lambda text: text.encode("utf-8", "replace").decode())
        return named.map(lambda text: "made_" + text.replace("/", "_").replace("\0", "_")[:60])
    if isinstance(kind, click.Choice):
        return st.one_of(st.sampled_from([getattr(one, "value", one) for one in kind.choices]), TEXTS)
    if isinstance(kind, click.types.IntParamType):
        return st.one_of(st.integers(-1, 1001).map(str), TEXTS)
    return TEXTS


@pytest.fixture(scope="module")
def standing(tmp_path_factory: pytest.TempPathFactory, repository: Path) -> Iterator[Path]:
    """A folder with a home, which commands stand in, and a file beside it that is nobody's business."""
    folder = tmp_path_factory.mktemp("standing")
    (folder / "outside.txt").write_text(SECRET)
    home = make_home(folder / "inside")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MEDKG_HOME", str(home))
        patch.setenv("MEDKG_CONFIG", str(repository / "config"))
        patch.chdir(home)
        yield home


@settings(max_examples=examples(200), suppress_health_check=[HealthCheck.data_too_large])
@given(line=command_lines())
@example(line=["gate", "list", f"--limit={2**63}"])
@example(line=["summary", "--pipeline=a\nb", "--job=a\nb"])
@example(line=["graph", "--html=\udcff.html", "PD-1"])
@example(line=["graph", "a\nb"])
@example(line=["search", "a\x00b"])
@pytest.mark.usefixtures("standing")
def test_a_command_ends_with_a_result_or_says_what_is_wrong(line: list[str]) -> None:
    ended = CliRunner().invoke(main, line)

    assert ended.exception is None or isinstance(ended.exception, SystemExit)
    assert SECRET not in ended.output
    if ended.exit_code == 1:  # else it has done it, waits, or was asked wrongly, which click says
        (said,) = ended.stderr.removesuffix("\n").split("\n")
        assert said.startswith("medkg: ")
