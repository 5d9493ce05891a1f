"""The jobs of a collection as the database has them: which share a tag, and what each asks for."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from itertools import groupby

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.scores import Asked
from matching.skills import NICE_WEIGHT, is_optional
from matching.vocabulary import Known, rarity
from models import DocumentTag, Tag, TagCount, number
from utils.sql import among, by_dialect

MOST_CANDIDATES = 2_000
MOST_READ = 100_000  # documents looked at through a person's tags, the rarest tags first
ROWS_AT_ONCE = 2_000

CANDIDATES = """
SELECT document_tag.document_id FROM {given} JOIN document_tag ON document_tag.tag_id = {tag}
JOIN document ON document.id = document_tag.document_id AND document.collection_id = :collection
GROUP BY document_tag.document_id ORDER BY sum({weight}) DESC, document_tag.document_id LIMIT :most
"""
GIVEN_SQLITE = "json_each(:given) given CROSS"
GIVEN_POSTGRESQL = "jsonb_array_elements(CAST(:given AS jsonb)) AS given(value) INNER"
TAG_SQLITE, WEIGHT_SQLITE = "json_extract(given.value, '$[0]')", "json_extract(given.value, '$[1]')"
TAG_POSTGRESQL = "CAST(given.value ->> 0 AS bigint)"
WEIGHT_POSTGRESQL = "CAST(given.value ->> 1 AS double precision)"


def candidates(session: Session, vocabulary: Known, collection: str) -> list[int]:
    """Return the jobs that share most with a person, by the rarity and strength of what they share; one statement."""
    given = [[tag, vocabulary.matches[tag].worth * vocabulary.rarity[tag]] for tag in _read(vocabulary.counts)]
    if not given:
        return []
    statement = CANDIDATES.format(
        given=by_dialect(session, sqlite=GIVEN_SQLITE, postgresql=GIVEN_POSTGRESQL),
        tag=by_dialect(session, sqlite=TAG_SQLITE, postgresql=TAG_POSTGRESQL),
        weight=by_dialect(session, sqlite=WEIGHT_SQLITE, postgresql=WEIGHT_POSTGRESQL),
    )
    values = {"given": json.dumps(given), "collection": number("collection", collection), "most": MOST_CANDIDATES}
    return list(session.execute(text(statement), values).scalars())


def _read(counts: Mapping[int, int]) -> Iterator[int]:
    """Yield the rarest tags, until their documents are as many as may be read; the first always."""
    read = 0
    for tag, count in sorted(counts.items(), key=lambda pair: (pair[1], pair[0])):
        if read and read + count > MOST_READ:
            return
        read += count
        yield tag


def asked_tags(
    session: Session, jobs: Sequence[int], collection: str, documents: int, aliases: Aliases
) -> dict[int, Asked]:
    """Return the tags of jobs, with the rarity that each has among the collection's documents."""
    theirs = select(DocumentTag.tag_id).where(among(DocumentTag.document_id, jobs))
    rows = select(Tag.id, Tag.name, TagCount.documents).join(TagCount, TagCount.tag_id == Tag.id)
    rows = rows.where(TagCount.collection_id == number("collection", collection), Tag.id.in_(theirs))
    return {tag: _asked(name, count, documents, aliases) for tag, name, count in session.execute(rows)}


def _asked(name: str, count: int, documents: int, aliases: Aliases) -> Asked:
    optional = is_optional(name, aliases)
    return Asked(name, rarity(count, documents) * (NICE_WEIGHT if optional else 1.0), optional)


def tags_by_job(session: Session, jobs: Iterable[int]) -> Iterator[tuple[int, list[int]]]:
    """Yield each job with its tags in its own order; in memory is one job and a page of rows."""
    rows = select(DocumentTag.document_id, DocumentTag.tag_id).where(among(DocumentTag.document_id, jobs))
    ordered = rows.order_by(DocumentTag.document_id, DocumentTag.place, DocumentTag.tag_id)
    found = session.execute(ordered.execution_options(yield_per=ROWS_AT_ONCE))
    for job, pairs in groupby(found, key=lambda row: row[0]):
        yield job, [tag for _, tag in pairs]
