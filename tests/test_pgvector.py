"""What a database has of pgvector is told without trying it out."""

from __future__ import annotations

from sqlalchemy import text
from sqlalchemy.orm import Session

from indexes.pgvector import extension, halfvec_index_name, new_enough, table_state
from utils.sql import dialect


def has_vector(session: Session) -> bool:
    found = text("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'")
    return dialect(session) == "postgresql" and bool(session.execute(found).scalar_one())


def test_the_extension_is_told_apart_from_its_absence(session: Session) -> None:
    if not has_vector(session):
        assert extension(session) in ("not_postgresql", "no_extension")
        return
    assert extension(session) == "not_made"
    session.execute(text("CREATE EXTENSION vector"))
    assert extension(session) == "ready"


def test_a_table_is_there_with_its_index_or_without(session: Session) -> None:
    assert table_state(session, "vectors_7") is None
    if not has_vector(session):
        return
    session.execute(text("CREATE EXTENSION vector"))
    session.execute(text("CREATE TABLE vectors_7 (half halfvec(3))"))
    found = table_state(session, "vectors_7")
    assert found is not None
    assert not found.is_indexed
    index = f"CREATE INDEX {halfvec_index_name('vectors_7')} ON vectors_7 USING hnsw (half halfvec_l2_ops)"
    session.execute(text(index))
    found = table_state(session, "vectors_7")
    assert found is not None
    assert found.is_indexed
    assert found.nbytes > 0


def test_a_version_before_0_8_is_too_old() -> None:
    assert [new_enough(one) for one in ("0.5.1", "0.7.4", "0.8.0", "0.10.0", "1.0")] == [False, False, True, True, True]
