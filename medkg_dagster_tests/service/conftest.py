import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import pytest
import uvicorn

from medkg_dagster.query import Stores
from medkg_dagster.service import make_app
from medkg_dagster.settings import Settings
from medkg_dagster_tests.query.made_home import DOCUMENTS, Said, Written, make_home

MARKUP = "<script>document.title = 'taken over'</script> & <b>bold</b>"
HOSTILE = Written(
    "PMID:9", (Said("DRUGBANK:1", "treats", "MESH:1", f"Dabrafenib treats Melanoma {MARKUP}."),)
)


@contextmanager
def serving(home: Path, repository: Path, token: str | None = None) -> Iterator[str]:
    """Serve a home on loopback, in a thread.

    Yields:
        Its address, without a slash at the end.
    """
    with Stores(Settings(home=home, config=repository / "config")) as stores:
        app = make_app(stores, hosts=["127.0.0.1", "medkg.example.org"], token=token)
        config = uvicorn.Config(app, port=0, log_config=None)
        server = uvicorn.Server(config)
        listening = config.bind_socket()
        listening.listen()  # who asks before the thread has begun waits
        thread = threading.Thread(target=server.run, kwargs={"sockets": [listening]})
        thread.start()
        try:
            yield f"http://127.0.0.1:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join()
            listening.close()


@pytest.fixture(scope="module")
def served_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A home of which one document says what looks like HTML."""
    return make_home(tmp_path_factory.mktemp("served") / "home", [*DOCUMENTS, HOSTILE])


@pytest.fixture(scope="module")
def address(served_home: Path, repository: Path) -> Iterator[str]:
    """Where that home is served."""
    with serving(served_home, repository) as served:
        yield served


@pytest.fixture
def client(address: str) -> Iterator[httpx.Client]:
    """What asks there."""
    with httpx.Client(base_url=address, trust_env=False) as asking:
        yield asking
