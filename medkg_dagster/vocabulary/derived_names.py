"""Names that no vocabulary lists, because grammar makes them: adjectives of diseases, and what ails organs.

"Hypertensive", "epileptic" and "necrotic" name hypertension, epilepsy and necrosis. "Renal damage", "kidney
dysfunction" and "nephrotoxicity" are kidney diseases, in the words of MeSH's own heading for the organ.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from itertools import product

# How adjectives of a disease are formed from the end of its name, the first rule that fits.
_ENDINGS = (
    (re.compile(r"(?<=[^aeiou])ension$"), "ensive"),
    (re.compile(r"(?<=pr)ession$"), "essive essed"),
    (re.compile(r"ulsions?$"), "ulsive"),
    (re.compile(r"plasia$"), "plastic"),
    (re.compile(r"(?<=[a-z]{3})ia$"), "ic"),
    (re.compile(r"(?<=[a-z]{3})itis$"), "itic"),
    (re.compile(r"(?<=[a-z]{2})sis$"), "tic"),
    (re.compile(r"psy$"), "ptic"),
    (re.compile(r"betes$"), "betic"),
    (re.compile(r"onism$"), "onian"),
    (re.compile(r"oma$"), "omatous"),
    (re.compile(r"edema$"), "edematous"),
    (re.compile(r"(?<=tox|ast)icity$"), "ic"),
    (re.compile(r"obesity$"), "obese"),
    (re.compile(r"(?<=rh)age$"), "agic"),
    (re.compile(r"(?<=meg)aly$"), "alic"),
    (re.compile(r"(?:(?<=path|roph)|(?<=cephal))y$"), "ic"),
    (re.compile(r"(?<=bol)ism$"), "ic"),
)
_DISEASE = re.compile(r"\b(disease|disorder)(s?)$")
_WORD = re.compile(r"\w+")
_LEAST = 6
"""Shorter names are not turned into adjectives: too many of them would be other words."""

_AILING = (
    "injury",
    "injuries",
    "damage",
    "dysfunction",
    "dysfunctions",
    "impairment",
    "impairments",
    "toxicity",
    "toxicities",
    "lesion",
    "lesions",
    "disease",
    "diseases",
    "disorder",
    "disorders",
    "abnormality",
    "abnormalities",
    "complication",
    "complications",
    "disturbance",
    "disturbances",
    "deterioration",
    "insufficiency",
    "defect",
    "defects",
    "deficit",
    "deficits",
    "malformation",
    "malformations",
    "anomaly",
    "anomalies",
    "sequelae",
)
_FAILING = (
    "impaired {} function",
    "impairment of {} function",
    "deterioration of {} function",
    "decline of {} function",
    "abnormal {} function",
    "abnormality of {} function",
    "abnormalities of {} function",
)
_INFECTION = re.compile(r"[ -]infections?$")
_INFECTED = (
    "-infected",
    " infected",
    "-infection",
    " co-infection",
    " coinfection",
    " co-infected",
    " coinfected",
)

# Headings of MeSH for what ails an organ, with the words for the organ and its stems in compounds.
_ORGANS: Mapping[str, tuple[Sequence[str], Sequence[str]]] = {
    "kidney diseases": (("renal", "kidney", "glomerular", "nephrotic"), ("nephro", "reno")),
    "liver diseases": (("hepatic", "liver", "hepatocellular"), ()),
    "chemical and drug induced liver injury": (("drug-induced liver", "drug-induced hepatic"), ("hepato",)),
    "heart diseases": (("cardiac", "heart"), ()),
    "cardiomyopathies": (("myocardial",), ()),
    "cardiotoxicity": ((), ("cardio",)),
    "cardiovascular diseases": (("cardiovascular",), ()),
    "vascular diseases": (("vascular", "endothelial", "vessel", "arterial"), ("vasculo",)),
    "lung diseases": (("pulmonary", "lung"), ("pneumo", "pulmo")),
    "respiratory tract diseases": (("respiratory",), ()),
    "stomach diseases": (("gastric", "stomach", "gastric mucosal"), ("gastro",)),
    "gastrointestinal diseases": (("gastrointestinal", "gi", "intestinal", "bowel"), ("entero",)),
    "brain diseases": (("brain", "cerebral", "hippocampal", "cerebellar"), ()),
    "neurotoxicity syndromes": (("neurological", "neurologic", "neuronal", "nerve"), ("neuro",)),
    "nervous system diseases": (("neurological", "neurologic", "cns", "nervous system"), ()),
    "peripheral nervous system diseases": (("nerve", "peripheral nerve", "axonal"), ()),
    "spinal cord diseases": (("spinal cord", "cord"), ()),
    "retinal diseases": (("retinal",), ()),
    "eye diseases": (("ocular", "eye", "ophthalmic", "orbital"), ()),
    "vision disorders": (("visual",), ()),
    "hearing disorders": (("hearing", "auditory"), ("oto",)),
    "skin diseases": (("cutaneous", "skin", "dermatological"), ("dermato", "dermo")),
    "muscular diseases": (("muscular", "muscle"), ("myo",)),
    "bone marrow diseases": (("bone marrow", "marrow"), ("myelo",)),
    "hematologic diseases": (("hematologic", "hematological", "blood"), ("hemato",)),
    "immune system diseases": (("immunological", "immune"), ("immuno",)),
    "urinary bladder diseases": (("bladder",), ("uro",)),
    "thyroid diseases": (("thyroid",), ()),
    "pancreatic diseases": (("pancreatic", "pancreas"), ()),
    "testicular diseases": (("testicular",), ()),
    "ovarian diseases": (("ovarian",), ()),
    "bone diseases": (("bone", "skeletal"), ()),
    "joint diseases": (("joint",), ()),
    "tooth diseases": (("dental", "tooth"), ()),
    "cognition disorders": (("cognitive",), ()),
    "memory disorders": (("memory",), ()),
    "learning disabilities": (("learning",), ()),
    "mental disorders": (("psychiatric", "mental", "psychological"), ()),
    "mitochondrial diseases": (("mitochondrial",), ()),
    "movement disorders": (("movement", "motor"), ()),
    "genetic diseases, inborn": (
        ("genetic", "inherited", "hereditary", "recessive", "autosomal recessive", "autosomal dominant"),
        (),
    ),
    "genetic diseases, x-linked": (("x-linked", "x-linked recessive", "x-linked dominant"), ()),
}
# Words that names of one heading of MeSH for a disease exchange for each other, four times at least, and that
# hardly ever tell two headings apart: beside other words, and also alone.
_ALIKE = (
    ("aorta", "aortic"),
    ("artery", "arterial"),
    ("brain", "cerebral"),
    ("calculus", "stone"),
    ("cervix", "cervical"),
    ("colon", "colonic"),
    ("dental", "tooth"),
    ("disc", "disk"),
    ("eye", "ocular"),
    ("gastric", "stomach"),
    ("gastrointestinal", "gi"),
    ("heart", "cardiac"),
    ("hepatic", "liver"),
    ("hereditary", "inherited", "familial"),
    ("impairment", "loss"),
    ("intoxication", "poisoning"),
    ("kidney", "renal"),
    ("lung", "pulmonary"),
    ("muscle", "muscular"),
    ("oral", "mouth"),
    ("pancreas", "pancreatic"),
    ("skin", "cutaneous"),
)
_ALIKE_ALONE = (
    ("abnormality", "anomaly", "malformation"),
    ("addiction", "dependence", "dependency"),
    ("allergy", "hypersensitivity"),
    ("bleeding", "hemorrhage"),
    ("cancer", "malignancy", "neoplasm", "tumor"),
    ("convulsion", "seizure"),
    ("incompetence", "insufficiency"),
    ("infarct", "infarction"),
    ("injury", "trauma"),
    ("palsy", "paralysis"),
)
_OTHERS_ALONE, _OTHERS = (
    {word: tuple(one for one in group if one != word) for group in groups for word in group}
    for groups in (_ALIKE_ALONE, (*_ALIKE_ALONE, *_ALIKE))
)
_OF_ORGAN = re.compile(
    r"(.+(?<!al|ar|ic|us)(?<!ary)) (cancer|neoplasm|tumor|\w*carcinoma|\w*sarcoma|hemorrhage|bleeding|"
    r"enlargement|retention|calcification|stenosis|obstruction|atrophy|inflammation|thrombosis|infarction|"
    r"necrosis|fibrosis|weakness|injury|infection)"
)
"""A noun, and what ails the organ that it stands for."""
_MOST_WORDS = 4
"""So many words of a name are exchanged for others."""

_LESS = ("suppression", "depression")
_PLAIN_TOXICITY = "drug-related side effects and adverse reactions"


@lru_cache(maxsize=1 << 14)
def adjectives(name: str) -> tuple[str, ...]:
    """Return the adjectives of a disease named in one word, as far as a rule makes them."""
    lower = name.lower()
    if len(name) < _LEAST or not (name.isalpha() and name.isascii() and name[1:] == lower[1:]):
        return ()
    for ending, instead in _ENDINGS:
        if (found := ending.search(lower)) is not None:
            return tuple(f"{lower[: found.start()]}{one}" for one in instead.split())
    return ()


def of_organs() -> Mapping[str, tuple[str, ...]]:
    """Return by a heading's folded name what else says that the organ ails."""
    found = {heading: tuple(_of_organ(words, stems)) for heading, (words, stems) in _ORGANS.items()}
    found[_PLAIN_TOXICITY] = ("toxicity", "toxicities")
    found["bone marrow diseases"] += tuple(
        f"{marrow}{less}" for marrow in ("bone marrow ", "marrow ", "myelo") for less in _LESS
    )
    found["drug overdose"] = ("overdose", "overdoses", "overdosage")
    return found


