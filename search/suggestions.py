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
from models import Document
from search.query import Query
from search.tag_index import common_tags
from search.text import TextQuery
from utils.hebrew import normalise
from utils.sql import among

MOST_SUGGESTIONS = 8
LONGEST_PREFIX = 80


@dataclass(frozen=True, slots=True)
class Suggestion:
    """A text to search for; `kind` is `tag` or `title`."""

    text: str
    kind: str


def suggestions(session: Session, typed: str) -> list[Suggestion]:
    """Return tags that start with what is typed, then titles of documents that contain its words."""
    typed = typed.strip()[:LONGEST_PREFIX]
    if len(normalise(typed).strip()) < 2:
        return []
    tags = [Suggestion(facet.tag, "tag") for facet in common_tags(session, MOST_SUGGESTIONS // 2, typed)]
    numbers = TextQuery(session, Query(text=typed).parts()).matches(Filter()).documents[:20].tolist()
    statement = select(Document.id, Document.title).where(among(Document.id, numbers))
    rows = {row.id: row.title for row in session.execute(statement)}
    titles = [Suggestion(rows[number], "title") for number in numbers if number in rows and len(rows[number]) <= 100]
    return [*tags, *dict.fromkeys(titles)][:MOST_SUGGESTIONS]


SAMPLE = "sample"
FILE = Path(__file__).resolve().parents[1] / "data" / "sample-queries.json"


@cache
def _sample_rows() -> tuple[dict[str, str], ...]:
    return tuple(json.loads(FILE.read_text(encoding="utf-8"))) if FILE.exists() else ()


def sample_queries(collections: Sequence[str]) -> tuple[dict[str, str], ...]:
    """Return {"q", "mode", "lang", "note_he", "note_en"} of each sample query; none without the sample collection."""
    return _sample_rows() if SAMPLE in collections else ()
