"""Of which species a document speaks, by the words for them."""

from __future__ import annotations

from collections.abc import Iterable

_PERSONS = frozenset(
    word
    for line in (
        "human humans patient patients man men woman women child children infant infants neonate",
        "neonates newborn newborns boy boys girl girls adult adults adolescent adolescents",
        "volunteer volunteers participant participants person persons people individual",
        "individuals family families pedigree pedigrees proband probands cohort cohorts case cases",
        "smokers mother mothers father fathers pregnant pregnancy",
    )
    for word in line.split()
)
_ANIMALS_AND_MICROBES = frozenset(
    word
    for line in (
        "mouse mice murine rat rats hamster hamsters guinea rabbit rabbits dog dogs canine cat",
        "cats feline pig pigs porcine swine piglet piglets sheep ovine lamb lambs cow cows bovine",
        "cattle calves horse horses equine chicken chickens chick chicks avian monkey monkeys",
        "macaque macaques baboon baboons zebrafish xenopus frog frogs drosophila fly flies",
        "nematode nematodes worm worms caenorhabditis elegans yeast yeasts saccharomyces",
        "schizosaccharomyces escherichia coli bacteria bacterium bacterial salmonella",
        "mycobacterium arabidopsis plant plants rice maize",
    )
    for word in line.split()
)
SPOKEN_OF = _PERSONS | _ANIMALS_AND_MICROBES
"""The words that tell."""

_PREVAIL = 2


def is_of_other_species(words: Iterable[str]) -> bool:
    """Say whether a document speaks far more of another species than of persons.

    Args:
        words: Its words in lower case.
    """
    persons = others = 0
    for word in words:
        persons += word in _PERSONS
        others += word in _ANIMALS_AND_MICROBES
    return others > 0 and others >= _PREVAIL * persons
