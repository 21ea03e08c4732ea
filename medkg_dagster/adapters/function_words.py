"""English words that say nothing about a text's subject."""

from __future__ import annotations

_WORDS = (
    "a an and are as at be been but by can did do does for from had has have he her his how if in into is it "
    "its may more most no nor not of on or our she should so such than that the their them then there these "
    "they this those to was we were what when where which while who will with would you"
)

FUNCTION_WORDS = frozenset(_WORDS.split())
