"""Folders and archives of texts: each file a document, with its title, tags and language, or why it is none."""

from __future__ import annotations

import io
import zipfile
from pathlib import Path

import pytest

from indexing import archives
from indexing.archives import archive_entries, opened_archive
from indexing.documents import NewDocument
from indexing.layout import Options
from indexing.previews import Preview, preview
from indexing.rows import FileUnusable
from tests.office_files import docx, epub, odt, pdf, with_damage, xlsx, zip_of

FRONT = """---
title: 'שבת: בבוקר'
tags: [טבע, "ים"]
author: Dana
draft: true
list:
  - a
  - b
---
# Heading

text
"""
PAGE = (
    '<!doctype html><html lang="he-IL"><head><meta charset="windows-1255"><title>עמוד</title>'
    '<meta name="keywords" content="א, ב"></head><body><p>שלום</p><script>no()</script></body></html>'
)


def one(folder: Path, name: str, content: str | bytes) -> NewDocument:
    path = folder / name
    path.write_bytes(content.encode() if isinstance(content, str) else content)
    found = preview(path, Options())
    assert not found.refused
    (document,) = found.documents
    assert document.own_id == name
    return document


def test_markdown_has_the_title_and_tags_of_its_front_matter(tmp_path: Path) -> None:
    document = one(tmp_path, "note.md", FRONT)
    assert (document.title, document.tags) == ("שבת: בבוקר", ("טבע", "ים"))
    assert document.body == "# Heading\n\ntext"
    assert document.extra == {"author": "Dana", "draft": "true", "list": ["a", "b"]}


def test_markdown_without_front_matter_has_the_title_of_its_first_heading(tmp_path: Path) -> None:
    assert one(tmp_path, "a.md", "intro\n\n# The Title #\n").title == "The Title"
    assert one(tmp_path, "b.md", "no heading --- here\n---\n").title == "b"


def test_html_is_read_in_its_own_encoding_and_language(tmp_path: Path) -> None:
    document = one(tmp_path, "a.html", PAGE.encode("cp1255"))
    assert (document.title, document.body, document.tags, document.language) == ("עמוד", "שלום", ("א", "ב"), "he")


def test_pdf_word_open_document_and_books_have_their_own_titles(tmp_path: Path) -> None:
    found = one(tmp_path, "a.pdf", pdf("The sea is wide", "About water"))
    assert (found.title, found.body, found.tags) == ("About water", "The sea is wide", ("water", "sea"))
    found = one(tmp_path, "b.docx", docx(["פסקה", "עוד & עוד"], "מסמך", "א; ב"))
    assert (found.title, found.body, found.tags) == ("מסמך", "פסקה\nעוד & עוד", ("א", "ב"))
    assert found.extra == {"author": "Dana"}
    found = one(tmp_path, "c.odt", odt(["one", "two<text:tab/>three"]))
    assert (found.title, found.body) == ("c", "one\ntwo\tthree")
    found = one(tmp_path, "d.epub", epub("ספר", ["<h1>א</h1><p>ב</p>", "<p>ג</p>"], ["סיפורת", "רומן"]))
    assert (found.title, found.body, found.tags) == ("ספר", "א\n\nב\n\nג", ("סיפורת", "רומן"))
    assert found.language == "he"


def test_titles_that_programs_make_up_are_not_taken(tmp_path: Path) -> None:
    assert one(tmp_path, "letter.docx", docx(["x"], "Microsoft Word - letter final.doc")).title == "letter"
    assert one(tmp_path, "report.pdf", pdf("x", "untitled")).title == "report"


