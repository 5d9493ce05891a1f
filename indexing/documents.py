"""Writing documents: text, words, tags and what an embedding is owed change in one transaction."""

from __future__ import annotations

import json
import time
from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Any

from sqlalchemy import Table, delete, func, select, update
from sqlalchemy.orm import Session

from indexing.full_text import index_words, unindex_words
from models import (
    KEPT_CHANGES,
    Change,
    Collection,
    Document,
    DocumentTag,
    Embedding,
    State,
    Tag,
    TagCount,
    Term,
    Words,
    document_number,
    number,
)
from utils.bm25 import unpack
from utils.hebrew import is_hebrew, normalise
from utils.sql import upsert
from utils.terms import Terms, terms

TEXT_FIELDS = ("own_id", "title", "body", "language", "source", "url", "licence")


@dataclass(frozen=True, slots=True)
class NewDocument:
    """A document as it is given, before it is stored."""

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
    """How many documents a write found new, changed and unchanged."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0

    def add(self, other: Written) -> None:
        self.new += other.new
        self.changed += other.changed
        self.unchanged += other.unchanged


class KeysMeet(ValueError):
    """Two own ids of a collection hash to one key: one of them must be renamed."""


def tag_key(name: str) -> str:
    """Return the name under which spellings of a tag meet: folded, white space joined, no quotes."""
    return " ".join(normalise(name).replace('"', "").split())


def tag_number(name: str) -> int:
    return number("tag", tag_key(name))


def bump(session: Session) -> int:
    """Return the next version. Its row stays locked until commit, so that writers take turns from here on."""
    statement = update(State).where(State.id == 1).values(version=State.version + 1).returning(State.version)
    return session.execute(statement).scalar_one()


def write_documents(session: Session, collection: str, documents: Sequence[NewDocument]) -> Written:
    """Store documents (own ids all different) in one transaction, and commit; raises KeysMeet."""
    documents = _unlike_stored(session, collection, documents, written := Written())
    if not documents:
        return written
    rows = [_row(collection, document) for document in documents]
    found = [terms(document.title, document.body) for document in documents]
    version = bump(session)
    stored = _stored(session, [row["id"] for row in rows])
    fresh: list[int] = []
    for place, row in enumerate(rows):
        old = stored.get(row["id"])
        if old is None:
            written.new += 1
        elif (old.own_id, old.collection_id) != (row["own_id"], row["collection_id"]):
            raise KeysMeet(f"ids {old.own_id!r} and {row['own_id']!r} have the same key: rename one of them")
        elif old.row_hash == row["row_hash"]:
            written.unchanged += 1
            continue
        else:
            written.changed += 1
            row["added_at"] = old.added_at
        fresh.append(place)
    if not fresh:
        session.rollback()
        return written
    changed = [stored[rows[place]["id"]] for place in fresh if rows[place]["id"] in stored]
    _forget(session, changed)
    _remember(session, collection, [rows[p] for p in fresh], [documents[p] for p in fresh], [found[p] for p in fresh])
    new_hashes = {rows[place]["id"]: rows[place]["content_hash"] for place in fresh}
    reworded = [row.id for row in changed if row.content_hash != new_hashes[row.id]]
    _drop_embeddings(session, version, reworded)
    _log_changes(session, version, [row.id for row in changed])
    session.commit()
    return written


def _unlike_stored(
    session: Session, collection: str, documents: Sequence[NewDocument], written: Written
) -> list[NewDocument]:
    """Return the documents that are not stored just so: only they need analysis, and the writers' turn."""
    keys: dict[int, NewDocument] = {}
    for one in documents:
        other = keys.setdefault(document_number(collection, one.own_id), one)
        if other.own_id != one.own_id:
            raise KeysMeet(f"ids {other.own_id!r} and {one.own_id!r} have the same key: rename one of them")
    stored = _stored(session, list(keys))
    session.rollback()  # what was read is read again in the writers' turn
    fresh = [one for key, one in keys.items() if key not in stored or stored[key].row_hash != row_hash(one)]
    written.unchanged += len(keys) - len(fresh)
    return fresh


def row_hash(document: NewDocument) -> bytes:
    extra = json.dumps(document.extra, ensure_ascii=False, sort_keys=True, default=str)
    texts = (getattr(document, name) for name in TEXT_FIELDS)
    return digest("\x1f".join([*texts, extra, *document.tags]))


def delete_documents(session: Session, numbers: Sequence[int]) -> int:
    """Delete documents with all that hangs on them, commit, and return how many there were."""
    version = bump(session)
    stored = list(_stored(session, numbers).values())
    _forget(session, stored)
    _log_changes(session, version, [row.id for row in stored])
    session.execute(delete(Document).where(Document.id.in_([row.id for row in stored])))
    session.commit()
    return len(stored)


def _row(collection: str, document: NewDocument) -> dict[str, Any]:
    now = int(time.time())
    return {name: getattr(document, name) for name in (*TEXT_FIELDS, "extra")} | {
        "id": document_number(collection, document.own_id),
        "collection_id": number("collection", collection),
        "language": document.language or guessed_language(document.title + " " + document.body[:400]),
        "row_hash": row_hash(document),
        "content_hash": digest(document.title + "\x1f" + document.body),
        "added_at": now,
        "changed_at": now,
    }


