import os
import random
from pathlib import Path

import pytest
from hypothesis import HealthCheck, settings

REPOSITORY = Path(__file__).parent.parent

# Time is for pytest-timeout to limit: a busy machine is no fault of an example.
settings.register_profile(
    "medkg", deadline=None, print_blob=True, suppress_health_check=[HealthCheck.too_slow]
)
settings.load_profile("medkg")


@pytest.fixture
def chance() -> random.Random:
    """Randomness whose seed a failing test shows; MEDKG_TEST_SEED repeats it."""
    seed = int(os.environ.get("MEDKG_TEST_SEED", random.SystemRandom().randrange(1 << 32)))
    print(f"MEDKG_TEST_SEED={seed}")
    return random.Random(seed)


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
