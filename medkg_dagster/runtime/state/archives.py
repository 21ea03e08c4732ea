"""Archives: what a stage wrote for a partition, a zip with one member per state key.

The member of a key that is kept by document is a manifest of its parts, which are in shards. More members say
what the work was, see `work_account`.
"""

import hashlib
import io
import zipfile
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from pydantic_core import from_json, to_json

from medkg_dagster.domain.job_ids import file_name
from medkg_dagster.runtime.state.shards import ShardStore, StoredPart, StoredValues
from medkg_dagster.runtime.state.work_account import StoredAccount, WorkAccount
from medkg_dagster.stage_api._documents import DocumentValues, version_of
from medkg_dagster.stage_api._serialization import dump_value, encode_value, encoding_of, load_value
from medkg_dagster.topology.names import dagster_name

EXTENSION = ".state.zip"
MANIFEST = "documents.json.zst"


def archive_state(
    state: Mapping[str, Any],
    state_types: Mapping[str, Any],
    account: WorkAccount | None = None,
    before: Any = None,
    shards: ShardStore | None = None,
) -> bytes:
    """Return what a stage wrote as one archive; equal states in equal shards give equal bytes.

    The step itself makes it, so that a value that cannot be stored is an error of the stage, in the ledger
    too.

    Args:
        state: State key to value.
        state_types: State key to the declared type.
        account: What the work was; the shards that remember it stay as long as the archive does.
        before: The path of the archive that an earlier run has written; there need be none.
        shards: Where the next stage of this process finds the values as they are, without reading them.

    Raises:
        StateError: A value cannot be stored, or holds a secret.
    """
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", zipfile.ZIP_STORED) as archive:
        for key, value in state.items():
            value_type = state_types.get(key, Any)
            is_by_document = isinstance(value, DocumentValues)
            name = f"{key}.{MANIFEST if is_by_document else encoding_of(value_type)}"
            content = _manifest(key, value, shards) if is_by_document else dump_value(key, value, value_type)
            _add(archive, name, content)
        for name, content in () if account is None else account.members(before):
            _add(archive, name, content)
    return buffer.getvalue()


def read_archive(content: bytes, key: str, value_type: Any, shards: ShardStore) -> Any:
    """Return one state key of an archive, by document where it is kept so.

    Raises:
        ValueError: It is damaged, or has no such key.
        StateError: The value is not of its type.
    """
    import zstandard

    try:
        with zipfile.ZipFile(io.BytesIO(content)) as archive:
            if f"{key}.{MANIFEST}" in archive.namelist():
                return shards.parts(archive.read(f"{key}.{MANIFEST}"), key, value_type)
            member = archive.read(f"{key}.{encoding_of(value_type)}")
    except (zipfile.BadZipFile, zstandard.ZstdError, KeyError) as error:
        raise ValueError(str(error)) from error
    return load_value(key, member, value_type)


def read_parts(path: Path, key: str, value_type: Any, shards: ShardStore) -> DocumentValues | None:
    """Return one state key of an archive by document; None where it has none that is kept so.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged.
    """
    import zstandard

    try:
        with zipfile.ZipFile(path) as archive:
            name = f"{key}.{MANIFEST}"
            return shards.parts(archive.read(name), key, value_type) if name in archive.namelist() else None
    except (zipfile.BadZipFile, zstandard.ZstdError) as error:
        raise ValueError(str(error)) from error


def shards_of(path: Path) -> set[str]:
    """Return the names of all shards that an archive needs.

    Raises:
        OSError: It cannot be read.
        ValueError: It is damaged.
    """
    import zstandard

    found: set[str] = set()
    try:
        # What is in it as one unit may be large and is not looked at.
        with zipfile.ZipFile(path) as archive:
            found.update(StoredAccount(archive).shards)
            for name in archive.namelist():
                if name.endswith(f".{MANIFEST}"):
                    found.update(reference[3] for reference in _references(archive, name))
    except (zipfile.BadZipFile, zstandard.ZstdError, LookupError, TypeError) as error:
        raise ValueError(str(error)) from error
    return found


def find_archives(home: Path, pipeline: str, job_id: str, stage: str | None = None) -> list[Path]:
    """Return the archives of a job.

    Args:
        home: The folder for all data.
        pipeline: The pipeline's name.
        job_id: The job's id.
        stage: The stage's name; None for all of them.
    """
    of_stage = "*" if stage is None else dagster_name(stage)
    place = f"{dagster_name(pipeline)}/{of_stage}/{file_name(job_id)}{EXTENSION}"
    # A deployment may put a prefix before the names of assets, which is looked for only where there is one.
    prefix = "" if (home / "state" / dagster_name(pipeline)).is_dir() else "**/"
    return list(home.glob(f"state/{prefix}{place}"))


def use_shards(values: DocumentValues) -> bool:
    """Say of all shards of a value that they are in use; False where one is gone."""
    shards = {part.shard.name: part.shard for part in values if isinstance(part, StoredPart)}
    # All of them are told, also where one is gone.
    found = [shard.use() for shard in shards.values()]
    return all(found)


def data_version(state: Mapping[str, Any], state_types: Mapping[str, Any]) -> str:
    """Return the hash of what a stage wrote, whichever shards it lies in.

    Raises:
        StateError: A value cannot be stored.
    """
    digest = hashlib.sha256()
    for key, value in state.items():
        digest.update(f"{key}\x00".encode())
        if isinstance(value, DocumentValues):
            for part in value:
                digest.update(f"{part.document_id}\x00{part.version}\x00".encode("utf-8", "backslashreplace"))
        else:
            digest.update(encode_value(key, value, state_types.get(key, Any)))
    return digest.hexdigest()


def _manifest(key: str, values: DocumentValues, shards: ShardStore | None) -> bytes:
    import zstandard

    if isinstance(values, StoredValues) and values.manifest is not None:
        return values.manifest
    parts = [part for part in values if isinstance(part, StoredPart)]
    references = to_json([part.reference() for part in parts])
    manifest = zstandard.ZstdCompressor(write_checksum=True).compress(references)
    if shards is not None:
        shards.remember(key, StoredValues(parts, values.value_type, version_of(manifest)))
    return manifest


def _references(archive: zipfile.ZipFile, name: str) -> list[Any]:
    import zstandard

    found: list[Any] = from_json(zstandard.ZstdDecompressor().decompress(archive.read(name)))
    return found


def _add(archive: zipfile.ZipFile, name: str, content: bytes) -> None:
    # A fixed time stamp keeps equal states equal byte for byte.
    archive.writestr(zipfile.ZipInfo(name, (1980, 1, 1, 0, 0, 0)), content)
