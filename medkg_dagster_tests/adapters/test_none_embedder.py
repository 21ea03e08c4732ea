from pathlib import Path

import pytest

from medkg_dagster.adapters.embedders.none import NONE
from medkg_dagster.errors import ConfigError
from medkg_dagster.registry import ExtensionRegistry
from medkg_dagster.stage_api import ExtensionKind
from medkg_dagster.stage_api._extensions import open_embedder


def test_it_gives_every_text_a_vector_of_length_0_and_is_opened_again_by_its_name(tmp_path: Path) -> None:
    embedder = open_embedder(ExtensionRegistry(), "none:{}", tmp_path)

    assert ExtensionRegistry().find(ExtensionKind.EMBEDDER, "none") is NONE
    assert embedder.model == "none:{}"
    assert embedder.embed(["one", "two"]).shape == (2, 0)


def test_parameters_without_the_embedder_that_they_are_of_are_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"takes no parameters, but has 'dimension'; name the embedder"):
        NONE.open({"dimension": 64}, tmp_path)
