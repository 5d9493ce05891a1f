"""A screening's results, filtered, counted and read by page in a fixed number of statements."""

from __future__ import annotations

import re
from array import array
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import TextClause, select, text
from sqlalchemy.orm import Session

from matching.aliases import Aliases
from matching.scores import Answers, percent
from matching.skills import skill
from models import Document, Screening, ScreeningResult, number, tag_number
from screening.listing import Listing
from screening.store import STATUSES, required_skills_of
from screening.vocabulary import ScreeningVocabulary, answers_of, tags_by_profile
from utils.hebrew import is_hebrew
from utils.sql import among, among_sql, by_dialect, number_list

EXPORTED_AT_ONCE = 200
FROM = """
FROM screening_result JOIN document ON document.id = screening_result.document_id
WHERE screening_result.screening_id = :screening"""
# Compared as text, or as numbers where the value is one.
VALUE_SQLITE, VALUE_POSTGRESQL = "CAST(document.extra ->> {name} AS TEXT)", "(document.extra ->> {name})"
# SQLite reads other names as paths (`$`, `[1]`), and finds no escaped ones (`עיר`); comparing keys takes twice as long.
PLAIN_NAME = re.compile("[A-Za-z][A-Za-z0-9_ ]*")
ANY_VALUE_SQLITE = "(SELECT CAST(each.value AS TEXT) FROM json_each(document.extra) each WHERE each.key = {name})"
NUMBER_SQLITE = "CASE WHEN {value} NOT GLOB '*[^0-9.-]*' AND {value} GLOB '*[0-9]*' THEN CAST({value} AS REAL) END"
# PostgreSQL decompresses `extra` for each mention, so it is mentioned once.
NUMBER_POSTGRESQL = "CAST(substring({value} from '^ *(-?[0-9]{{1,15}}([.][0-9]{{1,9}})?) *$') AS double precision)"
# One of several values separated by `;`, as written or ignoring case.
HOLDS_SQLITE = "instr(';' || replace({value}, '; ', ';') || ';', {wanted})"
HOLDS_POSTGRESQL = "strpos(';' || replace({value}, '; ', ';') || ';', {wanted})"


@dataclass(frozen=True, slots=True)
class Result:
    """A profile in a screening; `is_changed` if it was written after it was ranked."""

    rank: int
    number: int
    id: str
    title: str
    language: str
    score: float
    answers: Answers
    status: str
    note: str
    decided_by: str
    decided_at: int
    values: dict[str, Any]
    is_changed: bool

    @property
    def match_percent(self) -> int:
        return percent(self.score)

    @property
    def direction(self) -> str:
        return "rtl" if is_hebrew(self.title) else "ltr"


