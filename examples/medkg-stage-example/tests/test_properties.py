"""Whatever the text, the document that comes out is valid and holds nothing that can still be found."""

from datetime import date
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st
from medkg_stage_example.config import DeidentifyConfig, IdentifierKind, ReplacementStyle
from medkg_stage_example.finding import Finder
from medkg_stage_example.rewriting import Rewriter

from medkg_dagster.stage_api import Block, BlockKind, Document, Section, hash_content

IDENTIFIERS = st.one_of(
    st.from_regex(r"[a-z0-9][a-z0-9.+_%-]{0,20}@([a-z0-9][a-z0-9-]{0,9}\.){1,9}[a-z]{2,6}", fullmatch=True),
    st.dates(date(1900, 1, 1), date(2099, 12, 31)).map(lambda day: f"{day.day} {day:%B %Y}"),
    st.dates(date(1900, 1, 1), date(2099, 12, 31)).map(date.isoformat),
    st.from_regex(r"\([2-9][0-9]{2}\) [2-9][0-9]{2}-[0-9]{4}", fullmatch=True),
    st.from_regex(r"MRN [0-9]{6,8}", fullmatch=True),
    st.from_regex(r"[1-5][0-9]{2}-[1-9][0-9]-[1-9][0-9]{3}", fullmatch=True),
    st.integers(91, 119).map("a {}-year-old".format),
)
WORDS = st.sampled_from(
    [
        "melanoma",
        "10 mg",
        "in 2016",
        "NCT02576665",
        "p = 0.03",
        "PMID 26492265",
        "12",
        "-",
        "+",
        "(",
        ")",
        "March",
        "x",
    ]
)
FREE = st.text(st.characters(codec="utf-8", exclude_categories=["Cs", "Cc"]), min_size=1, max_size=12)
PARAGRAPHS = st.lists(st.one_of(IDENTIFIERS, WORDS, FREE), min_size=1, max_size=6).map(" ".join)
CONFIGS = st.builds(
    DeidentifyConfig,
    kinds=st.sets(st.sampled_from(IdentifierKind), min_size=1).map(lambda kinds: tuple(sorted(kinds))),
    style=st.sampled_from(ReplacementStyle),
    keep_years=st.booleans(),
)


@st.composite
def documents(draw: st.DrawFn) -> Document:
    """Draw a document of sections and blocks, side by side or apart."""
    text, sections = "", []
    for _ in range(draw(st.integers(1, 3))):
        start, heading = len(text), draw(st.one_of(st.just(""), PARAGRAPHS))
        text += heading
        blocks = []
        for paragraph in draw(st.lists(PARAGRAPHS, max_size=3)):
            text += draw(st.sampled_from(["\n\n", "\n", ""]))
            blocks.append(Block(kind=BlockKind.PARAGRAPH, start=len(text), end=len(text) + len(paragraph)))
            text += paragraph
        sections.append(Section(title=heading, start=start, end=len(text), blocks=tuple(blocks)))
        text += draw(st.sampled_from(["\n\n", ""]))
    title = draw(PARAGRAPHS)
    return Document(
        id="PMID:1",
        source="infores:user-supplied",
        identifiers={},
        title=title,
        text=text,
        sections=tuple(sections),
        content_hash=hash_content(title, text),
    )


def stretches(document: Document) -> list[str]:
    borders = {0, len(document.text)}
    for section in document.sections:
        borders |= {section.start, section.end}
        borders |= {place for block in section.blocks for place in (block.start, block.end)}
    return [document.text[start:end] for start, end in pairwise(sorted(borders))]


@settings(max_examples=40, deadline=None)
@given(documents(), CONFIGS)
def test_what_comes_out_is_a_valid_document_in_which_nothing_more_is_found(
    document: Document, config: DeidentifyConfig
) -> None:
    changed, tally = Rewriter(config).rewrite(document)

    finder = Finder(config)
    assert not any(finder.find(stretch) for stretch in [changed.title, *stretches(changed)])
    assert changed.content_hash == hash_content(changed.title, changed.text)
    position = 0
    for section in changed.sections:
        assert position <= section.start <= section.end <= len(changed.text)
        inner = section.start
        for block in section.blocks:
            assert inner <= block.start < block.end <= section.end
            inner = block.end
        position = section.end
    assert Document.model_validate_json(changed.model_dump_json()) == changed
    assert Rewriter(config).rewrite(changed)[0] is changed
    assert bool(tally.replaced) == (changed is not document)


@settings(max_examples=150, deadline=None)
@given(st.lists(WORDS, max_size=4).map(" ".join), IDENTIFIERS, st.sampled_from(["", " and", ", then", "."]))
def test_an_identifier_is_found_among_other_words(before: str, identifier: str, after: str) -> None:
    text = f"{before} seen; {identifier}{after} melanoma"

    found = Finder(DeidentifyConfig()).find(text)

    place = text.index("; ") + 2
    end = place + len(identifier)
    assert any(place <= item.start and item.end == end for item in found), found


@settings(max_examples=150, deadline=None)
@given(st.integers(0, 10**9), st.sampled_from([" mg", " patients", "%", " cells/uL", " days", " reads"]))
def test_an_amount_is_no_identifier(amount: int, unit: str) -> None:
    assert (
        Finder(DeidentifyConfig()).find(f"We gave {amount}{unit} and {amount:,}{unit}, p = 0.{amount}.") == []
    )


@settings(max_examples=100, deadline=None)
@given(st.integers(10**7, 10**8 - 1))
def test_identifiers_of_trials_and_articles_stay(number: int) -> None:
    text = f"NCT{number}, PMID {number}, PMC{number}, doi:10.1000/{number}-555-123-4567 and {number % 2100}"

    assert Finder(DeidentifyConfig()).find(text) == []
