"""Search by tags: the very tag, tags that begin so, and tags close in meaning."""

from __future__ import annotations

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from indexes.filters import Filter
from indexes.version import Snapshot
from models import Tag, TagCount, tag_key, tag_number
from search.facets import tag_names
from search.query import Query
from search.results import Ranked, Ranking, TagScore
from search.semantic import Semantic
from utils.sql import among_sql, like_prefix, number_list

MOST_DOCUMENTS = 1_000
MOST_TAGS_MATCHED, MOST_NEAR_TAGS = 50, 8
PREFIX_SCORE = 0.9


def listing(session: Session, restriction: Filter) -> Ranking:
    """Return the newest documents that pass a filter, all of the same score."""
    held = f"SELECT id FROM document WHERE 1 = 1{restriction.sql('id')}"
    statement = f"{held} ORDER BY added_at DESC, id DESC LIMIT :most"
    values = {**restriction.values, "most": MOST_DOCUMENTS + 1}
    found = list(session.execute(text(statement), values).scalars())
    return Ranking([Ranked(one, 1.0) for one in found[:MOST_DOCUMENTS]], len(found) <= MOST_DOCUMENTS)


def tag_ranking(session: Session, query: Query, semantic: Semantic, _snapshot: Snapshot) -> Ranking:
    """Return the documents whose tags answer the words typed; with no words, those that pass the filter."""
    wanted, restriction = query.parts().wanted(), query.filter()
    if not wanted:
        asked = tuple(TagScore(name, 1.0) for name in query.all_tags())
        plain = listing(session, restriction)
        return Ranking([Ranked(one.document, 1.0, tags=asked) for one in plain.documents], plain.complete)
    matched = named_tags(session, wanted) or near_named_tags(session, wanted, semantic)
    return _documents_with(session, matched, restriction)


def named_tags(session: Session, wanted: str) -> dict[int, TagScore]:
    """Return the tags with this name or beginning with it, in use, with 1 for the very tag."""
    key = tag_key(wanted)
    if not key:
        return {}
    low, high = like_prefix(key)
    in_use = select(TagCount.tag_id).where(TagCount.tag_id == Tag.id).exists()
    rows = select(Tag.id, Tag.name, Tag.key).where(Tag.key >= low, Tag.key < high, in_use)
    found = session.execute(rows.order_by(Tag.key).limit(MOST_TAGS_MATCHED))
    return {tag: TagScore(name, 1.0 if tag_key == key else PREFIX_SCORE) for tag, name, tag_key in found}


def near_named_tags(session: Session, wanted: str, semantic: Semantic) -> dict[int, TagScore]:
    near, _ = semantic.near_tags(session, [wanted], MOST_NEAR_TAGS)
    names = tag_names(session, [tag for tag, _ in near])
    return {tag: TagScore(names[tag], score) for tag, score in near if tag in names}


def near_tags(session: Session, query: Query, semantic: Semantic) -> tuple[tuple[TagScore, ...], bool]:
    """Return tags close in meaning to those asked for, closest first, themselves left out; and whether that is all.

    It is not while a name that is no tag waits for the model.
    """
    asked = [*query.all_tags(), *([wanted] if (wanted := query.parts().wanted()) else [])]
    if not asked:
        return (), True
    known = {tag_number(name) for name in asked}
    found, whole = semantic.near_tags(session, asked, MOST_NEAR_TAGS + len(known))
    near = [pair for pair in found if pair[0] not in known]
    names = tag_names(session, [tag for tag, _ in near])
    return tuple(TagScore(names[tag], score) for tag, score in near if tag in names)[:MOST_NEAR_TAGS], whole


def _documents_with(session: Session, matched: dict[int, TagScore], restriction: Filter) -> Ranking:
    if not matched:
        return Ranking([])
    statement = (
        f"SELECT document_id, tag_id FROM document_tag WHERE {among_sql(session, 'tag_id', 'tags')}"
        f"{restriction.sql('document_id')} ORDER BY document_id LIMIT :most"
    )
    having: dict[int, list[TagScore]] = {}
    pairs = session.execute(
        text(statement).bindparams(number_list("tags", matched)), {**restriction.values, "most": 2 * MOST_DOCUMENTS}
    ).all()
    for document, tag in pairs:
        having.setdefault(document, []).append(matched[tag])
    ranked = [
        Ranked(
            document,
            max(tag.score for tag in tags),
            tags=tuple(sorted(tags, key=lambda t: (-t.score, t.tag))),
        )
        for document, tags in having.items()
    ]
    ranked.sort(key=lambda one: (-one.score, -len(one.tags), one.document))
    return Ranking(ranked[:MOST_DOCUMENTS], len(pairs) < 2 * MOST_DOCUMENTS)
