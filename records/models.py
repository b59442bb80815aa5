"""The tables, as SQLAlchemy models. A change here needs a revision in `migrations/`; a test holds the two together."""

from datetime import UTC, date, datetime
from typing import Any

from sqlalchemy import JSON, BigInteger, DateTime, Dialect, ForeignKey, Index, MetaData, Text, TypeDecorator
from sqlalchemy.orm import DeclarativeBase, Mapped, mapped_column


class UtcDateTime(TypeDecorator[datetime]):
    """An instant to the microsecond: aware in, aware UTC out, also where the database (SQLite) keeps no offset."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is not None and value.utcoffset() is None:
            raise ValueError(f"{value.isoformat()} has no offset; the database keeps aware times only")
        return None if value is None else value.astimezone(UTC)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        if value is None:
            return None
        return value.replace(tzinfo=UTC) if value.utcoffset() is None else value.astimezone(UTC)


class Base(DeclarativeBase):
    """What all tables share: constraint names alike in every database, so that a migration can name them."""

    metadata = MetaData(
        naming_convention={
            "ix": "ix_%(table_name)s_%(column_0_N_name)s",
            "uq": "uq_%(table_name)s_%(column_0_N_name)s",
            "ck": "ck_%(table_name)s_%(constraint_name)s",
            "fk": "fk_%(table_name)s_%(column_0_N_name)s_%(referred_table_name)s",
            "pk": "pk_%(table_name)s",
        }
    )


class NoticeSent(Base):
    """One message that went out; its key is the idempotency key, so a row is there once."""

    __tablename__ = "notices_sent"
    __table_args__ = (
        Index("ix_notices_sent_sent_at", "sent_at"),
        Index("ix_notices_sent_incident", "incident"),
    )

    key: Mapped[str] = mapped_column(Text, primary_key=True)
    incident: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    clock: Mapped[str | None] = mapped_column(Text)
    step: Mapped[str | None] = mapped_column(Text)
    clause: Mapped[str | None] = mapped_column(Text)
    channel: Mapped[str] = mapped_column(Text)
    """The channel that was asked for."""
    recipients: Mapped[list[str]] = mapped_column(JSON)
    """The recipients' ids."""
    via: Mapped[str] = mapped_column(Text)
    """The channel it went by: `log`, `webhook` or `email`."""
    sent_at: Mapped[datetime] = mapped_column(UtcDateTime)
    detail: Mapped[str] = mapped_column(Text)


def _owner(*, key: bool = True) -> Mapped[str]:
    """The customer that a row belongs to; with the customer goes the row."""
    return mapped_column(Text, ForeignKey("customers.id", ondelete="CASCADE"), primary_key=key)


class CustomerRow(Base):
    """A customer, without its contacts, lines and links, which have tables of their own."""

    __tablename__ = "customers"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    name: Mapped[str] = mapped_column(Text)
    contract: Mapped[str | None] = mapped_column(Text)
    domains: Mapped[list[str]] = mapped_column(JSON)
    revised_at: Mapped[datetime] = mapped_column(UtcDateTime)


class CustomerClaim(Base):
    """Something that belongs to one customer alone: its id, a domain, a contact's address, a link to billing."""

    __tablename__ = "customer_claims"
    __table_args__ = (Index("ix_customer_claims_customer", "customer"),)

    claim: Mapped[str] = mapped_column(Text, primary_key=True)
    customer: Mapped[str] = _owner(key=False)


class ContactRow(Base):
    """One person of a customer."""

    __tablename__ = "contacts"

    customer: Mapped[str] = _owner()
    email_key: Mapped[str] = mapped_column(Text, primary_key=True)
    """The address as it is compared: upper and lower case alike."""
    email: Mapped[str] = mapped_column(Text)
    name: Mapped[str] = mapped_column(Text)
    roles: Mapped[list[str]] = mapped_column(JSON)
    prefers: Mapped[str] = mapped_column(Text)
    position: Mapped[int]
    """Its place among the customer's contacts, from 0."""


class ContractLineRow(Base):
    """One of the things that a customer has bought support for."""

    __tablename__ = "contract_lines"

    customer: Mapped[str] = _owner()
    id: Mapped[str] = mapped_column(Text, primary_key=True)
    title: Mapped[str] = mapped_column(Text)
    contract: Mapped[str | None] = mapped_column(Text)
    products: Mapped[list[str]] = mapped_column(JSON)
    prepaid: Mapped[bool]
    prepaid_until: Mapped[date | None]
    position: Mapped[int]


class BillingLinkRow(Base):
    """Where the payments for a line are kept."""

    __tablename__ = "billing_links"
    __table_args__ = (Index("ix_billing_links_source_account_reference", "source", "account", "reference"),)

    customer: Mapped[str] = _owner()
    line: Mapped[str] = mapped_column(Text, primary_key=True)
    """Empty: the whole customer's."""
    source: Mapped[str] = mapped_column(Text)
    account: Mapped[str] = mapped_column(Text)
    reference: Mapped[str] = mapped_column(Text)
    """The customer's id there."""
    subscription: Mapped[str] = mapped_column(Text, default="")
    """Empty: whichever of the customer's subscriptions are not over."""


class Revision(Base):
    """A number that counts up with every change of something, for those who keep a copy of it."""

    __tablename__ = "revisions"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    number: Mapped[int] = mapped_column(BigInteger)


