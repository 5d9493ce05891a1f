"""Candidates of a search by words: of a common word as many are read as are wanted, and not all that have it."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from sqlalchemy import event
from sqlalchemy.orm import Session

from models import db, document_number
from search import text as text_search
from search.query import Query
from tests.documents import COLLECTION, document, matches, write
from utils.sql import dialect

MOST, DOCUMENTS = 20, 240


@pytest.fixture
def many(session: Session, monkeypatch: pytest.MonkeyPatch) -> Session:
    """Documents with bread; water in every other one, honey in the others and in four of these."""
    monkeypatch.setattr(text_search, "MOST_CANDIDATES", MOST)
    words = ["bread water" if n % 2 else "bread honey" for n in range(DOCUMENTS)]
    words[1::60] = ["bread water honey"] * len(words[1::60])
    write(session, *(document(str(n), f"stone {n}", said) for n, said in enumerate(words)))
    return session


def highest(numbers: range) -> set[int]:
    return set(sorted(document_number(COLLECTION, str(n)) for n in numbers)[-MOST:])


@contextmanager
def candidates() -> Iterator[list[tuple[str, Any]]]:
    """Give the statements that look for candidates, with what they were given."""
    said: list[tuple[str, Any]] = []

    def note(_c: object, _cursor: object, statement: str, parameters: Any, *_: object) -> None:
        if "LIMIT" in statement and "terms" in statement:
            said.append((statement, parameters))

    event.listen(db.engine, "before_cursor_execute", note)
    yield said
    event.remove(db.engine, "before_cursor_execute", note)


def test_of_a_common_word_the_highest_keys_are_candidates_and_no_others_are_looked_at(many: Session) -> None:
    with candidates() as said:
        found = matches(many, Query("water"))
    assert set(found.documents.tolist()) == highest(range(1, DOCUMENTS, 2))
    assert not found.complete
    assert any(">=" in statement for statement, _ in said)


def test_words_that_stand_together_less_often_than_reckoned_are_all_found(many: Session) -> None:
    with candidates() as said:
        found = matches(many, Query("water honey"))
    both = {document_number(COLLECTION, str(n)) for n in range(1, DOCUMENTS, 60)}
    assert both <= set(found.documents[:4].tolist())
    assert any(">=" in statement for statement, _ in said)


def test_a_rare_word_is_looked_for_everywhere(many: Session) -> None:
    write(many, document("rare", "lighthouse", "bread"))
    with candidates() as said:
        found = matches(many, Query("lighthouse"))
    assert found.documents.tolist()[0] == document_number(COLLECTION, "rare")
    assert said
    assert not any(">=" in statement for statement, _ in said)


def test_sqlite_reads_no_more_than_it_gives(many: Session) -> None:
    if dialect(many) != "sqlite":
        return
    with candidates() as said:
        matches(many, Query("water"))
        matches(many, Query("water", tags=("any",)))
    for statement, parameters in said:
        steps = many.connection().exec_driver_sql(f"EXPLAIN QUERY PLAN {statement}", parameters)
        assert not [row[3] for row in steps if "TEMP B-TREE" in row[3]], statement