FILES: dict[str, str | bytes] = {
    "books/sea/a.txt": "על הים".encode("cp1255"),
    "books/b.md": "---\ntags: own\n---\nb",
    "books/page.html": PAGE.encode("cp1255"),
    "books/list.csv": "id,title\n1,first\n2,second\n",
    "books/more.jsonl": '{"title": "third"}\n',
    "books/table.xlsx": xlsx({"s": [["title"], ["fourth"]]}),
    "books/scan.pdf": pdf(""),
    "books/broken.docx": b"PK\x03\x04",
    "books/bad.csv": "title,title\na,b\n",
    "books/picture.jpg": b"\xff\xd8",
    "books/.hidden.txt": "x",
    "__MACOSX/books/._a.txt": "x",
    "books/Thumbs.db": "x",
}
TITLES = ["b", "first", "second", "third", "עמוד", "a", "fourth"]
REFUSED = {
    "books/bad.csv": "the file cannot be read: Two columns have the same name: title. Rename one of them.",
    "books/broken.docx": "the file cannot be read: The file is damaged, or is not what its name says: ",
    "books/picture.jpg": "not a kind of file that is read: left out",
    "books/scan.pdf": "no text in it, only pictures: have its text recognised (OCR) first",
}


def laid_out(folder: Path, is_folder: bool) -> Path:
    if not is_folder:
        path = folder / "all.zip"
        path.write_bytes(zip_of(FILES))
        return path
    for name, content in FILES.items():
        path = folder / "all" / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content.encode() if isinstance(content, str) else content)
    (folder / "outside.txt").write_text("not in it")
    (folder / "all" / "books" / "link.txt").symlink_to(folder / "outside.txt")
    return folder / "all"


def shown(path: Path, options: Options | None = None) -> Preview:
    return preview(path, options or Options(), most=20)


@pytest.mark.parametrize("is_folder", [False, True], ids=["zip", "folder"])
def test_a_folder_is_read_file_by_file(tmp_path: Path, is_folder: bool) -> None:
    found = shown(laid_out(tmp_path, is_folder))
    assert sorted(document.title for document in found.documents) == sorted(TITLES)
    by_id = {document.own_id: document for document in found.documents}
    assert by_id["books/sea/a.txt"].body == "על הים"
    assert by_id["books/sea/a.txt"].extra == {"folder": "books/sea"}
    refused = {row.raw: row.reason for row in found.refused}
    assert refused.keys() == REFUSED.keys()
    assert all(refused[name].startswith(reason) for name, reason in REFUSED.items())


def test_folders_are_tags_if_that_is_asked_for(tmp_path: Path) -> None:
    found = shown(laid_out(tmp_path, is_folder=True), Options(folder_tags=True))
    by_id = {document.own_id: document for document in found.documents}
    assert by_id["books/sea/a.txt"].tags == ("books", "sea")
    assert by_id["books/b.md"].tags == ("books", "own")
    assert by_id["books/b.md"].extra == {}


def test_hebrew_names_of_old_archives_are_read(tmp_path: Path) -> None:
    raw = zip_of({"AAAA.txt": "x", "BBBB.txt": "y"})
    raw = raw.replace(b"AAAA", "אבגד".encode("cp862")).replace(b"BBBB", "הו".encode())
    path = tmp_path / "a.zip"
    path.write_bytes(raw)
    with opened_archive(path) as archive:
        assert sorted(entry.path for entry in archive_entries(archive)) == ["אבגד.txt", "הו.txt"]


def test_an_archive_names_no_file_outside_of_it(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({"../../etc/a.txt": "x", "/b.txt": "y", "c\\d.txt": "z"}))
    assert sorted(document.own_id for document in shown(path).documents) == ["b.txt", "c/d.txt", "etc/a.txt"]


def test_an_archive_that_is_too_much_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({"a.txt": "x" * 2_000_000}))
    monkeypatch.setattr(archives, "RATIO_FROM_BYTES", 1_000)
    with (
        pytest.raises(FileUnusable, match=r"'a\.txt' in the archive is packed more than 200 to 1"),
        opened_archive(path),
    ):
        pass
    monkeypatch.setattr(archives, "MOST_BYTES", 1 << 20)
    with pytest.raises(FileUnusable, match="more than 0 GB when unpacked"), opened_archive(path):
        pass
    monkeypatch.setattr(archives, "MOST_ENTRIES", 0)
    with pytest.raises(FileUnusable, match="more than 0 files"), opened_archive(path):
        pass


