"""Tag search: exact tags, tags that start with the query, and similar tags."""

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
    """Return the newest documents that pass a filter, all with the same score."""
    held = f"SELECT id FROM document WHERE 1 = 1{restriction.sql('id')}"
    statement = f"{held} ORDER BY added_at DESC, id DESC LIMIT :most"
    values = {**restriction.values, "most": MOST_DOCUMENTS + 1}
    numbers = list(session.execute(text(statement), values).scalars())
    return Ranking([Ranked(number, 1.0) for number in numbers[:MOST_DOCUMENTS]], len(numbers) <= MOST_DOCUMENTS)


def tag_ranking(session: Session, query: Query, semantic: Semantic, _snapshot: Snapshot) -> Ranking:
    """Return the documents whose tags match the query; without words, those that pass the filter."""
    wanted, restriction = query.parts().wanted(), query.filter()
    if not wanted:
        filter_tags = tuple(TagScore(name, 1.0) for name in query.all_tags())
        plain = listing(session, restriction)
        return Ranking([Ranked(item.document, 1.0, tags=filter_tags) for item in plain.documents], plain.complete)
    matched = named_tags(session, wanted) or tags_similar_to(session, wanted, semantic)
    return _documents_with(session, matched, restriction)


def named_tags(session: Session, wanted: str) -> dict[int, TagScore]:
    """Return the tags in use whose name starts with `wanted`, with score 1 for an exact match."""
    key = tag_key(wanted)
    if not key:
        return {}
    low, high = like_prefix(key)
    in_use = select(TagCount.tag_id).where(TagCount.tag_id == Tag.id).exists()
    rows = select(Tag.id, Tag.name, Tag.key).where(Tag.key >= low, Tag.key < high, in_use)
    matched = session.execute(rows.order_by(Tag.key).limit(MOST_TAGS_MATCHED))
    return {tag: TagScore(name, 1.0 if tag_key == key else PREFIX_SCORE) for tag, name, tag_key in matched}


def tags_similar_to(session: Session, wanted: str, semantic: Semantic) -> dict[int, TagScore]:
    near, _ = semantic.nearest_tags(session, [wanted], MOST_NEAR_TAGS)
    names = tag_names(session, [tag for tag, _ in near])
    return {tag: TagScore(names[tag], score) for tag, score in near if tag in names}


def similar_tags(session: Session, query: Query, semantic: Semantic) -> tuple[tuple[TagScore, ...], bool]:
    """Return tags similar to those of the query, most similar first, themselves excluded; and whether that is all.

    It is not if a name that is not a tag awaits the model.
    """
    query_tags = [*query.all_tags(), *([wanted] if (wanted := query.parts().wanted()) else [])]
    if not query_tags:
        return (), True
    known = {tag_number(name) for name in query_tags}
    nearest, whole = semantic.nearest_tags(session, query_tags, MOST_NEAR_TAGS + len(known))
    near = [pair for pair in nearest if pair[0] not in known]
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
    ranked.sort(key=lambda item: (-item.score, -len(item.tags), item.document))
    return Ranking(ranked[:MOST_DOCUMENTS], len(pairs) < 2 * MOST_DOCUMENTS)
