"""Embeddings: what lacks one gets one, once; changed text anew; a stopped run goes on."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from contextlib import suppress
from itertools import pairwise

import numpy as np
import pytest
from flask import Flask
from sqlalchemy import select
from sqlalchemy.orm import Session

from indexing.documents import NewDocument, delete_documents, write_documents
from indexing.embedding import (
    LAST_KEY,
    SLICE,
    TAG_BATCH,
    Progress,
    embed,
    passages,
    slices,
    waiting_documents,
    waiting_tags,
)
from models import Change, Embedding, TagEmbedding, document_number
from search.semantic import model_of
from tests.collections import HOUSE
from tests.fakes import HashedWords
from utils.int8 import centred


def stored(session: Session, own_id: str) -> list[Embedding]:
    number = document_number("house", own_id)
    rows = select(Embedding).where(Embedding.document_id == number).order_by(Embedding.window)
    return list(session.execute(rows).scalars())


def test_everything_is_embedded_once_and_a_second_run_finds_nothing_to_do(session: Session) -> None:
    write_documents(session, "house", HOUSE)
    encoder = HashedWords()
    assert embed(session, encoder).done == len(HOUSE) + 6
    encoder.calls.clear()
    assert embed(session, encoder).total == 0
    assert encoder.calls == []
    assert len(session.execute(select(TagEmbedding)).all()) == 6


def test_a_stored_vector_is_the_encoders_own_within_its_rounding(session: Session) -> None:
    write_documents(session, "house", HOUSE)
    encoder = HashedWords()
    embed(session, encoder)
    (first, *_) = stored(session, "bread")
    expected = encoder.encode_passages([passages(HOUSE[3].title, HOUSE[3].body)[0][2]])[0]
    assert np.abs(centred([first.vector], encoder.dim)[0] - expected).max() < 1 / 127


def test_changed_text_waits_and_changed_tags_do_not(session: Session) -> None:
    write_documents(session, "house", HOUSE)
    encoder = HashedWords()
    embed(session, encoder)
    retagged = NewDocument("soup", HOUSE[2].title, HOUSE[2].body, ("מרקים",), "he")
    reworded = NewDocument("bread", "Rye bread", HOUSE[3].body, ("baking",), "en")
    write_documents(session, "house", [retagged, reworded])
    assert waiting_documents(session, model_of(encoder)) == 1
    assert waiting_tags(session, model_of(encoder)) == 1
    embed(session, encoder)
    assert waiting_documents(session, model_of(encoder)) == 0


def test_a_stopped_run_keeps_what_it_did_and_the_next_does_the_rest(session: Session) -> None:
    many = [NewDocument(str(n), f"title {n}", f"word{n} in a body") for n in range(40)]
    write_documents(session, "house", many)
    stop, encoder = threading.Event(), HashedWords()

    def after_the_first_batch(progress: Progress) -> None:
        if progress.done:
            stop.set()

    done = embed(session, encoder, on_progress=after_the_first_batch, stop=stop).done
    assert 0 < done < 40
    assert waiting_documents(session, model_of(encoder)) == 40 - done
    assert embed(session, encoder).done == 40 - done


def test_a_long_text_has_at_most_64_windows_that_cover_it(session: Session) -> None:
    body = " ".join(f"Sentence number {n} is here." for n in range(2_000))
    write_documents(session, "house", [NewDocument("long", "Long", body)])
    embed(session, HashedWords())
    rows = stored(session, "long")
    assert len(rows) <= 64
    assert rows[-1].end == len(body)
    assert all(later.start <= earlier.end + 1 for earlier, later in pairwise(rows[1:]))


def test_long_texts_are_told_of_as_they_are_encoded(session: Session) -> None:
    body = " ".join(f"Sentence number {n} is here." for n in range(2_000))
    write_documents(session, "house", [NewDocument(str(n), "Long", body) for n in range(2)])
    told, encoder = list[int](), HashedWords()
    embed(session, encoder, on_progress=lambda progress: told.append(progress.done))
    assert told.count(0) > 5
    assert told[-1] == 2
    assert max(sum(map(len, call[:-1])) for call in encoder.calls) < SLICE


def test_slices_hold_every_text_in_order() -> None:
    texts = ["a" * 5, "b" * 5, "c" * 30, "d", "e"]
    assert list(slices(texts, 10)) == [["a" * 5, "b" * 5], ["c" * 30], ["d", "e"]]
    assert list(slices([], 10)) == []


def test_deleting_a_document_deletes_its_embeddings_and_says_so_to_running_processes(session: Session) -> None:
    write_documents(session, "house", HOUSE)
    embed(session, HashedWords())
    number = document_number("house", "soup")
    before = session.execute(select(Change.version).order_by(Change.version.desc())).scalars().first() or 0
    delete_documents(session, [number])
    assert stored(session, "soup") == []
    seen = session.execute(select(Change.document_id).where(Change.version > before)).scalars().all()
    assert seen == [number]


def test_another_build_of_a_model_shares_no_embedding(session: Session) -> None:
    write_documents(session, "house", HOUSE)
    encoder = HashedWords()
    embed(session, encoder)
    other = HashedWords()
    other.manifest = type(encoder.manifest)(
        **{name: getattr(encoder.manifest, name) for name in type(encoder.manifest).__dataclass_fields__}
        | {"checksum": "hashed-2"}
    )
    assert waiting_documents(session, model_of(other)) == len(HOUSE)


def test_two_workers_make_few_embeddings_of_tags_twice(
    app: Flask, session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    """They begin at two places of the ring, and each takes a batch while the other does: the most that may be twice."""
    tags = [f"tag number {n}" for n in range(90)]
    write_documents(session, "house", [NewDocument("one", "One", "", tuple(tags))])
    here, starts = threading.local(), iter((0, LAST_KEY // 2))
    both = threading.Barrier(2, timeout=30)

    class InStep(HashedWords):
        def encode_tags(self, texts: Sequence[str]) -> np.ndarray:
            with suppress(threading.BrokenBarrierError):  # the other one is done
                both.wait(5 if both.n_waiting else 2)
            return super().encode_tags(texts)

    def ring() -> tuple[tuple[int, int], tuple[int, int]]:
        return (here.start, LAST_KEY), (0, here.start - 1)

    monkeypatch.setattr("indexing.embedding._shuffled_ranges", ring)
    encoders = [InStep(), InStep()]

    def work(encoder: InStep, start: int) -> None:
        here.start = start
        with Session(db_engine) as own:
            embed(own, encoder)

    db_engine = session.get_bind().engine
    workers = [threading.Thread(target=work, args=(one, start)) for one, start in zip(encoders, starts, strict=True)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
    made = [text for one in encoders for call in one.calls for text in call if text in tags]
    assert set(made) == set(tags)
    assert len(made) <= len(tags) + 2 * TAG_BATCH
    assert min(sum(text in tags for call in one.calls for text in call) for one in encoders) > 2 * TAG_BATCH - 10
