"""What the film says: a caption for each moment, in plain sentences."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from typing import Any, Self

from activities.message import one_line
from sla.evaluate import View
from sla.events import Delivery, IncidentEvent
from sla.story import Line, Script
from starter.film_clocks import effects
from starter.film_names import Names, listed

UP, DOWN, LETTER = MARKS = "▲", "▽", "·"
"""A step of the ladder; it is taken back; a word of courtesy."""


@dataclass(frozen=True)
class Sent:
    """A notice that went out, as the workflow reported it."""

    at: datetime
    kind: str
    clock: str | None
    step: str | None
    to: tuple[str, ...]
    clause: str | None
    note: str | None

    @classmethod
    def of(cls, told: Mapping[str, Any]) -> Self:
        """From a notice of `play --json`."""
        return cls(datetime.fromisoformat(told["at"]), told["kind"], told["clock"], told["step"], tuple(told["to"]),
                   told["clause"], told.get("note"))  # fmt: skip


@dataclass(frozen=True)
class Caption:
    """What is said of a moment."""

    number: int
    at: datetime
    said: str
    """What was heard, and what it did to the clocks."""
    told: tuple[str, ...]
    """Whom it was told to, each with its mark."""
    heard: bool
    """Whether a word from outside came, rather than a clock going on by itself."""


@dataclass(frozen=True)
class Seen:
    """One incident at a moment: how it stood before and after, what was heard of it, and what was sent."""

    called: str
    before: View | None
    after: View
    heard: tuple[Line, ...]
    sent: tuple[Sent, ...]


def caption(names: Names, script: Script, number: int, at: datetime, seen: Sequence[Seen]) -> Caption | None:
    """The caption of a moment; None: nothing happened that is worth a word."""
    several = len({line.ticket for line in script.lines if line.ticket is not None}) > 1
    account = [_account(names, line) for line in script.lines if line.ticket is None and line.received == at]
    parts = _alike([(incident.called, _incident(names, script, incident)) for incident in seen], several)
    said = "; ".join(account) + (": " if account and parts else "") + "; ".join(parts)
    told: list[str] = []
    sent = [(incident.called, text) for incident in seen for text in notices(names, incident.sent)]
    told += _alike(sent, several)
    heard = bool(account) or any(incident.heard for incident in seen)
    return Caption(number, at, said, tuple(told), heard) if said or told else None


def _alike(texts: Sequence[tuple[str, str]], several: bool) -> list[str]:
    """What is said alike of several tickets, said once."""
    tickets: dict[str, list[str]] = {}
    for called, text in texts:
        if text:
            tickets.setdefault(text, []).append(called)
    if not several:
        return list(tickets)
    return [
        f"{text[:2] if text[0] in MARKS else ''}{listed(called)}: {text.removeprefix(text[:2]) if text[0] in MARKS else text}"
        for text, called in tickets.items()
    ]


def _incident(names: Names, script: Script, seen: Seen) -> str:
    words = "; ".join(dict.fromkeys(_word(names, script, line) for line in seen.heard))
    came = "; ".join(effects(names, seen.before, seen.after))
    return words + (": " if words and came else "") + came


def _account(names: Names, line: Line) -> str:
    who = names.customers.get(line.customer, line.customer)
    what = f"{who}'s payment lapses" if line.word.event.event == "payment_lapsed" else f"{who} has paid"
    return _late(names, line, what)


def _late(names: Names, line: Line, what: str) -> str:
    if line.received == line.word.occurred_at:
        return what
    return f"{what} (at {names.when(line.word.occurred_at)}, heard only now)"


def _word(names: Names, script: Script, line: Line) -> str:
    assert isinstance(line.word, Delivery)
    first = next(other for other in script.lines if other.word.key == line.word.key)
    if first is not line:
        return "the same word once more, which changes nothing"
    several = len({line.ticket for line in script.lines if line.ticket is not None}) > 1
    return _late(names, line, _event(names, line.word.event, "it" if several else f"{line.ticket}"))


def _event(names: Names, event: IncidentEvent, ticket: str) -> str:
    by = names.who(event.by)
    match event.event:
        case "opened":
            subject = f" “{one_line(event.subject, 40)}”" if event.subject else ""
            priority = f" as {names.priority(event.priority)}" if event.priority else ""
            return f"{names.who(event.by, 'the customer')} opens {ticket}{priority}{subject}"
        case "customer_replied":
            return f"{names.who(event.by, 'the customer')} answers"
        case "agent_replied":
            return f"{by} answers the customer" if event.public else f"{by} writes an internal note"
        case "acknowledged":
            return f"{by} takes the ticket"
        case "plan_provided":
            return f"{by} gives the customer a plan"
        case "waiting_on_customer":
            return "waiting on the customer"
        case "priority_changed":
            return f"{by} makes it {names.priority(event.to)}"
        case "assigned":
            return f"{by} gives it to {names.who(event.to)}"
        case "resolved":
            how = "" if event.kind == "fix" else f" by {event.kind.replace('_', ' ')}"
            return f"{by} resolves it{how}"
        case "dispositioned":
            return f"{by} says: {event.disposition.replace('_', ' ')}"
        case "reopened":
            return f"{by} opens it again"
        case "closed":
            return f"{by} closes it"
        case "policy_moved":
            return f"moved to the contract {event.to}"
        case _:
            return f"{by}: {event.event.replace('_', ' ')}"


def notices(names: Names, sent: Sequence[Sent]) -> list[str]:
    """What was sent at one moment: whom it told, and by which clause, each with its mark."""
    climbed = [s for s in sent if s.step and s.kind in ("escalation", "reassignment")]
    told = [_step(names, list(some)) for _, some in groupby(climbed, key=lambda s: (s.clock, s.step))]
    back = [s for s in sent if s.kind == "withdrawal"]
    if back:
        steps = listed(list(dict.fromkeys(f"{s.step}" for s in back)))
        told.append(f"{DOWN} {steps} taken back, and {_people(names, back)} told so ({_clauses(back)})")
    for kinds, words in SAYS.items():
        if some := [s for s in sent if s.kind in kinds]:
            told.append(f"{LETTER} {_people(names, some)} {words} ({_clauses(some)})")
    return told


SAYS = {
    ("acknowledgement", "information_request"): "sent the acknowledgement",
    ("suspension",): "told that support is suspended",
    ("resumption",): "told that support goes on",
    ("reclassification",): "told of the new priority",
    ("disposition",): "told",
}


def _people(names: Names, sent: Sequence[Sent]) -> str:
    people = list(dict.fromkeys(who for s in sent for who in s.to))
    return f"{names.all_of(people)} {'are' if len(people) > 1 else 'is'}"


def _step(names: Names, some: list[Sent]) -> str:
    moved = [s for s in some if s.kind == "reassignment"]
    people = list(dict.fromkeys(who for s in some for who in s.to))
    took = people[0] if moved else None
    told = [who for who in people if who != took]
    parts = [f"{names.who(took)} gets it"] if took else []
    if told:
        parts.append(f"{names.all_of(told)} {'are' if len(told) > 1 else 'is'} told")
    note = next((f", for {s.note}" for s in some if s.note), "")
    return f"{UP} {_share(some[0])}{', '.join(parts)}{note} ({_clauses(some)})"


def _share(sent: Sent) -> str:
    step = sent.step or ""
    nobody = step.startswith("unacknowledged ")
    share = step.removeprefix("unacknowledged ")
    if share == "100%" and not nobody:
        return ""
    if share.endswith("%"):
        return f"{share} of the {sent.clock} time is gone{' and nobody has taken it' if nobody else ''}: "
    return f"{share.removeprefix('miss + ')} after the miss: "


def _clauses(sent: Sequence[Sent]) -> str:
    return ", ".join(dict.fromkeys(s.clause for s in sent if s.clause))
