"""What is stored. A document's key is a hash of its collection and own id: the same in every database."""

from __future__ import annotations

from functools import lru_cache
from hashlib import blake2b
from typing import Any

from flask_sqlalchemy import SQLAlchemy
from sqlalchemy import (
    JSON,
    BigInteger,
    Boolean,
    Double,
    ForeignKey,
    Index,
    LargeBinary,
    SmallInteger,
    String,
    Text,
    false,
    text,
)
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column

from utils.hebrew import normalise
from utils.sql import BigKey, BinaryText

# Versions that a running process may be behind before it reads everything anew.
KEPT_CHANGES = 50_000
HALF_TABLES = "vectors_"


class Base(DeclarativeBase):
    """What all tables share."""


db = SQLAlchemy(model_class=Base)


def number(*parts: str) -> int:
    """Return a 63-bit number made of the parts: the first 8 bytes of BLAKE2b, the top bit cleared."""
    digest = blake2b("\x1f".join(parts).encode("utf-8", "surrogatepass"), digest_size=8).digest()
    return int.from_bytes(digest, "big") >> 1


def document_number(collection: str, own_id: str) -> int:
    return number("document", collection, own_id)


@lru_cache(maxsize=2_048)
def tag_key(name: str) -> str:
    """Return the name under which spellings of a tag meet: folded, white space joined, no quotes."""
    return " ".join(normalise(name).replace('"', "").split())


@lru_cache(maxsize=2_048)
def tag_number(name: str) -> int:
    """Return a tag's key in the database: it follows from its name, so that no look-up is needed."""
    return number("tag", tag_key(name))


def model_number(name: str, checksum: str) -> int:
    """Return a model's key: the same name with other files is another model, and shares no embedding."""
    return number("model", name, checksum)


def half_table(model: int) -> str:
    """Return the name of the table that has a model's embeddings in half precision, where pgvector indexes them.

    A table a model, since a column of halves has one width. It is made of `embedding` and can be made anew at any time:
    no migration knows it, and no backup holds it.
    """
    return f"{HALF_TABLES}{model}"


class Collection(Base):
    """A set of documents under one name; a document belongs to one. Only keys for it read a private one."""

    __tablename__ = "collection"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(64), nullable=False)
    documents: Mapped[int] = mapped_column(BigInteger, default=0)
    is_private: Mapped[bool] = mapped_column(Boolean, nullable=False, server_default=false())


class Document(Base):
    """A titled text with tags; `row_hash` tells an unchanged row, `content_hash` an embedding out of date."""

    __tablename__ = "document"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    collection_id: Mapped[int] = mapped_column(BigKey, ForeignKey("collection.id"), nullable=False)
    own_id: Mapped[str] = mapped_column(String(255), nullable=False)
    title: Mapped[str] = mapped_column(Text, nullable=False)
    body: Mapped[str] = mapped_column(Text, nullable=False)
    language: Mapped[str] = mapped_column(String(16), nullable=False, default="")
    source: Mapped[str] = mapped_column(Text, nullable=False, default="")
    url: Mapped[str] = mapped_column(Text, nullable=False, default="")
    licence: Mapped[str] = mapped_column(Text, nullable=False, default="")
    extra: Mapped[dict[str, Any]] = mapped_column(JSON, nullable=False, default=dict)
    row_hash: Mapped[bytes] = mapped_column(LargeBinary(16), nullable=False)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(16), nullable=False)
    added_at: Mapped[int] = mapped_column(BigInteger, nullable=False)  # seconds since 1970, UTC
    changed_at: Mapped[int] = mapped_column(BigInteger, nullable=False)
    # The state's version that wrote it: what came after a moment is what has a greater one, whatever clocks say.
    version: Mapped[int] = mapped_column(BigInteger, nullable=False, server_default="0")
    __table_args__ = (
        Index("document_newest", "added_at", "id"),
        Index("document_collection", "collection_id", "added_at", "id"),
        Index("document_language", "language", "id"),
        Index("document_version", "version", "id"),
    )


class Tag(Base):
    """A tag by its normalised name (`key`); `name` is as first written."""

    __tablename__ = "tag"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(Text, nullable=False)
    key: Mapped[str] = mapped_column(BinaryText, nullable=False)
    __table_args__ = (Index("tag_key", "key"),)


class DocumentTag(Base):
    """A document has a tag; `place` keeps the order in which the document names its tags."""

    __tablename__ = "document_tag"
    document_id: Mapped[int] = mapped_column(BigKey, ForeignKey("document.id", ondelete="CASCADE"), primary_key=True)
    tag_id: Mapped[int] = mapped_column(BigKey, ForeignKey("tag.id"), primary_key=True)
    place: Mapped[int] = mapped_column(SmallInteger, nullable=False)
    __table_args__ = (Index("document_tag_tag", "tag_id", "document_id"), {"sqlite_with_rowid": False})


