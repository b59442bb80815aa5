"""How far one round of reading a helpdesk has come, and when it must break off rather than go on without a ticket."""

import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

from activities.helpdesks.client import REFUSED, TICKET, HelpdeskRefused, HelpdeskUnavailable
from sla.civil import parsed

OVERLAP = timedelta(minutes=5)
"""So far before the last moment read the next round begins: a helpdesk's search may be behind its tickets, and clocks differ."""

_log = logging.getLogger(__name__)


@dataclass
class Progress:
    """One round of one source, begun at `begun` by our clock."""

    source: str
    begun: datetime
    known: datetime
    """From here on, less the overlap, it was asked for what changed."""
    behind: timedelta = timedelta(0)
    """How far the helpdesk's clock was behind ours by what was known then, as a span below zero."""
    patience: int = 0
    """So many tickets in a row may fail before it is the helpdesk that fails."""
    read: int = 0
    words: int = 0
    failed: int = 0
    why: str = ""
    to: datetime | None = None
    """Up to which of the helpdesk's own moments all is read, or left to others."""
    left: list[tuple[str | None, HelpdeskRefused | HelpdeskUnavailable]] = field(default_factory=list)
    """The tickets since the last one that was read, and why they can't be."""

    def passes(self, ticket: dict[str, Any]) -> None:
        """A ticket that alone can't be read, so far: the next one will tell whether it is the helpdesk.

        Raises:
            HelpdeskUnavailable: it is tried again first, or it is one too many.
        """
        why = ticket[REFUSED]
        self.left.append((ticket.get(TICKET), why))
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

    def reaches(self, changed: Any, behind: timedelta) -> None:
        """All that changed up to here is read. What lies ahead (a ticket's date may) must hide nothing that comes."""
        if (at := parsed(changed)) is not None:
            self.to = max(filter(None, (self.to, min(at, self.begun + behind))))

    def surely(self, to: datetime | None, behind: timedelta) -> datetime | None:
        """As far as it is read even if the clock turns out to be further behind: then what changed since was not all asked for."""
        if behind >= self.behind - OVERLAP:
            return to
        return min(filter(None, (to, self.known + behind - self.behind)))

    def _failures(self) -> list[HelpdeskUnavailable]:
        return [why for _, why in self.left if isinstance(why, HelpdeskUnavailable)]
