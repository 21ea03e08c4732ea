"""What may be asked at every door: what there is, what is nearly that, and what is meant to break it."""

from hypothesis import settings
from hypothesis import strategies as st

SOAK = 10_000

KNOWN = (
    *("MESH:1", "melanoma", "PD-1", "Melanoma", "HP:1", "PMID:1", "1", "biolink:treats", "treats"),
    *("Disease", "infores:pubmed", "pubmed", "default", "auto/default", "asserted", "denied", "words"),
)
QUERY_SIGNS = (
    *("%", "_", "\\", "'", '"', "*", "(", "NEAR/2", "a OR", "OR OR", "AND", 'x"y', '""', "-", "--"),
    *("-a -b", "^a", "a + b", "{title}: x", "title:x", "';--", "a:b", ":", "::", "infores:", "PMID:"),
)
NUMBERS_WRITTEN = (
    *("0", "-1", "1.5", "1e999", "nan", "0x10", "１２", "٣", "9" * 400, "999999d", "2026-13-45", "7d"),
    *(str(2**63), str(2**64), str(-(2**63) - 1), "[", "{}", '{"a":', "null", "a=b", "a.b.c=1", "a=[[["),
)
PLACES = (
    *("", " ", "/", "//", "..", "~", "/etc/passwd", "../../etc/passwd", "../outside.txt"),
    *("@../outside.txt", "file:///etc/passwd", "*.txt", "$(id)", "`id`", "${HOME}", "%s%n"),
)
LETTERS = (
    *("\x00", "a\x00b", "\ud800", "x\udcff", "\ufeff", "\u202eabc", "\u2066x\u2069", "\u2028", "💊", "İ"),
    *("\x1b[31mred", "a\nb\r\nc", "\t", "<script>", "ß" * 50, "x" * 5000),
)
TEXTS = st.one_of(
    st.sampled_from([*KNOWN, *QUERY_SIGNS, *NUMBERS_WRITTEN, *PLACES, *LETTERS]),
    st.sampled_from(KNOWN),
    st.text(),
    st.text(st.characters(categories=("Cs", "Cc", "L", "P")), max_size=40),
)
NUMBERS = st.one_of(st.integers(-2, 12), st.sampled_from([1000, 1001, 2**63, 10**30, -(10**30)]))


def examples(usual: int, asking: int = 1) -> int:
    """Return how many examples are tried: few at every run of the tests, 10,000 questions in a soak.

    Args:
        usual: How many at every run.
        asking: How many questions an example asks, or how many tests share the 10,000.
    """
    return usual if settings().derandomize else SOAK // asking
