"""The index of tags, by name or by count, without counting or sorting all tags of a collection."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from sqlalchemy import ColumnElement, Select, exists, func, select, union, union_all
from sqlalchemy.orm import Session

from indexes.access import hidden_collections
from models import Collection, Tag, TagCount, number, tag_key
from search.results import Facet
from utils.sql import like_prefix

# Tags that are ranked by count: the most common of each collection and, with a prefix, the first by name as well, so
# that a rare prefix is complete and a common one has its most common tags. With 100,000 tags in three collections it
# takes SQLite 20 to 40 ms, or 4 to 6 for a few; counting and sorting all tags of a prefix took 170.
MOST_RANKED = 1_000
RANKED_FOR_FEW = 200  # if only the first few are shown
MOST_COLLECTIONS = 20  # the largest collections, whose most common tags are ranked
MOST_COUNTED = 10_000


@dataclass(frozen=True, slots=True)
class TagPage:
    """One page of the tag index; `total` is counted up to MOST_COUNTED, `listed` of them can be paged through."""

    tags: tuple[Facet, ...]
    total: int
    listed: int

    @property
    def total_is_exact(self) -> bool:
        return self.total < MOST_COUNTED

    @property
    def is_cut(self) -> bool:
        """Whether there are more tags than this order lists."""
        return self.listed < self.total


@dataclass(frozen=True, slots=True)
class _TagFilter:
    """Selects the tags in use of a collection, or of all that may be read, whose key starts with `key`."""

    collection: int | None
    key: str
    hidden: tuple[int, ...] = ()  # collections that must not be read

    def begins(self, rows: Select[Any]) -> Select[Any]:
        if not self.key:
            return rows
        low, high = like_prefix(self.key)
        return rows.where(Tag.key >= low, Tag.key < high)

    def tags(self) -> Select[Any]:
        """Return a statement of the selected tags, unordered."""
        if self.collection is not None and not self.key:
            return select(TagCount.tag_id).where(*self.counted())
        return self.begins(select(Tag.id).where(self.used()))

    def counted(self) -> list[ColumnElement[bool]]:
        """Return the conditions on the collections whose counts are added up."""
        of_one = [TagCount.collection_id == self.collection] if self.collection is not None else []
        return of_one + ([TagCount.collection_id.not_in(self.hidden)] if self.hidden else [])

    def used(self) -> ColumnElement[bool]:
        return exists().where(TagCount.tag_id == Tag.id, *self.counted())


def tag_page(
    session: Session,
    prefix: str = "",
    collection: str = "",
    page: int = 1,
    limit: int = 100,
    by: str = "count",
) -> TagPage:
    """Return tags in use with their counts, most common first or by name; three statements."""
    hidden = hidden_collections(session)
    tag_filter = _TagFilter(number("collection", collection) if collection else None, tag_key(prefix), hidden)
    start = (page - 1) * limit
    total = session.execute(
        select(func.count()).select_from(tag_filter.tags().limit(MOST_COUNTED).subquery())
    ).scalar_one()
    if by == "name":
        return TagPage(_by_name(session, tag_filter, start, limit), total, total)
    shown = min(limit, max(MOST_RANKED - start, 0))
    facets = _by_count(session, tag_filter, min(start, MOST_RANKED), shown, MOST_RANKED)
    return TagPage(facets, total, min(total, MOST_RANKED))


def common_tags(session: Session, limit: int, prefix: str = "") -> tuple[Facet, ...]:
    """Return the most common tags with their counts; two statements."""
    tag_filter = _TagFilter(None, tag_key(prefix), hidden_collections(session))
    return _by_count(session, tag_filter, 0, limit, min(RANKED_FOR_FEW, MOST_RANKED))


def _tag_counts(tag_filter: _TagFilter) -> Select[Any]:
    """Return a statement of tags with their counts in the collection, or in all."""
    counted = select(func.sum(TagCount.documents)).where(TagCount.tag_id == Tag.id, *tag_filter.counted())
    return select(Tag.name, Tag.key, counted.correlate(Tag).scalar_subquery().label("documents"))


def _by_name(session: Session, tag_filter: _TagFilter, start: int, limit: int) -> tuple[Facet, ...]:
    places = (
        tag_filter.begins(select(Tag.id).where(tag_filter.used()))
        .order_by(Tag.key, Tag.id)
        .limit(limit)
        .offset(start)
        .subquery()
    )
    rows = session.execute(_tag_counts(tag_filter).join(places, places.c.id == Tag.id)).all()
    return tuple(Facet(row.name, int(row.documents)) for row in sorted(rows, key=lambda row: row.key))


def _by_count(session: Session, tag_filter: _TagFilter, start: int, limit: int, most: int) -> tuple[Facet, ...]:
    tops = _commonest(session, tag_filter, most)
    if not tops:
        return ()
    chosen = select(union_all(*tops).subquery().c.tag_id)
    if tag_filter.key:
        first = select(tag_filter.tags().add_columns(Tag.key).order_by(Tag.key).limit(most).subquery().c.id)
        chosen = union(tag_filter.begins(select(Tag.id).where(Tag.id.in_(chosen))), first).subquery().select()
    rows = _tag_counts(tag_filter).where(Tag.id.in_(chosen)).subquery()
    ordered = select(rows).where(rows.c.documents.is_not(None)).order_by(rows.c.documents.desc(), rows.c.key)
    facet_rows = session.execute(ordered.limit(limit).offset(start))
    return tuple(Facet(row.name, int(row.documents)) for row in facet_rows)


def _commonest(session: Session, tag_filter: _TagFilter, most: int) -> list[Select[Any]]:
    """Return one statement per selected collection, of its most common tags, in index order."""
    numbers = [] if tag_filter.collection in tag_filter.hidden else [tag_filter.collection]
    if tag_filter.collection is None:
        rows = (
            select(Collection.id)
            .where(Collection.documents > 0, Collection.id.not_in(tag_filter.hidden))
            .order_by(Collection.documents.desc())
        )
        numbers = list(session.execute(rows.limit(MOST_COLLECTIONS)).scalars())
    tops = (select(TagCount.tag_id).where(TagCount.collection_id == number) for number in numbers)
    return [select(top.order_by(TagCount.documents.desc()).limit(most).subquery().c.tag_id) for top in tops]
