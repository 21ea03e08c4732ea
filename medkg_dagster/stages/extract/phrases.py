"""The noun phrases that may stand around a mention between it and the words that relate it to another one.

What fits none of these is not understood, and no statement reaches over it.
"""

from __future__ import annotations

import re


def any_of(words: str, separator: str | None = None) -> str:
    """Return a pattern for one of some words.

    Args:
        words: Patterns, apart by white space or the separator.
        separator: What is between them.
    """
    return f"(?:{'|'.join(words.split(separator))})"


# What an adjective ends with, and words that end so and are none, or that turn what follows around.
_NO_ADJECTIVES = any_of(
    "treatment development improvement patient agent event parent animal trial survival removal withdrawal "
    "potential clinic prophylactic topic antibiotic anesthetic analgesic during not only reduced decreased "
    "increased diminished lowered prevented treated attenuated improved abolished inhibited blocked caused "
    "induced associated received compared followed included used based need control hospital interval "
    "antidepressant anticonvulsant diuretic antigen content component element moment arsenic alcohol called "
    "had led produced showed suffered developed experienced indicated resulted reported observed reversed "
    "negative absent independent preventive curative unrelated unlikely different differential potential "
    "resolved suppressed mental_health"
)
_ENDINGS = any_of("ese ian al ic ive ous ary ory ar able ible less ful oid ant ent ed ly ine")
_PLAIN = any_of(
    "acute severe mild late early new first-line second-line advanced high low high-dose low-dose long-term "
    "short-term life-threatening grade stage type iii iv ii single large small major minor right left "
    "bilateral "
    "adult young old elderly human rare common possible further more less overt frank de novo non-fatal "
    "complete "
    "immune nerve heart lung liver kidney renal bone skin brain muscle blood tumor tumour cell small-cell "
    "non-small-cell first second third oral intravenous subcutaneous intrathecal long short marked profound "
    "plasma serum steroid-refractory treatment-related immune-related full-blown sudden"
)
_ADJECTIVE = rf"(?!{_NO_ADJECTIVES}\b)(?:[a-z\-]{{2,}}{_ENDINGS}|{_PLAIN})(?: and|,|/)?"
ADJECTIVES = rf"(?:(?:{_ADJECTIVE}) )*"
_DETERMINER = (
    "(?:the|an?|any|some|this|these|those|his|her|their|its|such|both|all|most|many|several|two|three|four|one|"
    r"other|each|\d[\d.,]*(?: ?%| ?mg(?:/kg)?)?(?: of)?)"
)
MODIFIED = rf"(?:(?:{_DETERMINER}|{_ADJECTIVE}) )*"

# What is no noun that narrows the one after it, or one that turns it around.
_NO_NOUNS = any_of(
    "no not nor never without lack loss absence deficiency failure resistance inhibitors? antagonists? "
    "blockers? "
    "inhibition antibody antibodies sirna shrna anti patients? people persons? individuals subjects men "
    "women "
    "children adults of in on by to for from with within into onto via per at as than and or but that "
    "which who "
    "whose whom is are was were be been being has have had do does did may might can could will would "
    "should must "
    "after before during between among against under over through throughout versus vs when while where "
    "if so such "
    "because since until both either neither less more fewer only also it they we he she its there here "
    "known "
    "cell cells role effects? risk"
)
NOUN = rf"(?:(?!{_NO_NOUNS}\b)[a-z][a-z\d\-]+(?<!ing)(?<!ed) )"
"""A noun before another one: "tissue" of "tissue hypoxia"."""
_CLASS_WITH_MEMBERS = (
    r"(?:(?!(?:of|in|for|with|and|or|to|by|on|from|that|which|who|was|were|is|are)\b)[a-z\-]+ ){0,2}"
    r"(?:[a-z\-]+s|bacteria|media),? (?:such as|includ(?:ing|e)|like|namely|especially|particularly|notably|"
    r"e\.g\.,?|i\.e\.,?)"
)


def _before(*more: str) -> str:
    """Return what may stand before a mention in its noun phrase, or a class of which it is a member.

    It is one repetition, as patterns made of it are many and have to be compiled.
    """
    words = "|".join((_DETERMINER, _ADJECTIVE, *more, _CLASS_WITH_MEMBERS))
    return f"(?:(?:{words}) )*{NOUN}{{0,2}}"


NAMED = _before()
"""What may stand before a mention in its noun phrase, or a class of which the mention is a member."""

_GIVING = any_of(
    "doses? dosages? administration treatments? therapy therapies use infusions? injections? exposures? "
    "ingestion intake combinations? overdoses? abuse initiation monotherapy addition courses? cycles? "
    "application applications effects? toxicity consumption pretreatment premedication misuse"
)
_CLASS = any_of(
    "drugs? agents? antibiotics? inhibitors? agonists? antagonists? blockers? antidepressants? anesthetics? "
    "anticonvulsants? antipsychotics? diuretics? steroids? medications? medicines? compounds? antibody "
    "antibodies"
)
CHEMICAL_BEFORE = rf"{_before(f'{_GIVING} (?:of|with|to|by)')}(?:{_CLASS} )?"
_WITH_CHEMICAL = any_of(
    "therapy therapies treatments? monotherapy chemotherapy administration infusions? injections? use "
    "exposures? "
    "doses? intake ingestion overdoses? abuse intoxication poisoning toxicity an(?:a)?esthesia regimens? "
    "prophylaxis tablets? capsules? pretreatment alone hydrochloride sodium sulfate sulphate "
    "acetate "
    "phosphate citrate maintenance induction consumption patches gel cream implants? levels? concentrations? "
    "supplementation ions? signaling signalling generation production accumulation molecules?"
)
CHEMICAL_AFTER = rf"(?:(?:-based|-containing)?(?: {_WITH_CHEMICAL})*)"

