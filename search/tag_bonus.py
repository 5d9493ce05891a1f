"""Tags named in a query: documents that have them get a bonus, and the tags explain it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from indexes.filters import Filter
from models import DocumentTag, Tag, TagCount, tag_number
from search.query import QueryParts
from search.results import TagScore
from utils.hebrew import content_forms, forms, stem
from utils.sql import among

LONGEST_NAME = 4  # words
# Bonus of a document whose tags name the whole query. Tags alone rank poorly (MRR .53 on questions).
TAG_BONUS = 0.15
MOST_DOCUMENTS = 200


@dataclass(frozen=True, slots=True)
class NamedTags:
    """The named tags, each with its name and the query words that name it; `words` are all words of the query."""

    tags: Mapping[int, tuple[str, frozenset[str]]]
    words: frozenset[str]

    def bonus(self, tags: Iterable[int]) -> float:
        """Return the bonus of a document with these tags, by the share of the query's words that name them."""
        covered = frozenset[str]().union(*(self.tags[tag][1] for tag in tags))
        return TAG_BONUS * len(covered & self.words) / max(len(self.words), 1)

    def naming_everything(self) -> list[int]:
        """Return the tags that name the whole query."""
        return [tag for tag, (_, words) in self.tags.items() if self.words <= words]


def named_in(session: Session, parts: QueryParts) -> NamedTags:
    """Return the tags in use that one to four words of the query name, with or without a Hebrew prefix letter."""
    query_forms = forms(parts.wanted())
    names: dict[int, frozenset[str]] = {}
    for start in range(len(query_forms)):
        for end in range(start + 1, min(start + LONGEST_NAME, len(query_forms)) + 1):
            words = query_forms[start:end]
            for first in dict.fromkeys((words[0], stem(words[0]))):
                names.setdefault(tag_number(" ".join((first, *words[1:]))), frozenset(words))
    in_use = select(TagCount.tag_id).where(TagCount.tag_id == Tag.id).exists()
    rows = session.execute(select(Tag.id, Tag.name).where(among(Tag.id, names), in_use))
    return NamedTags({row.id: (row.name, names[row.id]) for row in rows}, frozenset(content_forms(query_forms)))


def having(session: Session, named: NamedTags, documents: Sequence[int]) -> dict[int, list[int]]:
    """Return {document: its named tags} of the documents that have any."""
    if not named.tags:
        return {}
    rows = select(DocumentTag.document_id, DocumentTag.tag_id).where(
        among(DocumentTag.document_id, documents), among(DocumentTag.tag_id, named.tags)
    )
    tags: dict[int, list[int]] = {}
    for document, tag in session.execute(rows.order_by(DocumentTag.document_id, DocumentTag.place)):
        tags.setdefault(document, []).append(tag)
    return tags


def named_documents(session: Session, named: NamedTags, restriction: Filter) -> list[int]:
    """Return documents tagged with the whole query, even if their text does not contain it."""
    documents: dict[int, None] = {}
    for tag in named.naming_everything():
        statement = (
            f"SELECT document_id FROM document_tag WHERE tag_id = :tag{restriction.sql('document_id')} LIMIT :most"
        )
        values = {**restriction.values, "tag": tag, "most": MOST_DOCUMENTS}
        documents |= dict.fromkeys(session.execute(text(statement), values).scalars())
    return list(documents)


def tag_scores(named: NamedTags, tags: Iterable[int]) -> tuple[TagScore, ...]:
    return tuple(TagScore(named.tags[tag][0], 1.0) for tag in tags)
