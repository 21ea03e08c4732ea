from itertools import pairwise
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from medkg_dagster.stage_api import (
    Block,
    BlockKind,
    Chunk,
    Document,
    Section,
    StageContext,
    chunk_id,
    hash_content,
)
from medkg_dagster.stages.chunk import ChunkConfig, register
from medkg_dagster_tests.stages.running import run


def make_document(sections: list[tuple[str, list[str]]], document_id: str = "PMID:1") -> Document:
    text = ""
    made = []
    for title, blocks in sections:
        text += "\n\n" if text else ""
        start = len(text)
        text += title
        placed = []
        for block in blocks:
            text += "\n\n" if text else ""
            placed.append(Block(kind=BlockKind.PARAGRAPH, start=len(text), end=len(text) + len(block)))
            text += block
        made.append(Section(title=title, start=start, end=len(text), blocks=tuple(placed)))
    return Document(
        id=document_id,
        source="infores:user-supplied",
        identifiers={},
        title="A title",
        text=text,
        sections=tuple(made),
        content_hash=hash_content("A title", text),
    )


def cut(document: Document, **config: int) -> tuple[Chunk, ...]:
    ctx = StageContext("auto", "chunk", "default", Path("unused"))
    chunks: tuple[Chunk, ...] = run(register, ctx, config, document=(document,))["chunks"]
    assert not ctx.quarantined
    assert ctx.succeeded == 1
    return chunks


TEXTS = st.text(
    st.one_of(
        st.characters(codec="utf-8"),
        st.sampled_from(list("ab. ,\n\t\u00a0\u2003é😀𝔘\u0301👩\u200d\U0001f52c")),
    ),
    min_size=1,
    max_size=400,
)
DOCUMENTS = st.lists(st.tuples(st.text(max_size=20), st.lists(TEXTS, max_size=4)), max_size=5)


@settings(max_examples=200, deadline=None)
@given(sections=DOCUMENTS, size=st.integers(50, 200), overlap=st.integers(0, 25), least=st.integers(0, 25))
def test_chunks_are_exact_bounded_ordered_and_cover_every_block(
    sections: list[tuple[str, list[str]]], size: int, overlap: int, least: int
) -> None:
    document = make_document(sections)

    chunks = cut(document, max_characters=size, overlap=overlap, min_characters=least)

    covered: set[int] = set()
    for chunk in chunks:
        assert chunk.text == document.text[chunk.start : chunk.end]
        assert chunk.text.strip()
        assert len(chunk.text) <= size
        assert chunk.id == chunk_id(document.id, document.content_hash, chunk.start, chunk.end)
        covered.update(range(chunk.start, chunk.end))
    for section in document.sections:
        for block in section.blocks:
            missed = set(range(block.start, block.end)) - covered
            assert not "".join(document.text[place] for place in sorted(missed)).strip()
    assert [chunk.ordinal for chunk in chunks] == list(range(len(chunks)))
    starts = [chunk.start for chunk in chunks]
    assert starts == sorted(starts)
    assert len({chunk.id for chunk in chunks}) == len(chunks)
    homes = [(section.start, section.end, section.title) for section in document.sections if section.blocks]
    for chunk in chunks:
        assert any(
            start <= chunk.start and chunk.end <= end and chunk.section == title
            for start, end, title in homes
        )


def test_a_chunk_never_crosses_sections_and_carries_the_heading() -> None:
    chunks = cut(make_document([("Methods", ["We measured."]), ("Results", ["It worked."])]))

    assert [(chunk.section, chunk.text) for chunk in chunks] == [
        ("Methods", "We measured."),
        ("Results", "It worked."),
    ]


def test_a_title_is_a_chunk_only_where_there_is_nothing_else() -> None:
    titled = make_document([("Title", ["A title."]), ("Results", ["Survival was long."])])
    alone = make_document([("Title", ["A title."])])

    shown = [cut(one.model_copy(update={"title": "A title."})) for one in (titled, alone)]

    assert [[chunk.section for chunk in chunks] for chunks in shown] == [["Results"], ["Title"]]


def test_sections_without_blocks_give_no_chunks() -> None:
    assert cut(make_document([("Methods", []), ("Patients", ["Twelve."])]))[0].section == "Patients"
    assert cut(make_document([("Methods", [])])) == ()


def test_overlap_repeats_text_of_the_chunk_before() -> None:
    sentences = " ".join(f"Sentence number {number} says little." for number in range(20))

    chunks = cut(make_document([("", [sentences])]), max_characters=150, overlap=60, min_characters=0)

    assert any(later.start < earlier.end for earlier, later in pairwise(chunks))


def test_a_tiny_last_piece_is_evened_out_with_the_one_before() -> None:
    text = " ".join(["This sentence has forty-one characters ok."] * 7) + " End now."

    plain = cut(make_document([("", [text])]), max_characters=302, overlap=0, min_characters=0)
    evened = cut(make_document([("", [text])]), max_characters=302, overlap=0, min_characters=100)

    assert len(plain[-1].text) < 100
    assert len(evened) == len(plain)
    assert all(100 <= len(chunk.text) <= 302 for chunk in evened)


@pytest.mark.parametrize("unit", ["a", "癌", "x\n", "😀", "A sentence of some words. "])
def test_text_far_longer_than_a_chunk_is_covered_without_gaps(unit: str) -> None:
    text = unit * (100_000 // len(unit))

    chunks = cut(make_document([("", [text])]), overlap=0)

    assert "".join(chunk.text for chunk in chunks).replace(" ", "").replace("\n", "") == text.replace(
        " ", ""
    ).replace("\n", "")
    assert len(chunks) < 1.3 * len(text) / 1200


@pytest.mark.parametrize(
    ("config", "message"),
    [
        ({"max_characters": 100, "overlap": 60}, "at most half of max_characters"),
        ({"max_characters": 100, "min_characters": 60}, "at most half of max_characters"),
        ({"size": 100}, "Extra inputs"),
    ],
)
def test_sizes_that_contradict_each_other_are_refused(config: dict[str, int], message: str) -> None:
    with pytest.raises(ValidationError, match=message):
        ChunkConfig.model_validate(config)


def test_a_document_that_breaks_the_splitter_is_quarantined_and_the_others_go_on() -> None:
    broken = make_document([("", ["fine"])]).model_copy(update={"text": "\ud800ine", "id": "PMID:2"})
    others = [make_document([("", ["fine"])], f"PMID:{number}") for number in (1, 3, 4, 5)]
    ctx = StageContext("auto", "chunk", "default", Path("unused"))

    chunks = run(register, ctx, document=(broken, *others))["chunks"]

    assert [item.document_id for item in ctx.quarantined] == ["PMID:2"]
    assert [chunk.document_id for chunk in chunks] == [one.id for one in others]
    assert ctx.succeeded == 4


def test_the_registration_reads_documents_and_writes_chunks() -> None:
    metadata = register().metadata

    assert (metadata.stage_type, metadata.state_keys, metadata.dependencies) == (
        "chunk",
        ("chunks",),
        ("parse",),
    )
    assert metadata.output_counter(("one", "two")) == 2
