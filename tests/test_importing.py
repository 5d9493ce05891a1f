"""Importing files: what becomes a document, what is refused and where it is told."""

from __future__ import annotations

import csv
import json
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from indexing.importing import ImportReport, import_file
from indexing.layout import Options
from indexing.parsing import MOST_TEXT_BYTES
from indexing.previews import preview
from indexing.rows import FileUnusable
from models import Collection, Document, DocumentTag, Tag
from tests.documents import found, stands_right

CSV = 'id,title,body,tags\n1,שלום,גוף ראשון,"חוק; צה״ל"\n2,מלחמה,גוף שני,חוק\n'


def file(folder: Path, name: str, content: str | bytes) -> Path:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    return path


def jsonl(folder: Path, *documents: object) -> Path:
    return file(folder, "x.jsonl", "\n".join(json.dumps(one, ensure_ascii=False) for one in documents))


def imported(session: Session, path: Path, options: Options | None = None) -> ImportReport:
    return import_file(session, path, options or Options())


def counts(report: ImportReport) -> tuple[int, int, int, int]:
    written = report.written
    return written.new, written.changed, written.unchanged, report.refused


def refused(path: Path) -> list[dict[str, str]]:
    with path.with_name(path.name + ".rejects.csv").open(encoding="utf-8-sig", newline="") as lines:
        return list(csv.DictReader(lines))


def stored(session: Session) -> dict[str, Document]:
    return {one.own_id: one for one in session.execute(select(Document)).scalars()}


def tags_of(session: Session, own_id: str) -> list[str]:
    joined = select(Tag.name).join(DocumentTag, DocumentTag.tag_id == Tag.id)
    named = joined.join(Document, Document.id == DocumentTag.document_id).where(Document.own_id == own_id)
    return list(session.execute(named.order_by(DocumentTag.place)).scalars())


def test_the_same_file_again_changes_nothing(session: Session, tmp_path: Path) -> None:
    path = file(tmp_path, "x.csv", CSV)
    assert counts(imported(session, path)) == (2, 0, 0, 0)
    assert counts(imported(session, path)) == (0, 0, 2, 0)
    file(tmp_path, "x.csv", CSV.replace("ראשון", "אחר") + "3,שלוש,,\n")
    assert counts(imported(session, path)) == (1, 1, 1, 0)
    assert found(session, "אחר") == ["1"]
    assert found(session, "ראשון") == []
    assert tags_of(session, "1") == ["חוק", "צה״ל"]
    stands_right(session)


@pytest.mark.parametrize("name", ["x.csv", "x.jsonl", "x.json"])
def test_one_collection_is_the_same_from_every_kind_of_file(session: Session, tmp_path: Path, name: str) -> None:
    rows = [{"id": "1", "title": "שלום", "body": "עולם", "tags": ["א", "ב"], "year": "2020"}]
    content = {
        "x.csv": "id;title;body;tags;year\n1;שלום;עולם;א|ב;2020\n",
        "x.jsonl": json.dumps(rows[0]),
        "x.json": json.dumps(rows),
    }[name]
    imported(session, file(tmp_path, name, content))
    one = stored(session)["1"]
    assert (one.title, one.body, one.extra) == ("שלום", "עולם", {"year": "2020"})
    assert tags_of(session, "1") == ["א", "ב"]


