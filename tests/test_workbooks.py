"""Spreadsheets as people have them: what each sheet becomes, and why one is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from indexing.layout import Options
from indexing.previews import preview
from indexing.reading import rows
from indexing.rows import FileUnusable
from tests.office_files import MAIN, Cell, ods, xlsx, zip_of

BOOKS = [["כותרת", "מחבר", "תקציר", "נושאים"], ["הים", "דנה לוי", "על הים", "רומן; קיץ"]]


def fields(folder: Path, name: str, content: bytes, options: Options | None = None) -> list[dict[str, Any] | None]:
    path = folder / name
    path.write_bytes(content)
    return [row.fields for row in rows(path, options=options)]


def text_cell(text: str, more: str = "") -> str:
    return f'<table:table-cell office:value-type="string"{more}><text:p>{text}</text:p></table:table-cell>'


def test_a_sheet_of_excel_is_a_table(tmp_path: Path) -> None:
    path = tmp_path / "books.xlsx"
    path.write_bytes(xlsx({"גיליון1": BOOKS}))
    document = preview(path, Options()).documents[0]
    assert (document.title, document.body, document.tags) == ("הים", "על הים", ("רומן", "קיץ"))
    assert document.extra == {"מחבר": "דנה לוי"}


def test_numbers_dates_and_times_are_read_as_they_are_shown(tmp_path: Path) -> None:
    row: list[Cell | None] = ["a", 7, 0.30000000000000004, (45413, 1), (45413.5625, 2), (0.75, 3), (12, 0)]
    header: list[Cell | None] = ["title", "n", "f", "day", "moment", "time", "days"]
    content = xlsx({"s": [header, row]})
    assert fields(tmp_path, "x.xlsx", content) == [
        {
            "title": "a", "n": "7", "f": "0.3", "day": "2024-05-01", "moment": "2024-05-01 13:30", "time": "18:00",
            "days": "12",
        }
    ]  # fmt: skip


def test_notes_above_the_header_and_empty_rows_and_columns_are_skipped(tmp_path: Path) -> None:
    rows_given: list[list[Cell | None]] = [
        ["Our books"],
        [],
        ["title", None, "year"],
        ["a", None, 2001],
        [],
        ["b", None, 2002],
    ]
    found = fields(tmp_path, "x.xlsx", xlsx({"s": rows_given}))
    assert found == [{"title": "a", "year": "2001"}, {"title": "b", "year": "2002"}]


def test_a_sheet_is_chosen_by_its_name_and_hidden_ones_are_not_the_first(tmp_path: Path) -> None:
    content = xlsx({"hidden": [["title"], ["x"]], "one": [["title"], ["a"]], "שני": [["title"], ["b"]]}, ["hidden"])
    assert fields(tmp_path, "x.xlsx", content) == [{"title": "a"}]
    assert fields(tmp_path, "x.xlsx", content, Options(sheet="שני")) == [{"title": "b"}]
    assert fields(tmp_path, "x.xlsx", content, Options(sheet="hidden")) == [{"title": "x"}]
    with pytest.raises(FileUnusable, match="no sheet 'three'; the sheets are hidden, one, שני"):
        fields(tmp_path, "x.xlsx", content, Options(sheet="three"))


def test_cells_of_every_kind_are_read(tmp_path: Path) -> None:
    sheet = (
        f'<worksheet xmlns="{MAIN}"><sheetData><row><c t="inlineStr"><is><t>title</t></is></c><c t="inlineStr"><is>'
        "<r><t>bo</t></r><r><t>dy</t></r><rPh><t>x</t></rPh></is></c><c t='inlineStr'><is><t>ok</t></is></c></row>"
        '<row><c t="str"><f>A1</f><v>a_x000D_b</v></c><c t="e"><v>#REF!</v></c><c t="b"><v>1</v></c></row>'
        "</sheetData></worksheet>"
    )
    files = {
        "xl/workbook.xml": f'<workbook xmlns="{MAIN}" xmlns:r="http://purl.oclc.org/ooxml/officeDocument/relationships">'
        '<sheets><sheet name="s" sheetId="1" r:id="a"/></sheets></workbook>',
        "xl/_rels/workbook.xml.rels": '<Relationships><Relationship Id="a" Target="s.xml" Type="x"/></Relationships>',
        "xl/s.xml": sheet,
    }
    assert fields(tmp_path, "x.xlsx", zip_of(files)) == [{"title": "a\rb", "body": "", "ok": "TRUE"}]


def test_a_sheet_of_open_document_is_a_table(tmp_path: Path) -> None:
    header = f"<table:table-row>{''.join(map(text_cell, ('title', 'year', 'note', 'day')))}</table:table-row>"
    title = text_cell('מים <text:s text:c="2"/>רבים')
    row = (
        f"<table:table-row>{title}"
        '<table:table-cell office:value-type="float" office:value="1234.5"><text:p>1,234.5</text:p></table:table-cell>'
        '<table:table-cell office:value-type="string"><text:p>א</text:p><text:p><text:span>ב</text:span></text:p>'
        "</table:table-cell>"
        '<table:table-cell office:value-type="date" office:date-value="2024-05-01"><text:p>1/5</text:p>'
        "</table:table-cell>"
        '<table:table-cell table:number-columns-repeated="16380"/></table:table-row>'
    )
    empty = '<table:table-row table:number-rows-repeated="1048570"><table:table-cell/></table:table-row>'
    content = ods({"one": header + row + empty, "two": header})
    expected = {"title": "מים   רבים", "year": "1234.5", "note": "א\nב", "day": "2024-05-01"}
    assert fields(tmp_path, "x.ods", content) == [expected]
    with pytest.raises(FileUnusable, match="no sheet 'x'; the sheets are one, two"):
        fields(tmp_path, "x.ods", content, Options(sheet="x"))


BOMB = '<!DOCTYPE a [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]><workbook>&b;</workbook>'


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("x.xlsx", b"PK\x03\x04 cut", "is damaged"),
        ("x.xlsx", b"title\na\n", "is damaged"),
        ("x.xlsx", b"\xd0\xcf\x11\xe0 old", "an old spreadsheet"),
        ("x.xls", b"\xd0\xcf\x11\xe0 old", "an old spreadsheet"),
        ("x.xlsx", zip_of({"a.txt": "a"}), "it has no sheets"),
        ("x.xlsx", zip_of({"xl/workbook.xml": BOMB}), "is damaged"),
        ("x.xlsx", zip_of({"xl/workbook.xml": "<workbook><sheets>"}), "is damaged"),
        ("x.xlsx", xlsx({"empty": []}), "none below the header"),
        ("x.xlsx", xlsx({"s": [["color"], ["red"]]}), "the columns are color"),
    ],
    ids=["cut", "text", "password", "xls", "no workbook", "entities", "unclosed", "empty", "no title"],
)
def test_a_spreadsheet_that_cannot_be_read_is_refused_in_words(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(FileUnusable) as caught:
        preview(path, Options())
    assert reason in str(caught.value)
    assert list(tmp_path.iterdir()) == [path]
