"""Alarms of the installation itself: told to whoever is on duty, in their own way, once under a key."""

from dataclasses import dataclass
from datetime import UTC, datetime

from activities.courier import Courier
from activities.message import Message
from activities.policies import Policies
from sla.roster import Roster
from worker import letters

ABOUT = "installation"
"""What an alarm is about, where a notice names its incident."""


@dataclass(frozen=True)
class Alarms:
    """Needs the team, and the courier."""

    policies: Policies
    courier: Courier

    async def tell(self, key: str, sentence: str) -> None:
        """Tell whoever is on duty, else the fallback, by a way that does not ring. What none of either's ways takes goes to the log."""
        now, team = datetime.now(UTC), self.policies.team()
        roster = Roster.around(team, now)
        person = roster.recipient(roster.first_on_duty(now) or team.fallback, now, quiet=True)
        message = Message(
            key=f"{ABOUT}/{key}", incident=ABOUT, kind="alarm", channel=person.channel, to=(letters.address(person),),
            subject=sentence[:200], text=sentence, at=now, quiet=True, fallbacks=person.fallbacks,
        )  # fmt: skip
        await self.courier.bring(message, patient=False)
