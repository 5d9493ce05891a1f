"""Small files of office programs for the tests: spreadsheets, documents, books and PDFs."""

from __future__ import annotations

import io
import zipfile
from collections.abc import Mapping, Sequence
from xml.sax.saxutils import escape, quoteattr

MAIN = "http://schemas.openxmlformats.org/spreadsheetml/2006/main"
RELATIONS = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
PACKAGE = "http://schemas.openxmlformats.org/package/2006/relationships"
OFFICE = "urn:oasis:names:tc:opendocument:xmlns:office:1.0"
TABLE = "urn:oasis:names:tc:opendocument:xmlns:table:1.0"
TEXT = "urn:oasis:names:tc:opendocument:xmlns:text:1.0"
DUBLIN = "http://purl.org/dc/elements/1.1/"
Cell = str | int | float | tuple[float, int]  # a text, a number, or a number in a style


def zip_of(files: Mapping[str, str | bytes]) -> bytes:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, text in files.items():
            archive.writestr(name, text)
    return content.getvalue()


def with_damage(content: bytes, name: str) -> bytes:
    """Return an archive in which the compressed data of one file is overwritten."""
    with zipfile.ZipFile(io.BytesIO(content)) as archive:
        start = archive.getinfo(name).header_offset + 30 + len(name.encode())
        size = archive.getinfo(name).compress_size
    return content[:start] + b"\xff" * min(size, 40) + content[start + min(size, 40) :]


def xlsx(sheets: Mapping[str, Sequence[Sequence[Cell | None]]], hidden: Sequence[str] = ()) -> bytes:
    """Return a workbook; style 1 is a date, 2 a date with a time, 3 a time, 0 a number."""
    shared: list[str] = []
    files: dict[str, str] = {}
    listed, related = "", ""
    for place, (name, rows) in enumerate(sheets.items(), 1):
        state = ' state="hidden"' if name in hidden else ""
        listed += f'<sheet name={quoteattr(name)} sheetId="{place}"{state} r:id="rId{place}"/>'
        related += f'<Relationship Id="rId{place}" Type="{RELATIONS}/worksheet" Target="worksheets/sheet{place}.xml"/>'
        body = "".join(_row(number, row, shared) for number, row in enumerate(rows, 1) if row)
        files[f"xl/worksheets/sheet{place}.xml"] = (
            f'<worksheet xmlns="{MAIN}"><cols><col min="1"/></cols><sheetData>{body}</sheetData></worksheet>'
        )
    texts = "".join(f"<si><t>{escape(text)}</t></si>" for text in shared)
    files["xl/sharedStrings.xml"] = f'<sst xmlns="{MAIN}">{texts}</sst>'
    files["xl/styles.xml"] = (
        f'<styleSheet xmlns="{MAIN}"><numFmts><numFmt numFmtId="164" formatCode="dd/mm/yyyy hh:mm"/>'
        '<numFmt numFmtId="165" formatCode="0&quot; days&quot;[Red]"/></numFmts><cellXfs><xf numFmtId="165"/>'
        '<xf numFmtId="14"/><xf numFmtId="164"/><xf numFmtId="20"/></cellXfs></styleSheet>'
    )
    files["xl/workbook.xml"] = f'<workbook xmlns="{MAIN}" xmlns:r="{RELATIONS}"><sheets>{listed}</sheets></workbook>'
    files["xl/_rels/workbook.xml.rels"] = (
        f'<Relationships xmlns="{PACKAGE}">{related}'
        f'<Relationship Id="s" Type="{RELATIONS}/sharedStrings" Target="/xl/sharedStrings.xml"/>'
        f'<Relationship Id="t" Type="{RELATIONS}/styles" Target="styles.xml"/></Relationships>'
    )
    return zip_of(files)


def _row(number: int, row: Sequence[Cell | None], shared: list[str]) -> str:
    cells = ""
    for place, value in enumerate(row):
        reference = f'r="{chr(65 + place)}{number}"'
        if isinstance(value, str):
            shared.append(value)
            cells += f'<c {reference} t="s"><v>{len(shared) - 1}</v></c>'
        elif isinstance(value, tuple):
            cells += f'<c {reference} s="{value[1]}"><v>{value[0]}</v></c>'
        elif value is not None:
            cells += f"<c {reference}><v>{value}</v></c>"
    return f'<row r="{number}">{cells}</row>'