_HAPPENING = any_of(
    "development onset occurrence cases? episodes? incidence signs? symptoms? appearance forms? exacerbation "
    "induction attacks? degrees? presence progression manifestations? features? severity frequency intensity "
    "recurrence variety number prevalence symptomatology bouts? patterns? models? complications?"
)
CONDITION_BEFORE = _before(f"{_HAPPENING} of")
PEOPLE = any_of(
    "patients? adults? children women men people participants subjects individuals cases? persons? infants "
    "neonates adolescents rats? mice mouse animals? dogs? cats? rabbits? pigs? monkeys? volunteers? males? "
    "females? "
    "survivors recipients humans? population"
)
_IN_PEOPLE = rf"(?: (?:in|of|among) {MODIFIED}(?:[\w\-]+ )?{PEOPLE})?"
CONDITION_AFTER = (
    rf"(?: (?:symptoms?|episodes?|attacks?|events?|formation|development|progression|exacerbations?|"
    rf"reactions?|"
    rf"severity))?"
    rf"{_IN_PEOPLE}"
)
PATIENTS_WITH = (
    rf"{MODIFIED}(?:[\w\-]+ )?{PEOPLE} (?:with|who ha(?:ve|d|s)|having|suffering from|affected by) "
    rf"(?:a history of )?"
)
MAYBE_PATIENTS = f"(?:{PATIENTS_WITH})?"

ASPECT = any_of(
    "expression levels? activity activities activation production mrna concentrations? phosphorylation "
    "release synthesis secretion signaling signalling transcription function binding translocation "
    "upregulation "
    "recruitment locali[sz]ation polymeri[sz]ation degradation ubiquitination stability abundance nucleation "
    "assembly accumulation"
)
GENE_BEFORE = rf"{_before(f'(?:{ASPECT}(?: levels)?|genes?) (?:of|in|for|and)')}(?:mutant |wild-type |gene )?"
_MADE_OF_GENES = any_of(
    "genes? proteins? receptors? mrnas? kinases? enzymes? complex complexes molecules? polypeptides? "
    "isoforms? "
    "subunits? transcripts? oligomers? dimers? filaments? networks? foci microclusters? mcs? cascades? axis "
    "pathways? ligation engagement stimulation triggering antigens? mutants?"
)
GENE_AFTER = rf"(?:[- ](?:{_MADE_OF_GENES}|{ASPECT}))*"
ALTERATION = any_of(
    "mutations? variants? alterations? amplifications? rearrangements? fusions? polymorphisms? deletions? "
    "overexpression deficiency deficiencies haploinsufficiency expression genotypes? alleles? loss "
    "inactivation "
    "dysfunction dysregulation translocations? methylation"
)

_OPTIONAL = sorted(
    (
        *(NAMED, CHEMICAL_BEFORE, CONDITION_BEFORE, GENE_BEFORE),
        *(CHEMICAL_AFTER, CONDITION_AFTER, GENE_AFTER, MODIFIED, ADJECTIVES, NOUN),
    ),
    key=len,
    reverse=True,
)


def without_phrases(pattern: str) -> str:
    """Return a short pattern that needs the same words: with a point for what says which words may stand."""
    for phrase in _OPTIONAL:
        pattern = pattern.replace(phrase, ".")
    return pattern


MAX_GAP = 160
"""Mentions that are further apart are not taken together; characters."""
WHITE = re.compile(r"\s+")
ASIDE = re.compile(r"\s*[(\[][^()\[\]]{0,160}[)\]]")


_PREFIX = re.compile(r"(?<= )[a-z]-$")
_POSSESSIVE = re.compile(r"^['’]s ")
# What stands between a subject and its verb and changes neither.
_INSERTION = re.compile(
    r"^,? (?:an?|the|another|one of the) [^,;:()]{2,70},(?= )|"
    r",? (?:however|therefore|thus|in turn|in contrast|respectively|for example|for instance|in "
    r"particular|indeed|"
    r"as expected|as well|on the other hand|in addition|too),(?= )"
)


def plain(words: str) -> str:
    """Return words without what stands in brackets, in lower case, with single spaces."""
    told = _POSSESSIVE.sub(" ", WHITE.sub(" ", ASIDE.sub("", words)).lower())
    return _PREFIX.sub("", told)


def without_insertions(words: str) -> str:
    """Return words without what is said aside between commas: "a serine kinase", "in turn"."""
    return _INSERTION.sub("", words)