class TagCount(Base):
    """How many documents of a collection have a tag; kept with the documents, in the same transaction."""

    __tablename__ = "tag_count"
    collection_id: Mapped[int] = mapped_column(BigKey, ForeignKey("collection.id"), primary_key=True)
    tag_id: Mapped[int] = mapped_column(BigKey, ForeignKey("tag.id"), primary_key=True)
    documents: Mapped[int] = mapped_column(BigInteger, nullable=False)
    __table_args__ = (
        Index("tag_count_most", "collection_id", "documents"),
        Index("tag_count_tag", "tag_id", "documents"),
        {"sqlite_with_rowid": False},
    )


class IndexSegment(Base):
    """A part of the word index: up to 65,535 documents, or forms of the vocabulary, whose postings never change.

    `alive` of its `documents` are not deleted; `words` and `titles` are their words, all and those in titles. `deleted`
    is a bitmap of the others, empty if there are none.
    """

    __tablename__ = "segment"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    kind: Mapped[int] = mapped_column(SmallInteger, nullable=False)
    documents: Mapped[int] = mapped_column(nullable=False)
    alive: Mapped[int] = mapped_column(nullable=False)
    words: Mapped[int] = mapped_column(BigInteger, nullable=False)
    titles: Mapped[int] = mapped_column(BigInteger, nullable=False)
    deleted: Mapped[bytes] = mapped_column(LargeBinary, nullable=False)


class SegmentBlock(Base):
    """A block of a segment: its documents under the segment's own id, their postings under the ids that follow."""

    __tablename__ = "segment_block"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    postings: Mapped[bytes] = mapped_column(LargeBinary, nullable=False)
    positions: Mapped[bytes] = mapped_column(LargeBinary, nullable=False)


class Form(Base):
    """A folded word that a document contains, by its term."""

    __tablename__ = "form"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    form: Mapped[str] = mapped_column(Text, nullable=False)


class State(Base):
    """One row: the number of documents, and a version that grows with every committed change.

    Its update locks the row, so that versions are committed in their order.
    """

    __tablename__ = "state"
    id: Mapped[int] = mapped_column(primary_key=True, autoincrement=False)
    version: Mapped[int] = mapped_column(BigInteger, nullable=False)
    analysis: Mapped[int] = mapped_column(nullable=False)
    documents: Mapped[int] = mapped_column(BigInteger, nullable=False)
    # Documents with greater keys still await the word index; null if none do.
    indexed_to: Mapped[int | None] = mapped_column(BigInteger, nullable=True)
    # The version up to which all writers knew the word index: what a former release wrote later is not in it.
    indexed_version: Mapped[int | None] = mapped_column(BigInteger, nullable=True)
    # The model that the site was switched to; none where it was not: the setting then names it.
    model_id: Mapped[int | None] = mapped_column(BigKey, nullable=True)
    # The version, and the second, up to which every document knows by which version it was written: what a former
    # release wrote later does not. See indexes.version.
    versioned: Mapped[int | None] = mapped_column(BigInteger, nullable=True)
    versioned_at: Mapped[int | None] = mapped_column(BigInteger, nullable=True)


class Change(Base):
    """Which documents' embeddings a version touched: what a running process reads to follow."""

    __tablename__ = "change"
    version: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    document_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    __table_args__ = ({"sqlite_with_rowid": False},)


class Model(Base):
    """An encoder whose embeddings are stored; `checksum` is of the prepared files that made them."""

    __tablename__ = "model"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(128), nullable=False)
    dim: Mapped[int] = mapped_column(nullable=False)
    checksum: Mapped[str] = mapped_column(String(64), nullable=False)


class Embedding(Base):
    """One window of a document under one model: float32 scale and int8 values of (x - mean)."""

    __tablename__ = "embedding"
    document_id: Mapped[int] = mapped_column(BigKey, ForeignKey("document.id", ondelete="CASCADE"), primary_key=True)
    model_id: Mapped[int] = mapped_column(BigKey, ForeignKey("model.id"), primary_key=True)
    window: Mapped[int] = mapped_column(SmallInteger, primary_key=True)
    start: Mapped[int] = mapped_column(nullable=False)  # characters of the body: half-open range of the window
    end: Mapped[int] = mapped_column(nullable=False)
    content_hash: Mapped[bytes] = mapped_column(LargeBinary(16), nullable=False)
    vector: Mapped[bytes] = mapped_column(LargeBinary, nullable=False)
    __table_args__ = (Index("embedding_model", "model_id", "document_id", "window"),)


