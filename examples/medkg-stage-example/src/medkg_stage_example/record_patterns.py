"""Which regular expressions a deployment may add: only those that cannot run away on any text.

Python's `re` tries every way to match. Where each repeat is bounded and the number of ways is small, so is
the time, whatever the text: that is all the rules below see to.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Iterator

MAX_PATTERNS = 20
MAX_CHARACTERS = 200
MAX_REPEAT = 64
MAX_WAYS = 4096

_TOKEN = re.compile(
    r"""
    (?P<escape>\\.)
  | (?P<set>\[\^?\]?(?:\\.|[^\]\\])*\])
  | (?P<group>\((?:\?(?P<kind>P<|:|=|!|<=|<!)?)?)
  | (?P<close>\))
  | (?P<repeat>\{(?P<low>\d*)(?P<comma>,?)(?P<high>\d*)\}|[*+?])
  | (?P<either>\|)
  | (?P<other>.)
    """,
    re.VERBOSE | re.DOTALL,
)


def check_record_pattern(pattern: str) -> str:
    """Return a pattern that is safe to search any text for.

    Args:
        pattern: A regular expression of Python's `re`.

    Raises:
        ValueError: It does not compile, matches nothing at all, or could take too long; the message names the
            rule.
    """
    if len(pattern) > MAX_CHARACTERS:
        raise ValueError(f"a pattern has at most {MAX_CHARACTERS} characters, this one has {len(pattern)}")
    try:
        with warnings.catch_warnings():
            # Python warns of what a later release will read in another way.
            warnings.simplefilter("error", FutureWarning)
            compiled = re.compile(pattern)
    except (re.error, OverflowError, FutureWarning) as error:
        raise ValueError(f"no regular expression: {error}") from error
    for problem in _problems(pattern):
        raise ValueError(f"{pattern!r}: {problem}")
    if compiled.fullmatch(""):
        raise ValueError(f"{pattern!r}: it matches an empty text")
    return pattern


def _problems(pattern: str) -> Iterator[str]:
    ways = 1
    before = ""
    for token in _TOKEN.finditer(pattern):
        kind = str(token.lastgroup)
        if token["escape"] and token["escape"][1].isdigit():
            yield "a reference to a group cannot be bounded; write the text out"
        if token["group"] and token["group"].endswith("?") and not token["kind"]:
            yield "of groups only (...), (?:...), (?P<name>...) and lookarounds are allowed"
        if token["repeat"]:
            if before == "close" and token["repeat"] != "?":
                yield "a group cannot be repeated; repeat a character or a set"
            ways *= _choices(token)
        elif token["either"]:
            ways *= 2
        before = kind
        if ways > MAX_WAYS:
            yield (
                f"there are more than {MAX_WAYS} ways to match; repeats must have an upper bound of at most "
                f"{MAX_REPEAT}, such as {{4,10}}, and few of them"
            )


def _choices(token: re.Match[str]) -> int:
    """Return how many ways a repeat can match; more than all that are allowed for one without bound."""
    text = token["repeat"]
    if text == "?":
        return 2
    high = token["high"] or ("" if token["comma"] else token["low"])
    if not high or int(high) > MAX_REPEAT:
        return MAX_WAYS + 1
    return int(high) - int(token["low"] or 0) + 1
