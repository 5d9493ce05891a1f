"""Who may do what: keys, private collections, links to screenings, authors of decisions, and the audit log."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def number(name: str, nullable: bool = False) -> sa.Column[int]:
    return sa.Column(name, sa.BigInteger(), nullable=nullable)


def upgrade() -> None:
    op.create_table(
        "api_key",
        sa.Column("id", KEY, primary_key=True, autoincrement=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        *(sa.Column(name, sa.JSON(), nullable=False) for name in ("scopes", "collections")),
        number("made_at"),
        *(number(name, nullable=True) for name in ("expires_at", "revoked_at", "used_at")),
    )
    op.create_table(
        "screening_link",
        sa.Column("id", KEY, primary_key=True, autoincrement=False),
        number("screening_id"),
        sa.Column("hash", sa.LargeBinary(32), nullable=False),
        sa.Column("name", sa.String(100), nullable=False),
        sa.Column("may_decide", sa.Boolean(), nullable=False),
        *(number(name) for name in ("made_by", "made_at")),
    )
    op.create_index("screening_link_screening", "screening_link", ["screening_id"])
    op.create_table(
        "audit_entry",
        sa.Column("id", KEY, primary_key=True, autoincrement=False),
        number("at"),
        sa.Column("who", sa.String(120), nullable=False),
        sa.Column("client", sa.String(64), nullable=False),
        sa.Column("action", sa.String(32), nullable=False),
        sa.Column("what", sa.Text(), nullable=False),
    )
    op.create_index("audit_entry_at", "audit_entry", ["at"])
    op.add_column("collection", sa.Column("is_private", sa.Boolean(), nullable=False, server_default=sa.false()))
    for table, name in (("screening", "client"), ("saved_search", "client"), ("screening_result", "decided_at")):
        op.add_column(table, sa.Column(name, sa.BigInteger(), nullable=False, server_default="0"))
    op.add_column("screening_result", sa.Column("decided_by", sa.String(120), nullable=False, server_default=""))


def downgrade() -> None:
    for table, name in (
        ("screening_result", "decided_by"), ("screening_result", "decided_at"), ("saved_search", "client"),
        ("screening", "client"), ("collection", "is_private"),
    ):  # fmt: skip
        op.drop_column(table, name)
    for name in ("audit_entry", "screening_link", "api_key"):
        op.drop_table(name)
