"""Packed embeddings: whatever is written, deleted, merged or interrupted, the index has what the database has."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import delete, func, select
from sqlalchemy.orm import Session

from indexes.choice import version_of
from indexes.embedding_segments import Packed, current_documents, packed_segments, packed_state
from indexes.embedding_space import DOCUMENT_SOURCE, EmbeddingSpace
from indexes.mapped_index import loaded_index, opened_index
from indexes.packing import needs_packing, pack_embeddings
from indexing.documents import NewDocument, delete_documents, write_documents
from indexing.embedding import embed
from indexing.stored_models import drop_model
from models import Embedding, EmbeddingSegment, PackedEmbeddings, document_number
from tests.fakes import HashedWords

SPACE = EmbeddingSpace.of(HashedWords.manifest)


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pack a few rows as many would be packed."""
    monkeypatch.setattr("indexes.packing.EXACT_ROWS", 20)
    monkeypatch.setattr("indexes.packing.ROWS_AT_ONCE", 16)
    monkeypatch.setattr("indexes.packing.LEAST_CHANGES", 1)
    monkeypatch.setattr("indexes.packing.TIERS", (64, 256))
    monkeypatch.setattr("indexes.packing.FAN_OUT", 3)


def written(session: Session, *names: str, words: str = "") -> None:
    documents = [NewDocument(name, f"title {name}", f"body of {name} {words}") for name in names]
    write_documents(session, "house", documents)


def embedded(session: Session, *names: str, words: str = "") -> None:
    """Write and embed documents, and pack them where there are enough."""
    written(session, *names, words=words)
    embed(session, HashedWords())


def assert_whole(session: Session, folder: Path | None) -> None:
    """Assert that the packed rows are those of the table, no more and no less."""
    packed = packed_state(session, SPACE)
    assert packed is not None
    assert packed.packed_to is None
    index = loaded_index(session, folder, SPACE, packed, lambda _: False)
    stored = list(session.execute(select(Embedding.document_id, Embedding.window, Embedding.vector)))
    found = index.pairs(np.arange(index.header.rows))
    assert sorted(found) == sorted((row.document_id, row.window) for row in stored)
    keys = np.unique([row.document_id for row in stored])
    assert sorted(index.pairs(index.places(keys))) == sorted(found)
    assert index.places(np.array([5, 6])).tolist() == []
    expected = SPACE.bit_rows([row.vector for row in stored])
    places = {pair: place for place, pair in enumerate(found)}
    order = [places[row.document_id, row.window] for row in stored]
    for mine, other in zip(index.bits[np.array(order)].arrays, expected.arrays, strict=True):
        assert (mine == other).all()


def names(start: int, stop: int) -> Sequence[str]:
    return [f"n{place}" for place in range(start, stop)]


def test_few_embeddings_are_not_packed(session: Session) -> None:
    embedded(session, *names(0, 9))
    assert packed_state(session, SPACE) is None
    assert not needs_packing(session, SPACE)


def test_random_writes_and_deletions(session: Session, tmp_path: Path) -> None:
    chance = np.random.default_rng(8)
    embedded(session, *names(0, 30))
    for turn in range(15):
        some = [f"n{place}" for place in chance.choice(60, 6, replace=False)]
        if turn % 3 == 2:
            delete_documents(session, [document_number("house", name) for name in some])
        else:
            embedded(session, *some, words=f"turn{turn}")
        pack_embeddings(session, SPACE)
        assert_whole(session, tmp_path if turn % 2 else None)
    segments = packed_segments(session, SPACE.model)
    assert len(segments) < 12
    current = sum(int(mask.sum()) for mask in current_documents(segments))
    assert sum(len(segment.keys) for segment in segments) < 2 * current


def test_what_is_there_already_is_packed_from_where_it_stopped(session: Session, tmp_path: Path) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("indexes.packing.EXACT_ROWS", 10_000)  # as if a former release had embedded them
        embedded(session, *names(0, 40))
    assert needs_packing(session, SPACE)
    stop = threading.Event()
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("indexes.packing._merge_once", lambda *_: stop.set())
        pack_embeddings(session, SPACE, stop)
    packed = packed_state(session, SPACE)
    assert packed is not None
    assert packed.packed_to is not None
    assert needs_packing(session, SPACE)
    embedded(session, "n3", "n50", words="meanwhile")
    delete_documents(session, [document_number("house", "n4")])
    pack_embeddings(session, SPACE)
    assert not needs_packing(session, SPACE)
    assert_whole(session, tmp_path)