def ods(sheets: Mapping[str, str]) -> bytes:
    """Return a spreadsheet whose sheets are given as their rows in XML."""
    tables = "".join(f"<table:table table:name={quoteattr(name)}>{rows}</table:table>" for name, rows in sheets.items())
    return zip_of({
        "mimetype": "application/vnd.oasis.opendocument.spreadsheet",
        "content.xml": f'<office:document-content xmlns:office="{OFFICE}" xmlns:table="{TABLE}" xmlns:text="{TEXT}">'
        f"<office:body><office:spreadsheet>{tables}</office:spreadsheet></office:body></office:document-content>",
    })  # fmt: skip


def docx(paragraphs: Sequence[str], title: str = "", keywords: str = "") -> bytes:
    word = "http://schemas.openxmlformats.org/wordprocessingml/2006/main"
    core = "http://schemas.openxmlformats.org/package/2006/metadata/core-properties"
    body = "".join(f"<w:p><w:r><w:t>{escape(text)}</w:t></w:r></w:p>" for text in paragraphs)
    return zip_of({
        "word/document.xml": f'<w:document xmlns:w="{word}"><w:body>{body}</w:body></w:document>',
        "docProps/core.xml": f'<c:coreProperties xmlns:c="{core}" xmlns:dc="{DUBLIN}">'
        f"<dc:title>{escape(title)}</dc:title><dc:creator>Dana</dc:creator><c:keywords>{escape(keywords)}</c:keywords></c:coreProperties>",
    })  # fmt: skip


def odt(paragraphs: Sequence[str]) -> bytes:
    body = "".join(f"<text:p>{text}</text:p>" for text in paragraphs)
    content = f'<office:document-content xmlns:office="{OFFICE}" xmlns:text="{TEXT}"><office:body><office:text>{body}'
    return zip_of({"content.xml": f"{content}</office:text></office:body></office:document-content>"})


def epub(title: str, chapters: Sequence[str], subjects: Sequence[str] = ()) -> bytes:
    subject = "".join(f"<dc:subject>{text}</dc:subject>" for text in subjects)
    items = "".join(f'<item id="c{place}" href="text/{place}.xhtml"/>' for place, _ in enumerate(chapters))
    order = "".join(f'<itemref idref="c{place}"/>' for place, _ in enumerate(chapters))
    files = {
        "META-INF/container.xml": '<container><rootfiles><rootfile full-path="OEBPS/b.opf"/></rootfiles></container>',
        "OEBPS/b.opf": f'<package xmlns:dc="{DUBLIN}"><metadata><dc:title>{title}</dc:title>'
        f"<dc:creator>ש״י</dc:creator><dc:language>he-IL</dc:language>{subject}</metadata>"
        f"<manifest>{items}</manifest><spine>{order}</spine></package>",
    }  # fmt: skip
    pages = {f"OEBPS/text/{place}.xhtml": f"<html><body>{text}</body></html>" for place, text in enumerate(chapters)}
    return zip_of(files | pages)


def pdf(text: str, title: str = "") -> bytes:
    """Return a PDF of one page with a line of Latin text, or none."""
    drawn = f"BT /F1 12 Tf 72 720 Td ({text}) Tj ET" if text else ""
    objects = [
        "<< /Type /Catalog /Pages 2 0 R >>",
        "<< /Type /Pages /Kids [3 0 R] /Count 1 >>",
        "<< /Type /Page /Parent 2 0 R /MediaBox [0 0 9 9] /Contents 4 0 R /Resources << /Font << /F1 5 0 R >> >> >>",
        f"<< /Length {len(drawn)} >>\nstream\n{drawn}\nendstream",
        "<< /Type /Font /Subtype /Type1 /BaseFont /Helvetica >>",
        f"<< /Title ({title}) /Author (Dana) /Keywords (water, sea) >>",
    ]
    content, places = "%PDF-1.4\n", []
    for number, body in enumerate(objects, 1):
        places.append(len(content))
        content += f"{number} 0 obj\n{body}\nendobj\n"
    table = "".join(f"{place:010} 00000 n \n" for place in places)
    trailer = f"trailer\n<< /Size 7 /Root 1 0 R /Info 6 0 R >>\nstartxref\n{len(content)}\n%%EOF\n"
    return f"{content}xref\n0 7\n0000000000 65535 f \n{table}{trailer}".encode("latin-1")
