"""Writes documents: text, index terms, tags and stale embeddings change in one transaction."""

from __future__ import annotations

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from itertools import chain
from typing import Any

from sqlalchemy import Table, delete, select
from sqlalchemy.orm import Session

from indexes.merging import SMALL_MERGE, merge_segments
from indexes.version import bump
from indexes.words import DocumentWords, index_words, unindex_words
from indexing.counts import add_tags, add_total, take_from_collections
from indexing.journal import Journal
from models import (
    KEPT_CHANGES,
    Change,
    Collection,
    Document,
    DocumentTag,
    Embedding,
    Tag,
    document_number,
    number,
    tag_key,
    tag_number,
)
from utils.hebrew import is_hebrew
from utils.messages import Refusal
from utils.sql import among, upsert

TEXT_FIELDS = ("own_id", "title", "body", "language", "source", "url", "licence")


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document before it is stored."""

    own_id: str
    title: str
    body: str
    tags: tuple[str, ...] = ()
    language: str = ""
    source: str = ""
    url: str = ""
    licence: str = ""
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(slots=True)
class Written:
    """Numbers of new, changed and unchanged documents in a write."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0

    def add(self, other: Written) -> None:
        self.new += other.new
        self.changed += other.changed
        self.unchanged += other.unchanged


class DocumentKeyCollision(Refusal):
    """Two own ids of a collection hash to the same key: one must be renamed."""


def write_documents(session: Session, collection: str, documents: Sequence[NewDocument]) -> Written:
    """Store documents with distinct own ids in one transaction, and commit; raises DocumentKeyCollision."""
    fresh, unchanged = unlike_stored(session, collection, documents)
    session.rollback()
    written = write_analysed(session, collection, analysed(collection, fresh))
    written.unchanged += unchanged
    merge_segments(session, SMALL_MERGE)
    return written


def analysed(collection: str, documents: Sequence[NewDocument]) -> list[Analysed]:
    """Return documents ready to write; slow, and independent of the database."""
    collection_id = number("collection", collection)
    news = [Analysed.of(_row(collection, collection_id, new), new.tags) for new in documents]
    return sorted(news, key=lambda new: new.number)  # in table order, so that each page is written once


def write_analysed(session: Session, collection: str, news: list[Analysed]) -> Written:
    """Store what is new or changed in one transaction, and commit; raises DocumentKeyCollision."""
    written = write_uncommitted(session, collection, news)
    if written.new or written.changed:
        session.commit()
    else:
        session.rollback()
    return written


def write_uncommitted(
    session: Session, collection: str, news: list[Analysed], journal: Journal | None = None
) -> Written:
    """Store what is new or changed, for the caller to commit; raises DocumentKeyCollision."""
    written = Written()
    if not news:
        return written
    version = bump(session)
    stored = _stored(session, [new.number for new in news])
    news = [new for new in news if _is_fresh(new, stored.get(new.number), written)]
    if not news:
        return written
    changed = [stored[new.number] for new in news if new.number in stored]
    if journal:
        journal.note(session, {new.number: new.row["row_hash"] for new in news}, [old.id for old in changed])
    for new in news:
        new.row["version"] = version
    _forget(session, changed)
    remember(session, collection, news)
    hashes = {new.number: new.row["content_hash"] for new in news}
    stale = [old.id for old in changed if old.content_hash != hashes[old.id]]
    session.execute(delete(Embedding).where(among(Embedding.document_id, stale)))
    if version % 100 == 0:
        session.execute(delete(Change).where(Change.version < version - KEPT_CHANGES))
    _log_changes(session, version, [old.id for old in changed])
    return written


@dataclass(frozen=True, slots=True)
class Analysed:
    """A document ready to write: its row, its tags and its words."""

    row: dict[str, Any]
    tags: tuple[str, ...]
    words: DocumentWords

    @classmethod
    def of(cls, row: dict[str, Any], tags: tuple[str, ...]) -> Analysed:
        words = DocumentWords.of(
            row["title"], row["body"], row["own_id"], tags, row["extra"], row["collection_id"], row["language"]
        )
        return cls(row, tags, words)

    @property
    def number(self) -> int:
        return int(self.row["id"])

    def __reduce__(self) -> tuple[Any, ...]:
        """Unpickle quickly: see DocumentWords."""
        return Analysed, (self.row, self.tags, self.words)


def _is_fresh(new: Analysed, old: Any, written: Written) -> bool:
    """Count a document as new, changed or unchanged; return False if unchanged. Raises DocumentKeyCollision."""
    if old is None:
        written.new += 1
        return True
    if (old.own_id, old.collection_id) != (new.row["own_id"], new.row["collection_id"]):
        raise DocumentKeyCollision("keys_meet", first=old.own_id, second=new.row["own_id"])
    if old.row_hash == new.row["row_hash"]:
        written.unchanged += 1
        return False
    written.changed += 1
    new.row["added_at"] = old.added_at
    return True


