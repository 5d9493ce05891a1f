"""What a search answers: hits with their reasons, facets, and how far it looked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from search.query import Query


@dataclass(frozen=True, slots=True)
class Segment:
    """A piece of text, and whether it is what was looked for."""

    text: str
    found: bool = False


@dataclass(frozen=True, slots=True)
class TagScore:
    """A tag that matched: 1 for the very tag, less for one close in meaning."""

    tag: str
    score: float


@dataclass(frozen=True, slots=True)
class Why:
    """Why a document matched; a part that played no role is None or empty. Scores are 0 to 1."""

    text: float | None = None
    semantic: float | None = None
    tags: tuple[TagScore, ...] = ()
    words: tuple[str, ...] = ()


@dataclass(frozen=True, slots=True)
class Hit:
    """A document in a result."""

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
    why: Why

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
    """One document's place in a ranking, before its row is read."""

    document: int
    score: float
    text: float | None = None
    semantic: float | None = None
    start: int = 0  # the window nearest in meaning, characters of the body
    end: int = 0
    tags: tuple[TagScore, ...] = ()


@dataclass(frozen=True, slots=True)
class Ranking:
    """All documents that match, best first; `complete` where none was left out for want of room."""

    documents: Sequence[Ranked]
    complete: bool = True


@dataclass(frozen=True, slots=True)
class Found:
    """One page of a ranking, with what is told of all of it, before the documents are read."""

    page: tuple[Ranked, ...]
    total: int
    total_is_exact: bool
    facets: tuple[Facet, ...]
    near_tags: tuple[TagScore, ...]
    semantic_state: str


@dataclass(frozen=True, slots=True)
class Results:
    """One page of hits, with all that the page shows around them."""

    query: Query
    hits: tuple[Hit, ...] = ()
    total: int = 0
    total_is_exact: bool = True
    facets: tuple[Facet, ...] = ()
    near_tags: tuple[TagScore, ...] = ()
    semantic_state: str = "off"
    semantic_model: str = ""
    took_ms: float = 0.0
    version: int = 0  # of the state that was searched

    @property
    def pages(self) -> int:
        return -(-self.total // self.query.limit)

    @property
    def first(self) -> int:
        """Return the rank of the page's first hit, from 1."""
        return (self.query.page - 1) * self.query.limit + 1

    @property
    def last(self) -> int:
        return self.first + len(self.hits) - 1