def test_a_locked_archive_is_refused(tmp_path: Path) -> None:
    raw = bytearray(zip_of({"a.txt": "x"}))
    for signature, place in ((b"PK\x03\x04", 6), (b"PK\x01\x02", 8)):
        raw[raw.index(signature) + place] |= 1
    path = tmp_path / "a.zip"
    path.write_bytes(raw)
    with pytest.raises(FileUnusable, match="locked with a password"):
        shown(path)


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("a.pdf", b"x", "the file cannot be read"),
        ("a.pdf", pdf(""), "no text in it"),
        ("a.docx", zip_of({"a": "b"}), "the file cannot be read"),
        ("a.docx", docx(["א" * 600_000 for _ in range(3)]), "over 1 MB of text"),
        ("a.epub", b"PK", "the file cannot be read"),
        ("a.epub", zip_of({"META-INF/container.xml": "<container/>"}), "the file cannot be read"),
        ("a.zip", zip_of({"a.jpg": "x"}), "not a kind of file that is read"),
        ("a.zip", b"PK\x03\x04", "is damaged"),
        ("a.html", b"<html></html>", "neither a title nor a body"),
    ],
)
def test_a_document_that_cannot_be_read_is_refused_in_words(
    tmp_path: Path, name: str, content: bytes, reason: str
) -> None:
    path = tmp_path / name
    path.write_bytes(content)
    try:
        reasons = [row.reason for row in shown(path).refused]
    except FileUnusable as error:
        reasons = [str(error)]
    assert reason in reasons[0]


METHODS = {"deflate": zipfile.ZIP_DEFLATED, "bzip2": zipfile.ZIP_BZIP2, "lzma": zipfile.ZIP_LZMA}


@pytest.mark.parametrize("method", METHODS)
@pytest.mark.parametrize("name", ["b.txt", "b.csv", "b.jsonl", "b.html", "b.docx", "b.xlsx", "b.bib", "b.pdf"])
def test_one_damaged_file_does_not_lose_the_others(tmp_path: Path, method: str, name: str) -> None:
    content = io.BytesIO()
    with zipfile.ZipFile(content, "w", METHODS[method]) as archive:
        archive.writestr("a.txt", "first")
        archive.writestr(name, "title\n" + "a line that is long enough\n" * 50)
        archive.writestr("c.txt", "third")
    path = tmp_path / "all.zip"
    path.write_bytes(with_damage(content.getvalue(), name))
    found = shown(path)
    assert sorted(document.own_id for document in found.documents) == ["a.txt", "c.txt"]
    [refused] = found.refused
    assert refused.raw == name
    assert refused.reason.startswith("the file cannot be read: ")


@pytest.mark.parametrize(
    ("name", "content", "part"),
    [
        ("a.docx", docx(["a paragraph " * 40]), "word/document.xml"),
        ("a.odt", odt(["a paragraph " * 40]), "content.xml"),
        ("a.xlsx", xlsx({"s": [["title"], ["a cell " * 40]]}), "xl/worksheets/sheet1.xml"),
        ("a.xlsx", xlsx({"s": [["title"], ["a cell " * 40]]}), "xl/workbook.xml"),
        ("a.epub", epub("a book", ["<p>text</p>" * 40]), "META-INF/container.xml"),
    ],
)
def test_a_document_that_is_damaged_inside_is_refused_in_words(
    tmp_path: Path, name: str, content: bytes, part: str
) -> None:
    path = tmp_path / name
    path.write_bytes(with_damage(content, part))
    try:
        reasons = [row.reason for row in shown(path).refused]
    except FileUnusable as error:
        reasons = [str(error)]
    assert reasons
    assert "cannot be read" in reasons[0] or "is damaged" in reasons[0]
