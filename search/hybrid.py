"""Everything at once: one calibrated score of words, meaning and tags, the same whichever others were found."""

from __future__ import annotations

from sqlalchemy.orm import Session

from indexes.similarity import Meaning, Near
from indexes.version import Snapshot
from search.query import Query
from search.results import Ranked, Ranking
from search.semantic import Semantic
from search.tag_bonus import NamedTags, having, named_documents, named_in, tag_scores
from search.tags import listing
from search.text import TextQuery

TEXT_SHARE = 0.65  # measured flat from .6 to .7 on questions over Hebrew passages
COMPARED = 100  # documents found by words whose meaning is compared too


def text_ranking(session: Session, query: Query, _semantic: Semantic, snapshot: Snapshot) -> Ranking:
    """Return the documents that have the query's words, best first."""
    asked = TextQuery(session, query.parts(), snapshot)
    if asked.is_empty:
        return _without_excluded(session, query, snapshot)
    found = asked.matches(query.filter())
    pairs = zip(found.documents.tolist(), found.scores.tolist(), strict=True)
    return Ranking([Ranked(document, score, text=score) for document, score in pairs], found.complete)


def semantic_ranking(session: Session, query: Query, semantic: Semantic, snapshot: Snapshot) -> Ranking:
    """Return the documents nearest in meaning, none under the model's floor."""
    parts = query.parts()
    if not parts.wanted():
        return _without_excluded(session, query, snapshot)
    asked = TextQuery(session, parts, snapshot)
    meaning = semantic.meaning(parts.wanted(), asked.knows_a_word)
    if meaning is None:
        return Ranking([])
    near = semantic.nearest(session, meaning, query.filter(), snapshot.version)
    allowed = _allowed(list(near), asked)
    ranked = [
        Ranked(document, score := meaning.score(found), semantic=score, start=found.start, end=found.end)
        for document, found in near.items()
        if document in allowed and meaning.is_relevant(found)
    ]
    return Ranking(ranked, len(ranked) < len(near))


def hybrid_ranking(session: Session, query: Query, semantic: Semantic, snapshot: Snapshot) -> Ranking:
    """Return what words, meaning and tags find together; without the meaning while no model is ready."""
    parts = query.parts()
    asked = TextQuery(session, parts, snapshot)
    if asked.is_empty:
        return _without_excluded(session, query, snapshot)
    meaning = semantic.meaning(parts.wanted(), asked.knows_a_word) if semantic.ready(0) else None
    restriction = query.filter()
    found = asked.matches(restriction)
    by_text = dict(zip(found.documents.tolist(), found.scores.tolist(), strict=True))
    named = named_in(session, parts)
    tagged = dict.fromkeys(named_documents(session, named, restriction))
    compared = list({**dict.fromkeys(list(by_text)[:COMPARED]), **dict.fromkeys(list(tagged)[:COMPARED])})
    near = semantic.nearest(session, meaning, restriction, snapshot.version, compared) if meaning else {}
    allowed = _allowed([one for one in {**near, **tagged} if one not in by_text], asked)
    text_scores = by_text | allowed
    tags = having(session, named, list(text_scores))
    ranked = [
        _joined(document, text, near.get(document), meaning, named, tags.get(document, []))
        for document, text in text_scores.items()
        if document in by_text or document in tagged or (meaning and meaning.is_relevant(near[document]))
    ]
    ranked.sort(key=lambda one: (-one.score, one.document))
    return Ranking(ranked, found.complete)


def _joined(
    document: int, text: float, near: Near | None, meaning: Meaning | None, named: NamedTags, tags: list[int]
) -> Ranked:
    close = meaning.score(near) if meaning and near else None
    share = TEXT_SHARE if meaning else 1.0
    score = min(share * text + (1 - share) * (close or 0.0) + named.bonus(tags), 1.0)
    window = (near.start, near.end) if near else (0, 0)
    return Ranked(document, score, text or None, close, *window, tags=tag_scores(named, tags))


def _allowed(documents: list[int], asked: TextQuery) -> dict[int, float]:
    """Return those of the documents that phrases and excluded words let through, with their text score."""
    scores = asked.scores(documents)
    holding = asked.holding_phrases(list(scores))
    return {document: score for document, score in scores.items() if document in holding}


def _without_excluded(session: Session, query: Query, snapshot: Snapshot) -> Ranking:
    """Return the newest documents that pass the filter and have no excluded word: nothing was looked for."""
    plain = listing(session, query.filter())
    allowed = _allowed([one.document for one in plain.documents], TextQuery(session, query.parts(), snapshot))
    return Ranking([one for one in plain.documents if one.document in allowed], plain.complete)