@dataclass(frozen=True, slots=True)
class ScreeningPage:
    """A page of results; `total` is the exact number of results of the listing."""

    listing: Listing
    total: int
    results: tuple[Result, ...]

    @property
    def pages(self) -> int:
        return -(-self.total // self.listing.limit)


class ScreeningMatches:
    """The results of one screening that one listing selects."""

    def __init__(self, session: Session, screening: Screening, listing: Listing, aliases: Aliases) -> None:
        self._session, self._screening, self._listing = session, screening, listing
        self._required = required_skills_of(screening)
        self._vocabulary = ScreeningVocabulary.of_json(screening.vocabulary, self._required)
        self._aliases = aliases
        self._values: dict[str, Any] = {"screening": screening.id}
        self._numbers: dict[str, Sequence[int]] = {}
        self._where = FROM + "".join(f" AND {condition}" for condition in self._conditions())

    def page(self) -> ScreeningPage:
        """Return the requested page; selected and counted in one statement, unless the page is past the end."""
        start = (self._listing.page - 1) * self._listing.limit
        order = f"ORDER BY {self._order()} LIMIT {self._listing.limit} OFFSET {start}"
        columns = "SELECT screening_result.document_id, count(*) OVER () AS total"
        rows = self._session.execute(self._text(f"{columns} {self._where} {order}"), self._values).all()
        total = rows[0].total if rows else self.count() if start else 0
        return ScreeningPage(self._listing, total, tuple(self._read([row.document_id for row in rows], start + 1)))

    def count(self) -> int:
        return int(self._session.execute(self._text(f"SELECT count(*) {self._where}"), self._values).scalar_one())

    def all(self) -> Iterator[Result]:
        """Yield every result in order; memory holds the keys (8 bytes each) and EXPORTED_AT_ONCE results."""
        numbers = self._ordered()
        for start in range(0, len(numbers), EXPORTED_AT_ONCE):
            yield from self._read(numbers[start : start + EXPORTED_AT_ONCE], start + 1)

    def _ordered(self) -> array[int]:
        ordered = f"SELECT screening_result.document_id {self._where} ORDER BY {self._order()}"
        return array("q", self._session.execute(self._text(ordered), self._values).scalars())

    def _text(self, statement: str) -> TextClause:
        return text(statement).bindparams(*(number_list(name, given) for name, given in self._numbers.items()))

    def _order(self) -> str:
        sort = self._listing.sort
        name = sort.removeprefix("-")
        if sort == "score":
            return "screening_result.score DESC, screening_result.document_id"
        if sort == "title":
            return "document.title, screening_result.document_id"
        value = self._number(name) if name in self._listing.numeric else self._value(name)
        direction = "DESC" if sort.startswith("-") else "ASC"
        return f"{value} {direction} NULLS LAST, screening_result.score DESC, screening_result.document_id"

    def _bound(self, value: Any) -> str:
        name = f"value_{len(self._values)}"
        self._values[name] = value
        return f":{name}"

    def _conditions(self) -> Iterator[str]:
        listing = self._listing
        for skills, has in ((listing.skills, "IN"), (listing.not_skills, "NOT IN")):
            for name in skills:
                key = f"tags_{len(self._numbers)}"
                self._numbers[key] = self._tags(name)
                theirs = f"SELECT document_id FROM document_tag WHERE {among_sql(self._session, 'tag_id', key)}"
                yield f"screening_result.document_id {has} ({theirs})"
        if listing.statuses:
            yield f"screening_result.status IN ({', '.join(map(self._bound, listing.statuses))})"
        if listing.language:
            yield f"document.language = {self._bound(listing.language)}"
        if listing.since:
            yield f"document.version > {self._bound(listing.since)}"
        for column, chosen in listing.values.items():
            yield f"({' OR '.join(self._holds(column, value) for value in chosen)})"
        yield from (f"{self._number(column)} >= {self._bound(end)}" for column, end in listing.least.items())
        yield from (f"{self._number(column)} <= {self._bound(end)}" for column, end in listing.most.items())

    def _tags(self, name: str) -> list[int]:
        """Return the tag that is the skill and, if the skill is required, the tags that match it exactly."""
        key = skill(name, self._aliases).key
        places = {place for place, item in enumerate(self._required) if skill(item.name, self._aliases).key == key}
        exact = [
            tag
            for tag, pairs in self._vocabulary.answers.items()
            if any(place in places and match.kind == "exact" for place, match in pairs)
        ]
        return [tag_number(name), *exact]

    def _value(self, column: str) -> str:
        value_sqlite = VALUE_SQLITE if PLAIN_NAME.fullmatch(column) else ANY_VALUE_SQLITE
        expression = by_dialect(self._session, sqlite=value_sqlite, postgresql=VALUE_POSTGRESQL)
        return expression.format(name=self._bound(column))

    def _number(self, column: str) -> str:
        expression = by_dialect(self._session, sqlite=NUMBER_SQLITE, postgresql=NUMBER_POSTGRESQL)
        return expression.format(value=self._value(column))

    def _holds(self, column: str, value: str) -> str:
        expression = by_dialect(self._session, sqlite=HOLDS_SQLITE, postgresql=HOLDS_POSTGRESQL)
        stored = self._value(column)
        as_is = expression.format(value=stored, wanted=self._bound(f";{value};"))
        folded = expression.format(value=f"lower({stored})", wanted=self._bound(f";{value.lower()};"))
        return f"({as_is} > 0 OR {folded} > 0)"

    def _read(self, numbers: Sequence[int], first: int) -> Iterator[Result]:
        """Yield complete results in the given order; two statements."""
        mine = ScreeningResult.screening_id == self._screening.id
        rows = select(
            Document.id, Document.own_id, Document.title, Document.language, Document.extra, Document.version,
            ScreeningResult.version.label("ranked"), ScreeningResult.score, ScreeningResult.status,
            ScreeningResult.note, ScreeningResult.decided_by, ScreeningResult.decided_at,
        ).join(ScreeningResult, ScreeningResult.document_id == Document.id)  # fmt: skip
        by_id = {row.id: row for row in self._session.execute(rows.where(mine, among(Document.id, numbers)))}
        tags = tags_by_profile(self._session, numbers)
        shown = [column["name"] for column in self._screening.columns if column["kind"] == "number" or column["values"]]
        for rank, document in enumerate(numbers, first):
            if row := by_id.get(document):
                answers = answers_of(self._required, self._vocabulary.matches(tags.get(document, ())))
                values = {name: row.extra[name] for name in shown if row.extra.get(name) not in (None, "")}
                yield Result(
                    rank, document, row.own_id, row.title, row.language, row.score, answers, row.status, row.note,
                    row.decided_by, row.decided_at, values, row.version != row.ranked,
                )  # fmt: skip


def status_counts(session: Session, screening: Screening) -> dict[str, int]:
    """Return the number of profiles with each status."""
    rows = "SELECT status, count(*) FROM screening_result WHERE screening_id = :screening GROUP BY status"
    counts = {row[0]: row[1] for row in session.execute(text(rows), {"screening": screening.id})}
    return {status: counts.get(status, 0) for status in STATUSES}


def written_since(session: Session, screening: Screening) -> int:
    """Return the number of profiles added or changed since the last ranking."""
    rows = "SELECT count(*) FROM document WHERE version > :version AND collection_id = :collection"
    values = {"version": screening.version, "collection": number("collection", screening.profiles)}
    return int(session.execute(text(rows), values).scalar_one())