def alike(name: str) -> Iterator[str]:
    """Yield what else a disease is called, with words that say the same, or as something of an organ.

    Args:
        name: Its name as names are compared, see `names.comparable`.
    """
    words = name.split(" ")
    others = _OTHERS if len(words) > 1 else _OTHERS_ALONE
    for changed in product(*((word, *others.get(word, ())) for word in words[:_MOST_WORDS])):
        one = " ".join((*changed, *words[_MOST_WORDS:]))
        if one != name:
            yield one
        if (found := _OF_ORGAN.fullmatch(one)) is not None:
            yield f"{found[2]} of {found[1]}"
            yield f"{found[2]} of the {found[1]}"


def other_noun(name: str) -> str | None:
    """Return the name of a disease with "disorder" for "disease", or the other way round; else None."""
    if (found := _DISEASE.search(name)) is None:
        return None
    return f"{name[: found.start()]}{'disorder' if found[1] == 'disease' else 'disease'}{found[2]}"


def infected(name: str) -> tuple[str, ...]:
    """Return what else says that somebody has an infection: "HIV-infected", "HIV co-infection"."""
    found = _INFECTION.search(name)
    return tuple(f"{name[: found.start()]}{end}" for end in _INFECTED) if found else ()


def is_initials(short: str, name: str) -> bool:
    """Say whether a word is made of how words of a name begin, in order, the first one among them."""
    reached: dict[int, int] = {}
    for number, word in enumerate(_WORD.findall(name.lower())):
        for length, used in [*reached.items()] if number else [(0, 0)]:
            for end in range(1, len(word) + 1):
                if not short.startswith(word[:end], length):
                    break
                reached[length + end] = max(used + 1, reached.get(length + end, 0))
    return reached.get(len(short), 0) > 1


def _of_organ(words: Sequence[str], stems: Sequence[str]) -> Iterator[str]:
    for word in words:
        for ailing in _AILING:
            yield f"{word} {ailing}"
        yield from (failing.format(word) for failing in _FAILING)
    for stem in stems:
        for end in ("toxicity", "toxicities", "toxic"):
            yield f"{stem}{end}"
