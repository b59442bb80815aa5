"""How far one round of reading a helpdesk has come, and when it must break off rather than go on without a ticket."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from activities.helpdesks.client import REFUSED, TICKET, HelpdeskRefused, HelpdeskUnavailable
from sla.civil import parsed

OVERLAP = timedelta(minutes=5)
"""So far before it began to ask a round counts as done, and so far before that the next one asks: a helpdesk's search may be
behind its tickets, and clocks differ."""
TRIES = 3
"""So often a round begins again at a ticket that fails, before it passes it over."""
HELD = timedelta(days=3)
"""So far back is read again, round for round, while a part is refused: what is written there shall be read once it may be."""

_log = logging.getLogger(__name__)


def patience(attempt: int) -> int:
    """How many tickets in a row may fail at the nth try of a round before it is the helpdesk that fails: 0, 0, 0, 1, 2, 4, 8, …"""
    return 0 if attempt <= TRIES else 1 << (attempt - TRIES - 1)


@dataclass
class Progress:
    """One round of one source, begun at `begun` by our clock."""

    source: str
    begun: datetime
    known: datetime
    """From here on, less the overlap, it was asked for what changed."""
    behind: timedelta = timedelta(0)
    """How far the helpdesk's clock was behind ours by what was known then, as a span below zero."""
    since: datetime | None = None
    """When the source was connected: what changed before, by the clock there, is not asked for."""
    patience: int = 0
    """So many tickets in a row may fail before it is the helpdesk that fails."""
    read: int = 0
    words: int = 0
    failed: int = 0
    why: str = ""
    to: datetime | None = None
    """Up to which of the helpdesk's own moments all is read, or left to others."""
    apart: list[str] = field(default_factory=list)
    """Why parts of it (channels) can't be read in which tickets are looked for: nobody knows of which tickets."""
    left: list[tuple[str | None, HelpdeskRefused | HelpdeskUnavailable]] = field(default_factory=list)
    """The tickets since the last one that was read, and why they can't be."""

    def passes(self, ticket: dict[str, Any]) -> None:
        """A ticket that alone can't be read, so far: the next one will tell whether it is the helpdesk.

        Raises:
            HelpdeskUnavailable: it is tried again first, or it is one too many.
        """
        why = ticket[REFUSED]
        self.left.append((ticket.get(TICKET), why))
        if TICKET not in ticket:
            self.apart.append(str(why))
            _log.warning("a part of %s can't be read: %s", self.source, why)
        if isinstance(why, HelpdeskUnavailable) and len(self._failures()) > self.patience:
            raise why

    def ends(self) -> None:
        """No ticket comes any more that could tell who fails: several in a row, or all that came, tell it as well.

        Raises:
            HelpdeskUnavailable, HelpdeskRefused: of the last of them.
        """
        if len(failures := self._failures()) > 1:
            raise failures[-1]
        refused = [why for _, why in self.left if isinstance(why, HelpdeskRefused)]
        if refused and not self.read:
            raise refused[-1]

    def fails(self, why: str) -> None:
        """A ticket that can't be read."""
        self.failed, self.why = self.failed + 1, why
        _log.warning("a ticket of %s can't be read: %s", self.source, why)

    def said(self) -> str:
        """What came of it."""
        tickets = f", {self.failed} not read: {self.why}" if self.failed else ""
        apart = f", and not {self.apart[0]}{_more(self.apart)}" if self.apart else ""
        return f"{many(self.read, 'ticket')} read, {many(self.words, 'word')}{tickets}{apart}"

    def lacks(self) -> str | None:
        """Half a sentence on the parts that can't be read; None: there are none."""
        if not self.apart:
            return None
        back = f"what is written there comes once it can be read, from {HELD.days} days back at most"
        return f"can't be read whole: {self.apart[0]}{_more(self.apart)}; {back}"

    def reaches(self, changed: Any, behind: timedelta) -> None:
        """All that changed up to here is read. What lies ahead (a ticket's date may) must hide nothing that comes."""
        if (at := parsed(changed)) is not None:
            self.to = max(filter(None, (self.to, min(at, self.begun + behind))))

    def surely(self, to: datetime | None, behind: timedelta) -> datetime | None:
        """As far as all is read, up to `to` at most: there the next round begins.

        Where the clock turns out to be further behind, what changed since was not all asked for; and what changed in a
        part that is refused was not read. Nothing lies before the source was connected.
        """
        if behind < self.behind - OVERLAP:
            to = min(filter(None, (to, self.known + behind - self.behind)))
        if self.apart and to is not None:
            to = min(to, max(self.known, self.begun + behind - HELD))
        return to if to is None or self.since is None else max(to, self.since + behind)

    def _failures(self) -> list[HelpdeskUnavailable]:
        return [why for _, why in self.left if isinstance(why, HelpdeskUnavailable)]


def many(number: int, what: str) -> str:
    """So many of something."""
    return f"{number} {what}{'' if number == 1 else 's'}"


def _more(told: list[str]) -> str:
    return f" (and {len(told) - 1} more)" if told[1:] else ""
