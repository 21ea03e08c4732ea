"""MeSH as NLM publishes it in XML: descriptor records, and supplementary records.

The file is streamed: one record is held at a time. What a document type names is not loaded, and a file that
declares entities of its own is refused.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from pathlib import Path

from lxml import etree

from medkg_dagster.vocabulary.concepts import Concept
from medkg_dagster.vocabulary.readers.mesh_records import CHEMICAL, MeshRecord, mesh_concept
from medkg_dagster.vocabulary.readers.source_file import SourceFile

_ROOTS = {"DescriptorRecordSet": "Descriptor", "SupplementalRecordSet": "Supplemental"}
_RECORDS = ("DescriptorRecord", "SupplementalRecord")
_LAST_LINE = 65_535
_CLASSES = {
    "1": CHEMICAL,
    "2": "biolink:Procedure",
    "3": "biolink:Disease",
    "4": "biolink:OrganismTaxon",
    "5": "biolink:PopulationOfIndividualOrganisms",
    "6": "biolink:AnatomicalEntity",
}
"""Of supplementary records: chemicals, protocols, diseases, organisms, population groups, anatomy."""


def read(path: Path, left_out: Counter[str] | None = None) -> Iterator[Concept]:
    """Read the records.

    Args:
        path: The file.
        left_out: Counts what is left out, by its reason.

    Raises:
        VocabularyError: The file is not of the format, damaged or dangerous; the message names the line.
    """
    source = SourceFile(path, left_out)
    with source.opened() as stream:
        events = etree.iterparse(
            stream,
            events=("start", "end"),
            tag=(*_ROOTS, *_RECORDS),
            resolve_entities=False,
            no_network=True,
            load_dtd=False,
            dtd_validation=False,
            attribute_defaults=False,
            huge_tree=False,
            remove_comments=True,
            remove_pis=True,
        )
        is_checked = False
        try:
            for event, element in events:
                source.line = _line(element) or source.line
                if not is_checked:
                    _check_document_type(element, source)
                    is_checked = True
                if event == "end" and element.tag in _RECORDS:
                    yield mesh_concept(_record(element, source), source)
                    _let_go(element)
        except etree.XMLSyntaxError as error:
            line = error.lineno or source.line
            raise source.error(
                f"not well-formed XML: {error.msg}; the file is damaged or not MeSH, fetch it again", line
            ) from error
    source.check_any("record")


def _check_document_type(element: etree._Element, source: SourceFile) -> None:
    subset = element.getroottree().docinfo.internalDTD
    if subset is not None and next(iter(subset.iterentities()), None) is not None:  # type: ignore[attr-defined] # lxml-stubs lacks it
        raise source.error("the document type declares entities, which may be bombs; remove them")


def _line(element: etree._Element) -> int:
    line: object = element.sourceline
    if not isinstance(line, int):
        return 0
    # Above it libxml2 says where the text in the element ends, as its own line has 16 bits.
    return line - (element.text or "").count("\n") if line > _LAST_LINE else line


def _let_go(element: etree._Element) -> None:
    parent = element.getparent()
    element.clear()
    while parent is not None and element.getprevious() is not None:
        del parent[0]


def _record(element: etree._Element, source: SourceFile) -> MeshRecord:
    kind = str(element.tag).removesuffix("Record")
    if (reference := next(element.iter(etree.Entity), None)) is not None:
        raise source.error(
            f"the record refers to {reference.text}, which is not declared; write the character"
        )
    record = MeshRecord(
        identifier=_text(element, f"{kind}UI" if kind == "Descriptor" else "SupplementalRecordUI"),
        name=_text(
            element, f"{kind}Name/String" if kind == "Descriptor" else "SupplementalRecordName/String"
        ),
        tree_numbers=_texts(element, "TreeNumberList/TreeNumber"),
        actions=_texts(
            element, "PharmacologicalActionList/PharmacologicalAction/DescriptorReferredTo/DescriptorUI"
        ),
        line=source.line,
    )
    if kind == "Supplemental":
        mapped = _texts(element, "HeadingMappedToList/HeadingMappedTo/DescriptorReferredTo/DescriptorUI")
        record.mapped = [one.lstrip("*") for one in mapped]
        record.category = _CLASSES.get(element.get("SCRClass", "1"), "biolink:NamedThing")
    for concept in element.iterfind("ConceptList/Concept"):
        if concept.get("PreferredConceptYN") == "Y":
            record.registry_numbers += _texts(concept, "RegistryNumber")
            record.registry_numbers += _texts(concept, "RegistryNumberList/RegistryNumber")
        for term in concept.iterfind("TermList/Term"):
            if "Y" in {term.get("IsPermutedTermYN"), term.get("RecordPermutedTermYN")}:
                source.left_out["permuted terms"] += 1
            else:
                record.terms.append(_text(term, "String"))
    return record


def _text(element: etree._Element, path: str) -> str:
    return (element.findtext(path) or "").strip()


def _texts(element: etree._Element, path: str) -> list[str]:
    return [text for found in element.iterfind(path) if (text := (found.text or "").strip())]
