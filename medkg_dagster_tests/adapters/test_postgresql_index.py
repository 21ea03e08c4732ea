"""What is of the index in PostgreSQL alone: its address."""

from pathlib import Path

import pytest

from medkg_dagster.adapters.index.postgresql import POSTGRESQL_INDEX
from medkg_dagster.errors import ConfigError, StoreError
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.stage_api import ExtensionKind


def test_the_entry_point_names_it() -> None:
    assert ExtensionRegistry().find(ExtensionKind.INDEX_STORE, "postgresql") is POSTGRESQL_INDEX


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("postgresql://alice:s3cret@127.0.0.1:1/index?connect_timeout=2", "check that the server runs"),
        ("sqlite:////data/index.sqlite", "use the store sqlite"),
        ("no url s3cret", "is not a database URL"),
        ("", "MEDKG_DATABASE_URL is not set or empty"),
    ],
)
def test_an_address_that_does_not_work_is_an_error_without_the_password(
    url: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDKG_DATABASE_URL", url)

    with pytest.raises((StoreError, ConfigError), match=message) as caught:
        POSTGRESQL_INDEX.open({}, tmp_path)

    assert "s3cret" not in str(caught.value)
