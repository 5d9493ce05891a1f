"""How the site grows with its documents: disk, import, memory and processor time, SQLite, PostgreSQL and pgvector.

10,000 and 100,000 documents of 100 words; GROWTH_SIZES names others, such as 1000000, which takes an hour and 15 GB.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

from benchmarks.figures import WORK, Figure, flask, tell
from benchmarks.growth_server import searched
from benchmarks.growth_sizes import bytes_each
from benchmarks.growth_texts import written
from benchmarks.growth_vectors import embed_as_if
from tests.conftest import migrate
from tests.databases import PostgresServer, embedded_programs

SIZES = os.environ.get("GROWTH_SIZES", "10000,100000")
MOST_BUILT = 200_000  # documents of which pgvector's index is built: of a million it would take hours
SERVER = ("shared_buffers=128MB", "fsync=on", "synchronous_commit=on", "max_wal_size=4GB")
SECRETS = {"SECRET_KEY": "a secret of the benchmark", "ADMIN_TOKEN": "x" * 20}
FOLDER = WORK / "growth"


def limit_of(size: int) -> str:
    """Return the host's memory: a million documents' index of embeddings does not fit into 512 MB."""
    return "512M" if size <= MOST_BUILT else "1G"


def filled(name: str, instance: Path, size: int, database_s: Callable[[], float], **environment: str) -> list[Figure]:
    """Import documents and store embeddings; returns rates and bytes."""
    path = written(instance / "made.jsonl", size)
    before, began, there = resource.getrusage(resource.RUSAGE_CHILDREN), time.monotonic(), database_s()
    flask(instance, "import", str(path), "--collection", "many", **environment)
    wall, after = time.monotonic() - began, resource.getrusage(resource.RUSAGE_CHILDREN)
    spent = after.ru_utime + after.ru_stime - before.ru_utime - before.ru_stime
    there = database_s() - there
    path.unlink()
    url = environment.get("DATABASE_URL", f"sqlite:///{instance / 'matmon.db'}")
    windows = embed_as_if(url)
    print(f"{name}: filled in {time.monotonic() - began:.0f} s", file=sys.stderr)
    return [
        Figure(f"{name}: imported, by the clock", round(size / wall), "/s"),
        Figure(f"{name}: imported, processor time of the importer", round(spent * 1000 / size, 2), "ms each"),
        Figure(f"{name}: imported, processor time of the database", round(there * 1000 / size, 2), "ms each"),
        Figure(f"{name}: windows with an embedding, each document", round(windows / size, 2)),
        *sizes(name, url, size),
    ]


def sizes(name: str, url: str, size: int) -> list[Figure]:
    each = bytes_each(url, size).items()
    return [Figure(f"{name}: {part or 'all'}, each document", round(value), "B") for part, value in each]


def kept(name: str, figures: list[Figure]) -> list[Figure]:
    """Write figures to a file of their own as soon as they are there, and return them."""
    (FOLDER / f"{name}.json").write_text(json.dumps([asdict(one) for one in figures], ensure_ascii=False, indent=1))
    return figures


def folder(name: str) -> Path:
    instance = FOLDER / name
    shutil.rmtree(instance, ignore_errors=True)
    instance.mkdir(parents=True)
    return instance


def on_sqlite(size: int) -> list[Figure]:
    instance, name = folder(f"sqlite-{size}"), f"SQLite, {size}"
    flask(instance, "db", "upgrade")
    figures = filled(name, instance, size, lambda: 0.0)
    figures += searched(name, instance, lambda: 0.0, limit_of(size), {})
    shutil.rmtree(instance)
    return kept(f"sqlite-{size}", figures)


@contextmanager
def database() -> Iterator[tuple[PostgresServer, dict[str, str]]]:
    server = PostgresServer(embedded_programs(), migrate, settings=SERVER)
    try:
        with server.fresh(Path()) as url:
            yield server, {"DATABASE_URL": url, **SECRETS}
    finally:
        server.stop()


def on_postgresql(size: int) -> list[Figure]:
    instance, name = folder(f"postgresql-{size}"), f"PostgreSQL, {size}"
    with database() as (server, environment):
        figures = filled(name, instance, size, server.cpu_s, **environment)
        in_memory = environment | {"VECTOR_INDEX": "memory"}
        figures += searched(name, instance, server.cpu_s, limit_of(size), in_memory)
        kept(f"postgresql-{size}", figures)
        if size <= MOST_BUILT:
            figures += kept(f"pgvector-{size}", with_pgvector(server, instance, size, environment))
    return figures


def with_pgvector(server: PostgresServer, instance: Path, size: int, environment: dict[str, str]) -> list[Figure]:
    name = f"pgvector, {size}"
    began, there = time.monotonic(), server.cpu_s()
    flask(instance, "vectors", "build", **environment)
    built = Figure(f"{name}: its index built, by the clock", round(time.monotonic() - began), "s")
    spent = Figure(f"{name}: its index built, processor time of the database", round(server.cpu_s() - there), "s")
    of_vectors = [one for one in sizes(name, environment["DATABASE_URL"], size) if "vectors_" in one.name]
    serving = environment | {"VECTOR_INDEX": "pgvector"}
    found = searched(name, instance, server.cpu_s, limit_of(size), serving, whole=False)
    return [built, spent, *of_vectors, *found]


def main() -> None:
    FOLDER.mkdir(parents=True, exist_ok=True)
    figures = []
    for size in map(int, SIZES.split(",")):
        figures += [*on_sqlite(size), *on_postgresql(size)]
    tell(figures)


if __name__ == "__main__":
    main()
