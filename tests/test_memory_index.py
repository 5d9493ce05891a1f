"""The live index: packed, mapped and followed, it finds what comparing everything finds."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from sqlalchemy import select
from sqlalchemy.orm import Session

from indexes.choice import version_of
from indexes.embedding_space import DOCUMENT_SOURCE, EmbeddingSpace
from indexes.memory_index import LiveIndex
from indexes.packing import pack_embeddings
from indexing.documents import NewDocument, delete_documents, write_documents
from indexing.embedding import embed
from models import Embedding, document_number
from tests.fakes import HashedWords
from utils.bit_rows import SearchTarget
from utils.int8 import centred

SPACE = EmbeddingSpace.of(HashedWords.manifest)
ALL = 10_000


@pytest.fixture(autouse=True)
def small_limits(monkeypatch: pytest.MonkeyPatch) -> None:
    """Treat a few rows as many."""
    for module in ("packing", "memory_index"):
        monkeypatch.setattr(f"indexes.{module}.EXACT_ROWS", 20)
    monkeypatch.setattr("indexes.memory_index.MOST_FOLLOWED", 8)


def embedded(session: Session, *names: str, words: str = "") -> None:
    write_documents(session, "house", [NewDocument(name, f"title {name}", f"body {name} {words}") for name in names])
    embed(session, HashedWords())


def names(start: int, stop: int) -> list[str]:
    return [f"n{place}" for place in range(start, stop)]


def pairs(session: Session, index: LiveIndex, keys: list[int] | None = None) -> list[tuple[int, int]]:
    """Return everything that a search finds, sorted."""
    target = SearchTarget.plain(np.ones(SPACE.dim, np.float32))
    return sorted(index.nearest(session, version_of(session), target, ALL, ALL, lambda: keys))


def stored(session: Session) -> list[tuple[int, int]]:
    return sorted((row[0], row[1]) for row in session.execute(select(Embedding.document_id, Embedding.window)))


def live(folder: Path | None) -> LiveIndex:
    return LiveIndex(DOCUMENT_SOURCE, SPACE, folder)


def test_every_change_is_followed_on_top_of_the_mapped_file(session: Session, tmp_path: Path) -> None:
    embedded(session, *names(0, 40))
    index = live(tmp_path)
    assert pairs(session, index) == stored(session)
    assert index.mapped_bytes > 0
    for turn in range(12):
        embedded(session, f"n{turn}", f"m{turn}", words="anew")
        delete_documents(session, [document_number("house", f"n{turn + 20}")])
        assert pairs(session, index) == stored(session)
        some = [document_number("house", name) for name in (f"n{turn}", f"m{turn}", f"n{turn + 20}", "n39")]
        assert pairs(session, index, some) == [pair for pair in stored(session) if pair[0] in some]
    assert index.size == len(stored(session))


def test_a_file_of_another_process_is_used_and_what_changed_since_is_applied(session: Session, tmp_path: Path) -> None:
    embedded(session, *names(0, 40))
    assert pairs(session, live(tmp_path)) == stored(session)
    (file,) = tmp_path.glob("*.index")
    made = file.stat().st_ino
    embedded(session, "n1", "m1", words="anew")
    delete_documents(session, [document_number("house", "n2")])
    assert pairs(session, live(tmp_path)) == stored(session)
    assert file.stat().st_ino == made


def test_a_file_far_behind_is_made_anew_of_what_was_packed_since(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("indexes.packing.LEAST_CHANGES", 1)
    embedded(session, *names(0, 40))
    running = live(tmp_path)
    assert pairs(session, running) == stored(session)
    (file,) = tmp_path.glob("*.index")
    made = file.stat().st_ino
    embedded(session, *names(40, 60))
    assert pairs(session, live(tmp_path)) == stored(session)
    assert file.stat().st_ino != made
    assert pairs(session, running) == stored(session)


def test_a_process_far_behind_the_log_of_changes_reads_everything_anew(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    embedded(session, *names(0, 40))
    index = live(tmp_path)
    assert pairs(session, index) == stored(session)
    monkeypatch.setattr("indexes.memory_index.KEPT_CHANGES", 1)
    embedded(session, "m1")
    assert pairs(session, index) == stored(session)
    monkeypatch.setattr("indexes.packing.KEPT_CHANGES", 1)
    pack_embeddings(session, SPACE)
    assert pairs(session, live(tmp_path)) == stored(session)


def test_a_collection_grows_from_exact_to_packed_and_shrinks_again(session: Session, tmp_path: Path) -> None:
    index = live(tmp_path)
    embedded(session, *names(0, 5))
    assert pairs(session, index) == stored(session)
    assert index.mapped_bytes == 0
    embedded(session, *names(5, 30))
    assert pairs(session, index) == stored(session)
    embedded(session, "n30")
    assert pairs(session, index) == stored(session)
    assert index.mapped_bytes > 0
    delete_documents(session, [document_number("house", name) for name in names(3, 31)])
    assert pairs(session, index) == stored(session)
    assert pairs(session, live(tmp_path)) == stored(session)


def test_without_anything_packed_rows_are_read_one_by_one(
    session: Session, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("indexes.packing.EXACT_ROWS", ALL)  # as if a former release had embedded them
        embedded(session, *names(0, 40))
    index = live(tmp_path)
    assert pairs(session, index) == stored(session)
    assert index.mapped_bytes == 0
    pack_embeddings(session, SPACE)
    embedded(session, "n40")
    assert pairs(session, index) == stored(session)
    assert index.mapped_bytes > 0


def test_few_rows_come_in_their_exact_order(session: Session) -> None:
    embedded(session, *names(0, 9))
    rows = session.execute(select(Embedding.document_id, Embedding.window, Embedding.vector)).all()
    vector = HashedWords().encode_queries(["body n3 title n5"])[0]
    products = centred([row.vector for row in rows], SPACE.dim) @ vector
    found = live(None).nearest(session, version_of(session), SearchTarget.plain(vector), ALL, ALL)
    by_pair = {(row.document_id, row.window): product for row, product in zip(rows, products.tolist(), strict=True)}
    ordered = [by_pair[pair] for pair in found]
    assert len(found) == len(rows)
    assert all(one >= other - 1e-6 for one, other in pairwise(ordered))


def test_freed_rows_are_read_again(session: Session, tmp_path: Path) -> None:
    embedded(session, *names(0, 40))
    index = live(tmp_path)
    assert pairs(session, index) == stored(session)
    index.release()
    assert (index.size, index.nbytes) == (0, 0)
    assert pairs(session, index) == stored(session)