def test_refused_rows_are_kept_beside_the_file_and_the_good_ones_are_stored(session: Session, tmp_path: Path) -> None:
    path = jsonl(
        tmp_path,
        {"id": 1, "title": "שלום"},
        {"id": 2},
        {"id": 3, "title": "א" * (MOST_TEXT_BYTES // 2 + 1)},
        {"id": 4, "title": "ב", "tags": [f"תג {number}" for number in range(201)]},
        {"id": 5, "title": "ג", "tags": ["ד" * 201]},
        {"id": "x" * 256, "title": "ה"},
        {"id": 6, "title": "ו" * (MOST_TEXT_BYTES // 2)},
    )
    report = imported(session, path)
    assert counts(report) == (2, 0, 0, 5)
    assert (report.exit_code, report.rejects) == (1, tmp_path / "x.jsonl.rejects.csv")
    assert [(row["line"], row["reason"]) for row in refused(path)] == [
        ("2", "neither a title nor a body: fill in one of them"),
        ("3", "over 1 MB of text: split it into several documents"),
        ("4", "more than 200 tags: keep the most important ones"),
        ("5", "a tag is longer than 200 characters: say what separates the tags, or shorten it"),
        ("6", "the id is longer than 255 characters: shorten it, or choose another column as the id"),
    ]
    assert json.loads(refused(path)[0]["row"]) == {"id": 2}


def test_the_file_of_refused_rows_goes_when_all_is_good(session: Session, tmp_path: Path) -> None:
    path = file(tmp_path, "x.jsonl", '{"title": "שלום"}\n{"title": ')
    assert counts(imported(session, path)) == (1, 0, 0, 1)
    assert refused(path)[0]["line"] == "2"
    file(tmp_path, "x.jsonl", '{"title": "שלום"}\n{"title": "עולם"}')
    assert counts(imported(session, path)) == (1, 0, 1, 0)
    assert not (tmp_path / "x.jsonl.rejects.csv").exists()


def test_of_rows_with_one_id_the_last_counts(session: Session, tmp_path: Path) -> None:
    rows = [{"id": number % 3, "title": f"גרסה {number}"} for number in range(9)]
    report = imported(session, jsonl(tmp_path, *rows, {"id": 0}))
    assert (counts(report), report.duplicates) == ((3, 0, 0, 1), 6)
    assert {key: one.title for key, one in stored(session).items()} == {
        "0": "גרסה 6",
        "1": "גרסה 7",
        "2": "גרסה 8",
    }


def test_rows_without_an_id_are_known_by_their_text(session: Session, tmp_path: Path) -> None:
    path = jsonl(tmp_path, {"title": "שלום"}, {"title": "עולם"}, {"title": "שלום"})
    report = imported(session, path)
    assert (counts(report), report.duplicates) == ((2, 0, 0, 0), 1)
    assert counts(imported(session, path)) == (0, 0, 2, 0)


def test_columns_are_mapped_and_dropped_and_tags_parted_as_told(session: Session, tmp_path: Path) -> None:
    path = file(tmp_path, "x.csv", "name,text,labels,phone,year\nשלום,עולם,א/ב;ג,050,2020\n")
    options = Options(
        "people", {"title": "name", "body": "text", "tags": "labels"}, tag_separator="/", drop=frozenset({"phone"})
    )
    assert counts(imported(session, path, options)) == (1, 0, 0, 0)
    (one,) = stored(session).values()
    assert (one.title, one.body, one.extra) == ("שלום", "עולם", {"year": "2020"})
    assert tags_of(session, one.own_id) == ["א", "ב;ג"]
    assert session.execute(select(Collection.name)).scalars().all() == ["people"]


@pytest.mark.parametrize(
    ("given", "expected"),
    [
        ("א, ב ,א,,", ["א", "ב"]),
        ("א;ב, ג", ["א", "ב, ג"]),
        ("א|ב, ג", ["א", "ב, ג"]),
        (["א, ב", 3, None, " ג  ד "], ["א, ב", "3", "ג ד"]),
        (None, []),
    ],
)
def test_tags_are_parted_by_what_they_have(
    session: Session, tmp_path: Path, given: object, expected: list[str]
) -> None:
    imported(session, jsonl(tmp_path, {"id": "1", "title": "ת", "skills": given}))
    assert tags_of(session, "1") == expected


def test_nulls_and_odd_values_become_text(session: Session, tmp_path: Path) -> None:
    rows = [
        {"id": 1.5, "title": "א\0ב", "body": ["x", 2], "language": "HE", "n": {"deep": [1]}},
        {"id": True, "title": 2020, "description": None},
    ]
    assert counts(imported(session, jsonl(tmp_path, *rows))) == (2, 0, 0, 0)
    found_rows = stored(session)
    assert set(found_rows) == {"1.5", "True"}
    one = found_rows["1.5"]
    assert (one.title, one.body, one.language, one.extra) == ("אב", "x\n\n2", "he", {"n": {"deep": [1]}})


def test_nulls_in_what_is_kept_beside_do_not_stop_an_import(session: Session, tmp_path: Path) -> None:
    rows = [{"id": 1, "title": "א", "note\0": "x\0y"}, {"id": "2\0", "title": "ב", "tags": ["ג\0"]}]
    assert counts(imported(session, jsonl(tmp_path, *rows))) == (2, 0, 0, 0)


@pytest.mark.parametrize(
    ("content", "options", "message"),
    [
        ("צבע,גודל\nא,ב\n", Options(), "or the like; the columns are צבע, גודל"),
        ("title\n", Options(), "No row of the file can be read"),
        (CSV, Options(mapping={"title": "name"}), "No column is called 'name'; the columns are id, title, body, tags"),
        (CSV, Options(mapping={"colour": "id"}), "'colour' is not a field of documents; the fields are id, title"),
    ],
)
def test_a_file_that_cannot_be_used_changes_nothing(
    session: Session, tmp_path: Path, content: str, options: Options, message: str
) -> None:
    with pytest.raises(FileUnusable) as caught:
        imported(session, file(tmp_path, "x.csv", content), options)
    assert message in str(caught.value)
    assert stored(session) == {}


def test_a_preview_tells_how_the_columns_are_understood(tmp_path: Path) -> None:
    path = file(tmp_path, "x.csv", "ID,Title,tags,phone,year\n1,שלום,חוק,050,2020\n2,,,,\n")
    seen = preview(path, Options(drop=frozenset({"phone"})))
    assert [column[:2] for column in seen.columns] == [
        ("ID", "id"),
        ("Title", "title"),
        ("tags", "tags"),
        ("phone", "-"),
        ("year", ""),
    ]
    assert [one.title for one in seen.documents] == ["שלום"]
    assert [(row.line, row.reason) for row in seen.refused] == [(3, "neither a title nor a body: fill in one of them")]
