"""What the lock names fits together, and may be used and passed on."""

from __future__ import annotations

import importlib.metadata
import re
import subprocess
import sys
from pathlib import Path

import pytest
from packaging.utils import canonicalize_name

from medkg_dagster_tests.conftest import REPOSITORY

# Words that packages say it with: SPDX expressions, classifiers, or a line of their own.
PERMISSIVE = {
    "0BSD",
    "3-Clause BSD License",
    "Apache 2.0",
    "Apache Software License",
    "Apache-2.0",
    "BSD",
    "BSD 3-Clause",
    "BSD License",
    "BSD-2-Clause",
    "BSD-3-Clause",
    "CC0 1.0 Universal (CC0 1.0) Public Domain Dedication",
    "CC0-1.0",
    "DFSG approved",
    "ISC License (ISCL)",
    "MIT",
    "MIT License",
    "MIT-0",
    "MIT-CMU",
    "PSF-2.0",
    "Python Software Foundation License",
    "Zlib",
}
# What asks for more than a notice, and why that is no matter here: none of it is changed or copied into ours.
ODD = {
    "certifi": ("Mozilla Public License 2.0 (MPL 2.0)", "used as it is"),
    "fpdf2": ("LGPL-3.0-only", "makes PDFs in tests"),
    "hypothesis": ("MPL-2.0", "draws examples in tests"),
    "marisa-trie": ("MIT AND (BSD-2-Clause OR LGPL-2.1-or-later)", "its library taken under BSD-2-Clause"),
    "pathspec": ("Mozilla Public License 2.0 (MPL 2.0)", "used as it is, where wheels are built"),
    "psycopg": ("LGPL-3.0-only", "imported by the extra `postgresql`, and can be replaced"),
    "psycopg-binary": ("LGPL-3.0-only", "the same"),
    "psycopg2-binary": (
        "GNU Library or Lesser General Public License (LGPL)",
        "with exceptions; imported by dagster-postgres, and can be replaced",
    ),
    "pypdfium2": (
        "BSD-3-Clause, Apache-2.0, dependency licenses",
        "PDFium is BSD-3-Clause; its list lies in the wheel",
    ),
    "tqdm": ("MPL-2.0 AND MIT", "used as it is"),
}


def names(file: Path) -> set[str]:
    found = re.findall(r"^([\w.-]+)(?:\[[^]]*\])?==", file.read_text(), re.MULTILINE)
    return {canonicalize_name(name) for name in found}


def licence(metadata: importlib.metadata.PackageMetadata) -> str:
    """Return what a distribution says of its licence."""
    if expression := metadata.json.get("license_expression"):
        return str(expression)
    classifiers = [
        one.rpartition(" :: ")[2] for one in metadata.get_all("Classifier") or () if "License ::" in one
    ]
    said = [one for one in classifiers if one != "OSI Approved"]
    text = str(metadata.json.get("license") or "unknown").splitlines()[0]
    return "; ".join(said) or text


def is_permissive(text: str) -> bool:
    words = re.split(r"; | AND | OR ", text)
    return all(word in PERMISSIVE or word.strip("() ") in PERMISSIVE for word in words)


LOCKED = sorted(names(REPOSITORY / "requirements.lock"))


def test_every_locked_dependency_that_is_installed_may_be_passed_on() -> None:
    found = {}
    for name in LOCKED:
        try:
            found[name] = licence(importlib.metadata.metadata(name))
        except importlib.metadata.PackageNotFoundError:
            continue  # For another system or another Python.
    others = {name: said for name, said in found.items() if name not in ODD and not is_permissive(said)}

    assert others == {}, "look at each; if it may be used, name it among ODD with the reason"
    assert {name: said for name, (said, _) in ODD.items()} == {name: found[name] for name in ODD}
    assert len(found) > len(LOCKED) - 20


@pytest.mark.parametrize(
    "text", ["GPL-3.0-only", "MIT AND AGPL-3.0-only", "unknown", "Other/Proprietary License"]
)
def test_what_asks_for_more_than_a_notice_is_not_taken_for_permissive(text: str) -> None:
    assert not is_permissive(text)


def test_the_image_has_nothing_that_is_not_looked_at() -> None:
    image = names(REPOSITORY / "deploy" / "docker" / "requirements.lock")

    assert image - set(LOCKED) == set()


def test_what_is_installed_fits_together() -> None:
    checked = subprocess.run(
        [sys.executable, "-m", "pip", "check", "--disable-pip-version-check"],
        capture_output=True,
        text=True,
        check=False,
    )

    assert checked.returncode == 0, checked.stdout + checked.stderr
