"""The migrations make the schema that the models describe, and unmake it."""

from __future__ import annotations

import flask_migrate
import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from flask import Flask
from sqlalchemy import Connection, inspect, select, text

from config import ROOT
from models import State, db
from tests.documents import document, found, write
from utils.hebrew import ANALYSIS_VERSION
from utils.sql import dialect

MIGRATIONS = str(ROOT / "migrations")


@pytest.fixture
def migrating(app: Flask) -> Flask:
    flask_migrate.Migrate(app, db)
    return app


def tables(connection: Connection) -> set[str]:
    return set(inspect(connection).get_table_names()) - {"alembic_version"}


def in_both(_thing: object, name: str | None, kind: str, _reflected: bool, _other: object) -> bool:
    """Leave out what no model describes: the full-text index."""
    full_text = kind == "table" and (name or "").startswith("words_fts")
    return not full_text and (kind, name) not in {("column", "tsv"), ("index", "words_tsv")}


def test_models_and_migrations_agree(migrating: Flask) -> None:
    with migrating.app_context(), db.engine.connect() as connection:
        options = {"include_object": in_both, "compare_type": True}
        context = MigrationContext.configure(connection, opts=options)
        assert compare_metadata(context, db.metadata) == []
        assert set(db.metadata.tables) <= tables(connection)


def test_a_new_database_says_which_analysis_made_its_words(migrating: Flask) -> None:
    with migrating.app_context():
        assert db.session.execute(select(State.analysis)).scalar_one() == ANALYSIS_VERSION


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


def test_each_kind_of_database_is_what_it_is_said_to_be(app: Flask, request: pytest.FixtureRequest) -> None:
    kind = request.node.callspec.params["database"]
    with app.app_context():
        assert dialect(db.session()) == ("sqlite" if kind == "sqlite" else "postgresql")
        if kind != "sqlite":
            available = text("SELECT count(*) FROM pg_available_extensions WHERE name = 'vector'")
            assert db.session.execute(available).scalar_one() == (kind == "pgvector")
