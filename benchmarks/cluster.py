"""Several PostgreSQL servers beside one: the same documents and searches on both; needs the tool that starts a cluster.

Coordinator, two workers, the site and its clients share two cores here: what is compared is what a search costs more.
"""

from __future__ import annotations

import shutil
import sys
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from benchmarks.figures import WORK, Figure, tell
from benchmarks.growth import SECRETS, SERVER, filled
from benchmarks.growth_server import searched
from tests.citus import CitusCluster
from tests.conftest import migrate
from tests.databases import NotToBeHad, PostgresServer, system_programs

SIZE = 10_000
Place = tuple[str, Callable[[], float], dict[str, str]]


@contextmanager
def one_server() -> Iterator[Place]:
    server = PostgresServer(system_programs(), migrate, settings=SERVER)
    try:
        with server.fresh(Path()) as url:
            yield "one server", server.cpu_s, {"DATABASE_URL": url, **SECRETS}
    finally:
        server.stop()


@contextmanager
def several_servers() -> Iterator[Place]:
    cluster = CitusCluster(migrate)
    try:
        with cluster.fresh(Path()) as url:
            yield "coordinator and two workers", cluster.cpu_s, {"DATABASE_URL": url, **SECRETS}
    finally:
        cluster.stop()


def measured(place: Place) -> list[Figure]:
    name, database_s, environment = place
    instance = Path(tempfile.mkdtemp(dir=WORK))
    figures = [one for one in filled(name, instance, SIZE, database_s, **environment) if "imported" in one.name]
    figures += searched(name, instance, database_s, "512M", environment | {"VECTOR_INDEX": "memory"})
    shutil.rmtree(instance)
    return figures


def main() -> None:
    WORK.mkdir(parents=True, exist_ok=True)
    figures = []
    for place in (one_server, several_servers):
        try:
            with place() as found:
                figures += measured(found)
        except NotToBeHad as reason:
            print(f"left out: {reason}", file=sys.stderr)
    tell(figures)


if __name__ == "__main__":
    main()
