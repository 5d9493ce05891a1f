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
from utils.postings import postings_of
from utils.sql import among, missing_numbers, upsert
from utils.terms import gram_terms

LEAST_SIMILARITY = 0.2  # Dice similarity of the 4-grams of two forms, from which on they may be related


@dataclass(frozen=True, slots=True)
class SimilarForm:
    """A form of the collection spelled like a word; `similarity` from 0 to 1."""

    form: str
    similarity: float


def add_forms(session: Session, forms: Mapping[int, str]) -> None:
    """Add the forms, by term, that the vocabulary does not have."""
    new = sorted(missing_numbers(session, _FORMS.name, forms))  # few: nearly all forms of a batch are known
    if not new:
        return
    upsert(session, _FORMS, [{"id": term, "form": forms[term]} for term in new])
    for start in range(0, len(new), MOST_AT_ONCE):
        part = new[start : start + MOST_AT_ONCE]
        terms, counts = gram_terms([forms[term] for term in part])
        postings = postings_of(terms, np.repeat(np.arange(len(part)), counts), np.zeros(len(terms), np.int64))
        lengths = np.bincount(postings.documents, minlength=len(part))
        write_segment(session, VOCABULARY, np.array(part), lengths, np.zeros(len(part)), postings)


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
    of_words = {word: np.unique(gram_terms([word])[0]).tolist() for word in words}
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
