"""Connected sources: deliveries and what became of them, the spool, how each source does; threads of channels."""

import sqlalchemy as sa
from alembic import op

revision: str = "0003"
down_revision: str | None = "0002"
branch_labels: None = None
depends_on: None = None

INDEXES = (
    ("ix_deliveries_source_received_at", "deliveries", ("source", "received_at")),
    ("ix_deliveries_source_delivery", "deliveries", ("source", "delivery")),
    ("ix_deliveries_received_at", "deliveries", ("received_at",)),
    ("ix_spool_put_at", "spool", ("put_at",)),
)


def upgrade() -> None:
    """Forward."""
    _table(
        "deliveries", ("id",), _text("id"), _text("source"), _at("received_at"), _text("delivery"), _text("digest"),
        _text("kind"), _text("outcome"), _text("detail"), _json("tickets"), _number("words"), _number("took_ms"),
    )  # fmt: skip
    _table(
        "spool", ("id",), _text("id"), _text("source"), _text("ticket"), _text("customer"), _text("incident", null=True),
        _json("words"), _at("put_at"), _number("tries"), _text("why"),
    )  # fmt: skip
    _table(
        "sources", ("name",), _text("name"), _text("kind"), _at("since"), _at("heard_at", null=True), _at("read_to", null=True),
        _at("read_at", null=True), _text("read_how"), _at("told_quiet_at", null=True),
    )  # fmt: skip
    _table(
        "threads", ("incident", "channel"), _text("incident"), _text("channel"), _text("reference"), _json("state"),
        _at("put_at"),
    )  # fmt: skip
    for name, table, columns in INDEXES:
        op.create_index(name, table, list(columns))


def downgrade() -> None:
    """Back."""
    for name, table, _ in reversed(INDEXES):
        op.drop_index(name, table_name=table)
    for table in ("threads", "sources", "spool", "deliveries"):
        op.drop_table(table)


def _table(name: str, key: tuple[str, ...], *columns: sa.Column[object]) -> None:
    op.create_table(name, *columns, sa.PrimaryKeyConstraint(*key, name=op.f(f"pk_{name}")))


def _text(name: str, *, null: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.Text(), nullable=null)


def _at(name: str, *, null: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=null)


def _json(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.JSON(), nullable=False)


def _number(name: str) -> sa.Column[object]:
    return sa.Column(name, sa.Integer(), nullable=False)
