"""Word documents: read through mammoth as HTML, formulas on one line; macros are not looked at."""

from __future__ import annotations

import re
import zipfile
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Mapping
from io import BytesIO

from lxml import etree

from medkg_dagster.errors import UnreadableDocumentError
from medkg_dagster.stage_api import Document, Payload
from medkg_dagster.stages.parse import ParseConfig
from medkg_dagster.stages.parse.document_text import Metadata, clean
from medkg_dagster.stages.parse.html import parse_html, read_page
from medkg_dagster.stages.parse.html.head import read_authors, read_identifiers
from medkg_dagster.stages.parse.pdf.names import ADDRESS, names_in
from medkg_dagster.stages.parse.xml import Element, plain_text
from medkg_dagster.stages.parse.xml.formulas import formula_text
from medkg_dagster.stages.parse.zipped import Archive

_CORE = "docProps/core.xml"
_MAIN = re.compile(r"word/(?:document|footnotes|endnotes)\d*\.xml$")
_ASIDE = {
    re.compile(r"word/(?:header|footer)\d*\.xml$"): "running headers and footers",
    re.compile(r"word/comments\.xml$"): "comments",
    re.compile(r"word/(?:diagrams/data|charts/chart)\d*\.xml$"): "diagrams and charts",
}
_DELETED = frozenset({"del", "moveFrom"})
_READ_THROUGH = frozenset(
    {
        *(
            "document",
            "body",
            "footnotes",
            "footnote",
            "endnotes",
            "endnote",
            "p",
            "r",
            "t",
            "tbl",
            "tr",
            "tc",
        ),
        *("customXml", "ins", "moveTo", "del", "moveFrom", "object", "smartTag", "drawing", "group", "rect"),
        *("roundrect", "shape", "textbox", "txbxContent", "pict", "hyperlink", "sdt", "sdtContent"),
        *("AlternateContent", "Fallback"),
    }
)
"""Elements with text that mammoth reads, or is not to read."""

_SPACES = frozenset({"p", "tab", "br", "cr", "tc"})
_FORMULAS = {
    "sSup": "msup", "sSub": "msub", "sSubSup": "msubsup", "f": "mfrac", "limLow": "munder", "limUpp": "mover",
    "m": "mtable", "mr": "mtr", "r": "mi", "d": "mfenced",
}  # fmt: skip
"""Elements of Word's formulas and those of MathML that mean the same."""

_STYLES = (
    "p[style-name='Title'] => h1.title:fresh",
    "p[style-name='Author'] => p.author:fresh",
    "p[style-name='caption'] => figcaption:fresh",
    "p[style-name='Table Caption'] => figcaption:fresh",
    "p[style-name='Image Caption'] => figcaption:fresh",
)
_OF_STYLES = ("{*}name", "{*}basedOn", "{*}outlineLvl")
_NO_TITLE = re.compile(r"untitled|document\d*$|microsoft word|\.docx?$|^\S*$", re.IGNORECASE)
_ABSTRACT = re.compile(r"(?:abstract|summary|introduction|background|contents)\b", re.IGNORECASE)
_OPENING = frozenset({"p", "h1", "h2"})
MAX_TITLE_CHARACTERS = 300
MAX_STYLES = 20
MAX_HEADING_STYLES = 200
"""No more are looked at: what a paragraph is costs as much as there are of them."""

MAX_DEPTH = 9
NEAR_TITLE = 4


def parse(payload: Payload, config: ParseConfig) -> Document:
    """Parse a Word document.

    Returns:
        The document, named by a DOI in its properties, else by the hash of its bytes.

    Raises:
        UnreadableDocumentError: mammoth is not installed, or the file is broken or encrypted.
        UnsafeDocumentError: It unpacks to too much, declares entities, or its text is too long.
    """
    try:
        import mammoth
    except ImportError as error:
        raise UnreadableDocumentError(
            f"{payload.origin}: a Word document, which needs {error.name}; install it: "
            "pip install 'medkg-dagster[docx]', or save the document as PDF"
        ) from error
    archive = Archive(payload.content, payload.origin, config.max_content_bytes)
    parts = {name: archive.xml(name, namespaces=True) for name in _needed(archive)}
    source = _texts(parts)
    try:
        result = mammoth.convert_to_html(
            BytesIO(_for_mammoth(parts)),
            style_map="\n".join((*_STYLES, *_headings(parts.get("word/styles.xml")))),
            convert_image=mammoth.images.img_element(lambda _: {}),
            external_file_access=False,
        )
    except (OSError, LookupError, ValueError, AttributeError, TypeError, RecursionError) as error:
        # what mammoth raises for parts that are not as the format asks for
        raise UnreadableDocumentError(
            f"{payload.origin}: the Word document is not built as one ({type(error).__name__}: {error}); "
            "open it in Word and save it anew"
        ) from error
    root = parse_html(f"<html><body>{result.value}</body></html>".encode(), payload.origin)
    stated = _stated(parts.get(_CORE))
    title = _title(root, stated.get("title", ""))
    metadata = Metadata(
        id=None,
        source="infores:user-supplied",
        identifiers=read_identifiers({"dc.identifier": list(stated.values())}),
        authors=_authors(root, title, stated.get("creator", "")),
    )
    return read_page(root, title, metadata, payload, config, source=source)


