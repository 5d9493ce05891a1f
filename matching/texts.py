"""What a free text says of jobs beside the skills that it names: their words, and their meaning."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from encoders.turns import EncoderAway
from search.filters import Filter
from search.query import Parts, Query
from search.semantic import Semantic
from search.text import TextQuery

COMPARED = 200  # jobs found by skills or words whose meaning is compared with the text's
TEXT_BEGINNING = 4_000  # characters of a text whose meaning is compared: more tokens than a model reads
WORDS_BEGINNING = 2_000  # characters of it whose words are searched
SKILLS_SHARE = 0.75  # of the score where a text's meaning is known too
WORDS_SHARE = 0.5  # of what a text says, where its meaning is known too


@dataclass(frozen=True, slots=True)
class Said:
    """How near a job is to a text, 0 to 1: by its words, and by its meaning where a model is ready."""

    text: float
    semantic: float | None = None

    @property
    def score(self) -> float:
        if self.semantic is None:
            return self.text
        return WORDS_SHARE * self.text + (1 - WORDS_SHARE) * self.semantic


def joined(by_skills: float, has_text: bool, said: Said | None, has_skills: bool) -> float:
    """Return the score of skills and text together; of the one that there is where there is one only."""
    if not has_text:
        return by_skills
    share = SKILLS_SHARE if has_skills else 0.0
    return share * by_skills + (1 - share) * (said.score if said else 0.0)


def text_nearness(
    session: Session, semantic: Semantic, said: str, collection: str, jobs: Sequence[int]
) -> dict[int, Said] | None:
    """Return how near to a text the nearest jobs and the given ones are; None without a text."""
    beginning = said[:TEXT_BEGINNING]
    if not beginning.strip():
        return None
    here = Filter.of(Query(collection=collection))
    asked = TextQuery(session, Parts(words=(said[:WORDS_BEGINNING],)))
    matches = asked.matches(here)
    by_words = dict(zip(matches.documents.tolist(), matches.scores.tolist(), strict=True))
    compared = list(dict.fromkeys((*list(by_words)[:COMPARED], *jobs[:COMPARED])))
    by_meaning = _meanings(session, semantic, beginning, here, compared)
    lacking = [job for job in (*by_meaning, *jobs[:COMPARED]) if job not in by_words]
    by_words |= asked.scores(lacking) if lacking else {}
    return {
        job: Said(by_words.get(job, 0.0), by_meaning.get(job, 0.0) if by_meaning else None)
        for job in (*by_words, *(one for one in by_meaning if one not in by_words))
    }


def _meanings(
    session: Session, semantic: Semantic, said: str, here: Filter, jobs: Sequence[int]
) -> Mapping[int, float]:
    """Return how near in meaning jobs are, the nearest and the given ones; none without a model."""
    if not semantic.ready(0):
        return {}
    try:
        meaning = semantic.meaning(said)
    except EncoderAway as away:
        semantic.note(away)
        return {}
    if meaning is None:
        return {}
    near = semantic.nearest(session, meaning, here)
    near = near | semantic.nearness(session, meaning, [job for job in jobs if job not in near])
    return {job: meaning.score(one) for job, one in near.items() if meaning.is_relevant(one)}
