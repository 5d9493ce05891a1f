"""The jobs of a collection, read from the database into flat arrays: candidates by shared tags, and their tags."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import select, text
from sqlalchemy.orm import Session

from matching.collection_state import CollectionState, own_documents
from matching.idf import idf_weights
from matching.matcher import KnownSkills
from matching.skills import is_optional
from models import DocumentTag, Tag
from utils.sql import among, among_sql, by_dialect, number_list

Numbers = NDArray[np.int64]

MOST_CANDIDATES = 600  # jobs whose tags are all read
MOST_READ = 30_000  # documents read through a person's tags, the rarest tags first
# Across all collections: several may share a tag.
MOST_ROWS = 2 * MOST_READ

# One text of numbers per tag or job: 50,000 Python rows would take 30 ms.
HAVING_SQLITE = """
SELECT tag_id, group_concat(document_id) FROM
  (SELECT tag_id, document_id FROM document_tag WHERE {among} LIMIT :most) found GROUP BY tag_id
"""
TAGS_SQLITE = "SELECT document_id, group_concat(tag_id) FROM document_tag WHERE {among} GROUP BY document_id"


def _postgresql(statement: str, column: str) -> str:
    return statement.replace(f"group_concat({column})", f"string_agg(CAST({column} AS text), ',')")


HAVING_POSTGRESQL, TAGS_POSTGRESQL = _postgresql(HAVING_SQLITE, "document_id"), _postgresql(TAGS_SQLITE, "tag_id")


@dataclass(frozen=True, slots=True)
class DocumentTags:
    """Documents and all their tags, concatenated; `owners` are indexes into `numbers`."""

    numbers: Numbers
    owners: Numbers
    tags: Numbers


@dataclass(frozen=True, slots=True)
class RequiredSkill:
    """A tag of a job: its name, its weight (IDF, halved if nice to have), and whether it is nice to have."""

    name: str
    weight: float
    is_optional: bool = False


def candidates(session: Session, known: KnownSkills, state: CollectionState) -> list[int]:
    """Return the jobs that share most with a person, by the weighted worth of the shared tags, best first.

    One statement, and up to two more to leave out documents of other collections.
    """
    read = list(_rarest_tags(known.counts))
    if not read:
        return []
    lists = _number_lists(
        session, by_dialect(session, sqlite=HAVING_SQLITE, postgresql=HAVING_POSTGRESQL), "tag_id", read
    )
    worths = [known.matches[tag].worth * known.weights[tag] for tag in lists]
    documents, places = np.unique(np.concatenate(list(lists.values())), return_inverse=True)
    sums = np.bincount(places, np.repeat(worths, [len(each) for each in lists.values()]))
    best = documents[np.lexsort((documents, -sums))]
    if all(len(each) == known.counts[tag] for tag, each in lists.items()):
        return list(map(int, best[:MOST_CANDIDATES]))  # every document belongs to this collection
    return _own_candidates(session, state, best)


def _own_candidates(session: Session, state: CollectionState, best: Numbers) -> list[int]:
    """Return up to MOST_CANDIDATES of the documents that belong to the collection, in order."""
    some = 4 * MOST_CANDIDATES
    kept: list[int] = []
    for part in (best[:some], best[some:]):
        if len(part) and len(kept) < MOST_CANDIDATES:
            kept += own_documents(session, state, part.tolist())
    return kept[:MOST_CANDIDATES]


def _rarest_tags(counts: Mapping[int, int]) -> Iterator[int]:
    """Yield the rarest tags until MOST_READ documents are reached; always at least one."""
    read = 0
    for tag, count in sorted(counts.items(), key=lambda pair: (pair[1], pair[0])):
        if read and read + count > MOST_READ:
            return
        read += count
        yield tag


def _number_lists(session: Session, statement: str, column: str, keys: Sequence[int]) -> dict[int, Numbers]:
    """Return {key: numbers} of a statement that returns each key with its numbers as one text."""
    bound = text(statement.format(among=among_sql(session, column, "keys"))).bindparams(number_list("keys", keys))
    values = {"most": MOST_ROWS} if ":most" in statement else {}
    rows = session.connection().execute(bound, values).all()
    return {key: np.fromstring(numbers, np.int64, sep=",") for key, numbers in rows}


def document_tags(session: Session, documents: Sequence[int]) -> DocumentTags:
    """Return all tags of documents, without the documents that have none; one statement."""
    statement = by_dialect(session, sqlite=TAGS_SQLITE, postgresql=TAGS_POSTGRESQL)
    lists = _number_lists(session, statement, "document_id", documents) if documents else {}
    if not lists:
        return DocumentTags(*(np.zeros(0, np.int64) for _ in range(3)))
    counts = [len(each) for each in lists.values()]
    owners = np.repeat(np.arange(len(lists)), counts)
    return DocumentTags(np.array(list(lists), np.int64), owners, np.concatenate(list(lists.values())))


def tags_in_order(session: Session, jobs: Iterable[int]) -> dict[int, list[tuple[int, str]]]:
    """Return each job's tags with their names, in the job's order; one statement."""
    rows = select(DocumentTag.document_id, Tag.id, Tag.name).join(Tag, Tag.id == DocumentTag.tag_id)
    rows = rows.where(among(DocumentTag.document_id, jobs))
    ordered = rows.order_by(DocumentTag.document_id, DocumentTag.place, Tag.id)
    tags: dict[int, list[tuple[int, str]]] = {}
    for job, tag, name in session.connection().execute(ordered):
        tags.setdefault(job, []).append((tag, name))
    return tags


def required_skills(
    session: Session, state: CollectionState, tags: Mapping[int, Sequence[tuple[int, str]]]
) -> dict[int, list[tuple[int, RequiredSkill]]]:
    """Return {job: (tag, required skill) in the job's order} of `tags_in_order`; at most one statement."""
    distinct = np.unique(np.array([tag for pairs in tags.values() for tag, _ in pairs], np.int64))
    weights = dict(zip(distinct.tolist(), idf_weights(session, state, distinct).tolist(), strict=True))
    return {
        job: [(tag, RequiredSkill(name, weights[tag], is_optional(name))) for tag, name in pairs]
        for job, pairs in tags.items()
    }
