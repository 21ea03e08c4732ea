"""Writes the two PDFs of the bundled corpus, always the same bytes: `python scripts/make_corpus_pdfs.py`.

Both texts are synthetic and were written for this project.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from textwrap import dedent

from fpdf import FPDF

FOLDER = Path(__file__).parent.parent / "medkg_dagster" / "corpus" / "documents" / "pdfs"
NOTE = (
    "Synthetic demonstration record: written for a software demonstration; persons, patients and figures "
    "are invented."
)


@dataclass(frozen=True, slots=True)
class Paper:
    """One PDF.

    Attributes:
        file_name: Where it is written in the corpus.
        title: The title on the first page.
        authors: The line below the title.
        identifier: A synthetic DOI.
        columns: 1 or 2.
        body: Paragraphs; a line that begins with `#` is a heading.
    """

    file_name: str
    title: str
    authors: str
    identifier: str
    columns: int
    body: str


CYTOKINES = Paper(
    file_name="cytokines_before_checkpoint_inhibitors.pdf",
    title="Cytokines in melanoma before the age of checkpoint inhibitors: a lecture for nurses",
    authors="Rosalind Pemberley-Sato, Lindenwick Demonstration Hospital",
    identifier="10.5555/medkg.demo.pdf.1",
    columns=1,
    body=dedent("""
    # Why look back?

    For thirty years two proteins of the immune system itself were the only immunotherapy of melanoma.
    Interferon-alpha was given after surgery, interleukin-2 to patients with metastases. Both have almost
    disappeared from the wards. Nurses who began their work after 2014 have rarely seen a patient on either,
    yet some long survivors of those years still come for follow-up, and questions about late effects reach
    us every month. This lecture tells what the two drugs did, what harm they caused, and what remains of
    them.

    # Interferon-alpha

    Interferon-alpha was injected under the skin three times a week for a year, after one month of daily
    infusions. Interferon-alpha prolonged relapse-free survival in patients with ulcerated melanoma, but its
    effect on overall survival was small. Patients paid for it. Fever and chills followed each of the first
    injections. Interferon-alpha caused fatigue in nearly all patients, and fatigue was the first reason to
    stop.

    Interferon-alpha is associated with depression. One in ten patients needed treatment, and suicides
    happened. In several hospitals paroxetine was used to prevent depression, with success. Interferon-alpha
    was also associated with neutropenia and with psoriasis that flared up for the first time in middle age.
    Interferon-alpha did not cause hearing loss, although patients asked about it often because a leaflet
    said so.

    Late effects are few. Depression lifted within three months in most patients after the last injection.
    Psoriasis remained in some of them.

    # Interleukin-2

    Interleukin-2 makes T cells multiply. At the high dose that was effective in melanoma it was given every
    eight hours, up to fourteen times, in a ward with monitors and a nurse for every two patients.
    Interleukin-2 produced complete remissions in six of a hundred patients with metastatic melanoma, and
    most of those remissions have lasted to this day. No drug before it had done so.

    Interleukin-2 causes capillary leak syndrome. Plasma leaves the vessels, the blood pressure falls, and
    patients gain five kilograms or more in a few days. Hypotension caused by interleukin-2 was treated with
    fluids and with norepinephrine. Interleukin-2 caused oliguria and acute kidney injury, which was
    reversible in nearly all patients. Arrhythmia, confusion and sepsis from the central catheter completed
    the list. Interleukin-2 was not associated with permanent kidney failure.

    Dexamethasone stops these effects within hours, but dexamethasone abolishes the effect of interleukin-2
    on the tumor, so that it was kept for emergencies. Nurses learned to treat each symptom by itself:
    indomethacin for fever, meperidine for rigors, hydroxyzine for itching.

    # A case that many remember

    A farmer of 44 years with metastases of the lymph nodes and of the spleen received eleven doses of
    interleukin-2 in 1998. After the ninth he was confused and tried to leave the ward in order to milk his
    cows. Hypotension required norepinephrine for two nights. He lost all edema within a week. Six months
    later no metastasis was visible. In 2021 he brought his grandson to the follow-up visit. Neither kidney
    nor heart showed any trace of the treatment.

    # What remains

    Interleukin-2 returns in another role: it supports lymphocytes that have been taken from a tumor,
    multiplied in the laboratory and given back. The doses are fewer, but capillary leak syndrome and
    hypotension are the same, and wards that offer cell therapy train their nurses again in what their
    predecessors knew.

    Interferon-alpha has no place left in the treatment of melanoma. What it taught us is to ask about mood.
    The two questions that were introduced for interferon-alpha - about interest and about hope - stand in
    our admission form still, and they find depression in patients on every kind of treatment.
    """),
)

BINIMETINIB = Paper(
    file_name="binimetinib_nras_creatine_kinase.pdf",
    title="Creatine kinase under binimetinib in NRAS-mutated melanoma: when does it matter?",
    authors="Maren Ashgrove-Ito (1), Leocadia Brandt-Nwosu (2). (1) Ostervale Demonstration University, "
    "(2) Harrowmere Demonstration Clinic",
    identifier="10.5555/medkg.demo.pdf.2",
    columns=2,
    body=dedent("""
    # Abstract

    Binimetinib raises creatine kinase in many patients with melanoma. Most of them have no complaints. We
    measured creatine kinase every week in 63 patients with NRAS-mutated melanoma who took binimetinib
    alone. Creatine kinase rose in 37 patients. Binimetinib caused rhabdomyolysis in one patient. Statins
    were associated with higher values. Exercise, not the dose of binimetinib, explained most of the peaks.

    # Introduction

    A mutation of NRAS is found in one fifth of cutaneous melanomas. No drug acts on mutant NRAS itself, and
    inhibitors of BRAF are harmful in this situation because they activate the pathway. Binimetinib inhibits
    MEK. Binimetinib improved progression-free survival in patients with NRAS-mutated melanoma by little
    more than one month, so that the burden of its adverse effects weighs heavily. Edema of the face and the
    legs, rash and diarrhea are the most frequent.

    Creatine kinase is released from injured muscle. Its rise under MEK inhibitors is well known, but it is
    not known which patients are in danger of rhabdomyolysis. Current rules stop binimetinib at ten times
    the upper limit of normal, whether or not the patient has pain. We asked whether this is necessary.

    # Methods

    Between 2017 and 2021 we treated 63 adults with NRAS-mutated, unresectable melanoma with binimetinib at
    45 mg twice daily. Immunotherapy had failed in 58 of them. Creatine kinase, creatinine, potassium and
    myoglobin were measured every week for sixteen weeks. Patients wore a step counter and kept a diary of
    muscle pain, falls and exercise. Drugs that harm muscle were noted.

    Binimetinib was stopped when creatine kinase exceeded ten times the upper limit of normal together with
    pain, weakness or myoglobin in the urine; without these signs it was continued and the measurement
    repeated after three days.

    # Results

    Creatine kinase rose above the upper limit of normal in 37 of 63 patients (59%), after a median of 22
    days. It exceeded five times the limit in twelve and ten times in six. Five of these six had no pain. In
    four, the peak followed unusual exercise: a hike, two days of moving house, a dance, and gymnastics
    prescribed by a well-meaning physician. Values fell in all four after three days of rest although
    binimetinib was continued.

    Binimetinib caused rhabdomyolysis in one patient, a man of 71 years who took simvastatin and had fallen
    at home. Creatine kinase reached 48,000 U/L and creatinine doubled. Fluids improved rhabdomyolysis
    within five days; dialysis was not needed. Simvastatin was associated with higher creatine kinase: the
    median peak was 610 U/L in eleven patients on a statin and 240 U/L in the others. Pravastatin was not
    associated with higher creatine kinase, but only three patients took it.

    The dose of binimetinib had been reduced in 21 patients, mostly because of edema. Reduction had no
    influence on creatine kinase. Binimetinib did not cause myasthenia or inflammatory myopathy. Muscle
    biopsy in two patients showed single necrotic fibers without inflammation.

    # Discussion

    A rise of creatine kinase alone does not announce rhabdomyolysis. Stopping binimetinib at a fixed limit
    would have deprived five patients of treatment for nothing. Pain, weakness and dark urine are better
    guides, together with creatinine and potassium. We now advise patients to avoid unusual exercise, which
    does not mean rest: daily walks of the usual length had no influence.

    Simvastatin should be replaced before binimetinib is begun. Whether pravastatin is safer cannot be said
    from three patients. Older men who live alone deserve a visit in the third week, since a fall was the
    last straw in the only serious case.

    The study is small and has no control group. It cannot say whether the combination of binimetinib with
    encorafenib behaves in the same way.

    # Conclusion

    Binimetinib is associated with a rise of creatine kinase in most patients with NRAS-mutated melanoma.
    Without symptoms it may be continued with close measurement. Statins and unusual exercise are the causes
    that can be avoided.
    """),
)

PAPERS = (CYTOKINES, BINIMETINIB)


def render(paper: Paper) -> bytes:
    """Lay one paper out.

    Args:
        paper: What to print.

    Returns:
        The PDF, uncompressed and with fixed metadata, so that its bytes depend on the text alone.
    """
    pdf = FPDF(format="A4")
    pdf.set_compression(False)
    pdf.set_creation_date(datetime(2024, 1, 1, tzinfo=UTC))
    pdf.set_producer("medkg_dagster demonstration corpus")
    pdf.set_title(paper.title)
    pdf.set_author("Synthetic demonstration corpus")
    pdf.set_margins(22, 20)
    pdf.set_auto_page_break(True, margin=20)
    pdf.add_page()
    pdf.set_font("Times", "B", 16)
    pdf.multi_cell(0, 8, paper.title, new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("Times", "", 10)
    pdf.multi_cell(0, 6, paper.authors, new_x="LMARGIN", new_y="NEXT")
    pdf.set_font("Times", "I", 9)
    pdf.multi_cell(0, 5, f"doi:{paper.identifier}. {NOTE}", new_x="LMARGIN", new_y="NEXT")
    pdf.ln(4)
    _print_body(pdf, paper)
    return bytes(pdf.output())


def _print_body(pdf: FPDF, paper: Paper) -> None:
    size = 11 if paper.columns == 1 else 10
    with pdf.text_columns(ncols=paper.columns, gutter=8, text_align="L", line_height=1.15) as columns:
        for block in paper.body.strip().split("\n\n"):
            text = " ".join(block.split())
            heading = text.startswith("# ")
            pdf.set_font("Times", "B" if heading else "", size + 1 if heading else size)
            with columns.paragraph(top_margin=2.5 if heading else 0, bottom_margin=1.5) as paragraph:
                paragraph.write(text.removeprefix("# "))


def main() -> int:
    """Write both files and say where; returns the exit code."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    for paper in PAPERS:
        path = FOLDER / paper.file_name
        path.write_bytes(render(paper))
        sys.stdout.write(f"{path}\n")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
