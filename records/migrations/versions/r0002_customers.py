"""Customers with their contacts, lines and links to billing; dead letters; notices put by to go out as one."""

import sqlalchemy as sa
from alembic import op

revision: str = "0002"
down_revision: str | None = "0001"
branch_labels: None = None
depends_on: None = None


def upgrade() -> None:
    """Forward."""
    _customers()
    _billing()
    _dead_letters()
    _bundles()


def downgrade() -> None:
    """Back."""
    for index, table in (
        ("ix_notice_parts_sent_at_put_at", "notice_parts"),
        ("ix_notice_parts_bundle_sent_at", "notice_parts"),
        ("ix_dead_letters_handled_at_received_at", "dead_letters"),
        ("ix_billing_links_source_account_reference", "billing_links"),
        ("ix_customer_claims_customer", "customer_claims"),
    ):
        op.drop_index(index, table_name=table)
    for table in (
        "notice_parts", "bundles", "dead_letters", "revisions",
        "billing_links", "contract_lines", "contacts", "customer_claims", "customers",
    ):  # fmt: skip
        op.drop_table(table)


def _text(name: str, *, null: bool = False) -> sa.Column[str]:
    return sa.Column(name, sa.Text(), nullable=null)


def _at(name: str, *, null: bool = False) -> sa.Column[object]:
    return sa.Column(name, sa.DateTime(timezone=True), nullable=null)


def _owned(table: str) -> sa.ForeignKeyConstraint:
    name = op.f(f"fk_{table}_customer_customers")
    return sa.ForeignKeyConstraint(["customer"], ["customers.id"], name=name, ondelete="CASCADE")


def _customers() -> None:
    op.create_table(
        "customers",
        _text("id"),
        _text("name"),
        _text("contract", null=True),
        sa.Column("domains", sa.JSON(), nullable=False),
        _at("revised_at"),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_customers")),
    )
    op.create_table(
        "customer_claims",
        _text("claim"),
        _text("customer"),
        _owned("customer_claims"),
        sa.PrimaryKeyConstraint("claim", name=op.f("pk_customer_claims")),
    )
    op.create_index("ix_customer_claims_customer", "customer_claims", ["customer"])
    op.create_table(
        "contacts",
        _text("customer"),
        _text("email_key"),
        _text("email"),
        _text("name"),
        sa.Column("roles", sa.JSON(), nullable=False),
        _text("prefers"),
        sa.Column("position", sa.Integer(), nullable=False),
        _owned("contacts"),
        sa.PrimaryKeyConstraint("customer", "email_key", name=op.f("pk_contacts")),
    )
    op.create_table(
        "contract_lines",
        _text("customer"),
        _text("id"),
        _text("title"),
        _text("contract", null=True),
        sa.Column("products", sa.JSON(), nullable=False),
        sa.Column("prepaid", sa.Boolean(), nullable=False),
        sa.Column("prepaid_until", sa.Date(), nullable=True),
        sa.Column("position", sa.Integer(), nullable=False),
        _owned("contract_lines"),
        sa.PrimaryKeyConstraint("customer", "id", name=op.f("pk_contract_lines")),
    )


def _billing() -> None:
    op.create_table(
        "billing_links",
        _text("customer"),
        _text("line"),
        _text("source"),
        _text("account"),
        _text("reference"),
        _text("subscription"),
        _owned("billing_links"),
        sa.PrimaryKeyConstraint("customer", "line", name=op.f("pk_billing_links")),
    )
    op.create_index("ix_billing_links_source_account_reference", "billing_links", ["source", "account", "reference"])
    op.create_table(
        "revisions",
        _text("name"),
        sa.Column("number", sa.BigInteger(), nullable=False),
        sa.PrimaryKeyConstraint("name", name=op.f("pk_revisions")),
    )


def _dead_letters() -> None:
    op.create_table(
        "dead_letters",
        _text("id"),
        _text("source"),
        _at("received_at"),
        _text("why"),
        _text("kind"),
        _text("subject"),
        _text("body"),
        _at("handled_at", null=True),
        _text("handled_how", null=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_dead_letters")),
    )
    op.create_index("ix_dead_letters_handled_at_received_at", "dead_letters", ["handled_at", "received_at"])


def _bundles() -> None:
    op.create_table(
        "bundles",
        _text("id"),
        _text("customer"),
        _at("sent_at", null=True),
        sa.PrimaryKeyConstraint("id", name=op.f("pk_bundles")),
    )
    key = ("bundle", "incident", "step_key", "recipient_channel", "recipient_id")
    op.create_table(
        "notice_parts",
        *(_text(name) for name in key),
        sa.Column("recipient", sa.JSON(), nullable=False),
        sa.Column("message", sa.JSON(), nullable=False),
        _at("put_at"),
        _at("sent_at", null=True),
        sa.PrimaryKeyConstraint(*key, name=op.f("pk_notice_parts")),
    )
    op.create_index("ix_notice_parts_bundle_sent_at", "notice_parts", ["bundle", "sent_at"])
    op.create_index("ix_notice_parts_sent_at_put_at", "notice_parts", ["sent_at", "put_at"])