def _needed(archive: Archive) -> Iterator[str]:
    """Yield the parts that hold text or say what it is; pictures, fonts, macros and other files are none."""
    for name in archive.names:
        known = name.startswith("word/") or name in {_CORE, "[Content_Types].xml", "_rels/.rels"}
        if (
            known
            and name.endswith((".xml", ".rels"))
            and not name.startswith(("word/theme/", "word/glossary/"))
        ):
            yield name


def _local(element: Element) -> str:
    return str(element.tag).rpartition("}")[2]


def _texts(parts: Mapping[str, Element]) -> dict[str, str]:
    """Return all text of the parts by the reason why it is left out, as `with_text_kept` takes it."""
    texts: dict[str, list[str]] = defaultdict(list)
    for name, root in parts.items():
        reason = next((reason for pattern, reason in _ASIDE.items() if pattern.match(name)), "")
        if reason or _MAIN.match(name):
            _gather(root, reason, texts)
    return {reason: "".join(found) for reason, found in texts.items()}


def _gather(element: Element, reason: str, texts: dict[str, list[str]]) -> None:
    for child in element:
        tag = _local(child)
        if tag == "Fallback":
            continue  # the same once more, for older programs
        hidden = "hidden text" if tag == "r" and _is_hidden(child) else ""
        inner = reason or ("deleted text" if tag in _DELETED else hidden)
        if tag == "noBreakHyphen":
            texts[inner].append("-")
        elif tag in {"t", "delText"}:
            texts[inner].append(child.text or "")
        elif tag in {"oMath", "oMathPara"}:
            texts[inner].append(f" {_formula(child)} ")
        else:
            if tag in _SPACES:
                texts[inner].append(" ")
            _gather(child, inner, texts)


def _for_mammoth(parts: Mapping[str, Element]) -> bytes:
    """Return the document of these parts, formulas on one line, text in nothing that mammoth leaves out."""
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_STORED) as target:
        for name, root in parts.items():
            for element in list(root.iter("{*}oMathPara", "{*}oMath")):
                parent = element.getparent()
                if parent is not None and _local(parent) not in {"oMathPara", "oMath"}:
                    _write_formula(element, parent)
            if _MAIN.match(name):
                for run in filter(_is_hidden, list(root.iter("{*}r"))):
                    run[:] = []
                _unwrap(root)
            target.writestr(name, etree.tostring(root, encoding="utf-8"))
    return packed.getvalue()


def _is_hidden(run: Element) -> bool:
    """Return whether a run is not shown, as entries of an index and data of programs are not."""
    mark = run.find("{*}rPr/{*}vanish")
    return mark is not None and _attribute(mark, "val") not in {"0", "false", "off"}


def _unwrap(root: Element) -> None:
    """Make what holds text and is unknown to mammoth something that it reads through, as fields and shapes.

    Of two forms of the same it reads the older one; where that has no text, the newer one takes its place.
    """
    through = str(root.tag).rpartition("}")[0] + "}smartTag"
    elements = [element for element in root.iter() if isinstance(element.tag, str)]
    with_text: set[Element] = set()
    for element in reversed(elements):
        tag = _local(element)
        if tag != "t" and element not in with_text:
            continue
        parent = element.getparent()
        if parent is not None:
            with_text.add(parent)
        fallback = next(element.iterfind("{*}Fallback"), None) if tag == "AlternateContent" else None
        if tag == "AlternateContent" and fallback not in with_text:
            if fallback is not None:
                element.remove(fallback)
            element.tag = through
        elif tag not in _READ_THROUGH:
            element.tag = through


def _write_formula(element: Element, parent: Element) -> None:
    word = str(parent.tag).rpartition("}")[0] + "}"
    run = etree.Element(f"{word}r")
    text = etree.SubElement(run, f"{word}t")
    text.text = f" {_formula(element)} "
    if _local(parent) in {"body", "tc"}:
        paragraph = etree.Element(f"{word}p")
        paragraph.append(run)
        run = paragraph
    parent.replace(element, run)


def _formula(element: Element) -> str:
    """Return a formula on one line; where it is built as none is, its letters."""
    math = etree.Element("math")
    math.append(_mathml(element))
    letters = " ".join(text for text in map(str, element.itertext()) if text.strip())
    line = formula_text(math) or ""
    return line if Counter(filter(str.isalnum, letters)) <= Counter(filter(str.isalnum, line)) else letters


