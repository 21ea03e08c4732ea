"""Questions in Cypher: what the graph says now, and nothing else."""

import sys
from pathlib import Path
from typing import Any

import pytest
from click.testing import CliRunner
from hypothesis import example, given
from hypothesis import settings as example_settings
from hypothesis import strategies as st

from medkg_dagster.cli import main
from medkg_dagster.cypher import ask_cypher
from medkg_dagster.cypher.statement import check_statement
from medkg_dagster.errors import ConfigError, MedkgError, QueryError
from medkg_dagster.ledger import JobLedger
from medkg_dagster.settings import Settings
from medkg_dagster_tests.query.asked import TEXTS, examples
from medkg_dagster_tests.query.made_home import DOCUMENTS, Said, Written, make_home

pytest.importorskip("ladybug", reason="Ladybug, the extra `ladybug`, is not installed")

TREATS = "MATCH (a)-[r:treats {negated: false}]->() RETURN a.name, r.document ORDER BY r.document"
HOSTILE = "He said \"x, 'y' and \\n\", twice.\nThen \\ and \ttab, a \r return, ;|💊 İ."


def rows(settings: Settings, statement: str, **bounds: Any) -> list[tuple[Any, ...]]:
    return list(ask_cypher(settings, statement, **bounds).rows)


def test_nodes_and_edges_are_those_of_the_graph(settings: Settings) -> None:
    answer = ask_cypher(
        settings, "MATCH (a)-[r:causes]->(b) RETURN a, r.certainty AS held, r.sentence, b.category"
    )

    ((node, held, sentence, category),) = answer.rows
    assert answer.columns == ("a", "held", "r.sentence", "b.category")
    assert node["synonyms"] == ["Tafinlar"]
    assert (node["_LABEL"], node["id"]) == ("Entity", "DRUGBANK:1")
    assert "_ID" not in node
    assert (held, sentence, category) == ("possible", "Dabrafenib may cause Colitis.", "PhenotypicFeature")


def test_what_is_not_current_is_gone_at_the_next_question_and_what_is_new_is_there(
    settings: Settings,
) -> None:
    before = rows(settings, TREATS)
    with JobLedger.of(settings) as ledger:
        ledger.documents.withdraw(["PMID:2"], actor="ann", reason="wrong")
    withdrawn = rows(settings, TREATS)
    said = Said("HGNC:1", "treats", "MESH:1", HOSTILE)
    make_home(settings.home, [*DOCUMENTS, Written("PMID:5", (said,), job="third")])

    assert before == [("Dabrafenib", "PMID:1"), ("Dabrafenib", "PMID:2")]
    assert withdrawn == before[:1]
    assert ("Programmed Cell Death 1", "PMID:5") in rows(settings, TREATS)
    assert rows(settings, "MATCH ()-[r:treats {document: 'PMID:5'}]->() RETURN r.sentence") == [(HOSTILE,)]
    assert len(list((settings.home / "cypher").iterdir())) == 1


def test_a_copy_serves_until_the_graph_changes(settings: Settings) -> None:
    rows(settings, TREATS)
    (copy,) = (settings.home / "cypher").iterdir()
    made = copy.stat().st_mtime_ns
    rows(settings, "MATCH (a) RETURN count(*)")

    assert copy.stat().st_mtime_ns == made


