"""The hits of a page: its documents with tags, the best passage of each, and the reasons why they matched."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from sqlalchemy import Row, Text, case, cast, func, literal_column, null, select
from sqlalchemy.orm import Session

from models import Collection, Document, tag_key
from search.marks import marked_segments, matches_in, word_border
from search.matcher import QueryMatcher
from search.query import Query
from search.results import FieldMatch, Hit, MatchReasons, Ranked, Segment, TagScore
from search.snippets import LENGTH, PassageSearch, excerpt, snippet, whole_words
from utils.hebrew import forms, is_hebrew
from utils.sql import among, by_dialect

# Characters of each body that come with the page; longer ones are read on one at a time, a piece at a time, so that
# a page of books needs little more memory than a page of letters. Pieces grow, because a database reads all of a body
# to return a part: 2.7 million characters take .31 s on SQLite and .36 on PostgreSQL; .53 and .9 in pieces of 65,536.
BEGINNING, PIECE, LARGEST_PIECE = 8_000, 65_536, 524_288
OVERLAP = 1_000  # characters that two pieces share, for a phrase or a passage across the border
MOST_EXTRA = 20_000  # characters of a document's other columns, above which they are not looked at
MOST_FIELDS, MOST_WORDS = 3, 8
TAG_NAMES_SQLITE = """(SELECT json_group_array(name) FROM (
  SELECT tag.name FROM document_tag JOIN tag ON tag.id = document_tag.tag_id
  WHERE document_tag.document_id = document.id ORDER BY document_tag.place))"""
TAG_NAMES_POSTGRESQL = """(SELECT json_agg(tag.name ORDER BY document_tag.place) FROM document_tag
  JOIN tag ON tag.id = document_tag.tag_id WHERE document_tag.document_id = document.id)"""


def hits(session: Session, query: Query, page: Sequence[Ranked], matcher: QueryMatcher) -> tuple[Hit, ...]:
    """Return the page's documents with tags and passages: one statement, and some more for each long body."""
    numbers = [item.document for item in page]
    # The most similar chunk of a long body, for when no word of it matches.
    far = {item.document: item.start for item in page if item.end > BEGINNING}
    start = case(far, value=Document.id, else_=0) if far else literal_column("0")
    tag_names = by_dialect(session, sqlite=TAG_NAMES_SQLITE, postgresql=TAG_NAMES_POSTGRESQL)
    columns: tuple[Any, ...] = (
        Document.id, Document.own_id, Document.title, Document.language, Document.url, Document.source,
        func.substr(Document.body, 1, BEGINNING + 1).label("beginning"),
        case((start > 0, func.substr(Document.body, start + 1, LENGTH + 1)), else_="").label("chunk"),
        case((func.length(cast(Document.extra, Text)) <= MOST_EXTRA, Document.extra), else_=null()).label("extra"),
        Collection.name.label("collection"), literal_column(tag_names).label("tag_names"),
    )  # fmt: skip
    rows = select(*columns).join(Collection, Collection.id == Document.collection_id).where(among(Document.id, numbers))
    by_id = {row.id: row for row in session.execute(rows)}
    return tuple(_hit(session, by_id[item.document], item, matcher, query) for item in page if item.document in by_id)


def _hit(session: Session, row: Row[Any], item: Ranked, matcher: QueryMatcher, query: Query) -> Hit:
    in_title, body = matches_in(row.title, matcher), _body_search(session, row, matcher)
    marked = [segment.text for segment in body.passage if segment.found]
    words = [*(row.title[match.start : match.end] for match in in_title), *marked, *body.found]
    tags = tuple(json.loads(row.tag_names) if isinstance(row.tag_names, str) else row.tag_names or ())
    filter_keys = {tag_key(name) for name in query.all_tags()}
    of_filter = (TagScore(name, 1.0) for name in tags if tag_key(name) in filter_keys)
    of_tags = tuple(dict.fromkeys((*item.tags, *of_filter)))
    shown = matcher.query_words(" ".join((*words, *(tag.tag for tag in of_tags))))
    columns = {"id": row.own_id, "tags": tags, **(row.extra or {})}
    fields = tuple(field_matches(columns, matcher, query, shown))[:MOST_FIELDS]
    words += (segment.text for match in fields for segment in match.value if segment.found)
    return Hit(
        number=item.document,
        id=row.own_id,
        collection=row.collection,
        title=marked_segments(row.title, in_title),
        snippet=body.passage or _similar_passage(row, item),
        tags=tags,
        language=row.language,
        direction="rtl" if is_hebrew(row.title + " " + row.beginning[:200]) else "ltr",
        url=row.url,
        source=row.source,
        score=round(item.score, 4),
        why=MatchReasons(
            item.text,
            item.semantic,
            of_tags,
            distinct(words)[:MOST_WORDS],
            fields,
            (item.start, item.end) if item.semantic is not None and item.end else None,
        ),
    )


def distinct(spellings: Iterable[str]) -> tuple[str, ...]:
    """Return words without those that differ from an earlier one in case alone."""
    by_lower_case: dict[str, str] = {}
    for spelling in spellings:
        by_lower_case.setdefault(spelling.lower(), spelling)
    return tuple(by_lower_case.values())


def _body_search(session: Session, row: Row[Any], matcher: QueryMatcher) -> PassageSearch:
    """Return the search of a whole body, which is read on where the row has only its beginning."""
    search = PassageSearch(matcher)
    if not matcher:
        return search
    piece, at, length, next_length = row.beginning, 0, BEGINNING, PIECE
    while piece and not search.is_done:
        is_last = len(piece) <= length
        end = len(piece) if is_last else word_border(piece, 0, len(piece) - 1)
        search.read(piece[:end], at, is_last)
        at += word_border(piece, 0, len(piece) - OVERLAP)
        length, next_length = next_length, min(2 * next_length, LARGEST_PIECE)
        piece = "" if is_last else _piece(session, row.id, at, length)
    return search


def _piece(session: Session, document: int, start: int, length: int) -> str:
    """Return part of a body, and one character more where there is more."""
    piece = select(func.substr(Document.body, start + 1, length + 1)).where(Document.id == document)
    return session.execute(piece).scalar_one_or_none() or ""


def _similar_passage(row: Row[Any], item: Ranked) -> tuple[Segment, ...]:
    """Return the beginning of the most similar chunk, or of the body."""
    if row.chunk:
        return snippet(row.chunk, 0, item.start)
    return snippet(row.beginning, item.start if item.end > item.start else 0)


def field_matches(
    columns: Mapping[str, Any], matcher: QueryMatcher, query: Query, shown: set[str]
) -> Iterator[FieldMatch]:
    """Yield the columns that have what an operator asks for, or a query word that is not `shown` elsewhere."""
    operators = {name.lower(): frozenset(forms(value)) for name, value in query.parts().columns}
    for name, given in columns.items():
        items = given if isinstance(given, list | tuple) else [given]
        values = [str(item) for item in items if isinstance(item, str | int | float)]
        value = ", ".join(values)
        wanted = operators.get(name.lower())
        if wanted and wanted.issubset(forms(value)):
            matches = matches_in(value, QueryMatcher(dict.fromkeys(wanted, 1.0)))
        elif matcher.query_words(value) - shown or (name == "id" and tag_key(value) == tag_key(query.text)):
            value = ", ".join([item for item in values if matcher.query_words(item) - shown]) or value
            matches = matches_in(value, matcher)
        else:
            continue
        first, last = whole_words(value, max(matches[0].start - LENGTH // 2, 0) if matches else 0)
        yield FieldMatch(name, excerpt(value, first, last, matches))
