from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from medkg_dagster_tests.stages.extract.asking import Asked
from medkg_dagster_tests.stages.extract.chat_service import KEY, chat_service


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Asked]:
    monkeypatch.setenv("TEST_KEY", KEY)
    with chat_service() as service:
        yield Asked(service, tmp_path)
