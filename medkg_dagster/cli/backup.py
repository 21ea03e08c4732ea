"""`medkg backup` and `medkg restore`."""

from __future__ import annotations

from contextlib import closing
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING

import click

from medkg_dagster.cli.output import echo_json
from medkg_dagster.errors import counted
from medkg_dagster.settings import GRAPH_FILE, INDEX_FILE, Settings

if TYPE_CHECKING:
    from medkg_dagster.backup.manifest import Manifest


@click.command()
@click.argument("target", type=click.Path(path_type=Path))
@click.option(
    "--state", "with_state", is_flag=True, help="Also what lies between stages, and downloaded files."
)
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def backup(settings: Settings, target: Path, with_state: bool, as_json: bool) -> None:
    """Copy ledger, index, graph and vocabularies into TARGET, a new folder, or a file that ends with .tar.

    Runs go on meanwhile and wait for nothing. TARGET is there whole or not at all, with a manifest of
    versions and checksums. What was left out is told with why.
    """
    from medkg_dagster.backup.making import back_up

    manifest = back_up(settings, target.absolute(), with_state=with_state)
    _tell(manifest, f"backed up to {target}", as_json=as_json)


@click.command()
@click.argument("source", type=click.Path(exists=True, path_type=Path))
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def restore(settings: Settings, source: Path, as_json: bool) -> None:
    """Put SOURCE, which `medkg backup` wrote, back as MEDKG_HOME, a folder that does not exist or is empty.

    Checksums are compared and everything is opened before the folder is there. What an earlier release wrote
    is brought forward to this one; what a newer one wrote is refused.
    """
    from medkg_dagster.backup.restoring import restore as put_back

    manifest = put_back(source, settings.home, lambda folder: _open_all(settings, folder))
    _tell(manifest, f"restored to {settings.home}", as_json=as_json)


def _open_all(settings: Settings, folder: Path) -> None:
    """Open what is in a folder, which brings it forward."""
    from medkg_dagster.ledger import LEDGER_FILE, JobLedger
    from medkg_dagster.query.opened import load_extensions
    from medkg_dagster.stage_api import ExtensionKind
    from medkg_dagster.vocabulary.library import VocabularyLibrary

    here = replace(settings, home=folder, ledger_url=None, database_url=None)
    if (folder / LEDGER_FILE).exists():
        JobLedger.open(folder).close()
    extensions = load_extensions(here)
    for kind, name, file in (
        (ExtensionKind.INDEX_STORE, "sqlite", INDEX_FILE),
        (ExtensionKind.GRAPH_STORE, "sql", GRAPH_FILE),
    ):
        if (folder / file).exists():
            with closing(extensions.find(kind, name).open({}, folder)) as store:
                store.held_versions("")
    vocabulary = VocabularyLibrary(folder).current()
    if vocabulary is not None:
        vocabulary.close()


def _tell(manifest: Manifest, what: str, *, as_json: bool) -> None:
    told = asdict(manifest)
    del told["files"]
    if as_json:
        echo_json({**told, "files": len(manifest.files), "bytes": manifest.size})
        return
    files = counted(len(manifest.files), "file")
    click.echo(f"{', '.join(manifest.parts)} {what}: {files}, {manifest.size:,} bytes")
    for part, why in manifest.left_out.items():
        click.echo(f"medkg: {part} is not in it: {why}", err=True)