def unlike_stored(session: Session, collection: str, documents: Sequence[NewDocument]) -> tuple[list[NewDocument], int]:
    """Return the new or changed documents, which must be analysed and written, and the number of unchanged ones."""
    keys: dict[int, NewDocument] = {}
    for document in documents:
        other = keys.setdefault(document_number(collection, document.own_id), document)
        if other.own_id != document.own_id:
            raise DocumentKeyCollision("keys_meet", first=other.own_id, second=document.own_id)
    stored = _stored(session, list(keys))  # read again under the writers' lock
    fresh = [
        document for key, document in keys.items() if key not in stored or stored[key].row_hash != row_hash(document)
    ]
    return fresh, len(keys) - len(fresh)


# Shared: json.dumps creates an encoder on every call.
_IN_ORDER = json.JSONEncoder(ensure_ascii=False, sort_keys=True, default=str)


def row_hash(document: NewDocument) -> bytes:
    extra = _IN_ORDER.encode(document.extra) if document.extra else "{}"
    texts = (getattr(document, name) for name in TEXT_FIELDS)
    return digest("\x1f".join([*texts, extra, *document.tags]))


def delete_documents(session: Session, numbers: Sequence[int], journal: Journal | None = None) -> int:
    """Delete documents with everything that belongs to them, commit, and return their number."""
    count = delete_uncommitted(session, numbers, journal)
    session.commit()
    return count


def delete_uncommitted(session: Session, numbers: Sequence[int], journal: Journal | None = None) -> int:
    """Delete documents with everything that belongs to them, for the caller to commit, and return their number."""
    version = bump(session)
    stored = list(_stored(session, numbers).values())
    ids = [row.id for row in stored]
    if journal:
        journal.note(session, dict.fromkeys(ids), ids)
    _forget(session, stored)
    _log_changes(session, version, ids)
    session.execute(delete(Document).where(among(Document.id, ids)))
    return len(stored)


def _row(collection: str, collection_id: int, document: NewDocument) -> dict[str, Any]:
    now = int(time.time())
    return {name: getattr(document, name) for name in (*TEXT_FIELDS, "extra")} | {
        "id": document_number(collection, document.own_id),
        "collection_id": collection_id,
        "language": document.language or guessed_language(document.title + " " + document.body[:400]),
        "row_hash": row_hash(document),
        "content_hash": digest(document.title + "\x1f" + document.body),
        "added_at": now,
        "changed_at": now,
    }


def digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def guessed_language(text: str) -> str:
    """Return `he`, `en`, or an empty string for a text in neither alphabet."""
    if is_hebrew(text):
        return "he"
    return "en" if sum("a" <= c <= "z" for c in text.lower()) > len(text) / 3 else ""


def _stored(session: Session, numbers: Sequence[int]) -> dict[int, Any]:
    columns = (
        Document.id, Document.own_id, Document.collection_id, Document.row_hash, Document.content_hash,
        Document.added_at,
    )  # fmt: skip
    return {row.id: row for row in session.execute(select(*columns).where(among(Document.id, numbers)))}


def _forget(session: Session, stored: Sequence[Any]) -> None:
    """Remove documents from all counts and the index, but keep their rows."""
    if not stored:
        return
    numbers = [row.id for row in stored]
    unindex_words(session, numbers)
    add_total(session, -len(numbers))
    add_tags(session, numbers, -1)
    session.execute(delete(DocumentTag).where(among(DocumentTag.document_id, numbers)))
    take_from_collections(session, [row.collection_id for row in stored])


def remember(session: Session, collection: str, news: Sequence[Analysed]) -> None:
    """Write documents that are not in the counts or the index, with everything that belongs to them."""
    # Slow database work first: the next batch is analysed meanwhile.
    index_words(session, {new.number: new.words for new in news})
    collection_row = {"id": number("collection", collection), "name": collection, "documents": len(news)}
    upsert(session, _table(Collection), [collection_row], add=("documents",))
    values = [name for name in news[0].row if name not in ("id", "added_at")]
    upsert(session, _table(Document), [new.row for new in news], replace=values)
    _write_tags(session, {new.number: new.tags for new in news})
    add_tags(session, [new.number for new in news], 1)
    add_total(session, len(news))


def _write_tags(session: Session, tags: dict[int, tuple[str, ...]]) -> None:
    numbers = {name: tag_number(name) for name in dict.fromkeys(chain.from_iterable(tags.values()))}
    named = {tag: name for name, tag in numbers.items()}
    rows = [{"id": tag, "name": name, "key": tag_key(name)} for tag, name in sorted(named.items())]
    upsert(session, _table(Tag), rows)
    pairs: dict[tuple[int, int], int] = {}
    for document, names in tags.items():
        for place, name in enumerate(names):
            pairs.setdefault((document, numbers[name]), min(place, 32_767))
    rows = [{"document_id": document, "tag_id": tag, "place": place} for (document, tag), place in pairs.items()]
    upsert(session, _table(DocumentTag), rows)


def _log_changes(session: Session, version: int, numbers: Sequence[int]) -> None:
    upsert(session, _table(Change), [{"version": version, "document_id": number} for number in numbers])


def _table(model: Any) -> Table:
    table: Table = model.__table__
    return table
