"""The words of a notice: for our people what, whose, how long, and what to do next; for the customer short and polite.

One template a kind, under `templates/`: the first line is the subject, the rest the text. No template is told more than
the facts below, and every value is one line without control characters by the time it is printed.
"""

import re
import shlex
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from pathlib import Path
from typing import Any

from jinja2 import FileSystemLoader, StrictUndefined
from jinja2.sandbox import ImmutableSandboxedEnvironment
from pydantic import BaseModel, ConfigDict

from activities.message import one_line
from sla.events import Notice
from sla.steps import Step

TEMPLATES = Path(__file__).parent / "templates"
_ISO = re.compile(r"\d{4}-\d\d-\d\d[T ]\d\d:\d\d\S*")
_PERCENT = re.compile(r"([0-9]{1,4})(?:\.[0-9]+)?%")
_RANK = (
    "reassignment",
    "escalation",
    "suspension",
    "resumption",
    "withdrawal",
    "reclassification",
    "disposition",
    "information_request",
    "acknowledgement",
)


class IncidentFacts(BaseModel):
    """What the words of a notice need to know of its incident, as it stands once the step is carried out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    incident: str
    """The workflow's id."""
    ticket: str
    source: str = ""
    reference: str = ""
    """How the command line names the incident; left out: the ticket."""
    customer: str
    customer_name: str = ""
    contact: str | None = None
    """The id under which the customer's own contact is told: a notice to them is worded for the customer."""
    contact_name: str = ""
    priority: str | None = None
    priority_title: str = ""
    assignee: str | None = None
    assignee_name: str = ""
    previous: str | None = None
    """Who had it until now, where the step hands it on."""
    previous_name: str = ""
    provider: str = ""
    """The company that gives the support, as the customer knows it."""
    contract: str = ""
    """The contract's title."""
    due: str = ""
    left: str = ""
    """What a clock has left, and when it is due, where the step's own facts do not say."""
    offset_minutes: int | None = None
    """The UTC offset at which times given in UTC are shown; left out: UTC."""


class _Line(str):
    """A line that a template has made: its values are clean, and it may be longer than any of them."""

    __slots__ = ()


Item = tuple[Step, Notice, IncidentFacts]


def words(step: Step, notice: Notice, incident: IncidentFacts) -> tuple[str, str]:
    """Subject and text of one notice.

    A notice with the customer's contact among its recipients is worded for the customer, whoever else it goes to; so
    give one recipient's notice at a time where people of both sides are told.
    """
    return render_batch([(step, notice, incident)])


def render_batch(items: Sequence[Item]) -> tuple[str, str]:
    """Subject and text of one message that says several things to one recipient, the most important first.

    Raises:
        ValueError: `items` is empty, or holds a kind of notice for which there are no words.
    """
    if not items:
        raise ValueError("there is nothing to say: render_batch needs at least one notice")
    for _, notice, _ in items:
        if notice.kind not in _RANK:
            raise ValueError(
                f"there are no words for a notice of kind {notice.kind!r}; there are for: {', '.join(_RANK)}"
            )
    to_customer = any(_for_customer(*item) for item in items)
    views = sorted((_view(*item, to_customer) for item in items), key=_importance)
    sections = [(view, *_render(f"{view['kind']}.txt.j2", view)) for view in views]
    first = sections[0][1]
    subject = first if len(sections) == 1 else f"{first} (and {len(sections) - 1} more)"
    frame = "customer" if to_customer else "staff"
    told = [
        {**view, "subject": headline, "lines": [_Line(s) for s in body.splitlines()]}
        for view, headline, body in sections
    ]
    _, text = _render(f"frame_{frame}.txt.j2", {**views[0], "sections": told})
    return one_line(subject, 200), text


def command(verb: str, incident: IncidentFacts, *options: str) -> str:
    """A line that a person may paste into a shell, whatever the helpdesk calls its tickets."""
    words = [one_line(word, 200) for word in (verb, incident.reference or incident.ticket, *options)]
    return " ".join(["pactkeeper", *map(shlex.quote, words)])


def _for_customer(step: Step, notice: Notice, incident: IncidentFacts) -> bool:
    # A reassignment goes to our people even where its step tells the customer alone.
    only_customer = step.tells == ("customer",) and not step.recipients and notice.kind == step.kind
    return only_customer or (incident.contact is not None and incident.contact in notice.to)


def _importance(view: dict[str, Any]) -> tuple[bool, bool, int, int]:
    guarantee = view["late"] and view["commitment"] == "guarantee"
    return (not guarantee, not view["late"], _RANK.index(view["kind"]), -int(view["used"] or 0))


