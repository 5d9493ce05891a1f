"""The bits of embeddings are packed in segments, so that the index of embeddings is read in large pieces.

A job packs the embeddings that are there already; until it is done they are read row by row, as before.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTES = ("heads", "data")


def upgrade() -> None:
    op.create_table(
        "embedding_segment",
        sa.Column("id", KEY, primary_key=True, autoincrement=False),
        sa.Column("model_id", sa.BigInteger(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("number", "documents", "rows")),
        *(sa.Column(name, sa.LargeBinary(), nullable=False) for name in BYTES),
    )
    op.create_table(
        "packed_embeddings",
        sa.Column("model_id", KEY, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("epoch", "basis", "version")),
        sa.Column("packed_to", sa.BigInteger(), nullable=True),
    )
    if op.get_bind().dialect.name == "postgresql":
        for name in BYTES:  # bits hardly get smaller, and compressing them takes time
            op.execute(f"ALTER TABLE embedding_segment ALTER COLUMN {name} SET STORAGE EXTERNAL")


def downgrade() -> None:
    for name in ("packed_embeddings", "embedding_segment"):
        op.drop_table(name)
