"""The model that serves, where the site was switched to one."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

from utils.sql import BigKey

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None


def upgrade() -> None:
    op.add_column("state", sa.Column("model_id", BigKey, nullable=True))


def downgrade() -> None:
    op.drop_column("state", "model_id")
