"""What the two databases spell differently, tried on each."""

from __future__ import annotations

from pathlib import Path

import pytest
from sqlalchemy import Table, create_engine, func, select, text
from sqlalchemy.exc import StatementError
from sqlalchemy.orm import Session

from app import create_app
from models import Collection, Form, State, Tag, TagCount, db
from tests.conftest import closed, settings_for
from utils.sql import (
    among,
    among_sql,
    by_dialect,
    dialect,
    freshen_statistics,
    like_prefix,
    number_list,
    prepare_sqlite,
    upsert,
)

COLLECTION: Table = Collection.__table__  # type: ignore[assignment]
FORM: Table = Form.__table__  # type: ignore[assignment]
TAG: Table = Tag.__table__  # type: ignore[assignment]
TAG_COUNT: Table = TagCount.__table__  # type: ignore[assignment]


def counted(session: Session) -> dict[int, tuple[str, int]]:
    return {row.id: (row.name, row.documents) for row in session.execute(select(Collection)).scalars()}


def row(number: int, name: str, documents: int) -> dict[str, object]:
    return {"id": number, "name": name, "documents": documents}


def test_what_is_there_stays_as_it_is(session: Session) -> None:
    upsert(session, COLLECTION, [row(1, "א", 1)])
    upsert(session, COLLECTION, [row(1, "ב", 5), row(2, "ג", 7)])
    assert counted(session) == {1: ("א", 1), 2: ("ג", 7)}


def test_what_is_there_is_replaced_or_added_to(session: Session) -> None:
    upsert(session, COLLECTION, [row(1, "א", 1)])
    upsert(session, COLLECTION, [row(1, "ב", 5), row(2, "ג", 7)], replace=("name",), add=("documents",))
    assert counted(session) == {1: ("ב", 6), 2: ("ג", 7)}


def test_the_order_of_a_rows_columns_does_not_matter(session: Session) -> None:
    upsert(session, COLLECTION, [row(1, "א", 1), {"documents": 2, "name": "ב", "id": 2}], replace=("name",))
    assert counted(session) == {1: ("א", 1), 2: ("ב", 2)}


def test_no_rows_are_no_statement(session: Session) -> None:
    upsert(session, COLLECTION, [], add=("documents",))
    assert counted(session) == {}


def test_a_key_of_two_columns(session: Session) -> None:
    upsert(session, COLLECTION, [row(1, "א", 0)])
    upsert(session, TAG, [{"id": number, "name": "ת", "key": "ת"} for number in (8, 9)])
    for _ in range(2):
        rows = [{"collection_id": 1, "tag_id": number, "documents": number} for number in (8, 9)]
        upsert(session, TAG_COUNT, rows, add=("documents",))
    assert list(session.execute(select(TagCount.documents).order_by(TagCount.tag_id)).scalars()) == [16, 18]


def test_keys_have_63_bits(session: Session) -> None:
    upsert(session, COLLECTION, [row(2**63 - 1, "א", 2**40)])
    session.commit()
    assert counted(session) == {2**63 - 1: ("א", 2**40)}


def test_a_prefix_is_a_range_of_bytes(session: Session) -> None:
    names = ["ש", "של", "שלום", "שמ", "שלו\U0010fffe", "Shalom", "s%", "s_", "sa", ""]
    upsert(session, TAG, [{"id": place, "name": name, "key": name} for place, name in enumerate(names)])
    for prefix in ("של", "s", "s%", "S"):
        low, high = like_prefix(prefix)
        found = session.execute(select(Tag.key).where(Tag.key >= low, Tag.key < high)).scalars()
        assert set(found) == {name for name in names if name.startswith(prefix)}


@pytest.mark.parametrize(("wanted", "count"), [([1, 5, 2**63 - 1], 1), ([], 0), (list(range(5_000)), 1)])
def test_a_column_is_compared_with_a_list_of_numbers(session: Session, wanted: list[int], count: int) -> None:
    assert session.execute(select(func.count()).select_from(State).where(among(State.id, wanted))).scalar_one() == count
    statement = text(f"SELECT count(*) FROM state WHERE {among_sql(session, 'id', 'ids')}")
    assert session.execute(statement.bindparams(number_list("ids", wanted))).scalar_one() == count


def test_a_list_of_numbers_reads_the_same_however_long_it_is(session: Session) -> None:
    engine = session.get_bind()
    short, long = (str(select(State.id).where(among(State.id, wanted)).compile(engine)) for wanted in ([1], range(999)))
    assert short == long


def test_anything_but_numbers_is_refused_in_a_list(session: Session) -> None:
    with pytest.raises(StatementError, match="DROP"):
        session.execute(select(State.id).where(among(State.id, ["1); DROP TABLE document"])))  # type: ignore[list-item]


def test_a_statement_is_chosen_by_the_database(session: Session) -> None:
    assert by_dialect(session, sqlite="sqlite", postgresql="postgresql") == dialect(session)
    assert dialect(session.connection()) == dialect(session)


def test_a_connection_to_sqlite_waits_keeps_a_log_and_minds_foreign_keys(tmp_path: Path) -> None:
    engine = create_engine(f"sqlite:///{tmp_path}/one.db")
    prepare_sqlite(engine)
    with engine.connect() as connection:
        told = {
            name: connection.execute(text(f"PRAGMA {name}")).scalar_one()
            for name in ("journal_mode", "synchronous", "cache_size", "foreign_keys", "busy_timeout")
        }
    engine.dispose()
    assert told == {
        "journal_mode": "wal",
        "synchronous": 1,
        "cache_size": -2000,
        "foreign_keys": 1,
        "busy_timeout": 5000,
    }


def test_the_apps_own_connections_are_prepared(database: str, tmp_path: Path) -> None:
    app = create_app(settings_for(database, tmp_path))
    with app.app_context():
        if dialect(db.session()) == "sqlite":
            assert db.session.execute(text("PRAGMA foreign_keys")).scalar_one() == 1
        assert db.session.execute(select(State.version)).scalar_one() == 0
    closed(app)


def test_the_planner_is_told_what_the_tables_hold(session: Session) -> None:
    upsert(session, FORM, [{"id": number, "form": str(number)} for number in range(500)])
    session.commit()
    freshen_statistics(session)
    if dialect(session) == "postgresql":
        counted = text("SELECT reltuples FROM pg_class WHERE relname = :name")
        assert session.execute(counted, {"name": FORM.name}).scalar_one() == 500
