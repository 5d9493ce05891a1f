"""The fixtures: a migrated database of each kind, the app on it, a session and a client."""

from __future__ import annotations

import gc
import os
import shutil
import tempfile
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import flask_migrate
import pytest
from flask import Flask
from flask.testing import FlaskClient
from sqlalchemy.orm import Session

from app import create_app
from config import ROOT, Settings
from indexing.documents import NewDocument, write_documents
from indexing.embedding import embed
from indexing.importing import import_file
from indexing.layout import Options
from models import db
from runtime import runtime_of
from tests.citus import CitusCluster
from tests.databases import MAKERS, Databases, NotToBeHad
from tests.model_fixtures import e5_folder, hebrew_words, prepared, preparing, tiny_models  # noqa: F401 - fixtures for every test
from tests.once import made_once
from tests.waiting import PATIENCE_S, background_threads

# The files that take longest though their tests are few: 20 to 50 s of the processor each.
LONGEST = (
    "test_tokenizers", "test_original", "test_preparing_published", "test_worker", "test_upgrade",
    "test_import_command", "test_backup_commands", "test_browser", "test_screening_runs", "test_remote_site",
    "test_encoders", "test_cluster", "test_server", "test_guard_live", "test_model_faults", "test_plans",
)  # fmt: skip


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begin with the files that take longest, then those of many tests: none is left for the end."""
    tests = Counter(item.path for item in items)

    def place(item: pytest.Item) -> tuple[int, int, Path]:
        name = item.path.stem
        return LONGEST.index(name) if name in LONGEST else len(LONGEST), -tests[item.path], item.path

    items.sort(key=place)


@pytest.hookimpl(wrapper=True)
def pytest_runtest_teardown(item: pytest.Item, nextitem: pytest.Item | None) -> Iterator[None]:
    """Fail the last test of a file that leaves background work behind: it would disturb every later file."""
    yield
    if nextitem is None or nextitem.path != item.path:
        for thread in background_threads():
            thread.join(PATIENCE_S)
            assert not thread.is_alive(), f"{item.path.name} leaves a thread of {thread.name}: close its apps"


def pytest_collection_finish() -> None:
    """Spare the collector what stays to the end; what the site releases would each time be looked for in all of it."""
    gc.collect()
    gc.freeze()


def settings_for(url: str, folder: Path, **changes: Any) -> Settings:
    values: dict[str, Any] = {
        "database_url": url,
        "secret_key": "a secret of the tests",
        "admin_token": "a token of the tests",
        "instance_dir": folder,
        "semantic_model": "none",
        "check_sessions": True,
        "memory_limit_mb": 4_096,  # the process of the tests is no server: late in a run it holds over 400 MB
    }
    return Settings(**(values | changes))


def closed(app: Flask) -> None:
    """Stop an app's background work and close its connections."""
    runtime_of(app).stop()
    with app.app_context():
        db.session.remove()
        for engine in db.engines.values():
            engine.dispose()


def migrate(url: str) -> None:
    """Bring a database to the newest schema, as `flask db upgrade` does."""
    app = create_app(settings_for(url, Path(tempfile.gettempdir())))
    flask_migrate.Migrate(app, db)
    with app.app_context():
        flask_migrate.upgrade(str(ROOT / "migrations"))
    closed(app)


class Started:
    """What makes databases of each kind, started when first asked for; why it cannot is kept as well."""

    def __init__(self) -> None:
        self._makers: dict[str, Databases | NotToBeHad] = {}
        self._cluster: CitusCluster | NotToBeHad | None = None

    def maker(self, kind: str) -> Databases:
        """Return the maker of databases of a kind; skips the test where there is none, fails it under CI."""
        if kind not in self._makers:
            try:
                self._makers[kind] = MAKERS[kind](migrate)
            except NotToBeHad as reason:
                self._makers[kind] = reason
        found = self._makers[kind]
        if isinstance(found, NotToBeHad):
            if os.environ.get("CI") == "true":
                pytest.fail(f"{kind}: {found}")
            pytest.skip(f"{kind}: {found}")
        return found

    def cluster(self) -> CitusCluster:
        """Return several servers that are one database; skips the test where they cannot be started."""
        if self._cluster is None:
            try:
                self._cluster = CitusCluster(migrate)
            except NotToBeHad as reason:
                self._cluster = reason
        if isinstance(self._cluster, NotToBeHad):
            pytest.skip(str(self._cluster))
        return self._cluster

    def stop(self) -> None:
        for maker in (*self._makers.values(), self._cluster):
            if maker is not None and not isinstance(maker, NotToBeHad):
                maker.stop()


