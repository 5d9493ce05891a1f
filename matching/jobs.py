"""The jobs of a collection as the database has them: which share a tag, and what each asks for, as flat arrays."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from matching.collection_state import Place, own_documents
from matching.skills import is_optional
from matching.vocabulary import Known
from models import DocumentTag, Tag
from utils.sql import among, among_sql, by_dialect, number_list

Numbers = NDArray[np.int64]

MOST_CANDIDATES = 600  # jobs of which every tag is read
MOST_READ = 30_000  # documents looked at through a person's tags, the rarest tags first
# Of all collections together: others may have the same tags.
MOST_ROWS = 2 * MOST_READ

# Numbers come as one text a tag, or a job: a row of Python's for each of 50,000 would take 30 ms.
HAVING_SQLITE = """
SELECT tag_id, group_concat(document_id) FROM
  (SELECT tag_id, document_id FROM document_tag WHERE {among} LIMIT :most) found GROUP BY tag_id
"""
TAGS_SQLITE = "SELECT document_id, group_concat(tag_id) FROM document_tag WHERE {among} GROUP BY document_id"


def _postgresql(statement: str, column: str) -> str:
    return statement.replace(f"group_concat({column})", f"string_agg(CAST({column} AS text), ',')")


HAVING_POSTGRESQL, TAGS_POSTGRESQL = _postgresql(HAVING_SQLITE, "document_id"), _postgresql(TAGS_SQLITE, "tag_id")


@dataclass(frozen=True, slots=True)
class Jobs:
    """Jobs by their numbers, and all their tags one after another: `owners` are places in `numbers`."""

    numbers: Numbers
    owners: Numbers
    tags: Numbers


@dataclass(frozen=True, slots=True)
class Asked:
    """A tag of a job: its name, its rarity times its need, and whether it is nice to have only."""

    name: str
    weight: float
    is_optional: bool = False


def candidates(session: Session, held: Known, here: Place) -> list[int]:
    """Return the jobs that share most with a person, by the weight and worth of what they share; best first.

    One statement, and one or two more to tell the collection's documents from others'.
    """
    read = list(_read(held.counts))
    if not read:
        return []
    lists = _lists(session, by_dialect(session, sqlite=HAVING_SQLITE, postgresql=HAVING_POSTGRESQL), "tag_id", read)
    worths = [held.matches[tag].worth * held.weights[tag] for tag in lists]
    found, places = np.unique(np.concatenate(list(lists.values())), return_inverse=True)
    sums = np.bincount(places, np.repeat(worths, [len(each) for each in lists.values()]))
    best = found[np.lexsort((found, -sums))]
    if all(len(each) == held.counts[tag] for tag, each in lists.items()):
        return list(map(int, best[:MOST_CANDIDATES]))  # no document of another collection is among them
    return _here(session, here, best)


def _here(session: Session, here: Place, best: Numbers) -> list[int]:
    """Return the collection's own among documents, in their order: of the first ones, and of all if those are few."""
    some = 4 * MOST_CANDIDATES
    kept: list[int] = []
    for part in (best[:some], best[some:]):
        if len(part) and len(kept) < MOST_CANDIDATES:
            kept += own_documents(session, here, part.tolist())
    return kept[:MOST_CANDIDATES]


def _read(counts: Mapping[int, int]) -> Iterator[int]:
    """Yield the rarest tags, until their documents are as many as may be read; the first always."""
    read = 0
    for tag, count in sorted(counts.items(), key=lambda pair: (pair[1], pair[0])):
        if read and read + count > MOST_READ:
            return
        read += count
        yield tag


def _lists(session: Session, statement: str, column: str, keys: Sequence[int]) -> dict[int, Numbers]:
    """Return {key: numbers} of a statement that gives each key with its numbers in one text."""
    asked = text(statement.format(among=among_sql(session, column, "keys"))).bindparams(number_list("keys", keys))
    values = {"most": MOST_ROWS} if ":most" in statement else {}
    rows = session.connection().execute(asked, values).all()
    return {key: np.fromstring(numbers, np.int64, sep=",") for key, numbers in rows}


def jobs_with_tags(session: Session, jobs: Sequence[int]) -> Jobs:
    """Return all tags of jobs, those without a tag left out; one statement."""
    statement = by_dialect(session, sqlite=TAGS_SQLITE, postgresql=TAGS_POSTGRESQL)
    lists = _lists(session, statement, "document_id", jobs) if jobs else {}
    if not lists:
        return Jobs(*(np.zeros(0, np.int64) for _ in range(3)))
    counts = [len(each) for each in lists.values()]
    owners = np.repeat(np.arange(len(lists)), counts)
    return Jobs(np.array(list(lists), np.int64), owners, np.concatenate(list(lists.values())))


def one_job(number: int, tags: Numbers) -> Jobs:
    return Jobs(np.array([number], np.int64), np.zeros(len(tags), np.int64), tags)


def tags_in_order(session: Session, jobs: Iterable[int]) -> dict[int, list[tuple[int, str]]]:
    """Return each job's tags with their names, in its own order; one statement."""
    rows = select(DocumentTag.document_id, Tag.id, Tag.name).join(Tag, Tag.id == DocumentTag.tag_id)
    rows = rows.where(among(DocumentTag.document_id, jobs))
    ordered = rows.order_by(DocumentTag.document_id, DocumentTag.place, Tag.id)
    found: dict[int, list[tuple[int, str]]] = {}
    for job, tag, name in session.connection().execute(ordered):
        found.setdefault(job, []).append((tag, name))
    return found


def asked(tags: Sequence[tuple[int, str]], weights: Mapping[int, float]) -> list[tuple[int, Asked]]:
    """Return a job's tags as what it asks for; `weights` are those of its tags."""
    return [(tag, Asked(name, weights[tag], is_optional(name))) for tag, name in tags]
