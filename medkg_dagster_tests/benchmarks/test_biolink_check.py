"""How the other judge's tables are read, and that it may be away."""

from __future__ import annotations

from pathlib import Path

import pytest

from evaluation import biolink_check

EDGES = (
    "subject_category\tpredicate\tobject_category\tasserted_categories\tstrict_checked\tcount\tverdict",
    "['biolink:Article']\tbiolink:mentions\t['biolink:Disease']\t['biolink:Association']\tfalse\t9\tNOT_IN_LEGAL_TYPES",
    "['biolink:Gene']\tbiolink:treats\t['biolink:Disease']\t['biolink:Association']\tfalse\t3\tNOT_IN_LEGAL_TYPES",
    "['biolink:Gene']\tbiolink:affects\t['biolink:Disease']\t['biolink:X']\ttrue\t2\tBAD_SUBJECT",
    "['biolink:Gene']\tbiolink:unheard_of\t['biolink:Disease']\t[]\tfalse\t1\tNOT_IN_LEGAL_TYPES",
)
PREFIXES = ("prefix\tcategories\tn_nodes\texamples", "FPLX\t['biolink:GeneFamily']\t4\t['FPLX:MEK']")


def test_only_a_predicate_whose_ends_the_model_leaves_open_is_no_fault(tmp_path: Path) -> None:
    (tmp_path / "edges.tsv").write_text("\n".join(EDGES) + "\n")

    found = list(biolink_check.edge_findings(tmp_path / "edges.tsv"))

    assert [(finding.count, finding.is_open) for finding in found] == [
        (9, True),
        (3, False),
        (2, False),
        (1, False),
    ]


def test_every_wrong_prefix_is_a_fault(tmp_path: Path) -> None:
    (tmp_path / "prefixes.tsv").write_text("\n".join(PREFIXES) + "\n")

    (found,) = biolink_check.prefix_findings(tmp_path / "prefixes.tsv")

    assert (found.count, found.is_open) == (4, False)
    assert found.what == "FPLX is no prefix of ['biolink:GeneFamily']"


def test_where_the_judge_cannot_be_installed_a_sentence_says_so(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(biolink_check, "CACHE", tmp_path)
    monkeypatch.setenv("PIP_NO_INDEX", "1")
    monkeypatch.setenv("PIP_CONFIG_FILE", "/dev/null")

    assert list(biolink_check.measure(tmp_path, tmp_path)) == []
    assert "koza cannot be installed here: ERROR: No matching distribution found" in capsys.readouterr().err