@pytest.fixture(scope="session")
def started() -> Iterator[Started]:
    """Every kind of database by its name, for a test that compares several."""
    makers = Started()
    yield makers
    makers.stop()


# TEST_DATABASES=citus runs everything on several servers, which takes an hour; what differs there has tests of its own.
KINDS = os.environ.get("TEST_DATABASES", "").split() or list(MAKERS)


@pytest.fixture(params=KINDS)
def database(request: pytest.FixtureRequest, started: Started, tmp_path: Path) -> Iterator[str]:
    """The address of an empty, migrated database of the test's own."""
    maker = started.cluster() if request.param == "citus" else started.maker(request.param)
    with maker.fresh(tmp_path) as url:
        yield url


@pytest.fixture
def sqlite_alone(started: Started, tmp_path: Path) -> Iterator[str]:
    """The address of a SQLite database: `database = sqlite_alone` where the claims of a module hold for every kind."""
    with started.maker("sqlite").fresh(tmp_path) as url:
        yield url


@contextmanager
def site_on_sqlite(started: Started, folder: Path, **changes: Any) -> Iterator[Flask]:
    """Give an app for the pages that a whole module reads, on a SQLite database of its own in the folder."""
    with started.maker("sqlite").fresh(folder) as url:
        app = create_app(settings_for(url, folder, rate_limit="10000/minute", **changes))
        yield app
        closed(app)


@pytest.fixture
def settings(database: str, tmp_path: Path) -> Settings:
    return settings_for(database, tmp_path)


@pytest.fixture
def app(settings: Settings) -> Iterator[Flask]:
    app = create_app(settings)
    yield app
    closed(app)


@pytest.fixture
def session(app: Flask) -> Iterator[Session]:
    with app.app_context():
        yield db.session()


@pytest.fixture
def client(app: Flask) -> FlaskClient:
    return app.test_client()


@pytest.fixture
def site_of_one(app: Flask) -> FlaskClient:
    """A client of a site with one document."""
    with app.app_context():
        write_documents(db.session(), "house", [NewDocument("1", "אבן", "אבן על אבן.", ("אבנים",))])
    return app.test_client()


@pytest.fixture(scope="session")
def sample(started: Started, e5_folder: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:  # noqa: F811
    """A SQLite file with the sample collection, embedded with the real e5; copy it to change it."""
    return made_once(tmp_path_factory, "sample", partial(embedded_sample, started, e5_folder)) / "matmon.db"


def embedded_sample(started: Started, e5: Path, folder: Path) -> None:
    from encoders.onnx_encoder import OnnxEncoder

    with started.maker("sqlite").fresh(folder) as url:
        app = create_app(settings_for(url, folder))
        with app.app_context():
            for name in ("sample-he.jsonl", "sample-en.jsonl"):
                shutil.copy(ROOT / "data" / name, folder)
                import_file(db.session(), folder / name, Options("sample"))
            embed(db.session(), OnnxEncoder(e5))
        closed(app)


@pytest.fixture
def site_folder(sample: Path, tmp_path: Path) -> Path:
    """An instance folder with the embedded sample collection."""
    shutil.copy(sample, tmp_path)
    return tmp_path


@pytest.fixture
def with_e5(e5_folder: Path) -> dict[str, str]:  # noqa: F811
    """The settings of a server that searches by meaning."""
    return {"SEMANTIC_MODEL": "e5-small", "MODELS_DIR": str(e5_folder.parent)}
