"""What each import changed, so that it can be undone."""

from __future__ import annotations

import sqlalchemy as sa
from alembic import op

revision = "0010"
down_revision = "0008"
branch_labels = None
depends_on = None

KEY = sa.BigInteger().with_variant(sa.Integer(), "sqlite")


def upgrade() -> None:
    op.create_table(
        "import_change",
        sa.Column("job_id", KEY, primary_key=True, autoincrement=False),
        sa.Column("document_id", KEY, primary_key=True, autoincrement=False),
        sa.Column("after", sa.LargeBinary(16), nullable=True),
        sa.Column("before", sa.LargeBinary(), nullable=True),
        sqlite_with_rowid=False,
    )
    op.create_index("import_change_document", "import_change", ["document_id"])


def downgrade() -> None:
    op.drop_table("import_change")
