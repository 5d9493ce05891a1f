"""Documents with tags, their words, and the embeddings of both."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from utils.sql import BigKey, BinaryText
from utils.terms import INDEX_VERSION

revision = "0001"
down_revision = None
branch_labels = None
depends_on = None

BIG, BYTES = sa.BigInteger(), sa.LargeBinary()


def column(name: str, kind: sa.types.TypeEngine | type, *more: sa.ForeignKey, **options: Any) -> sa.Column:
    return sa.Column(name, kind, *more, nullable=False, **options)


def key(name: str, *more: sa.ForeignKey, kind: sa.types.TypeEngine | None = None) -> sa.Column:
    return column(name, kind or BigKey, *more, primary_key=True, autoincrement=False)


def to(target: str, ondelete: str | None = None) -> sa.ForeignKey:
    return sa.ForeignKey(target, ondelete=ondelete)


def upgrade() -> None:
    op.create_table("collection", key("id"), column("name", sa.String(64)), column("documents", BIG))
    create_documents()
    create_tags()
    create_words()
    create_embeddings()
    create_jobs()


def create_documents() -> None:
    op.create_table(
        "document",
        key("id"),
        column("collection_id", BigKey, to("collection.id")),
        column("own_id", sa.String(255)),
        *(column(name, sa.Text) for name in ("title", "body")),
        column("language", sa.String(16)),
        *(column(name, sa.Text) for name in ("source", "url", "licence")),
        column("extra", sa.JSON),
        column("row_hash", sa.LargeBinary(16)),
        column("content_hash", sa.LargeBinary(16)),
        column("added_at", BIG),
        column("changed_at", BIG),
    )
    op.create_index("document_newest", "document", ["added_at", "id"])
    op.create_index("document_collection", "document", ["collection_id", "added_at", "id"])
    op.create_index("document_language", "document", ["language", "id"])


def create_tags() -> None:
    op.create_table("tag", key("id"), column("name", sa.Text), column("key", BinaryText))
    op.create_index("tag_key", "tag", ["key"])
    op.create_table(
        "document_tag",
        key("document_id", to("document.id", "CASCADE")),
        key("tag_id", to("tag.id")),
        column("place", sa.SmallInteger),
        sqlite_with_rowid=False,
    )
    op.create_index("document_tag_tag", "document_tag", ["tag_id", "document_id"])
    op.create_table(
        "tag_count",
        key("collection_id", to("collection.id")),
        key("tag_id", to("tag.id")),
        column("documents", BIG),
        sqlite_with_rowid=False,
    )
    op.create_index("tag_count_most", "tag_count", ["collection_id", "documents"])


def create_words() -> None:
    op.create_table(
        "words",
        key("document_id", to("document.id", "CASCADE")),
        column("stems", sa.Integer),
        column("grams", sa.Integer),
        column("titles", sa.Integer),
        column("terms", BYTES),
    )
    op.create_table("term", key("id"), column("documents", BIG))
    state = op.create_table(
        "state",
        key("id", kind=sa.Integer()),
        column("version", BIG),
        column("analysis", sa.Integer),
        *(column(name, BIG) for name in ("documents", "stems", "grams", "titles")),
    )
    zero = dict.fromkeys(("version", "documents", "stems", "grams", "titles"), 0)
    op.bulk_insert(state, [{"id": 1, "analysis": INDEX_VERSION, **zero}])
    op.create_table("change", key("version"), key("document_id"), sqlite_with_rowid=False)
    create_full_text()


def create_full_text() -> None:
    if op.get_bind().dialect.name == "postgresql":
        op.execute("ALTER TABLE words ADD COLUMN tsv tsvector")
        op.execute("CREATE INDEX words_tsv ON words USING gin (tsv) WITH (fastupdate = off)")
    else:
        # The documents' own rows hold the text: the index keeps only which term stands where (half the size).
        op.execute(
            "CREATE VIRTUAL TABLE words_fts USING fts5(stem, gram, title, content='', detail=column,"
            " tokenize=\"ascii tokenchars '_.+#'\")"
        )
        # Eight parts of the index may wait to be merged, not four: an import takes an eighth less, a search the same.
        op.execute("INSERT INTO words_fts(words_fts, rank) VALUES ('automerge', 8)")


def create_embeddings() -> None:
    op.create_table(
        "model",
        key("id"),
        column("name", sa.String(128)),
        column("dim", sa.Integer),
        column("checksum", sa.String(64)),
    )
    op.create_table(
        "embedding",
        key("document_id", to("document.id", "CASCADE")),
        key("model_id", to("model.id")),
        key("window", kind=sa.SmallInteger()),
        column("start", sa.Integer),
        column("end", sa.Integer),
        column("content_hash", sa.LargeBinary(16)),
        column("vector", BYTES),
    )
    op.create_index("embedding_model", "embedding", ["model_id", "document_id", "window"])
    op.create_table(
        "tag_embedding",
        key("model_id", to("model.id")),
        key("tag_id", to("tag.id")),
        column("vector", BYTES),
        sqlite_with_rowid=False,
    )


def create_jobs() -> None:
    op.create_table(
        "job",
        key("id"),
        column("name", sa.String(255)),
        column("options", sa.JSON),
        column("state", sa.String(16)),
        *(column(name, BIG) for name in ("done", "total")),
        column("report", sa.JSON),
        column("updated_at", BIG),
    )


def downgrade() -> None:
    if op.get_bind().dialect.name == "sqlite":
        op.execute("DROP TABLE words_fts")
    tables = "job tag_embedding embedding model change state term words tag_count document_tag tag document collection"
    for table in tables.split():
        op.drop_table(table)
