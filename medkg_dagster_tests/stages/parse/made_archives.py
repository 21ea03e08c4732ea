"""Word documents and EPUB books, made of their parts."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping, Sequence
from io import BytesIO

WORD = (
    'xmlns:w="http://schemas.openxmlformats.org/wordprocessingml/2006/main" '
    'xmlns:m="http://schemas.openxmlformats.org/officeDocument/2006/math" '
    'xmlns:mc="http://schemas.openxmlformats.org/markup-compatibility/2006" '
    'xmlns:wps="http://schemas.microsoft.com/office/word/2010/wordprocessingShape" '
    'xmlns:v="urn:schemas-microsoft-com:vml" '
    'xmlns:r="http://schemas.openxmlformats.org/officeDocument/2006/relationships"'
)
_TYPES = "http://schemas.openxmlformats.org/package/2006/content-types"
_RELATIONS = "http://schemas.openxmlformats.org/package/2006/relationships"
_OFFICE = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
_MAIN = "application/vnd.openxmlformats-officedocument.wordprocessingml"


def zipped(members: Mapping[str, str | bytes]) -> bytes:
    packed = BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as target:
        for name, content in members.items():
            target.writestr(name, content)
    return packed.getvalue()


def paragraph(text: str, style: str = "", *, bold: bool = False) -> str:
    properties = f'<w:pPr><w:pStyle w:val="{style}"/></w:pPr>' if style else ""
    run = "<w:rPr><w:b/></w:rPr>" if bold else ""
    return f'<w:p>{properties}<w:r>{run}<w:t xml:space="preserve">{text}</w:t></w:r></w:p>'


def table(rows: Sequence[Sequence[str]]) -> str:
    cells = ("".join(f"<w:tc>{paragraph(cell)}</w:tc>" for cell in row) for row in rows)
    return f"<w:tbl>{''.join(f'<w:tr>{row}</w:tr>' for row in cells)}</w:tbl>"


def docx(
    body: str, *, styles: str = "", core: str = "", more: Mapping[str, str | bytes] | None = None
) -> bytes:
    """A Word document.

    Args:
        body: What is in `w:body`.
        styles: Styles besides those of titles and headings.
        core: What is in its properties.
        more: Parts besides; of footnotes, comments, headers and footers the type and the relation are stated.
    """
    more = more or {}
    kinds = {
        name: name.removeprefix("word/").rstrip("0123456789.xml") for name in more if name.endswith(".xml")
    }
    kinds["word/styles.xml"] = "styles"
    headings = "".join(
        f'<w:style w:type="paragraph" w:styleId="{key}"><w:name w:val="{name}"/></w:style>'
        for key, name in (("Title", "Title"), ("Heading1", "heading 1"), ("Heading2", "heading 2"))
    )
    overrides = "".join(
        f'<Override PartName="/{name}" ContentType="{_MAIN}.{kind}+xml"/>' for name, kind in kinds.items()
    )
    relations = "".join(
        f'<Relationship Id="r{number}" Type="{_OFFICE}/{kind}" Target="{name.removeprefix("word/")}"/>'
        for number, (name, kind) in enumerate(kinds.items())
    )
    types = (
        '<Default Extension="xml" ContentType="application/xml"/>'
        '<Default Extension="rels" ContentType="application/vnd.openxmlformats-package.relationships+xml"/>'
        f'<Override PartName="/word/document.xml" ContentType="{_MAIN}.document.main+xml"/>'
    )
    main = f'<Relationship Id="r1" Type="{_OFFICE}/officeDocument" Target="word/document.xml"/>'
    properties = 'xmlns:c="urn:c" xmlns:dc="http://purl.org/dc/elements/1.1/"'
    return zipped(
        {
            "[Content_Types].xml": f'<Types xmlns="{_TYPES}">{types}{overrides}</Types>',
            "_rels/.rels": f'<Relationships xmlns="{_RELATIONS}">{main}</Relationships>',
            "word/_rels/document.xml.rels": (
                f'<Relationships xmlns="{_RELATIONS}">{relations}</Relationships>'
            ),
            "word/styles.xml": f"<w:styles {WORD}>{headings}{styles}</w:styles>",
            "docProps/core.xml": f"<c:coreProperties {properties}>{core}</c:coreProperties>",
            "word/document.xml": f"<w:document {WORD}><w:body>{body}</w:body></w:document>",
            **more,
        }
    )


def epub(
    pages: Mapping[str, str],
    *,
    metadata: str = "",
    spine: Sequence[str] | None = None,
    more: Mapping[str, str | bytes] | None = None,
) -> bytes:
    """An EPUB book of these pages, by name, what is in the body of each."""
    items = "".join(
        f'<item id="{name}" href="text/{name}" media-type="application/xhtml+xml"/>' for name in pages
    )
    order = "".join(f'<itemref idref="{name}"/>' for name in (spine or list(pages)))
    container = 'xmlns="urn:oasis:names:tc:opendocument:xmlns:container"'
    rootfile = '<rootfiles><rootfile full-path="OPS/book.opf"/></rootfiles>'
    stated = f'<metadata xmlns:dc="http://purl.org/dc/elements/1.1/">{metadata}</metadata>'
    page = 'xmlns="http://www.w3.org/1999/xhtml" xmlns:epub="http://www.idpf.org/2007/ops"'
    return zipped(
        {
            "mimetype": "application/epub+zip",
            "META-INF/container.xml": f"<container {container}>{rootfile}</container>",
            "OPS/book.opf": (
                f'<package xmlns="http://www.idpf.org/2007/opf">{stated}<manifest>{items}</manifest>'
                f"<spine>{order}</spine></package>"
            ),
            **{
                f"OPS/text/{name}": (
                    f'<?xml version="1.0"?><html {page}><head><title/></head><body>{body}</body></html>'
                )
                for name, body in pages.items()
            },
            **(more or {}),
        }
    )
