"""What a free text says of jobs beside the skills that it names: their words, and their meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from encoders.queue import EncoderAway
from indexes.filters import Filter
from matching.collection_state import Inside, Place, own_documents
from search.query import Parts
from search.semantic import Semantic
from search.text import TextQuery

COMPARED = 200  # jobs found by skills or words whose meaning is compared with the text's
TEXT_BEGINNING = 1_500  # characters of a text that are compared: some 350 tokens, 0.15 s of e5
# Of the score where there is a text too: skills that were given, and those that only the text names. Of descriptions of
# roles 98 of 100 were found by .75 (MRR .905), all by .5 (.991) and by .25 (1); a longer text names more by the way.
SKILLS_SHARE, FOUND_SHARE = 0.75, 0.5
WORDS_SHARE = 0.5  # of what a text says, where its meaning is known too; .3 and .7 find as many
# A collection that is so much of all is not asked for: what is found is checked, 40 ms a statement less with 100,000.
MOST_OF_ALL = 0.5


@dataclass(frozen=True, slots=True)
class Said:
    """How near a job is to a text, 0 to 1: by its words, and by its meaning where that is near; `score` is of both."""

    text: float
    semantic: float | None
    score: float


def skills_share(given: bool, found: bool) -> float:
    """Return the share of skills in a score: of skills that were given, or of such as the text names."""
    return SKILLS_SHARE if given else FOUND_SHARE if found else 0.0


def joined(by_skills: float, said: Said | None, share: float) -> float:
    return share * by_skills + (1 - share) * (said.score if said else 0.0)


def text_nearness(
    session: Session, semantic: Semantic, said: str, here: Place, jobs: Sequence[int]
) -> dict[int, Said] | None:
    """Return how near to a text the nearest jobs and the given ones are; None without a text."""
    beginning = said[:TEXT_BEGINNING]
    if not beginning.strip():
        return None
    is_most = here.documents >= MOST_OF_ALL * here.all_documents
    restriction = Filter() if is_most else Inside.of_place(here)
    asked = TextQuery(session, Parts(words=(beginning,)))
    matches = asked.matches(restriction)
    by_words = dict(zip(matches.documents[:COMPARED].tolist(), matches.scores[:COMPARED].tolist(), strict=True))
    compared = list(dict.fromkeys((*by_words, *jobs[:COMPARED])))
    by_meaning = _meanings(session, semantic, beginning, restriction, compared)
    by_words |= asked.scores([job for job in (*(by_meaning or {}), *jobs[:COMPARED]) if job not in by_words])
    found = own_documents(session, here, list(by_words)) if is_most else by_words
    return {job: _said(by_words[job], by_meaning, job) for job in found}


def _said(words: float, by_meaning: Mapping[int, float] | None, job: int) -> Said:
    if by_meaning is None:
        return Said(words, None, words)
    meaning = by_meaning.get(job)
    return Said(words, meaning, WORDS_SHARE * words + (1 - WORDS_SHARE) * (meaning or 0.0))


def _meanings(
    session: Session, semantic: Semantic, said: str, restriction: Filter, jobs: Sequence[int]
) -> Mapping[int, float] | None:
    """Return how near in meaning jobs are, the nearest and the given ones; None without a model."""
    if not semantic.ready(0):
        return None
    try:
        meaning = semantic.meaning(said)
    except EncoderAway as away:
        semantic.note(away)
        return None
    if meaning is None:
        return None
    near = semantic.nearest(session, meaning, restriction, also=list(jobs))
    return {job: meaning.score(one) for job, one in near.items() if meaning.is_relevant(one)}