def _mathml(element: Element) -> Element:
    tag = _local(element)
    made = etree.Element(_FORMULAS.get(tag, "mrow"))
    if tag == "r":
        made.text = "".join(child.text or "" for child in element if _local(child) == "t")
        return made
    properties = {_local(item): _attribute(item, "val") for item in element.iterfind("{*}" + f"{tag}Pr/*")}
    children = [child for child in element if isinstance(child.tag, str) and not _local(child).endswith("Pr")]
    parts = [_mathml(child) for child in children]
    if tag == "rad":
        degree = parts.pop(0) if len(parts) == 2 else None
        made.tag = "msqrt" if degree is None or not len(degree) else "mroot"
        parts += [degree] if degree is not None and made.tag == "mroot" else []
    elif tag == "nary" and len(parts) == 3:
        sign = etree.Element("msubsup")
        etree.SubElement(sign, "mo").text = properties.get("chr", "∫")
        sign.extend(parts[:2])
        parts = [sign, parts[2]]
    elif tag == "d":
        made.set("open", properties.get("begChr", "("))
        made.set("close", properties.get("endChr", ")"))
    made.extend(parts)
    return made


def _attribute(element: Element, name: str) -> str:
    """Return an attribute, whatever its namespace."""
    return next((str(value) for key, value in element.attrib.items() if str(key).endswith(name)), "")


def _headings(styles: Element | None) -> Iterator[str]:
    """Yield how paragraphs are read whose styles have the depth of a heading, be it an inherited one."""
    if styles is None:
        return
    found = {}
    for style in styles.iterfind("{*}style"):
        fields = {
            _local(item): _attribute(item, "val")
            for item in style.iter("{*}name", "{*}basedOn", "{*}outlineLvl")
        }
        found[_attribute(style, "styleId")] = fields
    count = 0
    for fields in found.values():
        name, depth = fields.get("name", ""), ""
        inherited = fields
        for _ in range(MAX_STYLES):
            depth = inherited.get("outlineLvl", "")
            if depth or inherited.get("basedOn") not in found:
                break
            inherited = found[inherited["basedOn"]]
        if depth.isdecimal() and int(depth) < MAX_DEPTH and not {"'", "\\"} & set(name):
            count += 1
            if count > MAX_HEADING_STYLES:
                return
            yield f"p[style-name='{name}'] => h{min(6, int(depth) + 1)}:fresh"


def _stated(core: Element | None) -> dict[str, str]:
    if core is None:
        return {}
    return {_local(item): clean(plain_text(item)) for item in core.iter(etree.Element)}


def _title(root: Element, stated: str) -> str:
    """Return the title, and make its paragraph a heading of the highest rank.

    It is the paragraph in the style of titles, that which the properties name, or else the first one if it is
    short.
    """
    blocks = [(element, clean(plain_text(element))) for element in root.iterfind("body/*")]
    first = [(element, text) for element, text in blocks if text][:NEAR_TITLE]
    styled = next((text for element, text in blocks if element.get("class") == "title" and text), "")
    if styled:
        return styled
    same = next((found for found in first if found[1].casefold() == stated.casefold()), None)
    if same is None and first and len(first[0][1]) <= MAX_TITLE_CHARACTERS and first[0][0].tag in _OPENING:
        same = first[0]
    if same is None or (_ABSTRACT.match(same[1]) and stated and not _NO_TITLE.search(stated)):
        return "" if _NO_TITLE.search(stated) else stated
    same[0].tag = "h1"
    return same[1]


def _authors(root: Element, title: str, stated: str) -> list[str]:
    """Return the names in paragraphs of authors, in the lines below the title, or else in the properties."""
    blocks = [element for element in root.iterfind("body/*") if clean(plain_text(element))]
    start = next((at for at, element in enumerate(blocks) if clean(plain_text(element)) == title), -1) + 1
    styled = [element for element in blocks if element.get("class") == "author"]
    found: list[str] = []
    for element in styled or blocks[start : start + NEAR_TITLE]:
        marks = [plain_text(mark) for mark in element.iter("sup")]
        names, others = names_in(ADDRESS.sub(" ", _without(plain_text(element), marks)))
        if names and (styled or len(names) >= 2 * others):
            found += names
        elif found or element.tag != "p":
            break
    if found:
        return found
    opening = clean(" ".join(plain_text(element) for element in blocks[:20])).casefold()
    return [name for name in read_authors(stated) if name.split()[-1].casefold() in opening]


def _without(text: str, marks: Iterable[str]) -> str:
    for mark in filter(None, marks):
        text = text.replace(mark, " ", 1)
    return text
