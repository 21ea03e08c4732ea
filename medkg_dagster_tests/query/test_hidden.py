"""Nothing of a document that is not current is in any answer, also where the stores hold it still."""

from pathlib import Path

import pytest

from medkg_dagster.domain.holdings import DocumentStatus
from medkg_dagster.errors import QueryError
from medkg_dagster.ledger import JobKey, JobLedger
from medkg_dagster.query import ClaimFilter, Stores
from medkg_dagster.stage_api import QuarantinedDocument
from medkg_dagster_tests.ledger.stage_histories import LedgerRun
from medkg_dagster_tests.query.made_home import TREATS, Written, list_documents

EVERYTHING = ClaimFilter(mentions=True)


def hide(home: Path, status: DocumentStatus) -> None:
    """Let PMID:1 and PMID:3 be of some status; the stores are not told."""
    with JobLedger.open(home) as ledger:
        if status is DocumentStatus.WITHDRAWN:
            ledger.documents.withdraw(["PMID:1", "PMID:3"], actor="ann", reason="not ours")
            return
        refused = [
            QuarantinedDocument(name, "ir-validation", "RejectedDocumentError", "why", status=status)
            for name in ("PMID:1", "PMID:3")
        ]
        run = LedgerRun(ledger, JobKey("auto", "default"), ("ir_validation",))
        run.finish("ir_validation", quarantined=refused)


@pytest.mark.parametrize("status", [one for one in DocumentStatus if one is not DocumentStatus.CURRENT])
def test_what_is_not_current_is_in_no_answer(stores: Stores, home: Path, status: DocumentStatus) -> None:
    assert stores.entities("colitis").found
    hide(home, status)

    shown = [
        stores.search("melanoma colitis dabrafenib PD-1", limit=100).model_dump_json(),
        stores.documents().model_dump_json(),
        stores.neighbours("melanoma").model_dump_json(),
        stores.claims(which=EVERYTHING).model_dump_json(),
        stores.paths("dabrafenib", "melanoma").model_dump_json(),
        stores.document("PMID:2").model_dump_json(),
        stores.counts().model_dump_json(),
    ]
    assert all("PMID:1" not in text and "PMID:3" not in text for text in shown)
    assert all("olitis" not in text for text in shown[1:])
    for name in ("colitis", "PD-1", "PMID:1", "Title of PMID:3"):
        answer = stores.entities(name)
        assert answer.found == ()
        assert not {"HP:1", "HGNC:1", "PMID:1", "PMID:3"} & {one.id for one in answer.suggestions}
    with pytest.raises(QueryError, match=f"'PMID:1' is {status.value} and not shown"):
        stores.document("PMID:1")
    found = stores.search("dabrafenib melanoma", limit=1)
    assert ([hit.document.id for hit in found.hits], found.total, found.cut) == (["PMID:2"], 1, ())
    counts = stores.counts()
    assert (counts.documents, counts.graph_documents, counts.indexed_documents, counts.hidden) == (1, 1, 1, 2)
    assert (counts.nodes, counts.edges, counts.synthetic_edges) == (3, 4, 0)
    (treats, denied) = stores.neighbours("melanoma", which=ClaimFilter()).neighbours
    assert (treats.evidence_count, denied.evidence_count) == (1, 1)


def test_what_is_restored_is_shown_again(stores: Stores, home: Path) -> None:
    hide(home, DocumentStatus.WITHDRAWN)
    with JobLedger.open(home) as ledger:
        ledger.documents.restore(["PMID:1", "PMID:3"])
    assert stores.counts().documents == 3
    assert stores.document("PMID:1").claims


def test_what_no_source_lists_any_more_is_hidden_before_its_run_ends(stores: Stores, home: Path) -> None:
    with JobLedger.open(home) as ledger:
        list_documents(ledger, "other", [Written("PMID:9", (TREATS,), job="other")])
    with pytest.raises(QueryError, match="withdrawn"):
        stores.document("PMID:2")
    assert "PMID:2" not in stores.claims(which=EVERYTHING).model_dump_json()
