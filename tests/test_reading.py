"""Files of documents as rows: what is understood, what is refused, and on which line."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from indexing.encodings import encoding_of
from indexing.layout import Options
from indexing.reading import file_kind, file_layout, rows
from indexing.rows import MOST_ROW_BYTES, FileUnusable, Row

HEBREW = "כותרת"


def file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def read(path: Path) -> list[Row]:
    return list(rows(path))


def fields(path: Path) -> list[dict[str, object] | None]:
    return [row.fields for row in read(path)]


@pytest.mark.parametrize("mark", [",", ";", "\t"])
@pytest.mark.parametrize("ending", ["\n", "\r\n"])
def test_the_columns_of_csv_are_parted_by_what_the_header_has_most_of(tmp_path: Path, mark: str, ending: str) -> None:
    content = ending.join([mark.join(["id", "title", "body"]), mark.join(["1", HEBREW, '"a,b;c\td"']), ""])
    wanted = {"id": "1", "title": HEBREW, "body": "a,b;c\td"}
    assert fields(file(tmp_path, "x.csv", content)) == [wanted]


@pytest.mark.parametrize("encoding", ["utf-8", "utf-8-sig", "cp1255"])
@pytest.mark.parametrize("name", ["x.csv", "x.jsonl"])
def test_the_encoding_is_told_from_the_bytes(tmp_path: Path, encoding: str, name: str) -> None:
    text = f"title\n{HEBREW}\n" if name == "x.csv" else json.dumps({"title": HEBREW}, ensure_ascii=False)
    assert fields(file(tmp_path, name, text.encode(encoding))) == [{"title": HEBREW}]


def test_one_bad_byte_in_utf8_refuses_its_row_and_no_other(tmp_path: Path) -> None:
    content = f"id,title\n1,{HEBREW}\n2,".encode() + b"\xff" + f"\n3,{HEBREW}\n4,{HEBREW}\n".encode()
    path = file(tmp_path, "x.csv", content)
    assert encoding_of(path.read_bytes()) == "utf-8-sig"
    refused = [row for row in read(path) if row.fields is None]
    assert [(row.line, row.reason) for row in refused] == [
        (3, "a character that is not UTF-8, the encoding of the file: save it as UTF-8, or say which encoding it has")
    ]
    assert len(read(path)) == 4
    assert "udcff" in refused[0].raw


def test_a_line_of_quoted_breaks_is_one_row_and_the_next_has_its_own_line(tmp_path: Path) -> None:
    path = file(tmp_path, "x.csv", 'id,body\n1,"א\nב\r\n""ג"""\n2,ד\n')
    assert [(row.line, row.fields) for row in read(path)] == [
        (2, {"id": "1", "body": 'א\nב\r\n"ג"'}),
        (5, {"id": "2", "body": "ד"}),
    ]


def test_too_many_columns_refuse_a_row_and_too_few_do_not(tmp_path: Path) -> None:
    found = read(file(tmp_path, "x.csv", "id,title\n1,א,ב\n2\n\n,\n3,ג\n"))
    assert [(row.line, row.reason) for row in found[:1]] == [
        (2, "3 columns, and the header has 2: put quotes around a cell that has the separator in it")
    ]
    assert [row.fields for row in found[1:]] == [{"id": "2"}, {"id": "3", "title": "ג"}]


