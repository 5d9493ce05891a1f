"""The index of tags in use, by name or the commonest first: whole collections of tags are never counted or sorted."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import Select, exists, func, select, union, union_all
from sqlalchemy.orm import Session

from models import Collection, Tag, TagCount, number, tag_key
from search.results import Facet
from utils.sql import like_prefix

# Tags that are ordered by their counts: the commonest of each collection, and with a prefix the first by name too, so
# that all of a rare prefix are there and the commonest of a common one. Of 100,000 tags in three collections 20 to 40
# ms of SQLite, a few of them 4 to 6; counting and sorting all of a prefix took 170.
MOST_RANKED = 1_000
RANKED_FOR_FEW = 200  # where only the first few are shown
MOST_COLLECTIONS = 20  # whose commonest tags are looked at; the largest
MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class TagPage:
    """One page of the index of tags; `total` is counted up to MOST_COUNTED, `listed` of them are in this order."""

    tags: tuple[Facet, ...]
    total: int
    listed: int

    @property
    def total_is_exact(self) -> bool:
        return self.total < MOST_COUNTED

    @property
    def is_cut(self) -> bool:
        """Tell whether there are more tags than this order has."""
        return self.listed < self.total


@dataclass(frozen=True, slots=True)
class _Asked:
    """What a page is asked of: tags in use, of a collection (its key) or all, that begin with a key or all."""

    collection: int | None
    key: str

    def begins(self, rows: Select[Any]) -> Select[Any]:
        if not self.key:
            return rows
        low, high = like_prefix(self.key)
        return rows.where(Tag.key >= low, Tag.key < high)

    def tags(self) -> Select[Any]:
        """Return a statement of the tags that are meant, in no order."""
        if self.collection is not None and not self.key:
            return select(TagCount.tag_id).where(TagCount.collection_id == self.collection)
        used = exists().where(TagCount.tag_id == Tag.id)
        if self.collection is not None:
            used = used.where(TagCount.collection_id == self.collection)
        return self.begins(select(Tag.id).where(used))


def tag_page(
    session: Session,
    prefix: str = "",
    collection: str = "",
    page: int = 1,
    limit: int = 100,
    by: str = "count",
) -> TagPage:
    """Return tags in use with their counts, the commonest first or by name; a prefix narrows. Three statements."""
    asked = _Asked(number("collection", collection) if collection else None, tag_key(prefix))
    start = (page - 1) * limit
    total = session.execute(select(func.count()).select_from(asked.tags().limit(MOST_COUNTED).subquery())).scalar_one()
    if by == "name":
        return TagPage(_by_name(session, asked, start, limit), total, total)
    shown = min(limit, max(MOST_RANKED - start, 0))
    found = _by_count(session, asked, min(start, MOST_RANKED), shown, MOST_RANKED)
    return TagPage(found, total, min(total, MOST_RANKED))


def common_tags(session: Session, limit: int, prefix: str = "") -> tuple[Facet, ...]:
    """Return the commonest tags, a few, with their counts; a prefix narrows. Two statements."""
    return _by_count(session, _Asked(None, tag_key(prefix)), 0, limit, min(RANKED_FOR_FEW, MOST_RANKED))


def _counts(asked: _Asked) -> Select[Any]:
    """Return a statement of tags with their counts in the collection, or in all."""
    counted = select(func.sum(TagCount.documents)).where(TagCount.tag_id == Tag.id)
    if asked.collection is not None:
        counted = counted.where(TagCount.collection_id == asked.collection)
    return select(Tag.name, Tag.key, counted.correlate(Tag).scalar_subquery().label("documents"))


def _by_name(session: Session, asked: _Asked, start: int, limit: int) -> tuple[Facet, ...]:
    used = exists().where(TagCount.tag_id == Tag.id)
    if asked.collection is not None:
        used = used.where(TagCount.collection_id == asked.collection)
    places = asked.begins(select(Tag.id).where(used)).order_by(Tag.key, Tag.id).limit(limit).offset(start).subquery()
    rows = session.execute(_counts(asked).join(places, places.c.id == Tag.id)).all()
    return tuple(Facet(row.name, int(row.documents)) for row in sorted(rows, key=lambda row: row.key))


def _by_count(session: Session, asked: _Asked, start: int, limit: int, most: int) -> tuple[Facet, ...]:
    tops = _commonest(session, asked, most)
    if not tops:
        return ()
    chosen = select(union_all(*tops).subquery().c.tag_id)
    if asked.key:
        first = select(asked.tags().add_columns(Tag.key).order_by(Tag.key).limit(most).subquery().c.id)
        chosen = union(asked.begins(select(Tag.id).where(Tag.id.in_(chosen))), first).subquery().select()
    rows = _counts(asked).where(Tag.id.in_(chosen)).subquery()
    ordered = select(rows).where(rows.c.documents.is_not(None)).order_by(rows.c.documents.desc(), rows.c.key)
    found = session.execute(ordered.limit(limit).offset(start))
    return tuple(Facet(row.name, int(row.documents)) for row in found)


def _commonest(session: Session, asked: _Asked, most: int) -> list[Select[Any]]:
    """Return a statement of the commonest tags for each collection that is meant, as its index has them."""
    numbers = [asked.collection]
    if asked.collection is None:
        rows = select(Collection.id).where(Collection.documents > 0).order_by(Collection.documents.desc())
        numbers = list(session.execute(rows.limit(MOST_COLLECTIONS)).scalars())
    tops = (select(TagCount.tag_id).where(TagCount.collection_id == one) for one in numbers)
    return [select(top.order_by(TagCount.documents.desc()).limit(most).subquery().c.tag_id) for top in tops]
