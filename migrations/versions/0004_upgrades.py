"""Up to which version documents know what wrote them: a former release does not tell. Indexes of what was scanned."""

from __future__ import annotations

import time

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"
branch_labels = None
depends_on = None

DECIDED = sa.text("status <> 'new' OR note <> ''")
NAMES = ("versioned", "versioned_at")


def upgrade() -> None:
    for name in NAMES:
        op.add_column("state", sa.Column(name, sa.BigInteger(), nullable=True))
    state = sa.table("state", *(sa.column(name, sa.BigInteger()) for name in ("version", *NAMES)))
    op.create_index("tag_count_tag", "tag_count", ["tag_id", "documents"])
    op.create_index(
        "screening_result_decided", "screening_result", ["screening_id"], sqlite_where=DECIDED, postgresql_where=DECIDED
    )
    op.execute(state.update().values(versioned=state.c.version, versioned_at=int(time.time())))


def downgrade() -> None:
    op.drop_index("screening_result_decided", "screening_result")
    op.drop_index("tag_count_tag", "tag_count")
    for name in NAMES:
        op.drop_column("state", name)
