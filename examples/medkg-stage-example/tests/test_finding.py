"""What counts as an identifier and, as important, what does not."""

import pytest
from medkg_stage_example.config import DeidentifyConfig, IdentifierKind
from medkg_stage_example.finding import Finder

FINDER = Finder(DeidentifyConfig())

# The identifiers of each line stand in angle brackets.
IDENTIFIERS = [
    ("email", "Write to ⟨m.deboer@example.org⟩, or to the ward."),
    ("email", "Correspondence: ⟨o'neill+trial@mail.clinic.example.co.uk⟩."),
    ("email", "⟨jane.doe [at] example [dot] org⟩"),
    ("email", "mailto:⟨müller@klinik.example.de⟩"),
    ("phone", "Call at ⟨(617) 555-0132⟩ or ⟨617-555-0134⟩."),
    ("phone", "Tel.: ⟨+39-0832-298723⟩ (F.P.F.); Fax ⟨+39 080 5929374⟩"),
    ("phone", "Phone: ⟨555 0132⟩"),
    ("phone", "phone ⟨5550132⟩ after hours"),
    ("phone", "on call: ⟨+1 (617) 555-0132 ext. 44⟩"),
    ("phone", "Ring ⟨020 7946 0958⟩, ⟨07700 900123⟩ or ⟨01 42 34 56 78⟩."),
    ("phone", "pager ⟨617.555.0132⟩"),
    ("phone", "Telefax ⟨+49 (0)30 901820⟩"),
    ("date", "Admitted on ⟨12 March 2016⟩ and discharged on ⟨March 19th, 2016⟩."),
    ("date", "seen ⟨2016-03-12⟩, ⟨12/03/2016⟩, ⟨3/12/16⟩, ⟨12.03.2016⟩ and ⟨12-MAR-2016⟩"),
    ("date", "Biopsy ⟨2016-03-12T10:22:33Z⟩"),
    ("date", "⟨Monday, the 12th of March, 2016⟩: discharged"),
    ("date", "from ⟨12–15 March 2016⟩ until ⟨May 3⟩"),
    ("date", "between ⟨January 2015⟩ and ⟨June 2020⟩"),
    ("date", "scans of ⟨2016 Mar 12⟩ and ⟨03/2016⟩ and ⟨2016-03⟩"),
    ("date", "drawn ⟨12MAR2016⟩"),
    ("date", "DOB: ⟨19560312⟩"),
    ("record_number", "MRN ⟨00482913⟩"),
    ("record_number", "Medical record number: ⟨AB-482913⟩, hospital no. ⟨H1234567⟩"),
    ("record_number", "Patient ID 4711, patient number ⟨10014711⟩"),
    ("record_number", "insurance policy number: ⟨K12-33-4455⟩"),
    ("national_id", "SSN ⟨219-09-9999⟩, social security number ⟨219 09 9999⟩"),
    ("national_id", "NHS number ⟨943 476 5919⟩; NINO ⟨AB 12 34 56 C⟩"),
    ("national_id", "assuré ⟨2 55 08 14 168 025 38⟩"),
    ("age", "A ⟨93-year-old⟩ man and a woman of ⟨101 years of age⟩."),
    ("age", "aged ⟨94⟩; age: ⟨91 years⟩; Age ⟨90⟩ at diagnosis, ⟨95 y/o⟩"),
    ("age", "a ⟨ninety-two-year-old⟩ nun"),
    ("age", "at the age of ⟨97⟩ she"),
]

NOT_IDENTIFIERS = [
    "NCT02576665, PMID: 26492265, PMC3040717 and doi:10.1371/journal.pone.0012345",
    "10.1000/2016-03-12-555-123-4567 and https://example.org/2016/03/12/report",
    "EudraCT 2012-001234-56, ISRCTN12345678, ORCID 0000-0002-1825-0097, ISSN 1234-5678",
    "10 mg, 1,000 mg/m2, 2.5-5.0 mg per kg, 5000 IU on days 1, 8 and 15",
    "p < 0.001, P = 0.05, 95% CI 1.4-14.4, HR 0.72 (0.55-0.94), OR 1.10 to 2.20",
    "In 2016, from 1998 to 2004, 2003-2009, 2011-12 and in the 1990s",
    "n = 1234567 reads; 12345678 variants; 1 234 567 cells; 3.2 x 10-5",
    "36.8 (31.0-40.1) 36.9 (35.3-38.6) 13.4 (2.4-71.9)",
    "version 5.0, 1.13.27 and 10.2.1.5; HPV 6/11/16/18; grade 1/2/3; 3/12 patients",
    "CAS 7732-18-5, GSE12345, NM_000546.6, rs113488022, BRAF V600E, p.Arg175His",
    "chr7:140453136-140453136; 5'-555-123; Cat no. LU-046528-01-0005",
    "CD4+ 200 cells, Ca2+ 10 20 30, log +1.23456789 and -12.5",
    "SEPT9, MARCH5 and DEC1; patients may 2 weeks later march on; one may 3",
    "aged 18 to 65 years; aged 65 and over; 89-year-old; aged 90 days; 90 or older; ≥ 90 years of age",
    "over 90 years of age; Maximum age: 99 years; followed for 95 weeks; 90% of 91 patients",
    "patient number 12, hospital no. 3, patient 1001, the medical record of 12345 visits",
    "pH 7.4, by telephone 24 hours a day, phone interviews in 500 patients, follow-up phone call",
    "Fe3O4@SiO2 particles, 3 @ 5 mg, user@localhost",
    "Table 2 and Figure 12, Section 3.4.5, Eq. 12, [12-15], (1-3), pp. 123-145, 12(3):456-789",
    "0.5 0.25 0.125 0.0625, 007, 0 10 20 30 40 50 60",
    "CAC protocol 0714-073-17",
]


@pytest.mark.parametrize(("kind", "marked"), IDENTIFIERS)
def test_identifiers_are_found_whole(kind: str, marked: str) -> None:
    text = marked.replace("⟨", "").replace("⟩", "")

    found = FINDER.find(text)

    for finding in reversed(found):
        text = f"{text[: finding.start]}⟨{text[finding.start : finding.end]}⟩{text[finding.end :]}"
    assert text == marked
    assert {finding.kind.value for finding in found} == {kind}


@pytest.mark.parametrize("text", NOT_IDENTIFIERS)
def test_what_only_looks_like_an_identifier_stays(text: str) -> None:
    assert [text[item.start : item.end] for item in FINDER.find(text)] == []


def test_only_the_wanted_kinds_are_found() -> None:
    finder = Finder(DeidentifyConfig(kinds=(IdentifierKind.EMAIL,)))

    found = finder.find("a@example.org, 12 March 2016, 617-555-0134")

    assert [finding.kind for finding in found] == [IdentifierKind.EMAIL]


def test_own_patterns_are_record_numbers_even_within_a_reference() -> None:
    finder = Finder(DeidentifyConfig(record_patterns=(r"\bHD-\d{4,6}\b",)))

    (found,) = finder.find("see https://example.org/HD-48291 for it")

    assert (found.kind, found.start, found.end) == (IdentifierKind.RECORD_NUMBER, 24, 32)


def test_the_year_of_a_birth_is_not_for_keeping_and_other_years_are() -> None:
    found = FINDER.find("Born on 3 April 1921; date of birth: 03/04/1921. Seen on 12 March 2016.")

    assert [finding.year for finding in found] == [None, None, "2016"]
