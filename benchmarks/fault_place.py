"""What faults are done to: a site in a hard 512 MB with a model and some documents, a PostgreSQL and a Redis."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import psutil
import psycopg2
from sqlalchemy import make_url

from benchmarks.figures import ROOT, flask
from benchmarks.limit import limited
from benchmarks.load import SECRETS, Load
from tests.conftest import migrate
from tests.databases import PostgresServer, system_programs
from tests.redis_server import RedisServer, serving_redis
from tests.servers import Server
from tests.waiting import until

DURABLE = ("fsync=on", "synchronous_commit=on", "max_connections=30")
MODEL = {"SEMANTIC_MODEL": "e5-small", "MODELS_DIR": str(ROOT / "models")}


@dataclass(slots=True)
class Place:
    """A running site and what it stands on; `peaks` are of the lives of the site that ended, in MB."""

    folder: Path
    database: PostgresServer
    redis: RedisServer
    url: str
    settings: dict[str, str]
    site: Server = field(init=False)
    peaks: list[float] = field(default_factory=list)
    kills: int = 0

    def start(self, port: int = 0) -> None:
        """Start the site as a host does; at a port that it had before, where one is given."""
        self.site = Server(self.folder, self.settings, limited([], self._report), port=port)
        self.site.starts()

    @property
    def _report(self) -> Path:
        return self.folder / "memory.json"

    def stop(self) -> None:
        """End the site as a host does, and note what memory it took."""
        self.site.stop()
        used = json.loads(self._report.read_text(encoding="utf-8"))
        self.peaks.append(used["peak_anonymous_mb"])
        self.kills += used["oom_kills"]

    def master(self) -> psutil.Process:
        return next(parent for one in self.site.workers() if (parent := one.parent()))

    def sql(self, *statements: str) -> list[tuple[object, ...]]:
        """Execute statements, and return the rows of the last one that has any."""
        address = make_url(self.url)
        found: list[tuple[object, ...]] = []
        connected = psycopg2.connect(host=address.query["host"], user="postgres", dbname=address.database)
        with closing(connected) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            for statement in statements:
                cursor.execute(statement)
                found = cursor.fetchall() if cursor.description else found
        return found

    def lost(self, load: Load) -> int:
        """Return how many acknowledged writes are not there."""
        return len(load.written - {row[0] for row in self.sql("SELECT own_id FROM document")})


@contextmanager
def standing(folder: Path, settings: Mapping[str, str] = MODEL) -> Iterator[Place]:
    """Give a place whose site answers by meaning; it is stopped by whoever wants to know its memory."""
    database = PostgresServer(system_programs(), migrate, settings=DURABLE)
    try:
        with database.fresh(folder) as url, serving_redis(folder) as redis:
            given = {"DATABASE_URL": url, "REDIS_URL": redis.url, **SECRETS, **settings}
            place = Place(folder, database, redis, url, given)
            fill(place)
            place.start()
            try:
                until(lambda: is_ready(place.site), "the model")
                yield place
            finally:
                if place.site.process.poll() is None:
                    place.stop()
    finally:
        database.stop()


def fill(place: Place) -> None:
    """Import the sample collection and embed it."""
    given = place.settings | MODEL
    flask(place.folder, "import", "data/sample-he.jsonl", "--collection", "sample", **given)
    flask(place.folder, "embed", **given)


def is_ready(site: Server) -> bool:
    return bool(site.search("איך חוסכים מים בבית", "semantic")["semantic"]["state"] == "ready")