class DeadLetter(Base):
    """A word from outside that could not be brought to anybody, until somebody has seen to it."""

    __tablename__ = "dead_letters"
    __table_args__ = (Index("ix_dead_letters_handled_at_received_at", "handled_at", "received_at"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    """The source and the id of the delivery, `SOURCE/ID`: sent twice, it is kept once."""
    source: Mapped[str] = mapped_column(Text)
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    why: Mapped[str] = mapped_column(Text)
    kind: Mapped[str] = mapped_column(Text)
    """The kind of event, in the source's words."""
    subject: Mapped[str] = mapped_column(Text)
    """What it is about, such as a customer's id that nobody knows."""
    body: Mapped[str] = mapped_column(Text)
    """What was sent, as much as any hook takes."""
    handled_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    handled_how: Mapped[str | None] = mapped_column(Text)


class Bundle(Base):
    """A message of an account that is to hold what all its incidents have to say of one and the same thing."""

    __tablename__ = "bundles"

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    customer: Mapped[str] = mapped_column(Text)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class NoticePart(Base):
    """What one incident has to say to one recipient, put by until its bundle goes out."""

    __tablename__ = "notice_parts"
    __table_args__ = (
        Index("ix_notice_parts_bundle_sent_at", "bundle", "sent_at"),
        Index("ix_notice_parts_sent_at_put_at", "sent_at", "put_at"),
    )

    bundle: Mapped[str] = mapped_column(Text, primary_key=True)
    incident: Mapped[str] = mapped_column(Text, primary_key=True)
    step_key: Mapped[str] = mapped_column(Text, primary_key=True)
    recipient_channel: Mapped[str] = mapped_column(Text, primary_key=True)
    recipient_id: Mapped[str] = mapped_column(Text, primary_key=True)
    recipient: Mapped[dict[str, Any]] = mapped_column(JSON)
    message: Mapped[dict[str, Any]] = mapped_column(JSON)
    """All that is needed to write it out."""
    put_at: Mapped[datetime] = mapped_column(UtcDateTime)
    sent_at: Mapped[datetime | None] = mapped_column(UtcDateTime)


class DeliveryRow(Base):
    """One request of a source and what became of it: the log of deliveries, and by what a repetition is known."""

    __tablename__ = "deliveries"
    __table_args__ = (
        Index("ix_deliveries_source_received_at", "source", "received_at"),
        Index("ix_deliveries_source_delivery", "source", "delivery"),
        Index("ix_deliveries_received_at", "received_at"),
    )

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    """A number of ours for it (hex), by which people name it."""
    source: Mapped[str] = mapped_column(Text)
    """`KIND/NAME`, as in the hook's address."""
    received_at: Mapped[datetime] = mapped_column(UtcDateTime)
    delivery: Mapped[str] = mapped_column(Text)
    """The sender's own id of it, empty where it has none."""
    digest: Mapped[str] = mapped_column(Text)
    """SHA-256 of the body, hex; empty where the body was not read."""
    kind: Mapped[str] = mapped_column(Text)
    """The type of event, in the source's words."""
    outcome: Mapped[str] = mapped_column(Text)
    """accepted, duplicate, ignored, spooled, kept, refused."""
    detail: Mapped[str] = mapped_column(Text)
    tickets: Mapped[list[str]] = mapped_column(JSON)
    words: Mapped[int]
    took_ms: Mapped[int]


class SpooledRow(Base):
    """Words of one ticket that Temporal did not take: brought to it as soon as it answers again."""

    __tablename__ = "spool"
    __table_args__ = (Index("ix_spool_put_at", "put_at"),)

    id: Mapped[str] = mapped_column(Text, primary_key=True)
    source: Mapped[str] = mapped_column(Text)
    ticket: Mapped[str] = mapped_column(Text)
    customer: Mapped[str] = mapped_column(Text)
    incident: Mapped[str | None] = mapped_column(Text)
    """The one incident that the words are for, where they open none."""
    words: Mapped[list[dict[str, Any]]] = mapped_column(JSON)
    put_at: Mapped[datetime] = mapped_column(UtcDateTime)
    tries: Mapped[int]
    why: Mapped[str] = mapped_column(Text)


class SourceRow(Base):
    """How a connected source does: when it was heard last, how far it was read."""

    __tablename__ = "sources"

    name: Mapped[str] = mapped_column(Text, primary_key=True)
    kind: Mapped[str] = mapped_column(Text)
    since: Mapped[datetime] = mapped_column(UtcDateTime)
    """When it was connected."""
    heard_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    read_to: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """Up to which of its own moments its API was read."""
    read_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    read_how: Mapped[str] = mapped_column(Text)
    """What came of it, one sentence."""
    told_quiet_at: Mapped[datetime | None] = mapped_column(UtcDateTime)
    """When somebody was told that nothing is heard of it; none: it is heard."""


class ThreadRow(Base):
    """What a channel calls the message that an incident has there, so that the next one goes below it."""

    __tablename__ = "threads"

    incident: Mapped[str] = mapped_column(Text, primary_key=True)
    channel: Mapped[str] = mapped_column(Text, primary_key=True)
    """The channel and the address there, such as `slack:C0123`."""
    reference: Mapped[str] = mapped_column(Text)
    state: Mapped[dict[str, Any]] = mapped_column(JSON)
    """What the message says now."""
    put_at: Mapped[datetime] = mapped_column(UtcDateTime)
