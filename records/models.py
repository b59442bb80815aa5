"""The tables, as SQLAlchemy models. A change here needs a revision in `migrations/`; a test holds the two together."""

from datetime import UTC, datetime

from sqlalchemy import JSON, DateTime, Dialect, Index, MetaData, Text, TypeDecorator
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
