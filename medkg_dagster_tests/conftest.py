import gc
import os
import random
from collections.abc import Iterator
from pathlib import Path
from unittest import mock

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.internal.conjecture import providers

from medkg_dagster_tests.postgresql import new_schema, server

REPOSITORY = Path(__file__).parent.parent
# Folders and modules that take long; they come first, or one process of tests would be left with them.
LONG = (
    "test_readme.py",
    "test_kills.py",
    "test_run_command.py",
    "test_gated_jobs.py",
    "end_to_end",
    "test_main_job.py",
    "test_cancelling.py",
    "test_stage_example.py",  # the other examples have their place later: it makes what all are installed in
    "test_secrets_in_runs.py",
    "test_isolation.py",
    "benchmarks",
    "test_pdf_conversion.py",
    "test_tracers.py",
    "test_random_topologies.py",
    "test_guide_plugins.py",
    "examples",
    "test_hostile_pdfs.py",
    "test_document_workers.py",
)

# Time is for pytest-timeout to limit: a busy machine is no fault of an example.
_OF_ALL = settings(deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow])
# A commit draws the same examples at every run; `make soak` draws others and keeps those that fail.
settings.register_profile("medkg", parent=_OF_ALL, derandomize=True)
settings.register_profile("soak", parent=_OF_ALL, derandomize=False)
settings.load_profile("medkg")


def pytest_addoption(parser: pytest.Parser) -> None:
    """Add the option by which tests are shown not to depend on those before them."""
    parser.addoption("--reversed", action="store_true", help="run the tests from the last to the first")


def pytest_configure(config: pytest.Config) -> None:
    """Let `-m chance` choose what draws at random, and leave Hypothesis no other source than its seed."""
    gc.disable()  # until all is imported and collected
    config.addinivalue_line("markers", "chance: draws at random, with a seed of its own")
    if settings().derandomize:
        # It draws the constants of modules too, of those that happen to be imported by the tests before.
        unseeded = mock.patch.object(providers, "is_local_module_file", return_value=False)
        unseeded.start()
        config.add_cleanup(unseeded.stop)


@pytest.hookimpl(tryfirst=True)
def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Mark what draws at random; begin with what takes long; turn the order round where that is asked for."""
    for item in items:
        if "chance" in getattr(item, "fixturenames", ()):
            item.add_marker("chance")
    place = {name: number for number, name in enumerate(LONG)}
    items.sort(key=lambda item: min(place.get(name, len(LONG)) for name in item.path.parts))
    if config.getoption("reversed"):
        items.reverse()


def pytest_collection_finish() -> None:
    """Spare the garbage collector what was imported and collected: it lives to the end."""
    gc.freeze()
    gc.enable()


@pytest.fixture
def chance(request: pytest.FixtureRequest) -> random.Random:
    """Randomness, for a test the same at every run; MEDKG_TEST_SEED gives another, and a failure shows it."""
    seed = os.environ.get("MEDKG_TEST_SEED", request.node.name)
    print(f"MEDKG_TEST_SEED={seed!r}")
    return random.Random(seed)


@pytest.fixture(scope="session")
def postgresql_server() -> Iterator[str]:
    """The URL of a PostgreSQL server; each process of tests has one of its own."""
    with server() as url:
        yield url


@pytest.fixture
def postgresql_url(postgresql_server: str) -> Iterator[str]:
    """The URL of an empty schema of a real server, dropped afterwards."""
    with new_schema(postgresql_server) as url:
        yield url


@pytest.fixture(scope="session")
def repository() -> Path:
    """The checkout's root."""
    return REPOSITORY


@pytest.fixture(scope="session")
def shared_data() -> Path:
    """Real documents and vocabularies beside the checkout; tests that need them skip without."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        pytest.skip(f"no real documents: {folder} is not there")
    return folder
