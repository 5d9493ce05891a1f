"""Search results: hits with the reasons for them, facets, and totals."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from typing import Any

from search.matcher import NO_WORDS, QueryMatcher
from search.query import Query
from utils.hebrew import forms


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of text; `found` if it matches the query."""

    text: str
    found: bool = False


@dataclass(frozen=True, slots=True)
class TagScore:
    """A tag that matched: 1 for an exact match, less for a similar one."""

    tag: str
    score: float


@dataclass(frozen=True, slots=True)
class FieldMatch:
    """A column other than title and body that matched: its name, and its value with the matching words marked."""

    name: str
    value: tuple[Segment, ...]

    @property
    def plain_value(self) -> str:
        return "".join(segment.text for segment in self.value)


@dataclass(frozen=True, slots=True)
class Correction:
    """A typed word that no document has, and the words that were searched in its place."""

    typed: str
    shown: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class MatchReasons:
    """Why a document matched; scores are 0 to 1, and None or empty if they did not contribute."""

    text: float | None = None
    semantic: float | None = None
    tags: tuple[TagScore, ...] = ()
    words: tuple[str, ...] = ()
    fields: tuple[FieldMatch, ...] = ()
    passage: tuple[int, int] | None = None  # the part of the body that is nearest in meaning


@dataclass(frozen=True, slots=True)
class Hit:
    """A document in the results."""

    number: int
    id: str
    collection: str
    title: tuple[Segment, ...]
    snippet: tuple[Segment, ...]
    tags: tuple[str, ...]
    language: str
    direction: str  # of its text: `rtl` or `ltr`
    url: str
    source: str
    score: float
    why: MatchReasons

    @property
    def plain_title(self) -> str:
        return "".join(segment.text for segment in self.title)

    @property
    def plain_snippet(self) -> str:
        return "".join(segment.text for segment in self.snippet)


@dataclass(frozen=True, slots=True)
class Facet:
    """A tag with its count among the hits."""

    tag: str
    count: int


@dataclass(frozen=True, slots=True)
class Ranked:
    """A document's place in a ranking, before its row is read."""

    document: int
    score: float
    text: float | None = None
    semantic: float | None = None
    start: int = 0  # the most similar chunk, as characters of the body
    end: int = 0
    tags: tuple[TagScore, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranking:
    """The matching documents, best first; `complete` if no limit cut them off."""

    documents: Sequence[Ranked]
    complete: bool = True
    corrections: tuple[Correction, ...] = ()
    matcher: QueryMatcher = NO_WORDS
    is_weak: bool = False


@dataclass(frozen=True, slots=True)
class RankedPage:
    """One page of a ranking, with totals and facets, before the documents are read."""

    page: tuple[Ranked, ...]
    total: int
    total_is_exact: bool
    facets: tuple[Facet, ...]
    near_tags: tuple[TagScore, ...]
    semantic_state: str
    corrections: tuple[Correction, ...] = ()
    matcher: QueryMatcher = NO_WORDS
    is_weak: bool = False


@dataclass(frozen=True, slots=True)
class ResultsPage:
    """One page of hits, with everything shown around them."""

    query: Query
    hits: tuple[Hit, ...] = ()
    total: int = 0
    total_is_exact: bool = True
    facets: tuple[Facet, ...] = ()
    near_tags: tuple[TagScore, ...] = ()
    corrections: tuple[Correction, ...] = ()
    semantic_state: str = "off"
    semantic_model: str = ""
    took_ms: float = 0.0
    version: int = 0  # the data version that was searched
    is_weak: bool = False  # there are hits, but none that answers the query closely
    is_indexing: bool = False  # the word index lacks documents
    indexed_percent: int = 100

    @property
    def corrected_text(self) -> str:
        """Return the query with words that no document has replaced by the likeliest ones; empty if there are none."""
        return corrected_text(self.query.text, self.corrections)

    @property
    def pages(self) -> int:
        return -(-self.total // self.query.limit)

    @property
    def first(self) -> int:
        """Return the rank of the page's first hit, starting at 1."""
        return (self.query.page - 1) * self.query.limit + 1

    @property
    def last(self) -> int:
        return self.first + len(self.hits) - 1


def corrected_text(text: str, corrections: Sequence[Correction]) -> str:
    """Return a query with the words that no document has replaced; empty if nothing of it changes."""
    meant = {correction.typed: correction.shown[0] for correction in corrections}
    words = text.split()
    corrected = [meant.get(" ".join(forms(word)), word) for word in words]
    return "" if corrected == words else " ".join(corrected)


def results_json(results: ResultsPage) -> dict[str, Any]:
    query = results.query
    return {
        "query": query.text,
        "mode": query.mode,
        "collection": query.collection or None,
        "sort": query.order(),
        "page": query.page,
        "limit": query.limit,
        "total": results.total,
        "total_is_exact": results.total_is_exact,
        "took_ms": round(results.took_ms, 1),
        "semantic": {"state": results.semantic_state, "model": results.semantic_model},
        "corrections": [
            {"typed": correction.typed, "shown": list(correction.shown)} for correction in results.corrections
        ],
        "weak": results.is_weak,
        "hits": [hit_json(hit) for hit in results.hits],
        "facets": [asdict(facet) for facet in results.facets],
        "near_tags": [rounded_scores(asdict(tag)) for tag in results.near_tags],
    }


def hit_json(hit: Hit) -> dict[str, Any]:
    return {
        "id": hit.id,
        "collection": hit.collection,
        "title": hit.plain_title,
        "snippet": hit.plain_snippet,
        "tags": list(hit.tags),
        "language": hit.language,
        "url": hit.url,
        "score": hit.score,
        "why": {
            **rounded_scores({"text": hit.why.text, "semantic": hit.why.semantic}),
            "tags": [rounded_scores(asdict(tag)) for tag in hit.why.tags],
            "words": list(hit.why.words),
            "fields": [{"name": match.name, "value": match.plain_value} for match in hit.why.fields],
            "passage": dict(zip(("start", "end"), hit.why.passage, strict=True)) if hit.why.passage else None,
        },
    }


def rounded_scores(values: Mapping[str, Any]) -> dict[str, Any]:
    return {name: round(value, 4) if isinstance(value, float) else value for name, value in values.items()}
