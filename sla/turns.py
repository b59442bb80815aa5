"""What follows each turn of an incident: what a channel shows of it, and what stands in the helpdesk."""

from sla.civil import from_us, to_us
from sla.entries import Entry
from sla.facts import Facts
from sla.steps import Step

TURNS = frozenset(
    {
        "acknowledged",
        "assigned",
        "priority_changed",
        "waiting_on_customer",
        "resolved",
        "reopened",
        "closed",
        "restored",
        "dispositioned",
    }
)
"""Words that change what such a message shows."""
ENDS = frozenset({"resolved", "closed"})
_TOLD_TURNS = 50


def _turns(line: Entry, facts: Facts) -> bool:
    """Whether a word changes what is shown: one of those above, or the first by which somebody of ours took the ticket."""
    taken = line.event.event in ("agent_replied", "plan_provided") and to_us(line.happened) == facts.acknowledged_at
    return taken or line.event.event in TURNS


def updates(facts: Facts) -> list[Step]:
    """What was told on a channel that shows a state, and what we write into helpdesks, follows each turn: once for the newest."""
    live = [step.at for step in facts.steps if step.done is not None and step.done.shows]
    if not live and not facts.read.writes:
        return []
    since = 0 if facts.read.writes else live[0]
    # A word may have lain somewhere before it came: that it is over counts whenever it was received.
    turned = [
        line
        for line in facts.entries
        if _turns(line, facts) and (line.event.event in ENDS or to_us(line.received_at) >= since)
    ]
    if not turned:
        return []
    newest = max(turned, key=lambda line: (line.received_at, line.happened, line.key))
    # So many turns, for one that comes late may be older than the newest.
    of, before = f"{newest.key}#{len(turned)}", [step for step in facts.steps if step.what.kind == "update"]
    if any(step.done is None or step.what.of == of for step in before):
        return []
    last = max((step.at for step in before), default=None)
    fresh = [line for line in turned if last is None or to_us(line.received_at) > last]
    said = {"turns": "\n".join(f"{line.event.event} {line.key}" for line in fresh[-_TOLD_TURNS:])}
    # Not before what was begun already: it is newer than all of that, told by now or not.
    at = from_us(max([to_us(newest.received_at), *(step.at for step in facts.steps)]))
    return [
        Step(key=f"update/-/-/{len(before) + 1}", kind="update", at=at, of=of, speaks_when_suspended=True, facts=said)
    ]
