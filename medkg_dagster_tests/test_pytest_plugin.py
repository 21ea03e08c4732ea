"""The fixtures for stage authors, in a pytest run of their own."""

from __future__ import annotations

import subprocess
import sys
from textwrap import dedent

import pytest

from medkg_dagster import pytest_plugin
from medkg_dagster.stage_api.testing import StageCheckError

pytest_plugins = ["pytester"]


@pytest.fixture(autouse=True)
def no_other_plugins(monkeypatch: pytest.MonkeyPatch) -> None:
    """Plugins that happen to be installed have no part in this."""
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")


PLUGIN = pytest_plugin.__name__
STAGE = """
from medkg_dagster.stage_api import StageMetadata, StageRegistration, write_key


class Greet:
    def execute(self, ctx):
        seen = sorted(path.name for path in ctx.home.iterdir())
        (ctx.home / "store.txt").write_text("kept")
        return (ctx.stage, *seen)


def register():
    metadata = StageMetadata(
        "greet", "greeting", write_key("greeting"), len, "Says who it is.",
        state_types={"greeting": tuple[str, ...]},
    )
    return StageRegistration(metadata, lambda definition: Greet())
"""


def run_pytest(pytester: pytest.Pytester, test: str, *arguments: str) -> pytest.RunResult:
    pytester.makepyfile(
        medkg_stage_greet=STAGE, test_greet=f"from medkg_stage_greet import register\n{dedent(test)}"
    )
    return pytester.runpytest_inprocess("-p", PLUGIN, "-p", "no:cacheprovider", *arguments)


def test_a_stage_is_run_and_checked_in_the_tests_own_folder(pytester: pytest.Pytester) -> None:
    result = run_pytest(
        pytester,
        """
        def test_it_runs(run_stage, tmp_path):
            assert run_stage(register).state["greeting"] == ("greet",)
            assert (tmp_path / "store.txt").read_text() == "kept"
            assert run_stage(register, name="again").state["greeting"] == ("again", "store.txt")

        def test_it_holds_to_its_contract(check_stage, tmp_path):
            assert check_stage(register).output_count == 1
            assert (tmp_path / "store.txt").exists()
        """,
    )

    result.assert_outcomes(passed=2)


def test_a_context_can_be_given_to_a_source_or_a_stage_directly(pytester: pytest.Pytester) -> None:
    result = run_pytest(
        pytester,
        """
        def test_it_executes(medkg_context, tmp_path):
            medkg_context.job.set_fields({"a.b": 1})
            assert medkg_context.job.fields() == {"a": {"b": 1}}
            assert medkg_context.home == tmp_path
            assert register().builder(None).execute(medkg_context) == ("test",)
        """,
    )

    result.assert_outcomes(passed=1)


def test_a_broken_stage_fails_its_test_with_the_rules(pytester: pytest.Pytester) -> None:
    result = run_pytest(
        pytester,
        """
        import dataclasses

        def test_it_holds_to_its_contract(check_stage):
            registration = register()
            metadata = dataclasses.replace(registration.metadata, state_types={}, output_counter=lambda _: 5)
            check_stage(dataclasses.replace(registration, metadata=metadata))
        """,
    )

    result.assert_outcomes(failed=1)
    result.stdout.fnmatch_lines(
        [
            f"E*{StageCheckError.__name__}: stage type 'greet' breaks 2 rules of the stage contract:",
            "E*- state key 'greeting' has no type*",
            "E*- output counter *<lambda> returned 5, but 'greeting' holds 1*",
        ]
    )


def test_the_fixtures_are_listed_with_what_they_do(pytester: pytest.Pytester) -> None:
    result = run_pytest(pytester, "", "--fixtures")

    result.stdout.fnmatch_lines(["medkg_context -- *", "*in memory*", "run_stage -- *", "check_stage -- *"])


def test_a_test_session_that_uses_no_fixture_imports_nothing_heavy() -> None:
    code = f"import {PLUGIN}, sys; print(*sorted(sys.modules))"
    loaded = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    modules = set(loaded.stdout.split())

    assert PLUGIN in modules
    assert modules.isdisjoint(
        {"dagster", "numpy", "sqlalchemy", "httpx", "lxml", "zstandard", "pypdfium2", "yaml"}
    )
    assert "medkg_dagster.stage_api.testing" not in modules
