"""Whether a Hebrew word finds the documents that have it: precision of the first ten, and recall, by kinds of words."""

from __future__ import annotations

import csv
import json
import re
import shutil
import statistics
import time
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path

from benchmarks.figures import DATA, WORK, Figure, flask, tell
from utils.hebrew import forms, is_stop_word

DOCUMENTS = DATA / "he_docs.jsonl"
PREFIXES = ("", "ה", "ב", "ל", "וה", "שה", "מה", "כשה", "ובה", "ולה")
_BEGINS_LIKE_A_PREFIX = re.compile("[ושבלה]|כש|מה")
FEWEST, MOST = 5, 400  # documents that a word stands in
TOP = 10

# By kind of word: the bars of precision and recall.
BARS = {
    "4 letters or more, beginning like a prefix": (">= 0.9", ""),
    "4 letters or more, others": ("", ""),
    "3 letters": ("", ""),
    "2 letters": ("", ">= 0.95"),
}


def kind(word: str) -> str:
    """Return the kind of a folded word, a key of BARS."""
    if len(word) < 4:
        return f"{len(word)} letters"
    return next(name for name in BARS if ("others" in name) == (_BEGINS_LIKE_A_PREFIX.match(word) is None))


def right_documents() -> dict[str, set[str]]:
    """Return the ids of the documents with each word, bare or behind a prefix, by folded word."""
    holders: dict[str, set[str]] = defaultdict(set)
    with DOCUMENTS.open(encoding="utf-8") as file:
        for document in map(json.loads, file):
            for form in forms(f"{document['title']}\n{document['body']}"):
                holders[form].add(document["id"])
    with (DATA / "he_lemmas.tsv").open(encoding="utf-8", newline="") as file:
        words = {form for row in csv.DictReader(file, delimiter="\t") for form in forms(row["lemma"])}
    right = {}
    for word in sorted(word for word in words if len(word) > 1 and not is_stop_word(word)):
        documents = {document for prefix in PREFIXES for document in holders.get(prefix + word, ())}
        if FEWEST <= len(documents) <= MOST:
            right[word] = documents
    return right


def precision(found: Sequence[str], right: set[str]) -> float:
    """Return the share of right documents among the first ten, or among as many as are right."""
    most = min(TOP, len(right))
    return sum(document in right for document in found[:most]) / most


def recall(found: Sequence[str], right: set[str]) -> float:
    return len(right.intersection(found)) / len(right)


def measured(ask: Callable[[str], Sequence[str]], right: Mapping[str, set[str]]) -> list[Figure]:
    """Return the figures of a function that returns the ids of a word's documents, best first."""
    precisions: dict[str, list[float]] = defaultdict(list)
    recalls: dict[str, list[float]] = defaultdict(list)
    began = time.process_time()
    for word, documents in right.items():
        found = ask(word)
        precisions[kind(word)].append(precision(found, documents))
        recalls[kind(word)].append(recall(found, documents))
    spent = (time.process_time() - began) * 1000 / len(right)
    figures = []
    for name, (precision_bar, recall_bar) in BARS.items():
        title = f"{name} ({len(precisions[name])} words)"
        figures.append(Figure(f"{title}: P@{TOP}", round(statistics.fmean(precisions[name]), 3), bar=precision_bar))
        figures.append(Figure(f"{title}: recall", round(statistics.fmean(recalls[name]), 3), bar=recall_bar))
    return [*figures, Figure("A word, the ranking alone: CPU", round(spent, 2), "ms")]


def site_figures(instance: Path) -> list[Figure]:
    """Return the figures of the site's keyword search over the documents in an instance folder."""
    from sqlalchemy import select

    from app import create_app
    from config import read_settings
    from indexes.version import read_snapshot
    from models import Document, db
    from search.hybrid import text_ranking
    from search.query import Query
    from search.search import WITHOUT_MEANING

    app = create_app(read_settings({"INSTANCE_DIR": str(instance), "SEMANTIC_MODEL": "none"}))
    with app.app_context():
        session = db.session()
        own_ids = {row.id: row.own_id for row in session.execute(select(Document.id, Document.own_id))}

        def ask(word: str) -> list[str]:
            query = Query(text=word, mode="text")
            ranking = text_ranking(session, query, WITHOUT_MEANING, read_snapshot(session))
            return [own_ids[ranked.document] for ranked in ranking.documents]

        figures = measured(ask, right_documents())
        db.session.remove()
    return figures


def main() -> None:
    instance = WORK / "hebrew_words"
    shutil.rmtree(instance, ignore_errors=True)
    flask(instance, "db", "upgrade", SEMANTIC_MODEL="none")
    flask(instance, "import", str(DOCUMENTS), "--collection", "documents", SEMANTIC_MODEL="none")
    tell(site_figures(instance))


if __name__ == "__main__":
    main()