class PackedEmbeddings(Base):
    """How far the embeddings of a model are packed in segments.

    `epoch` is drawn when packing begins, `basis` says against which means; every change up to `version` is packed, and
    of the documents of the beginning those with keys up to `packed_to`, or all if it is null.
    """

    __tablename__ = "packed_embeddings"
    model_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    epoch: Mapped[int] = mapped_column(BigInteger, nullable=False)
    basis: Mapped[int] = mapped_column(BigInteger, nullable=False)
    version: Mapped[int] = mapped_column(BigInteger, nullable=False)
    packed_to: Mapped[int | None] = mapped_column(BigInteger, nullable=True)


class EmbeddingSegment(Base):
    """The bits of the embeddings of some documents, which never change; of a document the highest `number` counts.

    `heads` are the documents' keys and how many rows each has, none if it was deleted; `data` are the rows.
    """

    __tablename__ = "embedding_segment"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    model_id: Mapped[int] = mapped_column(BigInteger, nullable=False)
    number: Mapped[int] = mapped_column(nullable=False)
    documents: Mapped[int] = mapped_column(nullable=False)
    rows: Mapped[int] = mapped_column(nullable=False)
    heads: Mapped[bytes] = mapped_column(LargeBinary, nullable=False)
    data: Mapped[bytes] = mapped_column(LargeBinary, nullable=False)


class TagEmbedding(Base):
    """A tag's name under one model, in the same compact form."""

    __tablename__ = "tag_embedding"
    model_id: Mapped[int] = mapped_column(BigKey, ForeignKey("model.id"), primary_key=True)
    tag_id: Mapped[int] = mapped_column(BigKey, ForeignKey("tag.id"), primary_key=True)
    vector: Mapped[bytes] = mapped_column(LargeBinary, nullable=False)
    __table_args__ = ({"sqlite_with_rowid": False},)


class Job(Base):
    """Background work: `kind` is import or embed.

    `state` is waiting (for the user), queued, running, embedding, done, failed or cancelled; `claim` is the token of
    the process that runs it. See jobs/claims.py.
    """

    __tablename__ = "job"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(255), nullable=False)
    options: Mapped[dict[str, Any]] = mapped_column(JSON, nullable=False)
    kind: Mapped[str] = mapped_column(String(16), nullable=False, server_default="import")
    state: Mapped[str] = mapped_column(String(16), nullable=False)
    claim: Mapped[int] = mapped_column(BigInteger, nullable=False, server_default="0")
    done: Mapped[int] = mapped_column(BigInteger, nullable=False)
    total: Mapped[int] = mapped_column(BigInteger, nullable=False)
    report: Mapped[dict[str, Any]] = mapped_column(JSON, nullable=False)
    updated_at: Mapped[int] = mapped_column(BigInteger, nullable=False)


class ImportChange(Base):
    """A document that an import changed: its `row_hash` after, null if deleted, and all of it before, null if new.

    `before` is compressed; see indexing/journal.py. The document may be gone.
    """

    __tablename__ = "import_change"
    job_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    document_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    after: Mapped[bytes | None] = mapped_column(LargeBinary(16), nullable=True)
    before: Mapped[bytes | None] = mapped_column(LargeBinary, nullable=True)
    __table_args__ = (Index("import_change_document", "document_id"), {"sqlite_with_rowid": False})


class Screening(Base):
    """Profiles ranked against one job: what the job asked for when it began, how far it is, what was found of columns.

    `state` is waiting, running, done, cancelled or failed; `claim` is of the process that runs it, and what it writes
    holds only while the claim is its own. `browser` is the number of the browser that began it, or a key's id below
    zero; `client` is a hash of that browser's address. A plain local table where the database is several servers.
    """

    __tablename__ = "screening"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    browser: Mapped[int] = mapped_column(BigInteger, nullable=False)
    jobs: Mapped[str] = mapped_column(String(64), nullable=False)
    job_id: Mapped[str] = mapped_column(String(255), nullable=False)  # empty where a text was pasted
    title: Mapped[str] = mapped_column(Text, nullable=False)
    asked: Mapped[list[Any]] = mapped_column(JSON, nullable=False)
    profiles: Mapped[str] = mapped_column(String(64), nullable=False)
    state: Mapped[str] = mapped_column(String(16), nullable=False)
    claim: Mapped[int] = mapped_column(BigInteger, nullable=False)
    done: Mapped[int] = mapped_column(BigInteger, nullable=False)
    total: Mapped[int] = mapped_column(BigInteger, nullable=False)
    version: Mapped[int] = mapped_column(BigInteger, nullable=False)  # what was written later is not ranked yet
    basis: Mapped[str] = mapped_column(String(64), nullable=False)  # by which model skills were compared
    vocabulary: Mapped[dict[str, Any]] = mapped_column(JSON, nullable=False, deferred=True)
    columns: Mapped[list[Any]] = mapped_column(JSON, nullable=False)
    message: Mapped[str] = mapped_column(Text, nullable=False)
    made_at: Mapped[int] = mapped_column(BigInteger, nullable=False)
    updated_at: Mapped[int] = mapped_column(BigInteger, nullable=False)
    used_at: Mapped[int] = mapped_column(BigInteger, nullable=False)
    client: Mapped[int] = mapped_column(BigInteger, nullable=False, default=0, server_default="0")
    __table_args__ = (Index("screening_browser", "browser", "made_at"),)


