"""Backups: what one holds, that it comes back on any database, and what is said of one that cannot."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from app import create_app
from config import Settings
from indexing.archive import Archive, ArchiveUnusable
from indexing.backup import LEFT_OUT, MADE_ANEW, backup, plain_tables
from indexing.embedding import embed
from indexing.restore import NotEmpty, restore
from indexing.stored_models import switch
from models import KEPT_CHANGES, Base, Embedding, State, db
from tests.conftest import Started, closed, settings_for
from tests.databases import MAKERS
from tests.documents import document, found, remove, shared_documents, stands_right, write
from tests.fakes import HashedWords
from utils.citus import is_spread


@pytest.fixture
def filled(session: Session) -> Session:
    """A database with documents of two collections, tags, words and embeddings."""
    write(session, *shared_documents(30))
    write(session, document("זר", "כותרת", "גוף \x85 עם «zyzzyva» ו־🙂", "תגית; מוזרה"), collection="אחר")
    embed(session, HashedWords())
    return session


@pytest.fixture
def saved(filled: Session, tmp_path: Path) -> Path:
    path = tmp_path / "all.matmon"
    backup(db.engine, path)
    filled.rollback()
    return path


@contextmanager
def another(started: Started, kind: str, folder: Path) -> Iterator[Session]:
    """Give a session on an empty database of a kind, beside the test's own."""
    folder.mkdir(exist_ok=True)
    with started.maker(kind).fresh(folder) as url:
        app = create_app(settings_for(url, folder))
        with app.app_context():
            yield db.session()
        closed(app)


def test_every_table_is_copied_or_made_anew() -> None:
    copied = {table.name for table in plain_tables()}
    assert copied | MADE_ANEW | LEFT_OUT == set(Base.metadata.tables)
    assert {"collection", "tag", "model", "embedding", "tag_embedding"} <= copied


@pytest.mark.parametrize("kind", list(MAKERS))
def test_a_backup_comes_back_whole_on_any_database(saved: Path, started: Started, tmp_path: Path, kind: str) -> None:
    archive = Archive(saved)
    archive.verify()
    with another(started, kind, tmp_path / "other") as session:
        assert restore(session, archive) == 31
        stands_right(session)
        assert "זר" in found(session, "zyzzyva")
        again = tmp_path / "again.matmon"
        backup(db.engine, again)
        assert Archive(again).manifest.parts == archive.manifest.parts


def test_a_backup_is_of_one_moment_while_writes_go_on(filled: Session, app: Flask, tmp_path: Path) -> None:
    if is_spread(filled):
        pytest.skip("on several servers writers wait for a backup")
    before = {name: part.rows for name, part in backed_up(tmp_path / "before").manifest.parts.items()}
    meanwhile = iter([lambda: write(filled, document("later", "אחרי", "")), lambda: remove(filled, "זר")])

    def on_rows(_: int) -> None:
        next(meanwhile, lambda: None)()

    during = backed_up(tmp_path / "during", on_rows)
    assert next(meanwhile, None) is None, "both were written while the backup was"
    assert {name: part.rows for name, part in during.manifest.parts.items()} == before
    assert found(filled, "אחרי")


def backed_up(path: Path, on_rows: Callable[[int], None] = lambda _: None) -> Archive:
    backup(db.engine, path, on_rows)
    archive = Archive(path)
    archive.verify()
    return archive


def test_a_database_that_holds_something_is_left_alone(saved: Path, session: Session) -> None:
    with pytest.raises(NotEmpty, match="--replace"):
        restore(session, Archive(saved))
    stands_right(session)
    assert found(session, "zyzzyva") == ["זר"]


def test_what_is_replaced_is_gone_and_every_process_reads_anew(saved: Path, session: Session) -> None:
    write(session, document("newer", "חדש לגמרי", "שנכתב אחרי הגיבוי"))
    before = session.execute(select(State.version)).scalar_one()
    restore(session, Archive(saved), replace=True)
    assert "newer" not in found(session, "שנכתב")
    assert found(session, "zyzzyva") == ["זר"]
    assert session.execute(select(State.version)).scalar_one() > before + KEPT_CHANGES
    stands_right(session)


def test_the_chosen_model_comes_back(filled: Session, tmp_path: Path, started: Started) -> None:
    switch(filled, HashedWords.manifest)
    model = filled.execute(select(Embedding.model_id)).scalars().first()
    backup(db.engine, tmp_path / "chosen")
    with another(started, "sqlite", tmp_path / "other") as session:
        restore(session, Archive(tmp_path / "chosen"))
        assert session.execute(select(State.model_id)).scalar_one() == model


def rewritten(path: Path, change: Callable[[dict], object]) -> Path:
    """Return a copy of a backup whose manifest was changed."""
    copy = path.with_name("changed.matmon")
    with zipfile.ZipFile(path) as old, zipfile.ZipFile(copy, "w") as new:
        for name in old.namelist():
            text = old.read(name)
            if name == "manifest.json":
                manifest = json.loads(text)
                change(manifest)
                text = json.dumps(manifest).encode()
            new.writestr(name, text)
    return copy


def test_a_backup_of_a_later_version_is_refused(saved: Path, session: Session) -> None:
    with pytest.raises(ArchiveUnusable, match=r"later version.*upgrade first"):
        Archive(rewritten(saved, lambda manifest: manifest.update(format=2)))
    later = rewritten(saved, lambda manifest: manifest["tables"]["document"]["columns"].__setitem__(1, "shelf"))
    with pytest.raises(ArchiveUnusable, match="shelf"):
        restore(session, Archive(later), replace=True)
    stands_right(session)


def test_a_file_cut_off_anywhere_is_refused(saved: Path, tmp_path: Path) -> None:
    whole = saved.read_bytes()
    for length in (0, 1, 100, len(whole) // 2, len(whole) - 30, len(whole) - 1):
        cut = tmp_path / "cut.matmon"
        cut.write_bytes(whole[:length])
        with pytest.raises(ArchiveUnusable, match="not a complete backup"):
            Archive(cut)


def test_a_changed_byte_is_found_before_anything_is_written(saved: Path, tmp_path: Path) -> None:
    whole = bytearray(saved.read_bytes())
    with zipfile.ZipFile(saved) as archive:
        member = archive.getinfo("document.jsonl")
    whole[member.header_offset + member.compress_size // 2] ^= 0xFF
    changed = tmp_path / "changed.matmon"
    changed.write_bytes(whole)
    with pytest.raises(ArchiveUnusable, match="document"):
        Archive(changed).verify()


def test_a_line_that_is_missing_is_found(saved: Path) -> None:
    fewer = rewritten(saved, lambda manifest: manifest["tables"]["document"].update(rows=30))
    with pytest.raises(ArchiveUnusable, match="is damaged"):
        Archive(fewer).verify()


def test_a_file_that_is_no_backup_is_told_from_one_that_is_missing(tmp_path: Path, settings: Settings) -> None:
    other = tmp_path / "notes.txt"
    other.write_text("שלום", encoding="utf-8")
    with pytest.raises(ArchiveUnusable, match="another kind of file"):
        Archive(other)
    with pytest.raises(ArchiveUnusable, match="no such file"):
        Archive(tmp_path / "missing")
    assert settings.instance_dir == tmp_path
