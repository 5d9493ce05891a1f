"""Up to which version documents know what wrote them: a former release does not tell."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

NAMES = ("versioned", "versioned_at")


def upgrade() -> None:
    for name in NAMES:
        op.add_column("state", sa.Column(name, sa.BigInteger(), nullable=True))
    state = sa.table("state", *(sa.column(name, sa.BigInteger()) for name in ("version", *NAMES)))
    op.execute(state.update().values(versioned=state.c.version, versioned_at=int(time.time())))


def downgrade() -> None:
    for name in NAMES:
        op.drop_column("state", name)
