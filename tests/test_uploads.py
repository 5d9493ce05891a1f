"""Uploaded files: safe names, a few kept, nothing left of one that is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from indexing.layout import Options
from indexing.rows import FileUnusable
from jobs.imports import accept
from jobs.uploads import MOST_FILES, file_name, upload_path
from models import Job


@pytest.mark.parametrize(
    ("given", "name"),
    [("books.csv", "books.csv"), ("../../etc/passwd.csv", "passwd.csv"), ("ספרים.jsonl", "documents.jsonl"),
     ("a b/c d.json", "c_d.json"), ("x" * 300 + ".csv", "x" * 80 + ".csv")],
)  # fmt: skip
def test_a_name_is_safe_and_keeps_its_kind(given: str, name: str) -> None:
    assert file_name(given) == name


def upload(session: Session, folder: Path, text: str, name: str = "a.csv") -> Job:
    return accept(session, folder, name, lambda path: path.write_text(text), Options())


def test_a_file_that_is_refused_leaves_neither_file_nor_job(session: Session, tmp_path: Path) -> None:
    with pytest.raises(FileUnusable):
        upload(session, tmp_path / "uploads", "a,b\n1,2\n")
    assert list((tmp_path / "uploads").iterdir()) == []
    assert session.execute(select(Job)).all() == []


def test_only_the_newest_files_are_kept(session: Session, tmp_path: Path) -> None:
    folder, paths = tmp_path / "uploads", []
    for number in range(MOST_FILES + 3):
        paths.append(upload_path(folder, upload(session, folder, f"title\n{number}\n")))
        os.utime(paths[-1], (number, number))
    assert sorted(folder.iterdir()) == sorted(paths[-MOST_FILES:])
