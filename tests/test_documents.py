"""Writing documents: whole lives, counts that stay right, and all of a write or nothing of it."""

from __future__ import annotations

import random

import pytest
from sqlalchemy import event, func, select
from sqlalchemy.exc import OperationalError
from sqlalchemy.orm import Session

from indexing import documents as writing
from indexing.documents import DocumentKeyCollision
from indexing.embedding import embed
from indexing.pipeline import write_documents_ahead
from models import Change, Document, DocumentTag, Embedding, State, Tag, TagCount, db, tag_key, tag_number
from search import query, tags
from tests.documents import document, found, in_index, remove, stands_right, write
from tests.fakes import HashedWords
from utils.sql import dialect

SUBJECTS = ["שלום", "מלחמה", "חינוך", "בריאות", "צה״ל", "ירושלים", "health", "cities", "קוואנטום", "3.14"]
TAGS = ["חוק", "חוק ומשפט", 'צה"ל', "צה״ל", "Law", "law ", "רווחה"]


def count(session: Session, model: type) -> int:
    return session.execute(select(func.count()).select_from(model)).scalar_one()


def version(session: Session) -> int:
    return session.execute(select(State.version)).scalar_one()


def test_a_document_is_found_and_found_anew_and_is_gone(session: Session) -> None:
    first = document("1", "זכויות עובדים", "פיצויי פיטורים לעובדי מדינה", "עבודה")
    assert write(session, first, document("2", "מתכון לעוגה", "סוכר וקמח")) == (2, 0, 0)
    assert found(session, "פיצויים") == ["1"]
    assert in_index(session, "פיטורימ") == 1
    stands_right(session)

    assert write(session, document("1", "זכויות עובדים", "חופשת לידה", "משפחה")) == (0, 1, 0)
    assert found(session, "פיצויים") == []
    assert found(session, "חופשה") == ["1"]
    assert (in_index(session, "פיטורימ"), in_index(session, "חופשת")) == (0, 1)
    stands_right(session)

    assert remove(session, "1") == 1
    assert found(session, "זכויות חופשת לידה") == []
    assert in_index(session, "חופשת") == 0
    stands_right(session)
    remove(session, "2")
    for model in (Document, DocumentTag, TagCount, Embedding):
        assert count(session, model) == 0


def test_a_deleted_document_can_come_back(session: Session) -> None:
    for _ in range(3):
        assert write(session, document("1", "שלום עולם", "", "חוק")) == (1, 0, 0)
        assert found(session, "שלום") == ["1"]
        assert remove(session, "1") == 1
        assert remove(session, "1") == 0
    stands_right(session)


def test_the_same_document_again_changes_nothing(session: Session) -> None:
    same = document("1", "שלום", "עולם", "חוק", url="https://example.com", extra={"year": 2020, "of": [1]})
    write(session, same)
    before = version(session)
    assert write(session, same) == (0, 0, 1)
    assert version(session) == before


@pytest.mark.parametrize(
    "changed",
    [
        document("1", "שלום", "עולם", "חוק", "רווחה"),
        document("1", "שלום", "עולם", "חוק", url="https://example.com"),
        document("1", "שלום", "עולם", "חוק", extra={"year": 2021}),
        document("1", "שלום", "עולם", "חוק", language="en"),
        document("1", "שלום!", "עולם", "חוק"),
    ],
)
def test_any_difference_is_a_change(session: Session, changed: writing.NewDocument) -> None:
    write(session, document("1", "שלום", "עולם", "חוק"))
    added = session.execute(select(Document.added_at)).scalar_one()
    assert write(session, changed) == (0, 1, 0)
    assert session.execute(select(Document.added_at)).scalar_one() == added
    stands_right(session)


def test_counts_are_right_after_any_sequence_of_writes(session: Session) -> None:
    chance = random.Random(11)
    for _ in range(12):
        batch = {}
        for _ in range(chance.randrange(1, 12)):
            body = " ".join(chance.choices(SUBJECTS, k=chance.randrange(8)))
            own_id = str(chance.randrange(15))
            batch[own_id] = document(own_id, "", body, *chance.sample(TAGS, chance.randrange(4)))
        write(session, *batch.values(), collection=chance.choice(["documents", "laws"]))
        gone = [str(chance.randrange(15)) for _ in range(chance.randrange(4))]
        remove(session, *gone, collection=chance.choice(["documents", "laws"]))
        stands_right(session)


def test_tags_meet_in_every_spelling_and_keep_their_order(session: Session) -> None:
    write(session, document("1", "א", "", "צה״ל", "חוק"), document("2", "ב", "", "חוק", 'צה"ל', "צהל", "צַהַ״ל"))
    assert count(session, Tag) == 2
    assert session.execute(select(TagCount.documents)).scalars().all() == [2, 2]
    places = select(DocumentTag.tag_id).join(Document, Document.id == DocumentTag.document_id)
    in_order = session.execute(places.where(Document.own_id == "2").order_by(DocumentTag.place)).scalars().all()
    assert in_order == [tag_number("חוק"), tag_number("צהל")]


@pytest.mark.parametrize("name", [*TAGS, "  רווחה  ", "C++", "", "a  b", "\ufb2aלום", "1,000"])
def test_reading_and_writing_know_a_tag_by_the_same_key(name: str) -> None:
    assert tags.tag_key(name) == tag_key(name)
    assert query.tag_number(name) == tag_number(name)