def digest(text: str) -> bytes:
    return blake2b(text.encode("utf-8", "surrogatepass"), digest_size=16).digest()


def guessed_language(text: str) -> str:
    """Return `he`, `en`, or nothing for a text in neither alphabet."""
    if is_hebrew(text):
        return "he"
    return "en" if sum("a" <= c <= "z" for c in text.lower()) > len(text) / 3 else ""


def _stored(session: Session, numbers: Sequence[int]) -> dict[int, Any]:
    columns = (
        Document.id, Document.own_id, Document.collection_id, Document.row_hash, Document.content_hash,
        Document.added_at,
    )  # fmt: skip
    return {row.id: row for row in session.execute(select(*columns).where(Document.id.in_(numbers)))}


def _forget(session: Session, stored: Sequence[Any]) -> None:
    """Take documents out of every count and index; their own rows stay."""
    if not stored:
        return
    numbers = [row.id for row in stored]
    unindex_words(session, numbers)
    counts: Counter[int] = Counter()
    stems = grams = 0
    for words in session.execute(select(Words).where(Words.document_id.in_(numbers))).scalars():
        counts.subtract(unpack(words.terms).keys())
        stems, grams = stems + words.stems, grams + words.grams
    session.execute(delete(Words).where(Words.document_id.in_(numbers)))
    _add_counts(session, counts)
    _add_tag_counts(session, numbers, -1)
    session.execute(delete(DocumentTag).where(DocumentTag.document_id.in_(numbers)))
    _add_totals(session, -len(numbers), -stems, -grams)
    for collection, documents in Counter(row.collection_id for row in stored).items():
        change = {"documents": Collection.documents - documents}
        session.execute(update(Collection).where(Collection.id == collection).values(change))


def _remember(
    session: Session,
    collection: str,
    rows: Sequence[dict[str, Any]],
    documents: Sequence[NewDocument],
    found: Sequence[Terms],
) -> None:
    collection_row = {"id": number("collection", collection), "name": collection, "documents": len(rows)}
    upsert(session, _table(Collection), [collection_row], add=("documents",))
    values = [name for name in rows[0] if name not in ("id", "added_at")]
    upsert(session, _table(Document), rows, replace=values)
    numbers = [row["id"] for row in rows]
    _write_tags(session, dict(zip(numbers, (document.tags for document in documents), strict=True)))
    _add_tag_counts(session, numbers, 1)
    index_words(session, dict(zip(numbers, found, strict=True)))
    counts = Counter(term for one in found for term in one.ids)
    _add_counts(session, counts)
    _add_totals(session, len(rows), sum(f.stem_count for f in found), sum(f.gram_count for f in found))


def _write_tags(session: Session, tags: dict[int, tuple[str, ...]]) -> None:
    named = {tag_number(name): name for names in tags.values() for name in names}
    rows = [{"id": tag, "name": name, "key": tag_key(name)} for tag, name in sorted(named.items())]
    upsert(session, _table(Tag), rows)
    pairs: dict[tuple[int, int], int] = {}
    for document, names in tags.items():
        for place, name in enumerate(names):
            pairs.setdefault((document, tag_number(name)), min(place, 32_767))
    upsert(
        session,
        _table(DocumentTag),
        [{"document_id": document, "tag_id": tag, "place": place} for (document, tag), place in pairs.items()],
    )


def _add_tag_counts(session: Session, numbers: Sequence[int], sign: int) -> None:
    counted = session.execute(
        select(Document.collection_id, DocumentTag.tag_id, func.count())
        .join(Document, Document.id == DocumentTag.document_id)
        .where(DocumentTag.document_id.in_(numbers))
        .group_by(Document.collection_id, DocumentTag.tag_id)
    ).all()
    rows = [{"collection_id": c, "tag_id": tag, "documents": sign * count} for c, tag, count in sorted(counted)]
    upsert(session, _table(TagCount), rows, add=("documents",))
    if sign < 0:
        session.execute(delete(TagCount).where(TagCount.documents <= 0))


def _add_counts(session: Session, counts: Counter[int]) -> None:
    rows = [{"id": term, "documents": count} for term, count in sorted(counts.items())]
    upsert(session, _table(Term), rows, add=("documents",))


def _add_totals(session: Session, documents: int, stems: int, grams: int) -> None:
    totals = {
        "documents": State.documents + documents,
        "stems": State.stems + stems,
        "grams": State.grams + grams,
    }
    session.execute(update(State).where(State.id == 1).values(totals))


def _drop_embeddings(session: Session, version: int, numbers: Iterable[int]) -> None:
    """What a document no longer says must not be found by its meaning."""
    session.execute(delete(Embedding).where(Embedding.document_id.in_(list(numbers))))
    if version % 100 == 0:
        session.execute(delete(Change).where(Change.version < version - KEPT_CHANGES))


def _log_changes(session: Session, version: int, numbers: Sequence[int]) -> None:
    upsert(session, _table(Change), [{"version": version, "document_id": one} for one in numbers])


def _table(model: Any) -> Table:
    table: Table = model.__table__
    return table
