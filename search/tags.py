"""Tags: facets, tag search by name and by similarity, and the bonus for documents whose tags the query names."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass

from sqlalchemy import select, text
from sqlalchemy.orm import Session

from indexes.access import tag_is_used
from indexes.filters import Filter
from indexes.version import Snapshot
from models import DocumentTag, Tag, tag_key, tag_number
from search.query import Query, QueryParts
from search.results import Facet, Ranked, Ranking, TagScore
from search.semantic import Semantic
from utils.hebrew import Word, content_forms, words
from utils.sql import among, among_sql, like_prefix, number_list
from utils.word_readings import current_readings

MOST_DOCUMENTS = 1_000
MOST_TAGS_MATCHED, MOST_NEAR_TAGS = 50, 8
PREFIX_SCORE = 0.9


def listing(session: Session, restriction: Filter, most: int = 0) -> Ranking:
    """Return the newest documents that pass a filter, all with the same score."""
    most = most or MOST_DOCUMENTS
    held = f"SELECT id FROM document WHERE 1 = 1{restriction.sql('document.id')}"
    statement = f"{held} ORDER BY added_at DESC, id DESC LIMIT :most"
    values = {**restriction.values, "most": most + 1}
    numbers = list(session.execute(text(statement), values).scalars())
    return Ranking([Ranked(number, 1.0) for number in numbers[:most]], len(numbers) <= most)


def tag_ranking(session: Session, query: Query, semantic: Semantic, _snapshot: Snapshot) -> Ranking:
    """Return the documents whose tags match the query; without words, those that pass the filter."""
    wanted, restriction = query.parts().wanted(), query.filter()
    if not wanted:
        filter_tags = tuple(TagScore(name, 1.0) for name in query.all_tags())
        plain = listing(session, restriction, query.most)
        return Ranking([Ranked(item.document, 1.0, tags=filter_tags) for item in plain.documents], plain.complete)
    matched = named_tags(session, wanted) or tags_similar_to(session, wanted, semantic)
    return _documents_with(session, matched, restriction, query.most or MOST_DOCUMENTS)


def named_tags(session: Session, wanted: str) -> dict[int, TagScore]:
    """Return the tags in use whose name starts with `wanted`, with score 1 for an exact match."""
    key = tag_key(wanted)
    if not key:
        return {}
    low, high = like_prefix(key)
    in_use = tag_is_used(session, Tag.id)
    rows = select(Tag.id, Tag.name, Tag.key).where(Tag.key >= low, Tag.key < high, in_use)
    matched = session.execute(rows.order_by(Tag.key).limit(MOST_TAGS_MATCHED))
    return {tag: TagScore(name, 1.0 if tag_key == key else PREFIX_SCORE) for tag, name, tag_key in matched}


def tags_similar_to(session: Session, wanted: str, semantic: Semantic) -> dict[int, TagScore]:
    near, _ = semantic.nearest_tags(session, [wanted], MOST_NEAR_TAGS)
    names = tag_names(session, [tag for tag, _ in near])
    return {tag: TagScore(names[tag], score) for tag, score in near if tag in names}


def similar_tags(session: Session, query: Query, semantic: Semantic) -> tuple[tuple[TagScore, ...], bool]:
    """Return tags similar to those of the query, most similar first, themselves excluded; and whether that is all.

    It is not if a name that is not a tag awaits the model.
    """
    query_tags = [*query.all_tags(), *([wanted] if (wanted := query.parts().wanted()) else [])]
    if not query_tags:
        return (), True
    known = {tag_number(name) for name in query_tags}
    nearest, whole = semantic.nearest_tags(session, query_tags, MOST_NEAR_TAGS + len(known))
    near = [pair for pair in nearest if pair[0] not in known]
    names = tag_names(session, [tag for tag, _ in near])
    return tuple(TagScore(names[tag], score) for tag, score in near if tag in names)[:MOST_NEAR_TAGS], whole


def _documents_with(session: Session, matched: dict[int, TagScore], restriction: Filter, most: int) -> Ranking:
    if not matched:
        return Ranking([])
    statement = (
        f"SELECT document_id, tag_id FROM document_tag WHERE {among_sql(session, 'tag_id', 'tags')}"
        f"{restriction.sql('document_id')} ORDER BY document_id LIMIT :most"
    )
    having: dict[int, list[TagScore]] = {}
    pairs = session.execute(
        text(statement).bindparams(number_list("tags", matched)), {**restriction.values, "most": 2 * most}
    ).all()
    for document, tag in pairs:
        having.setdefault(document, []).append(matched[tag])
    ranked = [
        Ranked(
            document,
            max(tag.score for tag in tags),
            tags=tuple(sorted(tags, key=lambda t: (-t.score, t.tag))),
        )
        for document, tags in having.items()
    ]
    ranked.sort(key=lambda item: (-item.score, -len(item.tags), item.document))
    return Ranking(ranked[:most], len(pairs) < 2 * most)


MOST_FACETS = 24
MOST_COUNTED = 1_000  # hits whose tags are counted


def facets(session: Session, documents: Sequence[int], without: Sequence[str] = ()) -> tuple[Facet, ...]:
    """Return the most common tags of the documents with their counts, except the tags `without`."""
    if not documents:
        return ()
    left_out = {tag_key(name) for name in without}
    counted = (
        f"SELECT tag.name, tag.key, counted.documents FROM (SELECT tag_id, count(*) AS documents FROM document_tag"
        f" WHERE {among_sql(session, 'document_id', 'ids')} GROUP BY tag_id"
        f" ORDER BY documents DESC, tag_id LIMIT {MOST_FACETS + len(left_out)}) counted"
        " JOIN tag ON tag.id = counted.tag_id ORDER BY counted.documents DESC, tag.key"
    )
    given = number_list("ids", documents[:MOST_COUNTED])
    rows = [row for row in session.execute(text(counted).bindparams(given)) if row[1] not in left_out]
    return tuple(Facet(row[0], row[2]) for row in rows[:MOST_FACETS])


def tags_of(session: Session, documents: Sequence[int]) -> dict[int, tuple[str, ...]]:
    """Return each document's tags in the document's order."""
    rows = (
        select(DocumentTag.document_id, Tag.name)
        .join(Tag, Tag.id == DocumentTag.tag_id)
        .where(among(DocumentTag.document_id, documents))
        .order_by(DocumentTag.document_id, DocumentTag.place)
    )
    tags: dict[int, list[str]] = {document: [] for document in documents}
    for document, name in session.execute(rows):
        tags[document].append(name)
    return {document: tuple(names) for document, names in tags.items()}


def tag_names(session: Session, tags: Sequence[int]) -> dict[int, str]:
    """Return {tag: name} of the tags that are in use where the session may read."""
    rows = select(Tag.id, Tag.name).where(among(Tag.id, tags), tag_is_used(session, Tag.id))
    return {row[0]: row[1] for row in session.execute(rows)}


LONGEST_NAME = 4  # words
MOST_NAMING = 100  # words of a query at which the name of a tag may begin
LIKELY_WORD = 0.2  # probability from which on a tag may be what stands behind a word's prefix letters
MOST_PUNCTUATION = 3  # characters on either side of a name
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
    """Return the tags in use that the whole query names, or one to four of its words.

    A word may have a Hebrew prefix letter.
    """
    key = tag_key(parts.wanted())
    query_words = list(words(key))
    names = {tag_number(key): frozenset(word.form for word in query_words)} if query_words else {}
    for first in range(min(len(query_words), MOST_NAMING)):
        for last in range(first, min(first + LONGEST_NAME, len(query_words))):
            named_by = query_words[first : last + 1]
            for name in spellings(key, query_words, first, last):
                names.setdefault(tag_number(name), frozenset(word.form for word in named_by))
    in_use = tag_is_used(session, Tag.id)
    rows = session.execute(select(Tag.id, Tag.name).where(among(Tag.id, names), in_use))
    content = frozenset(content_forms([word.form for word in query_words]))
    return NamedTags({row.id: (row.name, names[row.id]) for row in rows}, content)


def spellings(key: str, query_words: Sequence[Word], first: int, last: int) -> Iterator[str]:
    """Yield the tag keys that a range of a query's words can name: the words alone, and with the punctuation around.

    `key` is the query as a tag key; what stands between the words belongs to a name ("ui/ux", "law, and order"), and
    what touches them may (".net", "c++").
    """
    start, end = query_words[first].start, query_words[last].end
    typed = query_words[first].form
    likely = [base for base, probability in current_readings().bases(typed).items() if probability >= LIKELY_WORD]
    for head in dict.fromkeys((typed, *likely)):
        yield " ".join((head, *(word.form for word in query_words[first + 1 : last + 1])))
        yield head + key[query_words[first].end : end]
    floor = query_words[first - 1].end if first else 0
    ceiling = query_words[last + 1].start if last + 1 < len(query_words) else len(key)
    before = key[max(floor, start - MOST_PUNCTUATION) : start].rpartition(" ")[2]
    after = key[end : min(ceiling, end + MOST_PUNCTUATION)].partition(" ")[0]
    for left in range(len(before) + 1):
        for right in range(len(after) + 1):
            if left or right:
                yield key[start - left : end + right]


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
