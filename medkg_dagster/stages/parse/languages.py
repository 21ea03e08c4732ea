"""The languages of documents, as sources write them."""

from __future__ import annotations

_TWO_LETTERS = {
    "ara": "ar", "bul": "bg", "cat": "ca", "ces": "cs", "chi": "zh", "cze": "cs", "dan": "da", "deu": "de",
    "dut": "nl", "ell": "el", "eng": "en", "est": "et", "fas": "fa", "fin": "fi", "fra": "fr", "fre": "fr",
    "ger": "de", "gre": "el", "heb": "he", "hrv": "hr", "hun": "hu", "ita": "it", "jpn": "ja", "kor": "ko",
    "lit": "lt", "nld": "nl", "nor": "no", "per": "fa", "pol": "pl", "por": "pt", "ron": "ro", "rum": "ro",
    "rus": "ru", "slk": "sk", "slo": "sk", "slv": "sl", "spa": "es", "srp": "sr", "swe": "sv", "tur": "tr",
    "ukr": "uk", "zho": "zh",
}  # fmt: skip


def language_of(code: str | None) -> str | None:
    """Return the ISO 639-1 code of a language (`eng`, `en-GB`: `en`), the code itself where it has none.

    Undetermined and several languages are None.
    """
    first = (code or "").strip().lower().replace("_", "-").split("-")[0]
    if not first.isascii() or not first.isalpha() or first in {"und", "mul"}:
        return None
    return _TWO_LETTERS.get(first, first)
