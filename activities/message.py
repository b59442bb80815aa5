"""What goes out and what comes of it: a message, its receipt, and the two ways in which a channel fails."""

from typing import Annotated, Final

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

Key = Annotated[str, StringConstraints(min_length=1, max_length=1000, pattern=r"^[^\x00-\x1f\x7f]+$")]


UPDATE: Final = "update"
"""A message of this kind says nothing new: it brings up to date what a channel shows of an incident."""


OVER: Final = ("resolved", "closed")
"""Phases in which nobody is to be paged any more."""


class Address(BaseModel):
    """Somebody to tell: their id, their name where known, and the address within the channel."""

    model_config = ConfigDict(frozen=True)

    id: str
    name: str = ""
    address: str | None = None


class Message(BaseModel):
    """One message on one channel. Two messages of one key are the same message, and only one of them goes out."""

    model_config = ConfigDict(frozen=True)

    key: Key
    incident: str
    kind: str
    clock: str | None = None
    step: str | None = None
    clause: str | None = None
    channel: str
    to: Annotated[tuple[Address, ...], Field(min_length=1)]
    subject: str
    text: str
    at: AwareDatetime
    """When the step fell due."""
    data: dict[str, str] = {}
    """Facts for a program that reads the message: `customer`, `priority`, `assignee`, `left`, `due`, `phase`, …"""
    links: dict[str, str] = {}
    """Web addresses by what they do: `acknowledge` (signed), `incident` (its page)."""
    fallbacks: tuple[tuple[str, str | None], ...] = Field(default=(), exclude=True)
    """Further ways to the same person, channel and address, in the order in which to try them; at last comes the log."""
    to_customer: bool = False
    not_before: AwareDatetime | None = None
    """A quiet message that has no quiet way waits for this moment."""
    quiet: bool = False
    """Whether it must wake nobody: it is said outside the hours of what is promised, or only for the record."""


class Receipt(BaseModel):
    """What came of a message: `via` is how it went, such as `email` or `log`, and `detail` is for people."""

    model_config = ConfigDict(frozen=True)

    key: str
    via: str
    detail: str
    repeated: bool = False
    """True: it had gone out before, and nothing went out now."""


class ChannelUnavailable(Exception):
    """The channel cannot take the message now; the same message may go through later.

    `retry_after`: the seconds for which the other side asked us to wait, if it did.
    """

    def __init__(self, sentence: str, retry_after: float | None = None) -> None:
        super().__init__(sentence)
        self.retry_after = retry_after


class ChannelRefused(Exception):
    """The channel will never take this message as it is; sending it again is of no use."""


def one_line(text: str, at_most: int = 500) -> str:
    """The text as one line that can move no cursor and end no header: control and format characters become spaces."""
    plain = " ".join("".join(c if c.isprintable() else " " for c in text).split())
    return plain if len(plain) <= at_most else plain[: at_most - 1] + "…"
