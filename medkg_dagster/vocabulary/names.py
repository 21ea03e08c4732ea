"""How names are compared: in lower case, with simple hyphens, in either order, in singular and plural."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence

_TOKEN = re.compile(r"[^\s\-/]+")
_ACRONYM = re.compile(r".+[A-ZΑ-Ω]|[A-ZΑ-Ω].*\d")
_CODE = re.compile(r"[A-Z][ -]\d+[A-Za-z]?")
_PLURAL_STEM = 4

# Where British medical spelling becomes American by rule: haemorrhage, anaesthesia, oedema, tumour, sulphate.
_BRITISH = re.compile(
    r"(?<=h)ae(?=m)|ae(?=mi[ac])|(?<=an)ae(?=sth)|(?<=c)ae(?=s|c)|(?<=f)ae(?=c)|(?<=p)ae(?=d)|(?<=gyn)ae|"
    r"(?<=ph)ae(?=o)|(?<![a-z])ae(?=tiol)|(?<![a-z])oe(?=soph)|oe(?=dema|strogen|stradiol)|(?<=rrh)oe|"
    r"(?<=pn)oe|(?<=f)oe(?=t)|(?<=c)oe(?=liac)|(?:(?<=tum)|(?<=col)|(?<=lab)|(?<=behavi))our|sulph|"
    r"(?<=fib)re(?![a-z])"
)
_AMERICAN = {"ae": "e", "oe": "e", "our": "or", "sulph": "sulf", "re": "er"}

# Other ways to write one character, always one for one, so that offsets stay exact.
_SAME = str.maketrans(
    {
        **dict.fromkeys("\u00a0\u2002\u2003\u2009\u202f\t\n", " "),
        **dict.fromkeys("‐‑‒–−", "-"),
        "’": "'",
        "ς": "σ",
        "µ": "μ",
    }
)


def fold(text: str) -> str:
    """Return text in lower case with simple hyphens, apostrophes and spaces, of the very same length.

    Returns:
        The text to compare with; character `i` of it stands for character `i` of `text`.
    """
    lower = text.lower()
    # `_is_plain`, written out: names are folded millions of times while a vocabulary is made.
    if lower.isascii() and "\n" not in lower and "\t" not in lower:
        return lower
    if len(lower) != len(text):
        lower = "".join(character.lower()[0] for character in text)
    return lower.translate(_SAME)


def same_case(text: str) -> str:
    """Return text as `fold` does, but with its case kept."""
    return text if _is_plain(text) else text.translate(_SAME)


def _is_plain(text: str) -> bool:
    """Say whether all characters of a text stand for themselves: to ask is quicker than to translate."""
    return text.isascii() and "\n" not in text and "\t" not in text


def forms(name: str) -> tuple[str, ...]:
    """Return a name and, for an inverted one such as "Arthritis, Rheumatoid", its natural order."""
    parts = name.split(", ")
    if len(parts) == 2 and all(parts):
        return name, f"{parts[1]} {parts[0]}"
    return (name,)


def acronyms(name: str) -> tuple[tuple[int, str], ...]:
    """Return the words with a capital or digit inside, each with its place in the name."""
    if name.islower():
        return ()
    written = same_case(name)
    if _CODE.fullmatch(written):
        return ((0, written),)
    return tuple(
        (match.start(), match.group()) for match in _TOKEN.finditer(written) if _ACRONYM.match(match.group())
    )


def american(folded: str) -> str:
    """Return folded text in American spelling; see `american_places` for what stands where."""
    # Written out, as it is asked of each name and text: a loop takes three times as long.
    if "ae" in folded or "oe" in folded or "our" in folded or "sulph" in folded or "fibre" in folded:
        return _BRITISH.sub(lambda found: _AMERICAN[found.group()], folded)
    return folded


def american_places(folded: str) -> Sequence[int]:
    """Return for each character of `american(folded)`, and for its end, which character of `folded` it is."""
    places: list[int] = []
    done = 0
    for found in _BRITISH.finditer(folded):
        places += range(done, found.start() + len(_AMERICAN[found.group()]))
        done = found.end()
    places += range(done, len(folded) + 1)
    return places


def comparable(name: str) -> str:
    """Return a name as names are compared: folded, natural order, singular, American spelling."""
    folded = fold(name)
    if ", " in folded:
        folded = forms(folded)[-1]
    return american(singular(folded) or folded)


def variants(name: str) -> Iterator[str]:
    """Yield a name, and its regular plural or singular."""
    yield name
    if other := _other_number(name):
        yield other


def singular(name: str) -> str | None:
    """Return the singular of a name that ends in a regular plural; None for any other."""
    lower = name.lower()
    return _singular(name, lower, _last_word(lower))


def _singular(name: str, lower: str, word: str) -> str | None:
    if len(word) <= _PLURAL_STEM or not word.isalpha() or not word.isascii():
        return None
    if lower.endswith(("sses", "xes", "zes", "ches", "shes", "ss", "us", "is")):
        return None
    if lower.endswith("ies"):
        return f"{name[:-3]}y"
    return name[:-1] if lower.endswith("s") else None


def _last_word(lower: str) -> str:
    words = lower.replace("-", " ").replace("/", " ").split()
    return words[-1] if words else ""


def _ends_as_acronym(name: str) -> bool:
    """Say whether the last of `acronyms(name)` is where the name ends."""
    if name.islower():
        return False
    written = same_case(name)
    if _CODE.fullmatch(written):
        return True
    words = _TOKEN.findall(written)
    return bool(words) and written.endswith(words[-1]) and _ACRONYM.match(words[-1]) is not None


def _other_number(name: str) -> str | None:
    if _ends_as_acronym(name):
        return f"{name}s"
    lower = name.lower()
    last = _last_word(lower)
    if len(last) < _PLURAL_STEM or not last.isalpha() or not last.isascii():
        return None
    if lower.endswith("sis"):
        return f"{name[:-2]}es"
    if lower.endswith("y") and lower[-2] not in "aeou":
        return f"{name[:-1]}ies"
    return _singular(name, lower, last) if lower.endswith(("s", "x", "z")) else f"{name}s"