@pytest.mark.parametrize(
    "statement",
    [
        *("CREATE (:Entity {id: 'x'})", "MATCH (a) SET a.name = 'x'", "MATCH (a) DETACH DELETE a", ""),
        *(
            "LOAD FROM 'FILE' (header=false) RETURN *",
            "MATCH (a) LOAD FROM 'FILE' RETURN *",
            "CALL threads = 4",
        ),
        *(
            "MATCH (a) WITH a /* ' */ load from 'FILE' RETURN *",
            "RETURN 1; COPY (MATCH (a) RETURN a) TO 'OUT'",
        ),
        *("COPY (MATCH (a) RETURN a.id) TO 'OUT'", "EXPORT DATABASE 'OUT'", "INSTALL httpfs", "MATCH"),
        *(
            "// MATCH\nEXPORT DATABASE 'OUT'",
            "MATCH (a) RETURN 'x\\' LOAD FROM",
            "ATTACH 'OUT' AS x (dbtype lbug)",
        ),
    ],
)
def test_what_does_more_than_read_the_graph_is_refused(
    settings: Settings, tmp_path: Path, statement: str
) -> None:
    (tmp_path / "table.csv").write_text("secret\n")
    asked = statement.replace("FILE", str(tmp_path / "table.csv")).replace("OUT", str(tmp_path / "out"))

    with pytest.raises(QueryError) as refused:
        ask_cypher(settings, asked)

    assert "\n" not in str(refused.value)
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize(
    "text", ["'viral load; call'", '"it\'s a load"', "'a \\' load'", "1 /* load */ // call"]
)
def test_the_same_words_in_a_text_or_a_remark_are_no_statement(text: str) -> None:
    check_statement(f"RETURN {text};")


def test_rows_time_and_memory_are_bounded(settings: Settings) -> None:
    answer = ask_cypher(settings, "MATCH (a) RETURN a.id", limit=2)
    with pytest.raises(QueryError, match="took longer than 1 s"):
        ask_cypher(settings, "MATCH (a)-[:mentions*1..30]-(b) RETURN count(*)", timeout_seconds=1)
    with pytest.raises(QueryError, match="more than 1,024 MB of memory"):
        ask_cypher(settings, "UNWIND range(1, 1000000000) AS n RETURN count(n)")

    assert len(answer.rows) == 2
    assert answer.cut == ("5 more of 7 rows; raise the limit, or ask for less",)


def test_without_its_extra_it_says_what_to_install(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "ladybug", None)

    with pytest.raises(ConfigError, match=r"medkg-dagster\[ladybug\]"):
        ask_cypher(settings, TREATS)


def test_the_command_prints_a_table_or_json_and_a_name_stays_a_name(
    settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("MEDKG_HOME", str(settings.home))
    asked = "MATCH (a)-[r:causes]->(b) RETURN a, r, b.name AS what"

    def medkg(*line: str) -> str:
        return CliRunner().invoke(main, ["graph", *line]).stdout

    assert medkg("query", asked).splitlines()[1].split("  ") == [
        "Dabrafenib (DRUGBANK:1)",
        "causes: Dabrafenib may cause Colitis.",
        "Colitis",
    ]
    assert '"what": "Colitis"' in medkg("query", asked, "--json")
    assert medkg("Colitis").startswith("Colitis (HP:1)")
    assert medkg("Colitis") == medkg("node", "Colitis")


PIECES = st.one_of(
    st.sampled_from(
        ["MATCH", "(a)", "-[r]->", "(b)", "RETURN", "a", "*", "r.id", "WHERE", "LIMIT", "1", "WITH"]
    ),
    st.sampled_from(
        ["'", '"', "`", "//", "/*", "*/", ";", "\\", "LOAD FROM", "[:mentions*1..3]", "{", "}", "count(*)"]
    ),
    TEXTS,
)


@pytest.fixture(scope="module")
def asked_home(made: Path, repository: Path) -> Settings:
    return Settings(home=made, config=repository / "config")


@example_settings(max_examples=examples(10, asking=10))
@example(statement="MATCH (a) RETURN a.name AS `\n`")
@given(statement=st.lists(PIECES, max_size=8).map(lambda some: "MATCH (a) RETURN " + " ".join(some)))
def test_any_statement_is_answered_or_refused_in_one_sentence(asked_home: Settings, statement: str) -> None:
    try:
        answer = ask_cypher(asked_home, statement, timeout_seconds=1)
    except MedkgError as error:
        said = str(error)
    else:
        said = answer.model_dump_json()
    assert "\n" not in said
    said.encode()
