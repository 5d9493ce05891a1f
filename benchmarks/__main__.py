"""Run every part, print the figures, write docs/BENCHMARKS.md; exit 1 where a bar was missed."""

from __future__ import annotations

import platform
import sys
import time

from benchmarks.figures import DATA, ROOT, WORK, Figure, run_part, table

PARTS = {
    "quality": "Search quality: questions about Hebrew passages (HeQ, 476 passages, 1,058 questions)",
    "hebrew_words": "Search quality: Hebrew words, bare and behind prefixes (2,873 documents)",
    "peers": "Keyword search beside SQLite's FTS5 and tantivy: the same documents and questions in one run",
    "server": "The server: gunicorn, one worker, four threads, limited to 512 MB, SQLite",
    "vectors": "The index of embeddings",
    "embedding_index": "The index of embeddings, packed and mapped: 100,000 documents of four chunks each, SQLite",
    "pgvector": "The index of embeddings: pgvector compared with memory",
    "imports": "Import",
    "files": "Import of large files of other kinds, SQLite",
    "matching": "Matching: 2,157 roles (ESCO), 200 synthetic profiles, and a server with 100,000 jobs",
    "screening": "A screening: 10,000 synthetic profiles against one role, SQLite",
    "alephbert": "AlephBERT's shape, random weights: one worker, four threads, 8 clients, limited to 512 MB",
    "remote": "A site with its model on another host, and that host",
    "faults": "Faults at 20 requests per second, PostgreSQL and Redis, limited to 512 MB; a full disk, SQLite",
    "several": "One, two and three web processes on one PostgreSQL",
    "growth": "Growth: documents of 100 words, four chunks each: disk, memory and processor time",
    "cluster": "A coordinator and two workers (Citus) compared with one PostgreSQL, 10,000 documents",
    "two_workers": "Two workers in 1 GB, AlephBERT's shape",
    "shared_cache": "A Redis: cached searches, and a Redis that does not answer; one worker, 10,000 documents, SQLite",
    "naive": "The naive way: sentence-transformers and torch in the process, every embedding fetched for each query",
}
HEAD = """# Benchmarks

Made by `make bench` on {machine}, Python {python}, {date}. Each part runs in its own process; `python -m
benchmarks.PART` ({parts}) repeats one. The documents and questions are the public collections described in
[data/README.md](../data/README.md) and in CONTRIBUTING.md; without them the parts that read them cannot run.
Machines differ and are noisy: compare processor time, memory and counts rather than wall-clock times.
"""


def main() -> int:
    if not DATA.is_dir():
        print(f"{DATA} is not there: the benchmarks read the public collections in it", file=sys.stderr)
        return 2
    WORK.mkdir(parents=True, exist_ok=True)
    wanted = sys.argv[1:] or list(PARTS)
    found: dict[str, list[Figure]] = {name: run_part(name) for name in wanted}
    if set(wanted) == set(PARTS):
        (ROOT / "docs" / "BENCHMARKS.md").write_text(page(found), encoding="utf-8")
    return int(not all(one.is_met for figures in found.values() for one in figures))


def page(found: dict[str, list[Figure]]) -> str:
    head = HEAD.format(
        machine=f"{platform.machine()}, 2 cores", python=platform.python_version(),
        date=time.strftime("%Y-%m-%d"), parts=", ".join(PARTS),
    )  # fmt: skip
    parts = [f"## {PARTS[name]}\n\n{table(figures)}\n" for name, figures in found.items()]
    return "\n".join([head, *parts])


if __name__ == "__main__":
    sys.exit(main())
