"""Hybrid search: one calibrated score from keywords, embeddings and tags, independent of the other hits."""

from __future__ import annotations

from sqlalchemy.orm import Session

from indexes.similarity import DocumentSimilarity, QueryVector
from indexes.version import Snapshot
from search.query import Query
from search.results import Ranked, Ranking
from search.semantic import Semantic
from search.tags import NamedTags, having, listing, named_documents, named_in, tag_scores
from search.text import MOST_RANKED, TextQuery

TEXT_SHARE = 0.65  # weight of the keyword score; flat from .6 to .7 on questions over Hebrew passages
# A document in another language has no words of the query: so much of its similarity counts as if it had. More of it
# ranks the same text in the other language above the one in the language of the question.
ACROSS_SHARE = 0.35
# Below it the best document hardly answers: 9 of 10 questions on subjects that the sample collection lacks, and 1 of 10
# that it answers.
WEAK = 0.25
COMPARED = 100  # keyword hits whose embeddings are compared too


def text_ranking(session: Session, query: Query, _semantic: Semantic, _snapshot: Snapshot) -> Ranking:
    """Return the documents that contain the query's words, best first."""
    text_query = TextQuery(session, query.parts())
    if text_query.is_empty:
        return _without_excluded(session, query)
    matches = text_query.matches(query.filter(), query.most or MOST_RANKED)
    pairs = zip(matches.documents.tolist(), matches.scores.tolist(), strict=True)
    return Ranking(
        [Ranked(document, score, text=score) for document, score in pairs],
        matches.complete,
        *text_query.reasons,
    )


def semantic_ranking(session: Session, query: Query, semantic: Semantic, snapshot: Snapshot) -> Ranking:
    """Return the documents most similar to the query, none below the model's floor."""
    text_query = TextQuery(session, query.parts())
    parts = text_query.parts
    if not parts.wanted():
        return _without_excluded(session, query)
    query_vector = semantic.query_vector(session, text_query.wanted(), text_query.knows_a_word, snapshot.version)
    if query_vector is None:
        return Ranking([])
    similarities = semantic.nearest(session, query_vector, query.filter(), snapshot.version)
    allowed = _allowed(list(similarities), text_query)
    ranked = [
        Ranked(document, score := query_vector.score(item), semantic=score, start=item.start, end=item.end)
        for document, item in similarities.items()
        if document in allowed and query_vector.is_relevant(item)
    ]
    return Ranking(ranked, len(ranked) < len(similarities), *text_query.reasons)


def hybrid_ranking(session: Session, query: Query, semantic: Semantic, snapshot: Snapshot) -> Ranking:
    """Return what keywords, embeddings and tags find together; without embeddings while no model is ready."""
    text_query = TextQuery(session, query.parts())
    parts = text_query.parts
    if text_query.is_empty:
        return _without_excluded(session, query)
    query_vector = (
        semantic.query_vector(session, text_query.wanted(), text_query.knows_a_word, snapshot.version)
        if parts.wanted() and semantic.lazy.load()
        else None
    )
    restriction = query.filter()
    matches = text_query.matches(restriction, query.most or MOST_RANKED)
    by_text = dict(zip(matches.documents.tolist(), matches.scores.tolist(), strict=True))
    named = named_in(session, parts)
    tagged = dict.fromkeys(named_documents(session, named, restriction))
    compared = list({**dict.fromkeys(list(by_text)[:COMPARED]), **dict.fromkeys(list(tagged)[:COMPARED])})
    similarities = (
        semantic.nearest(session, query_vector, restriction, snapshot.version, compared) if query_vector else {}
    )
    allowed = _allowed([document for document in {**similarities, **tagged} if document not in by_text], text_query)
    text_scores = by_text | allowed
    tags = having(session, named, list(text_scores))
    ranked = [
        _combined(document, text, similarities.get(document), query_vector, named, tags.get(document, []))
        for document, text in text_scores.items()
        if document in by_text
        or document in tagged
        or (query_vector and query_vector.is_relevant(similarities[document]))
    ]
    ranked.sort(key=lambda item: (-item.score, item.document))
    is_weak = bool(query_vector and ranked and ranked[0].score < WEAK)
    return Ranking(ranked, matches.complete, *text_query.reasons, is_weak)


def _combined(
    document: int,
    text: float,
    similarity: DocumentSimilarity | None,
    query_vector: QueryVector | None,
    named: NamedTags,
    tags: list[int],
) -> Ranked:
    semantic_score = query_vector.score(similarity) if query_vector and similarity else None
    share = TEXT_SHARE if query_vector else 1.0
    by_words = max(text, ACROSS_SHARE * (semantic_score or 0.0)) if similarity and similarity.is_across else text
    score = min(share * by_words + (1 - share) * (semantic_score or 0.0) + named.bonus(tags), 1.0)
    window = (similarity.start, similarity.end) if similarity else (0, 0)
    return Ranked(document, score, text or None, semantic_score, *window, tags=tag_scores(named, tags))


def _allowed(documents: list[int], text_query: TextQuery) -> dict[int, float]:
    """Return {document: keyword score} of the documents that satisfy the phrases and excluded words."""
    return text_query.scores(documents)


def _without_excluded(session: Session, query: Query) -> Ranking:
    """Return the newest documents that pass the filter and contain no excluded word, for a query of only those."""
    plain = listing(session, query.filter(), query.most)
    allowed = _allowed([item.document for item in plain.documents], TextQuery(session, query.parts()))
    return Ranking([item for item in plain.documents if item.document in allowed], plain.complete)
