"""The process that reads files which are no plain text: what it gets, what it leaves, and how it ends."""

from __future__ import annotations

import io
import subprocess
import sys
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest
from sqlalchemy.orm import Session

from config import ROOT
from indexing import extraction, extractor
from indexing.archives import Entry
from indexing.extraction import extracted
from indexing.importing import import_file
from indexing.layout import Options
from indexing.reading import rows
from indexing.rows import FileUnusable, Row, RowRefused, row_line, row_of_line
from tests.conftest import sqlite_alone
from tests.documents import found
from tests.office_files import pdf, xlsx, zip_of

database = sqlite_alone  # how a file is read does not depend on the database


def archive(folder: Path, count: int = 3) -> Path:
    path = folder / "a.zip"
    path.write_bytes(zip_of({f"{number}.txt": f"text {number}" for number in range(count)}))
    return path


def test_what_is_extracted_is_imported_and_leaves_nothing(session: Session, tmp_path: Path) -> None:
    path, done = archive(tmp_path), [0]
    report = import_file(session, path, Options(), done.append)
    assert (report.written.new, report.refused) == (3, 0)
    assert sorted(found(session, "text")) == ["0.txt", "1.txt", "2.txt"]
    assert done[-1] == path.stat().st_size
    assert [name.name for name in tmp_path.iterdir() if name.name.startswith("a.zip")] == ["a.zip"]
    assert import_file(session, path, Options()).written.unchanged == 3


def test_only_the_first_rows_are_extracted_for_a_sample(tmp_path: Path) -> None:
    with extracted(archive(tmp_path, 9), Options(), most_rows=4) as stored:
        assert len(list(rows(stored))) == 4


def test_a_refused_row_keeps_its_line_and_reason() -> None:
    reason = FileUnusable("twice", names="a")
    row = Row(7, None, RowRefused("bad_document.file", reason=reason), "a.csv")
    again = row_of_line(row_line(row))
    assert (again.line, again.reason, again.raw) == (7, row.reason, "a.csv")
    odd = Row(1, {"title": "\ud800", "n": [1, {"a": None}]})
    assert row_of_line(row_line(odd)) == odd


def test_text_that_is_none_refuses_its_row(tmp_path: Path) -> None:
    path = tmp_path / "a.zip"
    path.write_bytes(zip_of({"a.csv": "title\nא\n".encode() * 3 + b"\xff\n"}))
    assert [row.reason for row in rows(path)][-1].startswith("a character that is not UTF-8")


def test_the_reading_ends_when_it_is_no_longer_waited_for(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "LOOK_EVERY_S", 0.001)
    started: list[subprocess.Popen[bytes]] = []
    usual = subprocess.Popen.__init__

    def noted(self: subprocess.Popen[bytes], *arguments: object, **more: object) -> None:
        started.append(self)
        usual(self, *arguments, **more)  # type: ignore[call-overload]

    monkeypatch.setattr(subprocess.Popen, "__init__", noted)

    def cancelled() -> None:
        raise TimeoutError

    path = archive(tmp_path)
    with pytest.raises(TimeoutError), extracted(path, Options(), on_wait=cancelled):
        pass
    assert started[0].returncode is not None
    assert list(tmp_path.iterdir()) == [path]


def test_a_reader_that_fails_says_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(extraction, "ROOT", tmp_path)  # where there is no such module
    with pytest.raises(FileUnusable, match=r"could not be read to its end: .*No module named"):
        list(rows(archive(tmp_path)))


def test_the_reader_is_told_no_secrets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET_KEY", "secret")
    monkeypatch.setenv("ADMIN_TOKEN", "secret")
    assert "secret" not in extraction._environment().values()


def test_no_library_for_such_files_is_loaded_by_the_process_that_imports(tmp_path: Path) -> None:
    for name, content in (("a.pdf", pdf("the sea")), ("b.xlsx", xlsx({"s": [["title"], ["a"]]}))):
        (tmp_path / name).write_bytes(content)
    code = (
        "import sys; from pathlib import Path; import app; from indexing.previews import preview\n"
        "from indexing.layout import Options\n"
        "print(*[preview(Path(name), Options()).documents[0].title for name in sys.argv[1:]], sep=',')\n"
        "print(*[name for name in sys.modules if name.split('.')[0] in ('pypdf', 'defusedxml', 'zipfile')])"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "a.pdf"), str(tmp_path / "b.xlsx")]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True)
    titles, loaded = done.stdout.split("\n")[-3:-1]
    assert titles == "a,a"
    assert "pypdf" not in loaded
    assert "defusedxml" not in loaded


def entry_that(act: Callable[[], object]) -> Entry:
    """Return a text file that does something when it is opened."""

    def opened() -> io.BytesIO:
        act()
        return io.BytesIO(b"text")

    return Entry("a.txt", 4, opened)


def test_a_document_that_takes_too_long_or_too_much_is_refused_and_the_next_is_read(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(extractor, "MOST_FILE_S", 1)

    def endless() -> None:
        while True:
            with suppress(Exception):  # as libraries do
                sum(range(1_000))

    def greedy() -> None:
        raise MemoryError

    read = list(extractor.entry_rows(map(entry_that, (endless, greedy, lambda: None)), Options()))
    assert [row.reason for row in read[:2]] == [
        "reading it takes more than 1 seconds: split it", "reading it takes too much memory: split it",
    ]  # fmt: skip
    assert read[2].fields == {"id": "a.txt", "title": "a", "body": "text"}


def test_a_file_that_needs_more_memory_than_there_is_does_not_stop_the_others(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "a.zip"
    large = "".join(f"<p>{number}</p>" for number in range(400_000))
    path.write_bytes(zip_of({"large.html": f"<html><body>{large}</body></html>", "small.txt": "text"}))
    code = (
        "import resource, sys; from indexing import extractor; extractor.MOST_MEMORY = 40 << 20\n"
        "from indexing.layout import Options; from pathlib import Path; extractor.limit_process()\n"
        "extractor.main(Path(sys.argv[1]), Options(), 0, sys.stdout.buffer)"
    )
    done = subprocess.run([sys.executable, "-c", code, str(path)], cwd=ROOT, capture_output=True, check=True)
    first, second = map(row_of_line, done.stdout.splitlines())
    assert first.reason == "reading it takes too much memory: split it"
    assert second.fields is not None
    assert second.fields["body"] == "text"
