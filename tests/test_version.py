"""What a release without versions wrote gets one by the next that knows of them, and is told as new; nothing else."""

from __future__ import annotations

from sqlalchemy import select, text, update
from sqlalchemy.orm import Session

from indexes.version import CLOCKS_S, caught_up
from indexing.documents import delete_documents
from indexing.embedding import embed
from models import Change, Document, State, document_number
from tests.documents import COLLECTION, document, remove, write
from tests.fakes import HashedWords


def written_long_ago(session: Session) -> None:
    """Write three documents and let them, and the last version, be two hours old."""
    write(session, *(document(one) for one in "abc"))
    session.execute(update(Document).values(added_at=Document.added_at - 7_200, changed_at=Document.changed_at - 7_200))
    session.execute(update(State).values(versioned_at=State.versioned_at - 7_200 + 2 * CLOCKS_S))
    session.commit()


def former(session: Session, *own_ids: str) -> None:
    """Write documents as a release does that knows of no versions."""
    known = session.execute(select(Document.own_id)).scalars().all()
    before = {row.id: row.version for row in session.execute(select(Document.id, Document.version))}
    state = session.execute(select(State.versioned, State.versioned_at)).one()
    write(session, *(document(one, "another title") for one in own_ids))
    for one in own_ids:
        number = document_number(COLLECTION, one)
        version = before[number] if one in known else 0
        session.execute(update(Document).where(Document.id == number).values(version=version))
    session.execute(update(State).values(versioned=state.versioned, versioned_at=state.versioned_at))
    session.commit()


def after(session: Session, version: int) -> set[str]:
    rows = session.execute(select(Document.own_id).where(Document.version > version))
    return set(rows.scalars())


def test_what_a_former_release_added_and_changed_is_new_at_the_next_look(session: Session) -> None:
    written_long_ago(session)
    seen = caught_up(session)
    former(session, "b", "d")
    assert after(session, seen) == set()
    now = caught_up(session)
    assert after(session, seen) == {"b", "d"}
    assert after(session, now) == set()
    assert caught_up(session) == now, "nothing is owed any more"


def test_the_next_write_does_it_too_and_says_nothing_of_what_stayed(session: Session) -> None:
    written_long_ago(session)
    seen = caught_up(session)
    former(session, "b", "d")
    write(session, document("e"))
    assert after(session, seen) == {"b", "d", "e"}


def test_embedding_by_a_former_release_is_no_news(session: Session) -> None:
    written_long_ago(session)
    seen = caught_up(session)
    state = session.execute(select(State.versioned, State.versioned_at)).one()
    embed(session, HashedWords())
    session.execute(update(State).values(versioned=state.versioned, versioned_at=state.versioned_at))
    session.commit()
    assert session.execute(select(Change.document_id)).scalars().all()
    assert caught_up(session) > seen
    assert after(session, seen) == set()


def test_a_database_that_was_never_told_begins_now(session: Session) -> None:
    written_long_ago(session)
    session.execute(text("UPDATE state SET versioned = NULL, versioned_at = NULL"))
    session.commit()
    seen = caught_up(session)
    assert after(session, seen) == set()
    remove(session, "a")
    assert delete_documents(session, []) == 0
    state = session.execute(select(State)).scalar_one()
    assert state.versioned == state.version
