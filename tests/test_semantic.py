"""Search by meaning: near documents, filters inside, changes followed, nothing loaded before it is asked for."""

from __future__ import annotations

import threading
import time
import weakref

import numpy as np
import pytest
from sqlalchemy.orm import Session

from encoders.lazy import LazyEncoder
from indexes.filters import Filter
from indexing.documents import NewDocument, delete_documents, write_documents
from indexing.embedding import embed
from models import document_number
from search.embeddings import NARROW
from search.query import Query
from search.search import search
from search.semantic import Semantic
from tests.collections import HOUSE, fill, off_side
from tests.fakes import HashedWords


def found(session: Session, text: str, side: Semantic, **more: object) -> list[str]:
    return [hit.id for hit in search(session, Query(text, "semantic", **more), side).hits]  # type: ignore[arg-type]


def test_the_document_that_says_the_same_is_first(session: Session) -> None:
    side = fill(session)
    assert found(session, "good bread and patience", side)[0] == "bread"
    assert found(session, "זכויותיהם של עובדים", side)[0] == "union"


def test_filters_are_applied_inside(session: Session) -> None:
    side = fill(session)
    assert found(session, "זכויות בדירה ובעבודה", side, tags=("זכויות",), not_tags=("דיור",)) == ["union"]
    assert set(found(session, "bread עדשים", side, language="he")) <= {"rent", "union", "soup"}
    assert found(session, "bread", side, collection="elsewhere") == []


def test_a_running_process_sees_new_changed_and_deleted_documents(session: Session) -> None:
    side = fill(session)
    assert side.lazy.encoder
    assert "sky" not in found(session, "telescope stars", side)
    write_documents(session, "house", [NewDocument("sky", "Telescope", "Stars through a telescope.")])
    embed(session, side.lazy.encoder)
    assert found(session, "telescope stars", side)[0] == "sky"
    write_documents(session, "house", [NewDocument("sky", "Garden", "Roses and thyme.")])
    assert "sky" not in found(session, "telescope stars", side)
    embed(session, side.lazy.encoder)
    assert found(session, "roses thyme", side)[0] == "sky"
    delete_documents(session, [document_number("house", "sky")])
    assert "sky" not in found(session, "roses thyme", side)
    assert side.index_sizes()["documents"]["rows"] == 2 * len(HOUSE)


def test_a_process_far_behind_reads_everything_anew(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    side = fill(session)
    assert found(session, "good bread", side)[0] == "bread"
    monkeypatch.setattr("indexes.memory_index.KEPT_CHANGES", 1)
    write_documents(session, "house", [NewDocument("sky", "Telescope", "Stars through a telescope.")])
    assert side.lazy.encoder
    embed(session, side.lazy.encoder)
    assert found(session, "telescope stars", side)[0] == "sky"


def test_a_wide_filter_gives_what_a_narrow_one_gives(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    side = fill(session, [NewDocument(str(n), f"word{n}", f"common word{n}", ("all",)) for n in range(300)])
    meaning = side.query_vector(session, "common word7")
    assert meaning
    narrow = side.nearest(session, meaning, Query(tags=("all",)).filter())
    monkeypatch.setattr("search.embeddings.NARROW", 10)
    wide = side.nearest(session, meaning, Query(tags=("all",)).filter())
    assert next(iter(wide)) == next(iter(narrow)) == document_number("house", "7")
    assert NARROW > 10


def test_similar_documents_leave_the_document_itself_out(session: Session) -> None:
    side = fill(session)
    number = document_number("house", "rent")
    similar = side.similar(session, number)
    assert similar is not None
    assert number not in similar[1]


def test_a_tag_close_in_meaning_is_offered(session: Session) -> None:
    documents = [NewDocument("a", "a", "a", ("public health",)), NewDocument("b", "b", "b", ("health public care",))]
    side = fill(session, documents)
    results = search(session, Query(mode="tags", tags=("public health",)), side)
    assert [tag.tag for tag in results.near_tags] == ["health public care"]
    assert 0 < results.near_tags[0].score <= 1


def test_with_the_model_turned_off_text_is_found_and_the_state_says_off(session: Session) -> None:
    fill(session)
    results = search(session, Query("bread"), off_side())
    assert [hit.id for hit in results.hits] == ["bread"]
    assert results.semantic_state == "off"


def test_while_the_model_loads_words_are_found_and_then_the_meaning_joins(session: Session) -> None:
    fill(session)
    gate, encoder = threading.Event(), HashedWords()

    def load() -> HashedWords:
        assert gate.wait(10)
        return encoder

    side = Semantic(LazyEncoder(load, "hashed"))
    first = search(session, Query("bread"), side)
    assert first.semantic_state == "loading"
    assert first.hits[0].why.semantic is None
    gate.set()
    assert side.lazy.load(10)
    second = search(session, Query("bread"), side)
    assert second.semantic_state == "ready"
    assert second.hits[0].why.semantic is not None


def test_a_model_that_fails_is_unavailable_and_text_never_notices(session: Session) -> None:
    fill(session)

    def load() -> HashedWords:
        raise OSError("weights.bin is damaged")

    side = Semantic(LazyEncoder(load, "hashed"))
    side.lazy.load(10)
    results = search(session, Query("bread"), side)
    assert results.semantic_state == "unavailable"
    assert [hit.id for hit in results.hits] == ["bread"]


def test_an_unused_model_is_given_back_and_loaded_again_on_demand(session: Session) -> None:
    fill(session)
    loads = []

    def load() -> HashedWords:
        loads.append(weakref.ref(encoder := HashedWords()))
        return encoder

    side = Semantic(LazyEncoder(load, "hashed", idle_s=0.2))
    assert side.lazy.load(10)
    assert found(session, "good bread", side)[0] == "bread"
    until = time.monotonic() + 10
    while side.lazy.state != "idle" and time.monotonic() < until:
        time.sleep(0.01)
    assert loads[0]() is None, "somebody still holds the model"
    assert found(session, "good bread", side)[0] == "bread"
    assert len(loads) == 2


def test_one_query_is_encoded_once(session: Session) -> None:
    side = fill(session)
    encoder = side.lazy.encoder
    assert isinstance(encoder, HashedWords)
    encoder.calls.clear()
    for _ in range(3):
        found(session, "good bread", side)
    assert encoder.calls == [["good bread"]]


def test_what_the_index_hands_on_is_scored_exactly(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    # Bags of words are mostly zeros, of which sign bits tell little: all rows are handed on.
    monkeypatch.setattr("search.embeddings.THEN", 1_000)
    random = np.random.default_rng(4)
    vocabulary = [f"word{n}" for n in range(200)]
    documents = [NewDocument(str(n), " ".join(random.choice(vocabulary, 3)), " ".join(random.choice(vocabulary, 9)))
                 for n in range(400)]  # fmt: skip
    side = fill(session, documents)
    encoder = side.lazy.encoder
    assert encoder
    headed = encoder.encode_passages([f"{d.title}\n{d.body}" for d in documents])
    bodies = encoder.encode_passages([d.body for d in documents])
    for start in range(0, 200, 10):
        text = " ".join(vocabulary[start : start + 4])
        meaning = side.query_vector(session, text)
        assert meaning
        near = list(side.nearest(session, meaning, Filter()))[:20]
        query = encoder.encode_queries([text])[0]
        exact = np.maximum(headed @ query, bodies @ query)
        twentieth = np.sort(exact)[-20]
        good = [exact[n] >= twentieth - 0.01 for n, d in enumerate(documents)
                if document_number("house", d.own_id) in near]  # fmt: skip
        assert np.mean(good) >= 0.97
