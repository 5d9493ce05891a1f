"""Jobs have a kind and a claim, as screenings have: of several processes one runs a job."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("job", sa.Column("kind", sa.String(16), nullable=False, server_default="import"))
    op.add_column("job", sa.Column("claim", sa.BigInteger(), nullable=False, server_default="0"))


def downgrade() -> None:
    op.execute("DELETE FROM job WHERE kind <> 'import'")
    for name in ("claim", "kind"):
        op.drop_column("job", name)
