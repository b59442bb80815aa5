"""Where every way of a person fails: what they were to be told reaches the team's fallback member, and only then the log."""

import logging
import re
from dataclasses import dataclass
from datetime import datetime

from activities.ack_links import Links
from activities.message import UPDATE, Address, Message, one_line
from activities.policies import Policies
from records.shelf import PolicyFileError
from sla.roster import Roster
from sla.ways import wakes

_log = logging.getLogger(__name__)
_WHY = 300


@dataclass(frozen=True)
class StandIn:
    """Needs the team, and what makes the links that acknowledge (None: notices carry none)."""

    policies: Policies
    links: Links | None = None

    def of(self, message: Message, why: str, now: datetime) -> Message | None:
        """The message as the fallback member gets it, under the same key: it begins with whom it was for, and why it came here.

        None: it is for the fallback member anyway, or brings nothing new, or there is no way of theirs that was not
        tried. What is to wake nobody takes no way that rings; what a customer was to be told takes one only at last.
        """
        if message.kind == UPDATE:
            return None
        try:
            team = self.policies.team()
        except PolicyFileError as error:
            _log.warning("who is the fallback can't be read: %s", error.sentences[0])
            return None
        was_for = message.to[0]
        if was_for.id == team.fallback:
            return None
        member = Roster.around(team, now).recipient(team.fallback, now)
        tried = {(message.channel, was_for.address), *message.fallbacks}
        ways = [way for way in ((member.channel, member.address), *member.fallbacks) if way not in tried]
        ways = [way for way in ways if way[0] != "log" and not (message.quiet and wakes(*way))]
        if message.to_customer:
            ways.sort(key=lambda way: wakes(*way))
        if not ways:
            return None
        (channel, address), *others = ways
        begins, subject = _words(message, one_line(why, _WHY).rstrip("."))
        links = {what: self._theirs(url, message, member.id, now) for what, url in message.links.items()}
        return message.model_copy(
            update={
                "channel": channel, "to": (Address(id=member.id, name=member.name, address=address),),
                "fallbacks": tuple(others), "subject": subject, "links": links, "to_customer": False, "not_before": None,
                "text": f"{begins}\n\n{self._theirs(message.text, message, member.id, now)}",
            }
        )  # fmt: skip

    def _theirs(self, text: str, message: Message, member: str, now: datetime) -> str:
        """The text with the links and commands by which it is taken made out to the member who reads it now."""
        if self.links is not None:
            text = self.links.handed_on(text, member, message.at, now)
        return re.sub(rf"(?<=--by ){re.escape(message.to[0].id)}(?![\w.@-])", member, text)


def _words(message: Message, why: str) -> tuple[str, str]:
    """The first line of the text, and the subject."""
    to = message.to[0]
    name = one_line(to.name or to.id, 100)
    whole = name if name == to.id else f"{name} ({one_line(to.id, 200)})"
    if message.to_customer:
        return (
            f"The customer could not be told what stands below. It was for {whole}, and none of their ways took it: {why}.",
            f"{name} could not be told: {message.subject}",
        )
    return f"This was for {whole}, and none of their ways took it: {why}.", f"For {name}: {message.subject}"