def _view(step: Step, notice: Notice, incident: IncidentFacts, to_customer: bool) -> dict[str, Any]:
    facts, rung = step.facts, (step.step or "")
    left = facts.get("left") or incident.left
    guarantee = facts.get("commitment") == "guarantee"
    moments = {name: _moment(facts.get(name, ""), incident) for name in ("since", "fell_due", "declared_missed")}
    return {
        "kind": notice.kind,
        "late": "declared_missed" in facts or rung == "100%" or rung.startswith("miss"),
        "unacknowledged": rung.startswith("unacknowledged"),
        "after": rung.partition("+")[2].strip() if rung.startswith("miss") else "",
        "used": "".join(_PERCENT.findall(f"{facts.get('used_percent', '')}% {rung}")[:1]),
        "rung": rung,
        "commitment": facts.get("commitment", ""),
        "missed": "Breach" if guarantee else "Missed target",
        "promise": _promise(step, guarantee),
        "target": facts.get("target", ""),
        "left": "" if left.startswith("-") else left,
        "over": left.removeprefix("-") if left.startswith("-") else "",
        "due": _moment(facts.get("due") or incident.due, incident),
        **moments,
        "clock": _clock_name(step.clock or ""),
        "clause": notice.clause or step.clause or "",
        "ticket": incident.ticket,
        "source": incident.source,
        "customer": incident.customer_name or incident.customer,
        "contact_name": incident.contact_name,
        "priority": incident.priority or "",
        "priority_title": incident.priority_title,
        "assignee": incident.assignee_name or incident.assignee or "",
        "previous": incident.previous_name or incident.previous or "",
        "to_taker": incident.assignee is not None and notice.to == (incident.assignee,),
        "to_customer": to_customer,
        "provider": incident.provider,
        "contract": incident.contract,
        "before": facts.get("from", ""),
        "to": facts.get("to", ""),
        "why": facts.get("why", "").rstrip(". "),
        "ground": facts.get("ground", "").rstrip(". "),
        "disposition": facts.get("disposition") or (rung if step.kind == "disposition" else ""),
        "missing": [line for line in facts.get("missing", "").splitlines() if line.strip()],
        "knowledge_base": facts.get("knowledge_base", ""),
        "language": facts.get("language", ""),
        "notes": list(dict.fromkeys(note for note in (notice.note, facts.get("note")) if note)),
        "take": command("ack", incident, "--by", notice.to[0] if len(notice.to) == 1 else "YOU"),
        "look": command("status", incident),
        "incident": incident.incident,
    }


def _promise(step: Step, guarantee: bool) -> str:
    """`response target of 2 business hours (T06)`; only what is guaranteed is called a guarantee (T08, B09)."""
    clock, target, clause = step.clock or "", step.facts.get("target"), step.facts.get("promise_clause")
    estimate = "an estimate" if step.facts.get("commitment") == "estimate" else ""
    aside = ", ".join(word for word in (clause, estimate) if word)
    words = [
        _clock_name(clock),
        "guarantee" if guarantee else "target",
        f"of {target}" if target else "",
        f"({aside})" if aside else "",
    ]
    return " ".join(word for word in words if word)


def _clock_name(clock: str) -> str:
    return clock.replace("#", " no. ").replace("_", " ")


def _moment(text: str, incident: IncidentFacts) -> str:
    """`2031-07-11T18:00-07:00` as `Fri 11 Jul 2031 18:00 (UTC-7)`; what is no ISO time stays as it is."""
    if not _ISO.fullmatch(text):
        return text
    try:
        at = datetime.fromisoformat(text)
    except ValueError:
        return text
    if at.utcoffset() is None:
        return text
    if at.utcoffset() == timedelta(0):
        at = at.astimezone(
            UTC if incident.offset_minutes is None else timezone(timedelta(minutes=incident.offset_minutes))
        )
    offset = int((at.utcoffset() or timedelta(0)).total_seconds()) // 60
    hours, minutes = divmod(abs(offset), 60)
    place = f"{'-' if offset < 0 else '+'}{hours}{f':{minutes:02}' if minutes else ''}" if offset else ""
    return f"{at:%a} {at.day} {at:%b %Y %H:%M} (UTC{place})"


def _render(name: str, values: dict[str, Any]) -> tuple[str, str]:
    """The template's first line, and the rest with no more than one empty line in a row."""
    subject, _, text = _environment().get_template(name).render(values).strip().partition("\n")
    return subject.strip(), re.sub(r"\n{3,}", "\n\n", text).strip()


@lru_cache(maxsize=1)
def _environment() -> ImmutableSandboxedEnvironment:
    return ImmutableSandboxedEnvironment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=False,
        undefined=StrictUndefined,
        finalize=lambda value: value if isinstance(value, _Line) else one_line(str(value)),
        trim_blocks=True,
        lstrip_blocks=True,
    )
