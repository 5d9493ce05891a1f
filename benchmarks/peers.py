"""The keyword search beside SQLite's FTS5 and tantivy: the same documents and questions, each in a process of its own.

Quality on questions over Hebrew passages; import, bytes, memory and processor time on generated documents of 100 words.
Both libraries split words at what is no letter or digit, know no Hebrew, and rank by BM25; any word of a question may
match. They import in large batches and keep nothing but what they search; the site also writes the documents, their
tags and their collection, as an import does.
"""

from __future__ import annotations

import csv
import json
import os
import re
import resource
import shutil
import sqlite3
import sys
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from importlib import import_module
from multiprocessing import get_context
from pathlib import Path
from random import Random
from typing import Any, Protocol

from benchmarks.figures import DATA, ROOT, WORK, Figure, flask, tell
from benchmarks.growth_texts import common, frequencies, rare, written

PEERS = ROOT / "build" / "peers"
SIZE = 20_000
BEST = 10
QUESTIONS = 60
WORDS = re.compile(r"\w+")

Row = Mapping[str, Any]
Search = Callable[[str], Sequence[str]]  # ids, best first


def rows(path: Path) -> Iterator[Row]:
    with path.open(encoding="utf-8") as file:
        yield from map(json.loads, file)


class Engine(Protocol):
    """What is measured: a library over a folder."""

    def __init__(self, folder: Path) -> None: ...
    def fill(self, path: Path) -> None: ...
    def open(self) -> Search: ...


class Site:
    """Matmon, imported by its own command and searched without a server."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def fill(self, path: Path) -> None:
        flask(self._folder, "db", "upgrade", SEMANTIC_MODEL="none")
        flask(self._folder, "import", str(path), "--collection", "documents", SEMANTIC_MODEL="none")

    def open(self) -> Search:
        from sqlalchemy import select

        from app import create_app
        from config import read_settings
        from models import Document, db
        from search.query import Query
        from search.text import TextQuery
        from utils.sql import among

        app = create_app(read_settings({"INSTANCE_DIR": str(self._folder), "SEMANTIC_MODEL": "none"}))
        app.app_context().push()
        session = db.session()

        def search(text: str) -> list[str]:
            query = Query(text=text, mode="text")
            numbers = TextQuery(session, query.parts()).matches(query.filter()).documents[:BEST].tolist()
            found = session.execute(select(Document.id, Document.own_id).where(among(Document.id, numbers)))
            names = {row.id: row.own_id for row in found}
            return [names[number] for number in numbers]

        return search


class Fts5:
    """SQLite's full-text index, as its documentation shows it."""

    def __init__(self, folder: Path) -> None:
        self._file = folder / "fts5.db"

    def fill(self, path: Path) -> None:
        database = sqlite3.connect(self._file)
        database.execute("CREATE VIRTUAL TABLE document USING fts5(id UNINDEXED, title, body, tags)")
        with database:
            values = ((row["id"], row["title"], row["body"], " ".join(row.get("tags") or ())) for row in rows(path))
            database.executemany("INSERT INTO document VALUES (?, ?, ?, ?)", values)
        database.close()

    def open(self) -> Search:
        database = sqlite3.connect(self._file)
        statement = "SELECT id FROM document WHERE document MATCH ? ORDER BY bm25(document, 0, 2, 1, 1) LIMIT ?"

        def search(text: str) -> list[str]:
            words = " OR ".join(f'"{word}"' for word in WORDS.findall(text))
            return [row[0] for row in database.execute(statement, (words, BEST))] if words else []

        return search


class Tantivy:
    """The library of the same name, one thread, its default tokenizer."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder / "tantivy"

    def fill(self, path: Path) -> None:
        tantivy = import_module("tantivy")  # in build/peers, apart from what the project needs

        fields = tantivy.SchemaBuilder().add_text_field("id", stored=True, tokenizer_name="raw")
        for name in ("title", "body", "tags"):
            fields = fields.add_text_field(name, stored=True)
        self._folder.mkdir()
        writer = tantivy.Index(fields.build(), path=str(self._folder)).writer(50_000_000, 1)
        for row in rows(path):
            texts = {"id": row["id"], "title": row["title"], "body": row["body"]}
            writer.add_document(tantivy.Document(**texts, tags=row.get("tags") or []))
        writer.commit()
        writer.wait_merging_threads()

    def open(self) -> Search:
        tantivy = import_module("tantivy")
        index = tantivy.Index.open(str(self._folder))
        searcher = index.searcher()

        def search(text: str) -> list[str]:
            query = index.parse_query(" ".join(WORDS.findall(text)), ["title", "body", "tags"])
            return [searcher.doc(address)["id"][0] for _, address in searcher.search(query, BEST).hits]

        return search


ENGINES: dict[str, type[Engine]] = {"Matmon": Site, "FTS5": Fts5, "tantivy": Tantivy}


def apart(function: Callable[..., Any], *arguments: Any) -> Any:
    """Return what a function returns in a fresh process, which pays for its own memory and has the other libraries."""
    os.environ["PYTHONPATH"] = os.pathsep.join([str(ROOT), str(PEERS)])
    with get_context("spawn").Pool(1) as pool:
        return pool.apply(function, arguments)


def fill(name: str, folder: Path, path: Path) -> tuple[float, float]:
    """Import a file; returns seconds of processor time and bytes on the disk."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir(parents=True)
    ENGINES[name](folder).fill(path)
    spent = sum(
        used.ru_utime + used.ru_stime
        for used in map(resource.getrusage, (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN))
    )
    kept = sum(file.stat().st_size for file in folder.rglob("*") if file.is_file() and not file.name.endswith("-wal"))
    return spent, kept


