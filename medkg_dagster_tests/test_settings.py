"""Settings: what is wrong is one sentence that names the variable, whoever loads them."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from medkg_dagster.errors import ConfigError, MedkgError
from medkg_dagster.ledger import JobLedger
from medkg_dagster.settings import Settings

WRONG = [
    ("MEDKG_CONFIG", "nowhere", "MEDKG_CONFIG names {cwd}/nowhere, which cannot be read: No such file"),
    ("MEDKG_CONFIG", "file", "MEDKG_CONFIG names {cwd}/file, which cannot be read: Not a directory"),
    ("MEDKG_CONFIG", "~nobody-is-called-so/x", "MEDKG_CONFIG is '~nobody-is-called-so/x': "),
    ("MEDKG_HOME", "file", "MEDKG_HOME names {cwd}/file, but {cwd}/file is not a folder; name a folder"),
    ("MEDKG_HOME", "file/deep/er", "MEDKG_HOME names {cwd}/file/deep/er, but {cwd}/file is not a folder"),
    ("MEDKG_HOME", "file\nx", "MEDKG_HOME holds a line break or another control character; write its value"),
    ("MEDKG_CONFIG", "a\rb", "MEDKG_CONFIG holds a line break or another control character; write its value"),
    ("DAGSTER_HOME", "/a\n/b", "DAGSTER_HOME holds a line break or another control character; write its"),
    (
        "MEDKG_EXECUTOR",
        "process",
        "MEDKG_EXECUTOR is 'process': did you mean 'in_process'? known: celery",
    ),
    ("MEDKG_WORKERS", "0", "MEDKG_WORKERS is '0'; set it to a whole number, 1 or more"),
    ("MEDKG_MEMO_BYTES", "20GB", "MEDKG_MEMO_BYTES is '20GB'; set it to a whole number, 0 or more"),
    ("MEDKG_CHANGES_DAYS", "1w", "MEDKG_CHANGES_DAYS is '1w'; set it to a whole number, 0 or more"),
    ("MEDKG_CHANGES_DAYS", "999999999999", "MEDKG_CHANGES_DAYS is '999999999999'; set it to at most 36500"),
    ("MEDKG_STRICT", "maybe", "MEDKG_STRICT is 'maybe'; set it to on or off"),
    ("MEDKG_PLUGINS", "none", "MEDKG_PLUGINS is 'none'; set it to on or off"),
    ("MEDKG_TRANSLATOR", "our_lab", "MEDKG_TRANSLATOR is 'our_lab'; set it to module:Class"),
]
WRONG_LEDGERS = [
    ("ledger.sqlite", "is not a database URL; write for example postgresql://user@host/database"),
    ("mysql://u:hunter2@host/db", "is one of mysql, but the ledger speaks SQLite and PostgreSQL"),
    ("postgresql://u:hunter2@host:abc/db", "is not a database URL"),
    ("postgresql://u:hunter2@host:0/db", "has a port that is no number from 1 to 65535"),
    ("postgresql://u:hunter2@host:65536/db", "has a port that is no number from 1 to 65535"),
    ("postgresql://u:hunter2@host:5_432/db", "has a port that is no number from 1 to 65535"),
    ("postgresql://u:hunter2@host:٥٤٣٢/db", "has a port that is no number from 1 to 65535"),
    ("postgresql://u:hunter2@host/db?port=abc", "has a port that is no number from 1 to 65535"),
    ("postgresql://u:hunter2@host/db?port=5432,0", "has a port that is no number from 1 to 65535"),
    ("postgresql://u:hunter2@host:1/db?port=5432&port=٥٤٣٢", "has a port that is no number from 1 to 65535"),
    ("sqlite://", "is SQLite in memory"),
    ("sqlite:///:memory:", "is SQLite in memory"),
    ("sqlite:///file:x?mode=memory&uri=true", "is SQLite in memory"),
]


@pytest.mark.parametrize(("name", "value", "sentence"), WRONG)
def test_a_wrong_value_is_a_sentence_that_names_the_variable(
    tmp_path: Path, name: str, value: str, sentence: str
) -> None:
    (tmp_path / "file").touch()

    with pytest.raises(ConfigError) as caught:
        Settings.from_environment({name: value}, tmp_path)

    assert str(caught.value).startswith(sentence.format(cwd=tmp_path))
    assert "\n" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize(("url", "sentence"), WRONG_LEDGERS)
def test_a_ledger_that_there_can_be_none_of_is_refused_and_its_password_not_shown(
    tmp_path: Path, url: str, sentence: str
) -> None:
    settings = Settings.from_environment({"MEDKG_LEDGER_URL": url}, tmp_path)

    for use in (JobLedger.check_address, JobLedger.exists, JobLedger.of):
        with pytest.raises(MedkgError) as caught:
            use(settings)
        assert str(caught.value).startswith(f"the ledger's address (MEDKG_LEDGER_URL) {sentence}")
        assert "hunter2" not in str(caught.value)


@pytest.mark.parametrize("empty", ["", " "])
def test_an_empty_variable_is_as_if_unset(tmp_path: Path, empty: str) -> None:
    names = ("HOME", "CONFIG", "STRICT", "PLUGINS", "EXECUTOR", "LEDGER_URL", "TRANSLATOR")
    said_nothing = Settings.from_environment({f"MEDKG_{name}": empty for name in names}, tmp_path)

    assert said_nothing == Settings.from_environment({}, tmp_path)
    assert said_nothing.home == tmp_path / ".medkg"


def test_relative_paths_start_from_the_working_directory_and_a_tilde_is_the_user_s_folder(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("HOME", str(tmp_path / "me"))
    (tmp_path / "here").mkdir()

    found = Settings.from_environment({"MEDKG_HOME": "~/data", "MEDKG_CONFIG": "here"}, tmp_path)

    assert (found.home, found.config) == (tmp_path / "me" / "data", tmp_path / "here")


@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("MEDKG_CONFIG", "/nowhere", "medkg: MEDKG_CONFIG names /nowhere, which cannot be read"),
        ("MEDKG_LEDGER_URL", "sqlite://", "medkg: the ledger's address (MEDKG_LEDGER_URL) is SQLite in mem"),
        ("MEDKG_TRANSLATOR", "nobody:Nothing", "medkg: the translator 'nobody:Nothing' (MEDKG_TRANSLATOR, o"),
    ],
)
def test_definitions_that_cannot_be_loaded_end_with_the_sentence_alone(
    tmp_path: Path, name: str, value: str, sentence: str
) -> None:
    given = os.environ | {"MEDKG_HOME": str(tmp_path), "MEDKG_PLUGINS": "off", name: value}
    loading = [sys.executable, "-W", "error", "-c", "import medkg_dagster.definitions"]
    ended = subprocess.run(loading, env=given, cwd=tmp_path, capture_output=True, text=True, check=False)

    assert (ended.returncode, ended.stdout) == (1, "")
    assert ended.stderr.startswith(sentence)
    assert ended.stderr.count("\n") == 1


def test_a_run_configuration_that_dagster_refuses_ends_with_its_sentences_alone(tmp_path: Path) -> None:
    (tmp_path / "run.yaml").write_text(
        "ops: {auto__stages: {ops: {chunk: {config: {max_characters: many, overlapp: 1}}}}}\n"
    )
    given = os.environ | {"MEDKG_HOME": str(tmp_path), "MEDKG_PLUGINS": "off"}
    command = ("-m", "dagster", "job", "execute", "-m", "medkg_dagster.definitions", "-j", "auto")
    ended = subprocess.run(
        [sys.executable, "-W", "ignore", *command, "-c", "run.yaml"],
        env=given,
        cwd=tmp_path,
        capture_output=True,
        text=True,
        check=False,
    )

    assert ended.returncode == 1
    said = ended.stderr.splitlines()
    assert len(said) == 3
    assert said[0] == "medkg: Error in config for job auto"
    assert any("max_characters" in line and '"many"' in line for line in said)
    assert any('unexpected config entry "overlapp"' in line for line in said)
