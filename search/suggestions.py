"""Suggestions while typing, and sample queries for when nothing was found."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cache
from pathlib import Path

from sqlalchemy import select
from sqlalchemy.orm import Session

from indexes.filters import Filter
from models import Collection, Document
from search.query import Query
from search.tag_index import common_tags
from search.text import TextQuery
from utils.hebrew import forms, normalise
from utils.sql import among

MOST_SUGGESTIONS = 8
LONGEST_PREFIX = 80
LOOKED_AT, LONGEST_TITLE = 40, 100


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A tag with its count, or the title of a document; `kind` is `tag` or `title`."""

    text: str
    kind: str
    count: int | None = None
    id: str = ""
    collection: str = ""


def suggestions(session: Session, typed: str) -> list[Suggestion]:
    """Return tags that start with what is typed, then documents whose titles have a word of it, complete or begun."""
    typed = typed.strip()[:LONGEST_PREFIX]
    if len(normalise(typed).strip()) < 2:
        return []
    tags = [Suggestion(facet.tag, "tag", facet.count) for facet in common_tags(session, MOST_SUGGESTIONS // 2, typed)]
    numbers = TextQuery(session, Query(text=typed).parts()).matches(Filter()).documents[:LOOKED_AT].tolist()
    rows = select(Document.id, Document.own_id, Document.title, Collection.name).where(among(Document.id, numbers))
    rows = rows.join(Collection, Collection.id == Document.collection_id)
    stored = {row.id: row for row in session.execute(rows)}
    found = [stored[number] for number in numbers if number in stored]
    begun = [form for form in forms(typed) if len(form) > 1]
    by_title = {row.title: row for row in reversed(found) if len(row.title) <= LONGEST_TITLE}
    titles = [
        Suggestion(row.title, "title", id=row.own_id, collection=row.name)
        for row in found
        if by_title.get(row.title) is row and any(form in word for word in forms(row.title) for form in begun)
    ]
    return [*tags, *titles][:MOST_SUGGESTIONS]


SAMPLE = "sample"
FILE = Path(__file__).resolve().parents[1] / "data" / "sample-queries.json"


@cache
def _sample_rows() -> tuple[dict[str, str], ...]:
    return tuple(json.loads(FILE.read_text(encoding="utf-8"))) if FILE.exists() else ()


def sample_queries(collections: Sequence[str]) -> tuple[dict[str, str], ...]:
    """Return {"q", "mode", "lang", "note_he", "note_en"} of each sample query; none without the sample collection."""
    return _sample_rows() if SAMPLE in collections else ()