def test_an_unclosed_quote_loses_its_row_and_says_where(tmp_path: Path) -> None:
    body = "\n".join(f"{number},מילים" for number in range(3_000_000 // 16))
    found = read(file(tmp_path, "x.csv", f'id,title\n1,א\n2,"פתוח\n{body}'))
    assert found[0].fields == {"id": "1", "title": "א"}
    assert found[1].line == 3


def test_nulls_are_dropped(tmp_path: Path) -> None:
    assert fields(file(tmp_path, "x.csv", "id,title\n1,א\0ב\n")) == [{"id": "1", "title": "אב"}]


def test_a_broken_line_of_json_lines_is_refused_and_the_others_are_read(tmp_path: Path) -> None:
    lines = ['{"id": 1}', '{"id": 2', "", "[3]", "7", '{"id": "\\ud800"}', "[" * 100_000, '{"id": 4}']
    found = read(file(tmp_path, "x.jsonl", "\n".join(lines)))
    assert [row.fields for row in found if row.fields] == [{"id": 1}, {"id": 4}]
    assert [row.line for row in found] == [1, 2, 4, 5, 6, 7, 8]
    assert found[1].reason.startswith("not JSON: ")
    assert found[2].reason == found[3].reason == 'not a JSON object: a document is written {"title": …}'


@pytest.mark.parametrize("name", ["x.jsonl", "x.csv"])
def test_a_line_far_too_long_is_refused_and_the_next_is_read(tmp_path: Path, name: str) -> None:
    long = "א" * (MOST_ROW_BYTES + 10)
    content = {
        "x.jsonl": f'{{"title": "{long}"}}\n{{"title": "ב"}}\n',
        "x.csv": f"title\n{long}\nב\n",
    }[name]
    found = read(file(tmp_path, name, content))
    assert [row.fields for row in found] == [None, {"title": "ב"}]
    assert found[0].reason


def test_an_array_of_json_is_read_by_place(tmp_path: Path) -> None:
    path = file(tmp_path, "x.json", '\ufeff [{"id": 1, "n": 1.5, "t": ["א"]}, 3, {"id": 2}]')
    assert [(row.line, row.fields) for row in read(path)] == [
        (1, {"id": 1, "n": 1.5, "t": ["א"]}),
        (2, None),
        (3, {"id": 2}),
    ]


def test_an_array_broken_in_the_middle_gives_what_is_before(tmp_path: Path) -> None:
    found = read(file(tmp_path, "x.json", '[{"id": 1}, {"id": 2}, {"id": 3, !]'))
    assert [row.fields for row in found] == [{"id": 1}, {"id": 2}, None]
    assert found[2].line == 3
    assert found[2].reason.startswith("not JSON from here on")


def test_json_lines_may_be_called_json(tmp_path: Path) -> None:
    assert file_kind(file(tmp_path, "x.json", '\ufeff{"id": 1}\n{"id": 2}')) == "json"
    assert len(read(tmp_path / "x.json")) == 2


@pytest.mark.parametrize("content", ["", "\ufeff", "\n\n  \r\n"])
@pytest.mark.parametrize("name", ["x.csv", "x.json", "x.jsonl"])
def test_an_empty_file_is_refused(tmp_path: Path, name: str, content: str) -> None:
    with pytest.raises(FileUnusable, match="The file is empty"):
        read(file(tmp_path, name, content))


def test_a_missing_file_an_empty_folder_and_another_kind_are_refused(tmp_path: Path) -> None:
    for name in ("none.csv", "none.xlsx", "none.zip"):
        with pytest.raises(FileUnusable, match="There is no such file"):
            read(tmp_path / name)
    (tmp_path / "folder").mkdir()
    with pytest.raises(FileUnusable, match="No row of the file can be read"):
        file_layout(tmp_path / "folder", Options())
    with pytest.raises(FileUnusable, match="not a file of documents"):
        read(file(tmp_path, "x.exe", "MZ"))


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json"])
def test_progress_is_told_in_bytes(tmp_path: Path, name: str) -> None:
    objects = [{"title": f"{HEBREW} {number}"} for number in range(2_000)]
    content = {
        "x.csv": "title\n" + "\n".join(str(one["title"]) for one in objects),
        "x.jsonl": "\n".join(map(json.dumps, objects)),
        "x.json": json.dumps(objects),
    }[name]
    path = file(tmp_path, name, content)
    told: list[int] = []
    assert len(list(rows(path, told.append))) == 2_000
    assert told == sorted(told)
    assert told[-1] == path.stat().st_size


def test_what_is_no_number_of_json_is_refused_in_its_row(tmp_path: Path) -> None:
    path = tmp_path / "a.jsonl"
    path.write_text('{"title": "a", "year": NaN}\n{"title": "b", "year": 1e3}\n')
    refused, read = rows(path)
    assert "NaN" in refused.reason
    assert read.fields == {"title": "b", "year": 1000.0}


def test_two_columns_of_one_name_are_refused_and_not_merged(tmp_path: Path) -> None:
    path = tmp_path / "two.csv"
    path.write_text("title,body,title,\nא,ב,ג,\n", encoding="utf-8")
    with pytest.raises(FileUnusable, match="Two columns have the same name: title"):
        list(rows(path))
    path.write_text("title,body,,\nא,ב,,\n", encoding="utf-8")
    assert len(list(rows(path))) == 1
