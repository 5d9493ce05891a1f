"""Profiles ranked against a job, kept searches, and the version that wrote each document."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from utils.sql import BigKey

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None

BIG = sa.BigInteger()


def column(name: str, kind: sa.types.TypeEngine | type) -> sa.Column:
    return sa.Column(name, kind, nullable=False)


def key(name: str, *more: sa.ForeignKey) -> sa.Column:
    return sa.Column(name, BigKey, *more, primary_key=True, autoincrement=False, nullable=False)


def upgrade() -> None:
    op.add_column("document", sa.Column("version", BIG, nullable=False, server_default="0"))
    op.create_index("document_version", "document", ["version", "id"])
    op.create_table(
        "screening",
        key("id"),
        column("browser", BIG),
        column("jobs", sa.String(64)),
        column("job_id", sa.String(255)),
        column("title", sa.Text),
        column("asked", sa.JSON),
        column("profiles", sa.String(64)),
        column("state", sa.String(16)),
        *(column(name, BIG) for name in ("claim", "done", "total", "version")),
        column("basis", sa.String(64)),
        *(column(name, sa.JSON) for name in ("vocabulary", "columns")),
        column("message", sa.Text),
        *(column(name, BIG) for name in ("made_at", "updated_at", "used_at")),
    )
    op.create_index("screening_browser", "screening", ["browser", "made_at"])
    op.create_table(
        "screening_result",
        key("screening_id"),
        key("document_id", sa.ForeignKey("document.id", ondelete="CASCADE")),
        column("version", BIG),
        column("score", sa.Double()),
        column("status", sa.String(16)),
        column("note", sa.Text),
        sqlite_with_rowid=False,
    )
    op.create_index("screening_result_document", "screening_result", ["document_id"])
    op.create_table(
        "saved_search",
        key("id"),
        column("browser", BIG),
        column("name", sa.String(100)),
        column("address", sa.Text),
        *(column(name, BIG) for name in ("version", "made_at", "used_at")),
    )
    op.create_index("saved_search_browser", "saved_search", ["browser", "made_at"])
    op.create_index("saved_search_used", "saved_search", ["used_at"])


def downgrade() -> None:
    for table in ("saved_search", "screening_result", "screening"):
        op.drop_table(table)
    op.drop_index("document_version", "document")
    op.drop_column("document", "version")
