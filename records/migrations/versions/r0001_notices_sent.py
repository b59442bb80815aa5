"""The table of messages that went out."""

import sqlalchemy as sa
from alembic import op

revision: str = "0001"
down_revision: str | None = None
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    """Forward."""
    op.create_table(
        "notices_sent",
        sa.Column("key", sa.Text(), nullable=False),
        sa.Column("incident", sa.Text(), nullable=False),
        sa.Column("kind", sa.Text(), nullable=False),
        sa.Column("clock", sa.Text(), nullable=True),
        sa.Column("step", sa.Text(), nullable=True),
        sa.Column("clause", sa.Text(), nullable=True),
        sa.Column("channel", sa.Text(), nullable=False),
        sa.Column("recipients", sa.JSON(), nullable=False),
        sa.Column("via", sa.Text(), nullable=False),
        sa.Column("sent_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("detail", sa.Text(), nullable=False),
        sa.PrimaryKeyConstraint("key", name=op.f("pk_notices_sent")),
    )
    op.create_index("ix_notices_sent_sent_at", "notices_sent", ["sent_at"])
    op.create_index("ix_notices_sent_incident", "notices_sent", ["incident"])


def downgrade() -> None:
    """Back."""
    op.drop_index("ix_notices_sent_incident", table_name="notices_sent")
    op.drop_index("ix_notices_sent_sent_at", table_name="notices_sent")
    op.drop_table("notices_sent")
