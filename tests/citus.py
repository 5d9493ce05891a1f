"""A database of several servers: a real coordinator and two workers, where the tool that starts them is."""

from __future__ import annotations

import itertools
import json
import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import psutil
import psycopg2
from sqlalchemy import create_engine, make_url

from indexing.cluster import plan, spread
from tests.databases import Migrate, NotToBeHad
from tests.shared import SHARED
from tests.waiting import until

TOOL = SHARED / "tools" / "citus-cluster"
# The cluster lives as long as this child of its tool, which ends when its input does.
CHILD = "import json, os, sys; print(json.dumps(dict(os.environ)), flush=True); sys.stdin.read()"
START_S = 30.0
OTHERS = (
    "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()"
    " AND pid <> pg_backend_pid() AND application_name = 'matmon'"
)
TABLES = (
    "document, document_tag, words, embedding, screening_result, segment_block",
    "tag_count, tag_embedding, term, segment, form, change, job, screening, saved_search",
    "collection, tag, model",
)
BEGINNING = (
    "UPDATE state SET version = 0, documents = 0, stems = 0, grams = 0, titles = 0, model_id = NULL, indexed_to = NULL"
)
HALVES = "SELECT tablename FROM pg_tables WHERE schemaname = 'public' AND tablename LIKE 'vectors%'"
EXTENSIONS = "CREATE EXTENSION citus; CREATE EXTENSION vector"


class CitusCluster:
    """A coordinator and two workers. One database is kept and emptied for each test: to spread one takes seconds."""

    def __init__(self, migrate: Migrate) -> None:
        self._migrate = migrate
        self._tool, given = started()
        self.url = given["DATABASE_URL"].replace("postgresql://", "postgresql+psycopg2://", 1)
        self._servers = [psutil.Process(int(pid)) for pid in given["CITUS_PIDS"].split(",")]
        self._ports = [int(server.cmdline()[server.cmdline().index("-p") + 1]) for server in self._servers]
        self._numbers = itertools.count()
        self._again: list[subprocess.Popen[bytes]] = []
        migrate(self.url)
        distributed(self.url)

    @contextmanager
    def fresh(self, folder: Path) -> Iterator[str]:  # noqa: ARG002 - a server has its own
        yield self.url
        self._empty()

    @contextmanager
    def whole(self) -> Iterator[str]:
        """Give a migrated database of its own, which the cluster knows and which is not spread yet."""
        name = f"whole_{next(self._numbers)}"
        coordinator, *workers = self._ports
        for port in self._ports:
            self._sql("postgres", f"CREATE DATABASE {name}", port=port)
            self._sql(name, *EXTENSIONS.split("; "), port=port)
        self._sql(name, f"SELECT citus_set_coordinator_host('127.0.0.1', {coordinator})")
        self._sql(name, *(f"SELECT citus_add_node('127.0.0.1', {port})" for port in workers))
        url = make_url(self.url).set(database=name).render_as_string(hide_password=False)
        self._migrate(url)
        yield url
        for port in self._ports:
            self._sql("postgres", f"DROP DATABASE {name} WITH (FORCE)", port=port)

    @contextmanager
    def without_a_worker(self) -> Iterator[None]:
        """Kill a worker outright, and start it again on the data it left."""
        place = len(self._servers) - 1
        lost = self._servers[place]
        again = {"args": lost.cmdline(), "executable": lost.exe(), "cwd": "/", "user": lost.uids().real}
        family = [lost, *lost.children(recursive=True)]
        data = Path(again["args"][again["args"].index("-D") + 1])
        for one in family:
            one.kill()
        until(lambda: not any(map(is_at_work, family)), "the worker's end")
        for one in self._again:
            one.wait(START_S)
        try:
            yield
        finally:
            (data / "postmaster.pid").unlink(missing_ok=True)
            with Path(os.devnull).open("wb") as nothing:
                more: dict[str, Any] = {"group": data.stat().st_gid, "extra_groups": [], "stderr": nothing}
                self._again = [subprocess.Popen(**again, **more, start_new_session=True)]
            self._servers[place] = psutil.Process(self._again[0].pid)
            until(lambda: self._answers(self._ports[place]), "the worker's return")

    def _answers(self, port: int) -> bool:
        try:
            self._sql("postgres", "SELECT 1", port=port)
        except psycopg2.OperationalError:
            return False
        return True

    def _sql(self, database: str, *statements: str, port: int | None = None) -> None:
        where = make_url(self.url)
        address: dict[str, Any] = {"host": where.host, "port": port or where.port, "user": where.username}
        with closing(psycopg2.connect(**address, dbname=database)) as connection:
            connection.autocommit = True
            for statement in statements:
                connection.cursor().execute(statement)

    def _empty(self) -> None:
        with closing(psycopg2.connect(self.url.replace("+psycopg2", ""))) as connection:
            connection.autocommit = True
            cursor = connection.cursor()
            cursor.execute(OTHERS)
            cursor.execute(HALVES)
            for (name,) in cursor.fetchall():
                cursor.execute(f"DROP TABLE {name}")
            for tables in TABLES:
                cursor.execute(f"TRUNCATE {tables} CASCADE")
            cursor.execute(BEGINNING)

    def cpu_s(self) -> float:
        """Return the processor time of all servers, of their processes that ended too."""
        found = sum(sum(server.cpu_times()[:4]) for server in self._servers)
        for other in (other for server in self._servers for other in server.children(recursive=True)):
            with suppress(psutil.NoSuchProcess):  # it ended just now: its server counts it
                found += sum(other.cpu_times()[:2])
        return found

    def stop(self) -> None:
        for server in self._again:
            server.send_signal(signal.SIGINT)
            server.wait(START_S)
        assert self._tool.stdin
        with self._tool:
            self._tool.stdin.close()


def is_at_work(process: psutil.Process) -> bool:
    """Tell whether a process is more than what its parent has not looked at."""
    try:
        return process.status() != psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return False


def started() -> tuple[subprocess.Popen[str], dict[str, Any]]:
    if not TOOL.exists() or os.geteuid():
        raise NotToBeHad("a cluster needs root, and the tool that starts one")
    command = [str(TOOL), "--workers", "2", "--", sys.executable, "-c", CHILD]
    where: dict[str, Any] = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.STDOUT}
    tool: subprocess.Popen[str] = subprocess.Popen(command, text=True, **where)
    assert tool.stdout
    said = ""
    for line in tool.stdout:
        if line.startswith("{"):
            return tool, json.loads(line)
        said += line
    with tool:
        raise NotToBeHad(f"{TOOL.name}: {said.strip()[-500:]}")


def distributed(url: str) -> None:
    """Spread a database's tables, as `flask cluster distribute` does."""
    engine = create_engine(url)
    with engine.connect() as connection:
        list(spread(connection, plan(connection)))
    engine.dispose()
