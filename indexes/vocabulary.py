"""The vocabulary: the distinct forms of all documents, and which of them are spelled alike."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

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
# Made once: to make a statement takes longer than to execute it.
_KNOWN = select(_FORMS.c.id).where(among(_FORMS.c.id, "ids"))
_NAMES = select(_FORMS.c.id, _FORMS.c.form).where(among(_FORMS.c.id, "ids"))


def known_forms(session: Session, terms: Iterable[int]) -> set[int]:
    """Return those of the terms that are in the vocabulary."""
    return set(session.execute(_KNOWN, {"ids": terms}).scalars())


def similar_forms(
    session: Session, segments: Sequence[ListedSegment], words: Sequence[str], most: int
) -> dict[str, list[SimilarForm]]:
    """Return, for each word, at most `most` forms that share 4-grams with it, most similar first.

    `segments` are those of the vocabulary. A fixed number of statements. Raises SegmentGone.
    """
    of_words = {word: [gram_term(gram) for gram in dict.fromkeys(grams(word))] for word in words}
    terms = np.unique(np.array([term for own in of_words.values() for term in own], np.int64))
    postings = read_terms(session, segments, terms, cached=True)
    candidates = {
        word: _candidates(segments, [postings.get(term, []) for term in own], most) for word, own in of_words.items()
    }
    every = {term for found in candidates.values() for term in found}
    names = {term: form for term, form in session.execute(_NAMES, {"ids": every})}  # noqa: C416 - rows are no pairs
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
        if parts:
            shared = np.bincount(np.concatenate(parts))
            forms, similarity = _most_alike(shared, segment.documents.lengths, len(of_grams), most)
            terms.append(segment.documents.keys[forms])
            similarities.append(similarity)
    if not terms:
        return {}
    every, values = np.concatenate(terms), np.concatenate(similarities)
    best = np.lexsort((every, -values))[:most]
    return dict(zip(every[best].tolist(), values[best].tolist(), strict=True))


def _most_alike(
    shared: NDArray[Any], lengths: NDArray[Any], grams_of_word: int, most: int
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Return at least the `most` forms of greatest similarity, and it; few more are looked at than are needed.

    `shared` and `lengths` are how many 4-grams each form shares with the word, and how many it has.
    """
    least = int(shared.max())
    while True:
        forms = np.flatnonzero(shared >= least)
        similarity = 2 * shared[forms] / (grams_of_word + lengths[forms])
        kept = similarity >= LEAST_SIMILARITY
        # A form that shares fewer is at most so similar: if all its 4-grams are the word's.
        bound = 2 * (least - 1) / (grams_of_word + least - 1)
        if least == 1 or np.count_nonzero(similarity > bound) >= most or bound < LEAST_SIMILARITY:
            return forms[kept], similarity[kept]
        least = max(least - 1, 1)
