"""Keyword search: the database's full-text index finds candidates, BM25 over packed terms scores them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from math import prod
from threading import BoundedSemaphore

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Row, select, text
from sqlalchemy.orm import Session

from indexes.filters import Filter
from indexes.full_text import (
    CANDIDATES_POSTGRESQL,
    CANDIDATES_SQLITE,
    GRAM_FIELD,
    STEM_FIELD,
    TITLE_FIELD,
    _Term,
    fts5_match,
    tsquery_match,
)
from indexes.version import Snapshot, read_snapshot
from models import Document, Term, Words
from search.query import QueryParts
from utils.bm25 import BM25, Field, QueryTerm
from utils.hebrew import forms
from utils.sql import among, by_dialect
from utils.terms import gram_id, stem_id, title_id

MOST_CANDIDATES = 2_000
# How many times MOST_CANDIDATES documents of a common word are expected in the range of keys that is searched.
AMPLE = 1.5
KEYS = 2**63  # document ids are spread evenly below it
PART = 500
IN_PARTS = {"yield_per": PART}
# Concurrent searches that read and score candidates: more are no faster under the GIL and need more memory.
_slots = BoundedSemaphore(2)
# Measured on questions over Hebrew passages (MRR@10 .944 with titles or without) and on parts of titles of laws,
# poems and recipes (.804 without, .834 with).
GRAM_WEIGHT, TITLE_WEIGHT = 0.5, 0.5
# Documents whose words are compared with a phrase one by one.
MOST_PHRASE_CHECKS = 300
# A score below this share of the bound means a few letters in common and no more. Measured: three random
# words reach .04 (half of them) to .10 (one in ten), a misspelt word .07 (a quarter) and more, a right one .10 (all).
TEXT_FLOOR = 0.06


@dataclass(frozen=True, slots=True)
class TextMatches:
    """Document ids and scores from 0 to 1, best first; `complete` if no limit cut off candidates."""

    documents: NDArray[np.int64]
    scores: NDArray[np.float64]
    complete: bool = True

    @classmethod
    def none(cls) -> TextMatches:
        return cls(np.zeros(0, np.int64), np.zeros(0))


# Document id; lengths in stems, grams and title; packed terms.
_Row = Row[int, int, int, int, bytes]


class TextQuery:
    """The words of a query against one state of the database: finds candidates, and scores any document."""

    def __init__(self, session: Session, parts: QueryParts, snapshot: Snapshot | None = None) -> None:
        self._session, self._parts = session, parts
        self._state = snapshot or read_snapshot(session)
        self._holding: dict[int, int] = {}
        self._terms = self._known_terms()
        fields = [
            Field(1.0, self._mean(self._state.stems)),
            Field(GRAM_WEIGHT, self._mean(self._state.grams)),
            Field(TITLE_WEIGHT, self._mean(self._state.titles), is_bonus=True),
        ]
        counted = [QueryTerm(term.id, term.field, term.documents) for term in self._terms]
        self._bm25 = BM25(counted, fields, self._state.documents)
        excluded = [QueryTerm(stem_id(stem), STEM_FIELD, 0) for stem in parts.not_stems()]
        self._excluded = BM25(excluded, fields, 1) if excluded else None

    @property
    def is_empty(self) -> bool:
        """True if the query has no words other than excluded ones."""
        return not self._terms

    @property
    def knows_a_word(self) -> bool:
        """True if any document contains a word of the query, by stem."""
        return any(term.documents for term in self._terms if term.field == STEM_FIELD)

    def _mean(self, total: int) -> float:
        return total / max(self._state.documents, 1)

    def _known_terms(self) -> list[_Term]:
        named = [(stem, stem_id(stem), STEM_FIELD) for stem in self._parts.stems()]
        named += [(gram, gram_id(gram), GRAM_FIELD) for gram in self._parts.grams()]
        if not named:
            return []
        of_titles = [title_id(name) for name, _, kind in named if kind == STEM_FIELD]
        statement = select(Term.id, Term.documents).where(among(Term.id, [*(term for _, term, _ in named), *of_titles]))
        documents = self._holding = {row.id: row.documents for row in self._session.execute(statement)}
        known = [_Term(name, term, kind, max(documents.get(term, 0), 0)) for name, term, kind in named]
        # A word in a title is weighted by the document frequency of its stem.
        titles = [
            replace(term, id=title_id(term.name), field=TITLE_FIELD) for term in known if term.field == STEM_FIELD
        ]
        return known + titles

    def matches(self, restriction: Filter) -> TextMatches:
        """Return the documents that match and pass the filter; a fixed number of statements."""
        if not self._terms:
            return TextMatches.none()
        share = 1.0
        if restriction:
            held = restriction.count(self._session, MOST_CANDIDATES * 10)
            share = held / max(self._state.documents, 1) if held < MOST_CANDIDATES * 10 else 1.0
        rarest, complete = self._rarest(share)
        scored: dict[int, float] = {}
        for groups in (self._every(TITLE_FIELD), self._every(STEM_FIELD), rarest):
            complete &= self._find(groups, restriction, scored) < MOST_CANDIDATES
        documents, scores = best_first({document: score for document, score in scored.items() if score >= TEXT_FLOOR})
        return self._with_phrases(documents, scores, complete)

    def scores(self, documents: Sequence[int]) -> dict[int, float]:
        """Return {document: score}: 0 for documents without a word of the query; excluded ones are left out."""
        rows = select(Words.document_id, Words.stems, Words.grams, Words.titles, Words.terms)
        rows = rows.where(among(Words.document_id, documents)).execution_options(**IN_PARTS)
        scores: dict[int, float] = {}
        for part in self._session.execute(rows).partitions(PART):
            scores.update(self._scored(part))
        return scores

    def _scored(self, rows: Sequence[_Row]) -> dict[int, float]:
        """Return {document: score}, without documents that contain an excluded word."""
        packed = [row[4] for row in rows]
        lengths = np.array([[row[field] for row in rows] for field in (1, 2, 3)], np.int64)
        scores = dict(zip((row[0] for row in rows), self._bm25.scores(packed, lengths).tolist(), strict=True))
        if not self._excluded or not packed:
            return scores
        excluded = self._excluded.contains(packed).tolist()
        return {row[0]: scores[row[0]] for row, is_excluded in zip(rows, excluded, strict=True) if not is_excluded}

    def _every(self, field: int) -> list[list[_Term]]:
        """Return all terms of a field as required, so that a document with all of the words is always a candidate."""
        stems = [[term] for term in self._terms if term.field == field]
        return stems if all(term.documents for (term,) in stems) else []

    def _rarest(self, share: float) -> tuple[list[list[_Term]], bool]:
        """Return the rarest terms, up to MOST_CANDIDATES documents together, and whether that is all of them."""
        known = sorted(
            (t for t in self._terms if t.documents and t.field != TITLE_FIELD), key=lambda t: (t.documents, t.id)
        )
        room = float(MOST_CANDIDATES)
        chosen: list[_Term] = []
        for term in known:
            if chosen and term.documents * share > room:
                break
            chosen.append(term)
            room -= term.documents * share
        return [chosen] if chosen else [], len(chosen) == len(known)

    def _find(self, groups: list[list[_Term]], restriction: Filter, scored: dict[int, float]) -> int:
        """Add the scores of documents that match a term of every group to `scored`, and return their number.

        Rows are read in parts: PostgreSQL's driver would hold 10 MB for the terms of 2,000 documents, in each thread.
        """
        if not groups:
            return 0
        statement = by_dialect(self._session, sqlite=CANDIDATES_SQLITE, postgresql=CANDIDATES_POSTGRESQL)
        match = by_dialect(self._session, sqlite=fts5_match(groups), postgresql=tsquery_match(groups))
        values: dict[str, object] = {**restriction.values, "match": match, "most": MOST_CANDIDATES}
        floor = 0 if restriction else self._floor(groups)
        count = 0
        for lowest in dict.fromkeys((floor, 0)):  # again from 0 if the words occur together less often than expected
            above = " AND w.document_id >= :floor" if lowest else ""
            bound = values | ({"floor": lowest} if lowest else {})
            sql = text(statement.format(restriction=restriction.sql("w.document_id") + above))
            count = 0
            with _slots:
                for part in self._session.execute(sql, bound, execution_options=IN_PARTS).partitions(PART):
                    count += len(part)
                    scored.update(self._scored([row for row in part if row[0] not in scored]))
            if count >= MOST_CANDIDATES:
                break
        return count

    def _floor(self, groups: list[list[_Term]]) -> int:
        """Return a document id above which enough candidates are expected; 0 if most must be read anyway.

        Candidates are those with the highest ids. Without a bound PostgreSQL reads every matching document: 56 ms for a
        word in a third of 100,000 documents, 20 ms with it.
        """
        documents = max(self._state.documents, 1)
        expected = documents * prod(max(self._holding.get(t.id, 0) for t in group) / documents for group in groups)
        part = AMPLE * MOST_CANDIDATES / max(expected, 1)
        return int(KEYS * (1 - part)) if part < 1 / 2 else 0

    def _with_phrases(self, documents: NDArray[np.int64], scores: NDArray[np.float64], complete: bool) -> TextMatches:
        wanted, unwanted = self._parts.exact(), self._parts.not_exact()
        if not wanted and not unwanted:
            return TextMatches(documents, scores, complete)
        complete &= len(documents) <= MOST_PHRASE_CHECKS
        holding = self.holding_phrases(documents[:MOST_PHRASE_CHECKS].tolist())
        holds = np.array([document in holding for document in documents.tolist()], bool)
        return TextMatches(documents[holds], scores[holds], complete)

    def holding_phrases(self, documents: Sequence[int]) -> set[int]:
        """Return the documents that contain every phrase and no excluded one."""
        wanted, unwanted = self._parts.exact(), self._parts.not_exact()
        if not wanted and not unwanted:
            return set(documents)
        statement = select(Document.id, Document.title, Document.body).where(among(Document.id, documents))
        holding = set()
        for row in self._session.execute(statement):
            texts = (padded_words(forms(row.title)), padded_words(forms(row.body)))
            if all(any(padded_words(p) in text for text in texts) for p in wanted) and not any(
                padded_words(p) in text for p in unwanted for text in texts
            ):
                holding.add(row.id)
        return holding


def best_first(scores: Mapping[int, float]) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return documents and scores, best first, ties by id."""
    documents, values = np.array(list(scores), np.int64), np.array(list(scores.values()), np.float64)
    order = np.lexsort((documents, -values))
    return documents[order], values[order]


def padded_words(words: Iterable[str]) -> str:
    return f" {' '.join(words)} "
