"""The ways in which a person is reached: a channel, an address there, and the hours in which it comes first."""

from typing import Final, Literal

from pydantic import BaseModel, ConfigDict

from sla.calendar import BusinessCalendar

ChannelName = Literal["log", "email", "webhook", "slack", "pagerduty", "apprise"]
ADDRESSED: Final = ("email", "webhook", "slack", "apprise")
"""Channels that reach nobody without an address."""


LIVE: Final = frozenset({"slack", "pagerduty", "apprise"})
"""Channels on which a message shows how its incident stands, or may wait for the morning and has to be called off."""


class Way(BaseModel):
    """One way to reach a person, and the hours in which it comes before the others (left out: always)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    channel: ChannelName
    address: str | None = None
    hours: BusinessCalendar | None = None


def wakes(channel: str, address: str | None) -> bool:
    """Whether a way rings: a page, a push, a direct message. A Slack channel, a mail and the log lie there until looked at."""
    return channel in ("pagerduty", "apprise") or (
        channel == "slack" and not (address or "").startswith(("C", "G", "#"))
    )