def test_a_step_that_another_process_took_is_not_taken_again(session: Session) -> None:
    embedded(session, *names(0, 40))
    with Session(session.get_bind()) as other:
        embedded(session, "n1", words="anew")
        before = session.execute(select(func.count()).select_from(EmbeddingSegment)).scalar_one()
        session.rollback()
        assert pack_embeddings(other, SPACE) == 0
        assert other.execute(select(func.count()).select_from(EmbeddingSegment)).scalar_one() == before
    assert_whole(session, None)


def test_other_means_are_packed_anew(session: Session, tmp_path: Path) -> None:
    embedded(session, *names(0, 40))
    moved = EmbeddingSpace(SPACE.model, SPACE.means, SPACE.query_mean + np.float32(0.1))
    assert packed_state(session, moved) is None
    assert needs_packing(session, moved)
    pack_embeddings(session, moved)
    assert not needs_packing(session, moved)
    assert packed_state(session, SPACE) is None


def test_a_model_that_is_dropped_leaves_nothing(session: Session) -> None:
    embedded(session, *names(0, 40))
    drop_model(session, SPACE.model)
    for table in (EmbeddingSegment, PackedEmbeddings):
        assert session.execute(select(func.count()).select_from(table)).scalar_one() == 0


def packed(session: Session) -> Packed:
    state = packed_state(session, SPACE)
    assert state is not None
    return state


def test_a_file_is_used_again_and_one_of_something_else_is_not(session: Session, tmp_path: Path) -> None:
    embedded(session, *names(0, 40))
    made = loaded_index(session, tmp_path, SPACE, packed(session), lambda _: False)
    assert made.path is not None
    inode = made.path.stat().st_ino
    again = loaded_index(session, tmp_path, SPACE, packed(session), lambda version: version == made.header.version)
    assert again.path is not None
    assert again.path.stat().st_ino == inode
    assert opened_index(tmp_path, SPACE, packed(session).epoch + 1) is None
    assert opened_index(tmp_path, EmbeddingSpace(1, SPACE.means, SPACE.query_mean), packed(session).epoch) is None
    moved = EmbeddingSpace(SPACE.model, SPACE.means, SPACE.query_mean + np.float32(0.1))
    assert opened_index(tmp_path, moved, packed(session).epoch) is None
    assert [path.name for path in tmp_path.glob("*.index*")] == [made.path.name]


@pytest.mark.parametrize("damage", ["cut", "longer", "a bit", "header", "empty", "text", "other keys", "folder"])
def test_a_damaged_file_is_made_anew(session: Session, tmp_path: Path, damage: str) -> None:
    embedded(session, *names(0, 40))
    made = loaded_index(session, tmp_path, SPACE, packed(session), lambda _: False)
    assert made.path is not None
    data = made.path.read_bytes()
    middle = len(data) - 700
    changed = {
        "cut": data[:-1],
        "longer": data + b"\0",
        "a bit": data[:middle] + bytes([data[middle] ^ 4]) + data[middle + 1 :],
        "header": b"{" + data[2:],
        "empty": b"",
        "text": "שלום".encode() * 2_000,
        "other keys": data.replace(b'"rows"', b'"rews"'),
        "folder": b"",
    }[damage]
    made.path.unlink()
    if damage == "folder":
        made.path.mkdir()
    else:
        made.path.write_bytes(changed)
    assert opened_index(tmp_path, SPACE, packed(session).epoch) is None
    index = loaded_index(session, tmp_path, SPACE, packed(session), lambda _: True)
    assert index.header.rows == made.header.rows
    assert (index.path is None) == (damage == "folder")


def test_where_nothing_can_be_written_the_index_is_in_memory(session: Session, tmp_path: Path) -> None:
    embedded(session, *names(0, 40))
    (tmp_path / "file").write_text("not a folder")
    for folder in (None, tmp_path / "file", Path("/proc/index")):
        index = loaded_index(session, folder, SPACE, packed(session), lambda _: True)
        assert index.path is None
        assert index.header.rows == DOCUMENT_SOURCE.count(session, SPACE.model)


def test_a_map_outlives_its_file(session: Session, tmp_path: Path) -> None:
    embedded(session, *names(0, 40))
    old = loaded_index(session, tmp_path, SPACE, packed(session), lambda _: False)
    before = old.bits.tobytes()
    embedded(session, *names(40, 60))
    new = loaded_index(session, tmp_path, SPACE, packed(session), lambda _: False)
    assert new.header.rows > old.header.rows
    assert new.path is not None
    new.path.unlink()
    assert old.bits.tobytes() == before


def test_an_older_copy_of_the_database_does_not_use_a_newer_file(session: Session) -> None:
    embedded(session, *names(0, 40))
    assert packed(session).version == version_of(session)
    session.execute(delete(Embedding).where(Embedding.document_id == document_number("house", "n1")))
    session.commit()
    assert packed(session).version == version_of(session)
