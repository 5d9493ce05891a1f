"""Text similarity of jobs to a free text, beside the skills it names: keyword and semantic scores."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy.orm import Session

from encoders.queue import EncoderUnavailable
from indexes.filters import Filter
from matching.collection_state import CollectionFilter, CollectionState, own_documents
from search.query import QueryParts
from search.semantic import Semantic
from search.text import TextQuery

COMPARED = 200  # candidates, by skills or words, that are compared with the text by embedding
TEXT_BEGINNING = 1_500  # characters of a text that are compared: about 350 tokens, 0.15 s with e5
# Weight of the skills in the score when there is a text too: skills given explicitly, and skills only the text names.
# Of the role descriptions 98 of 100 were found with .75 (MRR .905), all with .5 (.991) and .25 (1): a longer text
# also names skills in passing.
SKILLS_SHARE, MENTIONED_SHARE = 0.75, 0.5
WORDS_SHARE = 0.5  # weight of the keyword score beside the semantic one; .3 and .7 find as many
# A collection with at least this share of all documents is searched without a filter, and the hits are checked
# afterwards: 40 ms less per statement with 100,000 documents.
MOST_OF_ALL = 0.5


@dataclass(frozen=True, slots=True)
class TextSimilarity:
    """Similarity of a job to a text, 0 to 1: keyword score, semantic score if relevant, and both combined."""

    text: float
    semantic: float | None
    score: float


def skills_weight(given: bool, found: bool) -> float:
    """Return the weight of the skills in the score: skills given explicitly, or only named in the text."""
    return SKILLS_SHARE if given else MENTIONED_SHARE if found else 0.0


def combined_score(by_skills: float, text: TextSimilarity | None, share: float) -> float:
    return share * by_skills + (1 - share) * (text.score if text else 0.0)


def text_similarities(
    session: Session, semantic: Semantic, text: str, state: CollectionState, jobs: Sequence[int]
) -> dict[int, TextSimilarity] | None:
    """Return the similarity to a text of the most similar jobs and the given ones; None without a text."""
    beginning = text[:TEXT_BEGINNING]
    if not beginning.strip():
        return None
    is_most = state.documents >= MOST_OF_ALL * state.all_documents
    restriction = Filter() if is_most else CollectionFilter.of_state(state)
    text_query = TextQuery(session, QueryParts(words=(beginning,)))
    matches = text_query.matches(restriction)
    by_words = dict(zip(matches.documents[:COMPARED].tolist(), matches.scores[:COMPARED].tolist(), strict=True))
    compared = list(dict.fromkeys((*by_words, *jobs[:COMPARED])))
    semantic_scores = _semantic_scores(session, semantic, beginning, restriction, compared)
    by_words |= text_query.scores([job for job in (*(semantic_scores or {}), *jobs[:COMPARED]) if job not in by_words])
    own = own_documents(session, state, list(by_words)) if is_most else by_words
    return {job: _text_similarity(by_words[job], semantic_scores, job) for job in own}


def _text_similarity(words: float, semantic_scores: Mapping[int, float] | None, job: int) -> TextSimilarity:
    if semantic_scores is None:
        return TextSimilarity(words, None, words)
    semantic_score = semantic_scores.get(job)
    return TextSimilarity(words, semantic_score, WORDS_SHARE * words + (1 - WORDS_SHARE) * (semantic_score or 0.0))


def _semantic_scores(
    session: Session, semantic: Semantic, text: str, restriction: Filter, jobs: Sequence[int]
) -> Mapping[int, float] | None:
    """Return the semantic scores of the most similar jobs and the given ones; None without a model."""
    if not semantic.lazy.load():
        return None
    try:
        query_vector = semantic.query_vector(session, text)
    except EncoderUnavailable as error:
        semantic.note(error)
        return None
    if query_vector is None:
        return None
    similarities = semantic.nearest(session, query_vector, restriction, also=list(jobs))
    return {job: query_vector.score(item) for job, item in similarities.items() if query_vector.is_relevant(item)}