def answers(name: str, folder: Path, questions: Sequence[str]) -> tuple[list[Sequence[str]], list[float]]:
    """Return the ids found for each question, and milliseconds of processor time."""
    search = ENGINES[name](folder).open()
    for question in questions[:5]:
        search(question)
    found, spent = [], []
    for question in questions:
        began = time.process_time()
        found.append(search(question))
        spent.append((time.process_time() - began) * 1000)
    return found, spent


def mrr(found: Iterable[Sequence[str]], right: Iterable[set[str]]) -> float:
    scores = []
    for ids, wanted in zip(found, right, strict=True):
        scores.append(next((1 / rank for rank, own_id in enumerate(ids, 1) if own_id in wanted), 0.0))
    return sum(scores) / len(scores)


def with_typo(text: str, chance: Random) -> str:
    """Return a text with two neighbouring letters of its longest word exchanged."""
    word = max(WORDS.findall(text), key=len)
    place = chance.randrange(1, max(len(word) - 1, 2))
    mistaken = word[: place - 1] + word[place] + word[place - 1] + word[place + 1 :]
    return text.replace(word, mistaken, 1)


def quality_figures() -> list[Figure]:
    relevant: dict[str, set[str]] = defaultdict(set)
    with (DATA / "heq_qrels.tsv").open(encoding="utf-8", newline="") as file:
        for line in csv.reader(file, delimiter="\t"):
            if line[-1].strip().isdigit() and int(line[-1]) > 0:
                relevant[line[0]].add(line[-2])
    asked = [row for row in rows(DATA / "heq_queries.jsonl") if row["id"] in relevant]
    right, chance = [relevant[row["id"]] for row in asked], Random(5)
    texts = {
        "": [row["text"] for row in asked],
        ", two letters exchanged": [with_typo(row["text"], chance) for row in asked],
    }
    figures = []
    for name in ENGINES:
        folder = WORK / "peers" / name
        apart(fill, name, folder, DATA / "heq_corpus.jsonl")
        for kind, questions in texts.items():
            found, _ = apart(answers, name, folder, questions)
            figures.append(Figure(f"HeQ{kind}, {name}: MRR@{BEST}", round(mrr(found, right), 3)))
    return figures


def questions_by_kind() -> dict[str, list[str]]:
    words, _ = frequencies()
    chance, often, seldom = Random(3), common(words, QUESTIONS), rare(words, QUESTIONS)
    usual = list(words)[:3_000]
    return {
        "a common word": often,
        "a rare word": seldom,
        "two common words": [" ".join(chance.sample(often, 2)) for _ in range(QUESTIONS)],
        "six words": [
            " ".join([*chance.sample(often, 2), *chance.sample(seldom, 2), *chance.sample(usual, 2)])
            for _ in range(QUESTIONS)
        ],
    }


def cost_figures() -> list[Figure]:
    path = written(WORK / "peers" / "made.jsonl", SIZE)
    figures = []
    for name in ENGINES:
        folder = WORK / "peers" / name
        spent, kept = apart(fill, name, folder, path)
        figures.append(Figure(f"{SIZE:,} documents, {name}: imported, CPU", round(spent * 1000 / SIZE, 3), "ms each"))
        figures.append(Figure(f"{SIZE:,} documents, {name}: on the disk", round(kept / SIZE / 1000, 2), "kB each"))
        for kind, questions in questions_by_kind().items():
            _, took = apart(answers, name, folder, questions)
            middle = sorted(took)[len(took) // 2]
            figures.append(Figure(f"{SIZE:,} documents, {name}: {kind}, CPU p50", round(middle, 2), "ms"))
    path.unlink()
    return figures


def main() -> None:
    (WORK / "peers").mkdir(parents=True, exist_ok=True)
    if not (PEERS / "installed").exists():
        sys.exit("tantivy is not there: make build/peers/installed")
    tell([*quality_figures(), *cost_figures()])


if __name__ == "__main__":
    main()