def test_collections_have_documents_of_the_same_id(session: Session) -> None:
    write(session, document("1", "שלום"), collection="a")
    write(session, document("1", "מלחמה"), collection="b")
    assert found(session, "שלום", collection="a") == ["1"]
    assert found(session, "שלום", collection="b") == []
    remove(session, "1", collection="a")
    assert found(session, "מלחמה") == ["1"]
    stands_right(session)


def test_ids_that_meet_are_refused_and_nothing_is_written(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    write(session, document("1", "שלום"))
    key = session.execute(select(Document.id)).scalar_one()
    real = writing.document_number
    monkeypatch.setattr(writing, "document_number", lambda c, one: key if one == "2" else real(c, one))
    with pytest.raises(DocumentKeyCollision, match="'1' and '2'"):
        write(session, document("3", "עולם"), document("2", "מלחמה"))
    session.rollback()
    assert found(session, "שלום") == ["1"]
    assert found(session, "עולם") == found(session, "מלחמה") == []
    stands_right(session)


def test_an_import_keeps_the_batches_before_one_that_is_refused(
    session: Session, monkeypatch: pytest.MonkeyPatch
) -> None:
    real = writing.document_number
    monkeypatch.setattr(writing, "document_number", lambda c, one: real(c, "1" if one == "again" else one))
    batches = [[document(str(number), "שלום")] for number in range(6)] + [
        [document("again", "עולם"), document("1", "")]
    ]
    counted: list[int] = []
    with pytest.raises(DocumentKeyCollision):
        write_documents_ahead(session, "house", batches, lambda written: counted.append(written.new), own_process=True)
    kept = session.execute(select(func.count()).select_from(Document)).scalar_one()
    assert kept == sum(counted) == 5  # the last one before it was still being analysed
    stands_right(session)


def test_two_new_ids_that_meet_are_refused(session: Session, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(writing, "document_number", lambda _collection, _one: 5)
    with pytest.raises(DocumentKeyCollision):
        write(session, document("1", "שלום"), document("2", "מלחמה"))


def embedded(session: Session) -> set[str]:
    rows = select(Document.own_id).join(Embedding, Embedding.document_id == Document.id)
    return set(session.execute(rows).scalars())


def test_changed_text_drops_its_embeddings_and_changed_tags_do_not(session: Session) -> None:
    write(session, *(document(str(number), "שלום", f"עולם {number}", "חוק") for number in range(3)))
    assert embed(session, HashedWords()).done == 4
    assert embedded(session) == {"0", "1", "2"}
    write(session, document("1", "שלום", "אחר", "חוק"), document("2", "שלום", "עולם 2", "רווחה"))
    assert embedded(session) == {"0", "2"}
    remove(session, "0")
    assert embedded(session) == {"2"}
    stands_right(session)


def test_changes_and_deletions_are_logged_under_their_version(session: Session) -> None:
    write(session, document("1", "שלום"), document("2", "עולם"))
    assert count(session, Change) == 0  # a new document has no embedding that a reader could hold
    write(session, document("1", "שלום שלום"))
    changed = version(session)
    remove(session, "2")
    rows = select(Change.version, Document.own_id).outerjoin(Document, Document.id == Change.document_id)
    logged = {tuple(row) for row in session.execute(rows)}
    assert logged == {(changed, "1"), (changed + 1, None)}


class Broken(Exception):
    """What the test throws into the middle of a write."""


@pytest.mark.parametrize(
    "statement", ["INTO segment_block", "INTO form", "UPDATE segment", "INTO tag_count", "UPDATE state", "INTO change"]
)
def test_an_error_in_the_middle_leaves_nothing(session: Session, statement: str) -> None:
    write(session, document("1", "שלום", "עולם", "חוק"))
    before = version(session)

    def break_off(_connection: object, _cursor: object, said: str, *_: object) -> None:
        if statement in said:
            raise Broken

    event.listen(db.engine, "before_cursor_execute", break_off)
    with pytest.raises(Broken):
        write(session, document("1", "מלחמה", "", "רווחה"), document("2", "אחר", "", "Law"))
    session.rollback()
    event.remove(db.engine, "before_cursor_execute", break_off)
    assert version(session) == before
    assert found(session, "שלום") == ["1"]
    assert found(session, "מלחמה") == found(session, "אחר") == []
    stands_right(session)


def test_writers_take_turns(session: Session) -> None:
    """A second writer waits for the first, and neither count is lost."""
    if dialect(session) == "sqlite":
        with db.engine.connect() as other:
            writing.bump(session)
            other.exec_driver_sql("PRAGMA busy_timeout=10")
            with pytest.raises(OperationalError, match="locked"):
                other.exec_driver_sql("UPDATE state SET version = version + 1")
        session.rollback()
        return
    writing.bump(session)
    with db.engine.connect() as other:
        other.exec_driver_sql("SET lock_timeout = 10")
        with pytest.raises(OperationalError, match="lock timeout"):
            other.exec_driver_sql("UPDATE state SET version = version + 1")
    session.rollback()


@pytest.mark.parametrize(
    ("title", "body", "language"),
    [("שלום", "עולם", "he"), ("Hello", "world", "en"), ("2020", "1 2 3", ""), ("Привет", "мир", "")],
)
def test_a_language_that_is_not_given_is_guessed(session: Session, title: str, body: str, language: str) -> None:
    write(session, document("1", title, body))
    assert session.execute(select(Document.language)).scalar_one() == language
