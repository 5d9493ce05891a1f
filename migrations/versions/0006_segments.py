"""Words are indexed in segments of packed postings. Documents that are there already are indexed by a job.

The former index stays, empty once that job is done: a former release still finds its tables.
"""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from utils.citus import is_spread

revision = "0006"
down_revision = "0005"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")
BYTES = ("postings", "positions")


def upgrade() -> None:
    op.create_table(
        "segment",
        sa.Column("id", KEY, primary_key=True, autoincrement=False),
        sa.Column("kind", sa.SmallInteger(), nullable=False),
        *(sa.Column(name, sa.Integer(), nullable=False) for name in ("documents", "alive")),
        *(sa.Column(name, sa.BigInteger(), nullable=False) for name in ("words", "titles")),
        sa.Column("deleted", sa.LargeBinary(), nullable=False),
    )
    op.create_table(
        "segment_block",
        sa.Column("id", KEY, primary_key=True, autoincrement=False),
        *(sa.Column(name, sa.LargeBinary(), nullable=False) for name in BYTES),
    )
    op.create_table(
        "form",
        sa.Column("id", KEY, primary_key=True, autoincrement=False),
        sa.Column("form", sa.Text(), nullable=False),
    )
    if op.get_bind().dialect.name == "postgresql":
        for name in BYTES:  # packed numbers hardly get smaller, and compressing them takes time
            op.execute(f"ALTER TABLE segment_block ALTER COLUMN {name} SET STORAGE EXTERNAL")
    if is_spread(op.get_bind()):
        op.execute("SET LOCAL citus.multi_shard_modify_mode = 'sequential'")
        op.execute("SELECT create_distributed_table('segment_block', 'id', colocate_with => 'document')")
    op.add_column("state", sa.Column("indexed_to", sa.BigInteger(), nullable=True))
    op.add_column("state", sa.Column("indexed_version", sa.BigInteger(), nullable=True))
    op.execute("UPDATE state SET indexed_version = version")
    op.execute("UPDATE state SET indexed_to = -1 WHERE documents > 0")


def downgrade() -> None:
    op.drop_column("state", "indexed_version")
    op.drop_column("state", "indexed_to")
    for name in ("form", "segment_block", "segment"):
        op.drop_table(name)