# Spelled out and not bound: an index of some rows serves only a condition that reads as its own.
DECIDED = text("status <> 'new' OR note <> ''")


class ScreeningResult(Base):
    """A profile in a screening: how well it answers, as of which version of it, and what people decided."""

    __tablename__ = "screening_result"
    screening_id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    document_id: Mapped[int] = mapped_column(BigKey, ForeignKey("document.id", ondelete="CASCADE"), primary_key=True)
    version: Mapped[int] = mapped_column(BigInteger, nullable=False)
    score: Mapped[float] = mapped_column(Double, nullable=False)
    status: Mapped[str] = mapped_column(String(16), nullable=False)
    note: Mapped[str] = mapped_column(Text, nullable=False)
    decided_by: Mapped[str] = mapped_column(String(120), nullable=False, default="", server_default="")
    decided_at: Mapped[int] = mapped_column(BigInteger, nullable=False, default=0, server_default="0")
    __table_args__ = (
        Index("screening_result_document", "document_id"),
        Index("screening_result_decided", "screening_id", sqlite_where=DECIDED, postgresql_where=DECIDED),
        {"sqlite_with_rowid": False},
    )


class SavedSearch(Base):
    """An address that a browser or a key keeps under a name, and the state's version when it was last looked at."""

    __tablename__ = "saved_search"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    browser: Mapped[int] = mapped_column(BigInteger, nullable=False)
    name: Mapped[str] = mapped_column(String(100), nullable=False)
    address: Mapped[str] = mapped_column(Text, nullable=False)
    version: Mapped[int] = mapped_column(BigInteger, nullable=False)
    made_at: Mapped[int] = mapped_column(BigInteger, nullable=False)
    used_at: Mapped[int] = mapped_column(BigInteger, nullable=False)
    client: Mapped[int] = mapped_column(BigInteger, nullable=False, default=0, server_default="0")
    __table_args__ = (Index("saved_search_browser", "browser", "made_at"), Index("saved_search_used", "used_at"))


class ApiKey(Base):
    """A key by the hash of its text; `collections` are the only ones that it opens, all if empty."""

    __tablename__ = "api_key"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    name: Mapped[str] = mapped_column(String(100), nullable=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32), nullable=False)
    scopes: Mapped[list[str]] = mapped_column(JSON, nullable=False)
    collections: Mapped[list[str]] = mapped_column(JSON, nullable=False)
    made_at: Mapped[int] = mapped_column(BigInteger, nullable=False)
    expires_at: Mapped[int | None] = mapped_column(BigInteger, nullable=True)
    revoked_at: Mapped[int | None] = mapped_column(BigInteger, nullable=True)
    used_at: Mapped[int | None] = mapped_column(BigInteger, nullable=True)


class ScreeningLink(Base):
    """A link that shares a screening, by the hash of its secret; `made_by` is the key of who made it, or 0."""

    __tablename__ = "screening_link"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    screening_id: Mapped[int] = mapped_column(BigInteger, nullable=False)
    hash: Mapped[bytes] = mapped_column(LargeBinary(32), nullable=False)
    name: Mapped[str] = mapped_column(String(100), nullable=False)
    may_decide: Mapped[bool] = mapped_column(Boolean, nullable=False)
    made_by: Mapped[int] = mapped_column(BigInteger, nullable=False)
    made_at: Mapped[int] = mapped_column(BigInteger, nullable=False)
    __table_args__ = (Index("screening_link_screening", "screening_id"),)


class AuditEntry(Base):
    """Who did what, when and from where; never what somebody searched for."""

    __tablename__ = "audit_entry"
    id: Mapped[int] = mapped_column(BigKey, primary_key=True, autoincrement=False)
    at: Mapped[int] = mapped_column(BigInteger, nullable=False)
    who: Mapped[str] = mapped_column(String(120), nullable=False)
    client: Mapped[str] = mapped_column(String(64), nullable=False)
    action: Mapped[str] = mapped_column(String(32), nullable=False)
    what: Mapped[str] = mapped_column(Text, nullable=False)
    __table_args__ = (Index("audit_entry_at", "at"),)
