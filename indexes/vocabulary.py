"""The vocabulary: the distinct forms of all documents, and which of them are spelled alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from sqlalchemy import Table, select
from sqlalchemy.orm import Session

from indexes.segments import VOCABULARY, ListedSegment, TermPostings, read_terms, write_segment
from models import Form
from utils.hebrew import grams
from utils.postings import postings_of
from utils.sql import among, upsert
from utils.terms import FILTER, text_term

LEAST_SIMILARITY = 0.2  # Dice similarity of the 4-grams of two forms, from which on they may be related


@dataclass(frozen=True, slots=True)
class SimilarForm:
    """A form of the collection spelled like a word; `similarity` from 0 to 1."""

    form: str
    similarity: float


def gram_term(gram: str) -> int:
    """Return the term of a 4-gram in the segments of the vocabulary."""
    return text_term(f"\x1e{gram}") | FILTER


def add_forms(session: Session, forms: Mapping[int, str]) -> None:
    """Add the forms, by term, that the vocabulary does not have."""
    known = known_forms(session, forms)
    new = sorted(term for term in forms if term not in known)
    if not new:
        return
    upsert(session, _FORMS, [{"id": term, "form": forms[term]} for term in new])
    of_forms = [sorted(set(grams.__wrapped__(forms[term]))) for term in new]
    lengths = np.array([len(own) for own in of_forms])
    terms = np.array([gram_term(gram) for own in of_forms for gram in own], np.int64)
    for start in range(0, len(new), MOST_AT_ONCE):
        end = start + MOST_AT_ONCE
        first, last = int(lengths[:start].sum()), int(lengths[:end].sum())
        part = lengths[start:end]
        owners = np.repeat(np.arange(len(part)), part)
        postings = postings_of(terms[first:last], owners, np.zeros(last - first, np.int64))
        write_segment(session, VOCABULARY, np.array(new[start:end]), part, np.zeros(len(part)), postings)


MOST_AT_ONCE = 60_000
_FORMS: Table = Form.__table__  # type: ignore[assignment]


def known_forms(session: Session, terms: Iterable[int]) -> set[int]:
    """Return those of the terms that are in the vocabulary."""
    return set(session.execute(select(Form.id).where(among(Form.id, terms))).scalars())


def similar_forms(
    session: Session, segments: Sequence[ListedSegment], words: Sequence[str], most: int
) -> dict[str, list[SimilarForm]]:
    """Return, for each word, at most `most` forms that share 4-grams with it, most similar first.

    `segments` are those of the vocabulary. A fixed number of statements. Raises SegmentGone.
    """
    of_words = {word: [gram_term(gram) for gram in dict.fromkeys(grams(word))] for word in words}
    terms = np.unique(np.array([term for own in of_words.values() for term in own], np.int64))
    postings = read_terms(session, segments, terms)
    candidates = {
        word: _candidates(segments, [postings.get(term, []) for term in own], most) for word, own in of_words.items()
    }
    every = {term for found in candidates.values() for term in found}
    names = {row.id: row.form for row in session.execute(select(Form.id, Form.form).where(among(Form.id, every)))}
    return {
        word: sorted(
            (SimilarForm(names[term], similarity) for term, similarity in found.items() if term in names),
            key=lambda similar: (-similar.similarity, similar.form),
        )
        for word, found in candidates.items()
    }


def _candidates(
    segments: Sequence[ListedSegment], of_grams: Sequence[Sequence[TermPostings]], most: int
) -> dict[int, float]:
    """Return the forms that share the largest part of their 4-grams with a word, and the Dice similarity of each."""
    terms: list[NDArray[np.int64]] = []
    similarities: list[NDArray[np.float64]] = []
    for place, segment in enumerate(segments):
        parts = [part.documents for found in of_grams for part in found if part.segment == place]
        if not parts:
            continue
        shared = np.bincount(np.concatenate(parts))
        forms = np.flatnonzero(shared > 0)
        similarity = 2 * shared[forms] / (len(of_grams) + segment.documents.lengths[forms])
        kept = similarity >= LEAST_SIMILARITY
        terms.append(segment.documents.keys[forms[kept]])
        similarities.append(similarity[kept])
    if not terms:
        return {}
    every, values = np.concatenate(terms), np.concatenate(similarities)
    best = np.lexsort((every, -values))[:most]
    return dict(zip(every[best].tolist(), values[best].tolist(), strict=True))
