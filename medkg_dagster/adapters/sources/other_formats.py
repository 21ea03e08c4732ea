"""Names text that is no document, so that it is refused by name instead of read as prose."""

from __future__ import annotations

import csv
import re
from collections.abc import Sequence
from pathlib import PurePosixPath

_HEAD = 65_536
_LINES = 200
_RTF, _POSTSCRIPT = "{\\rtf", "%!PS"
_MAIL_HEADER = re.compile(r"([A-Za-z][A-Za-z-]*):(?:\s|$)")
_MAIL_HEADERS = frozenset(
    {"from", "to", "subject", "date", "mime-version", "message-id", "received", "content-type"}
)
_OF_MAIL_ALONE = frozenset({"mime-version", "message-id", "received"})
_CHECKSUM = re.compile(r"(?:[0-9a-fA-F]{32}|[0-9a-fA-F]{40}|[0-9a-fA-F]{64}|[0-9a-fA-F]{128})\s+\*?\S")
_ENDNOTE = re.compile(r"\s*%0 [A-Z]\w+")
_WEB_OF_SCIENCE = re.compile(r"\s*FN (?:Clarivate|Thomson|ISI)[^\n]*\n\s*VR \d")
_PUBTATOR = re.compile(r"[0-9]+\|[ta]\|")
_CODE = re.compile(
    "|".join(
        (
            r"from [\w.]+ import \w",
            r"import [\w.]+(?: as \w+)?;?$",
            r"(?:async )?def \w+\(.*:$",
            r"class \w+.*[:{]$",
            r"#include [<\"]",
            r"using namespace ",
            r"package [\w.]+;?$",
            r"(?:public|private|static) .*[({]$",
            r"(?:export )?function \w+\(.*\{$",
            r"(?:const|let|var) \w+ = .*;$",
            r"library\(\w+\)$",
        )
    )
)
_CODE_SUFFIXES = frozenset(
    {
        *(
            ".py",
            ".pyi",
            ".r",
            ".js",
            ".mjs",
            ".ts",
            ".tsx",
            ".jsx",
            ".java",
            ".c",
            ".cc",
            ".cpp",
            ".h",
            ".hpp",
            ".cs",
        ),
        *(
            ".go",
            ".rs",
            ".rb",
            ".pl",
            ".php",
            ".sh",
            ".bash",
            ".ps1",
            ".bat",
            ".sql",
            ".css",
            ".scss",
            ".jl",
            ".m",
        ),
        *(".lua", ".kt", ".swift", ".scala", ".tex", ".sty", ".bst"),
    }
)
_SETTINGS_SUFFIXES = frozenset(
    {".yaml", ".yml", ".toml", ".ini", ".cfg", ".conf", ".lock", ".env", ".properties"}
)
_TABLE_SUFFIXES = frozenset({".csv", ".tsv", ".tab"})
_MANIFEST = re.compile(r"(?:manifest|(?:sha\d*|md5)sums?|checksums?)\b", re.IGNORECASE)


def name_other_format(name: str, text: str) -> str | None:
    """Return what a text is that is no document, and what to do; None where it may be one.

    Args:
        name: The file's name.
        text: All of it.
    """
    head = text[:_HEAD].lstrip()
    lines = [line for line in head.splitlines() if line.strip()][:_LINES]
    path = PurePosixPath(name.removesuffix(".gz"))
    suffix = path.suffix.lower()
    kinds = {
        "a rich text file (RTF); save it as PDF or plain text": head.startswith(_RTF),
        "a PostScript file; convert it to PDF": head.startswith(_POSTSCRIPT),
        "an e-mail; save what it says, or what is attached to it, as a file of its own": _is_mail(lines),
        "citations as EndNote writes them; export them as RIS, BibTeX or nbib": bool(_ENDNOTE.match(head)),
        "citations of Web of Science; export them as RIS or BibTeX": bool(_WEB_OF_SCIENCE.match(head)),
        "a list of files, no document": bool(_MANIFEST.match(path.name)) or _is_checksums(lines),
        "a file of settings, no document": suffix in _SETTINGS_SUFFIXES,
        "source code, no document": suffix in _CODE_SUFFIXES or _is_code(lines),
        "an ontology (OBO); make a vocabulary of it": head.startswith("format-version:"),
        "annotated abstracts (PubTator); fetch the articles themselves": bool(_PUBTATOR.match(head)),
        "a table (CSV), no document; export the studies or records as JSON, XML, RIS or BibTeX": (
            suffix in _TABLE_SUFFIXES or _is_table(lines)
        ),
    }
    return next((kind for kind, holds in kinds.items() if holds), None)


def _is_checksums(lines: Sequence[str]) -> bool:
    return len(lines) > 1 and all(map(_CHECKSUM.match, lines))


def _is_mail(lines: Sequence[str]) -> bool:
    found: dict[str, str] = {}
    for line in lines:
        header = _MAIL_HEADER.match(line)
        if header:
            found.setdefault(header[1].lower(), line)
        elif not line[:1].isspace():
            break
    is_sent = not _OF_MAIL_ALONE.isdisjoint(found) or "@" in found.get("from", "")
    return is_sent and len(_MAIL_HEADERS.intersection(found)) >= 3


def _is_code(lines: Sequence[str]) -> bool:
    return bool(lines) and (lines[0].startswith("#!") or sum(bool(_CODE.match(line)) for line in lines) >= 3)


def _is_table(lines: Sequence[str]) -> bool:
    """Whether three lines or more have as many cells each, at least three, and the first has short ones."""
    for mark in "\t,;":
        if len(lines) < 3 or lines[0].count(mark) < 2:
            continue
        try:
            rows = list(csv.reader(lines[:20], delimiter=mark))
        except csv.Error:
            continue
        if len(rows) > 3:
            del rows[-1]  # it may go on behind the lines read here
        heads = [cell.strip() for cell in rows[0]]
        even = len({len(row) for row in rows}) == 1
        if even and all(len(cell) <= 60 for cell in heads) and not _is_prose(heads):
            return True
    return False


def _is_prose(heads: Sequence[str]) -> bool:
    return heads[-1].endswith((".", "!", "?")) or sum(not cell for cell in heads) > 1
