"""The migrations make the schema that the models describe, and unmake it."""

from __future__ import annotations

from typing import Any

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from flask import Flask
from sqlalchemy import Connection, inspect, select, text

from config import ROOT
from models import State, db
from tests.documents import document, found, write
from utils.sql import dialect
from utils.terms import INDEX_VERSION

MIGRATIONS = str(ROOT / "migrations")


@pytest.fixture
def migrating(app: Flask) -> Flask:
    flask_migrate.Migrate(app, db)
    return app


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {"alembic_version"}


def in_both(_thing: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    """Leave out the index of former releases, which no model describes."""
    former = kind == "table" and ((name or "").startswith("words") or name == "term")
    return not former and (kind, name) not in {("column", total) for total in ("stems", "grams", "titles")}


def test_models_and_migrations_agree(migrating: Flask) -> None:
    with migrating.app_context(), db.engine.connect() as connection:
        options = {"include_object": in_both, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, db.metadata) == []
        assert set(db.metadata.tables) <= tables(connection)


def test_a_new_database_says_which_analysis_made_its_words(migrating: Flask) -> None:
    with migrating.app_context():
        assert db.session.execute(select(State.analysis)).scalar_one() == INDEX_VERSION


def test_down_to_nothing_and_up_again(migrating: Flask) -> None:
    with migrating.app_context():
        write(db.session(), document("1", "שלום", "עולם", "חוק"))
        db.session.remove()
        flask_migrate.downgrade(MIGRATIONS, revision="base")
        with db.engine.connect() as connection:
            assert tables(connection) == set()
        flask_migrate.upgrade(MIGRATIONS)
        assert found(db.session(), "שלום") == []
        assert write(db.session(), document("1", "שלום", "עולם", "חוק")) == (1, 0, 0)
        assert found(db.session(), "שלום") == ["1"]


def test_upgrading_again_changes_nothing(migrating: Flask) -> None:
    with migrating.app_context():
        write(db.session(), document("1", "שלום"))
        db.session.remove()
        flask_migrate.upgrade(MIGRATIONS)
        assert found(db.session(), "שלום") == ["1"]


def test_tables_of_a_later_release_are_left_as_they_are(migrating: Flask, caplog: pytest.LogCaptureFixture) -> None:
    """A host goes back to a former release, and starts it as it always does: migrations first."""
    with migrating.app_context():
        write(db.session(), document("1", "שלום"))
        db.session.execute(text("UPDATE alembic_version SET version_num = '9999'"))
        db.session.commit()
        flask_migrate.upgrade(MIGRATIONS)
        assert "of a later release (9999)" in caplog.text
        assert db.session.execute(text("SELECT version_num FROM alembic_version")).scalar_one() == "9999"
        assert found(db.session(), "שלום") == ["1"]


def schema(connection: Connection) -> dict[str, dict[str, Any]]:
    """Return the columns of each table by name: type, whether it may be null, its default; and "index …" for each."""
    looked = inspect(connection)
    found: dict[str, dict[str, Any]] = {}
    for table in tables(connection):
        columns = {
            one["name"]: (str(one["type"]), one["nullable"], one["default"]) for one in looked.get_columns(table)
        }
        indexes = {f"index {one['name']}": one["column_names"] for one in looked.get_indexes(table)}
        key = {"primary key": looked.get_pk_constraint(table)["constrained_columns"]}
        found[table] = {**columns, **indexes, **key}
    return found


def test_migrations_add_what_a_former_release_need_not_know_and_take_nothing_away(migrating: Flask) -> None:
    """Step by step: a former release goes on writing to the new tables, and reads what it read before."""
    steps = [one.revision for one in ScriptDirectory(MIGRATIONS).walk_revisions()][::-1]
    with migrating.app_context():
        flask_migrate.downgrade(MIGRATIONS, revision=steps[0])
        for revision in steps[1:]:
            with db.engine.connect() as connection:
                before = schema(connection)
            flask_migrate.upgrade(MIGRATIONS, revision=revision)
            with db.engine.connect() as connection:
                after = schema(connection)
            for table, parts in before.items():
                assert {name: after[table].get(name) for name in parts} == parts, f"{revision}: {table}"
                added = {name: after[table][name] for name in after[table].keys() - parts if " " not in name}
                for name, (_, nullable, default) in added.items():
                    assert nullable or default is not None, f"{revision}: {table}.{name} has neither null nor default"


def test_each_kind_of_database_is_what_it_is_said_to_be(app: Flask, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["database"]
    with app.app_context():
        assert dialect(db.session()) == ("sqlite" if kind == "sqlite" else "postgresql")
        if kind != "sqlite":
            available = text("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'")
            assert db.session.execute(available).scalar_one() == (kind == "pgvector")
