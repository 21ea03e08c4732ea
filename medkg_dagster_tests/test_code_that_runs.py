"""Nothing in the package turns data into code."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from medkg_dagster_tests.conftest import REPOSITORY

MODULES = {"pickle", "cPickle", "dill", "cloudpickle", "marshal", "shelve", "joblib"}
CALLS = {"eval", "exec", "os.system", "os.popen", "yaml.unsafe_load", "yaml.full_load", "pandas.read_pickle"}


def has_ruamel(tree: ast.AST) -> bool:
    return any(isinstance(node, ast.ImportFrom) and node.module == "ruamel.yaml" for node in ast.walk(tree))


def found_in(tree: ast.AST) -> Iterator[str]:
    """Yield what turns data into code."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from ({name.name.partition(".")[0] for name in node.names} & MODULES)
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            yield from ({str(node.module).partition(".")[0]} & MODULES)
        elif isinstance(node, ast.Call):
            called = ast.unparse(node.func)
            if called in CALLS:
                yield called
            given = {keyword.arg: keyword.value for keyword in node.keywords}
            for name in ("shell", "allow_pickle"):
                if name in given and ast.unparse(given[name]) != "False":
                    yield f"{called}({name}=...)"
            # That of ruamel.yaml, which makes no objects, has the same name and no loader.
            if (
                called == "yaml.load"
                and "Loader" not in given
                and len(node.args) < 2
                and not has_ruamel(tree)
            ):
                yield called


def test_nothing_unpickles_evaluates_or_starts_a_shell() -> None:
    found = {
        str(path.relative_to(REPOSITORY)): names
        for path in sorted((REPOSITORY / "medkg_dagster").rglob("*.py"))
        if (names := list(found_in(ast.parse(Path(path).read_text()))))
    }

    assert found == {}


@pytest.mark.parametrize(
    "code",
    [
        "import pickle",
        "from pickle import loads",
        "eval(x)",
        "run(x, shell=True)",
        "np.load(f, allow_pickle=True)",
        "yaml.load(x)",
    ],
)
def test_it_would_be_found(code: str) -> None:
    assert list(found_in(ast.parse(code)))
