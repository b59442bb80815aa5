"""The words of a notice: for our people what, whose, how long, and what to do next; for the customer short and polite.

One template a kind, under `templates/`, or a team's own instead (`activities.template_files`): the first line is the
subject, the rest the text. No template is told more than the facts below.
"""

import re
import shlex
from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import BaseModel, ConfigDict

from activities.message import one_line
from activities.phrases import clock_name, clocks, moment, with_moments
from activities.template_files import Line, render
from sla.customer import WHOLE
from sla.entries import Notice
from sla.steps import Step

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
    "approval",
    "reminder",
)


_MOMENTS = ("since", "fell_due", "declared_missed", "grace_until", "first_asked", "paid", "until")
_AS_THEY_ARE = ("ends", "incidents", "would", "taken_in", "by")
_LAPSE = re.compile(r"(?P<ground>payment outstanding|(the )?contract (has )?ended)(: (?P<what>.+)| \((?P<which>.+)\))?")
_OF_PAYMENT = ("reminder", "approval")
MAX_LINE = 600
_MAX_LINK = 2000
TAKEN = ("escalation", "reassignment")
"""Kinds of notices that ask somebody to take the incident."""


class IncidentFacts(BaseModel):
    """What the words of a notice need to know of its incident, as it stands once the step is carried out."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    incident: str
    """The workflow's id; where an account speaks, the account's."""
    ticket: str = ""
    """Left out: it is the account that speaks, of all that the customer has open."""
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
    acknowledge: str = ""
    """The link by which the one who reads it takes the incident."""


Item = tuple[Step, Notice, IncidentFacts]


def words(step: Step, notice: Notice, incident: IncidentFacts) -> tuple[str, str]:
    """Subject and text of one notice.

    A notice with the customer's contact among its recipients is worded for the customer, whoever else it goes to; so
    give one recipient's notice at a time where people of both sides are told.
    """
    return render_batch([(step, notice, incident)])


def render_batch(items: Sequence[Item], listed: Sequence[str] = (), more: int = 0) -> tuple[str, str]:
    """Subject and text of one message that says several things to one recipient, the most important first.

    `listed`: a line for each incident that it is about, put below; `more`: how many further ones are not listed.

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
    to_customer = any(for_customer(*item) for item in items)
    views = sorted((_view(*item, to_customer) for item in items), key=_importance)
    sections = [(view, *render(f"{view['kind']}.txt.j2", view)) for view in views]
    first = sections[0][1]
    subject = first if len(sections) == 1 else f"{first} (and {len(sections) - 1} more)"
    frame = "customer" if to_customer else "staff"
    told = [
        {**view, "subject": headline, "lines": [Line(s) for s in body.splitlines()]}
        for view, headline, body in sections
    ]
    below = {"listed": [Line(one_line(line, MAX_LINE)) for line in listed], "more": more}
    _, text = render(f"frame_{frame}.txt.j2", {**views[0], **below, "sections": told})
    return one_line(subject, 200), text


def several(listed: Sequence[Mapping[str, str]], more: int, *, waited: bool) -> tuple[str, str]:
    """Subject and text of one message instead of many: each of `listed` has subject, clause, assignee, link and look.

    `more`: how many are not listed; `waited`: they were put off to the hours of what is promised.
    """
    lines = [{**one, "link": Line(one_line(one["link"], _MAX_LINK))} for one in listed]
    subject, text = render(
        "several.txt.j2", {"listed": lines, "more": more, "waited": waited, "count": len(lines) + more}
    )
    return one_line(subject, 200), text


def command(verb: str, incident: IncidentFacts, *options: str) -> str:
    """A line that a person may paste into a shell, whatever the helpdesk calls its tickets."""
    about = [incident.reference or incident.ticket] if incident.ticket else ["--customer", incident.customer]
    return _pasted(verb, *about, *options)


def _pasted(*words: str) -> str:
    return " ".join(["pactkeeper", *(shlex.quote(one_line(word, 200)) for word in words)])


def _decide(verb: str, step: Step, incident: IncidentFacts) -> str:
    """How an operator answers for a customer's line; the only line of a customer need not be named."""
    line = step.facts.get("line", "")
    return _pasted(verb, incident.customer, *(["--line", line] if line not in ("", WHOLE) else []), "--by", "YOU")


def for_customer(step: Step, notice: Notice, incident: IncidentFacts) -> bool:
    """Whether the notice is worded for the customer. An approval is asked of our people, whoever they are."""
    # A reassignment goes to our people even where its step tells the customer alone.
    only_customer = step.tells == ("customer",) and not step.recipients and notice.kind == step.kind
    at_customer = only_customer or (incident.contact is not None and incident.contact in notice.to)
    return at_customer and notice.kind != "approval"


def _importance(view: dict[str, Any]) -> tuple[bool, bool, int, int]:
    guarantee = view["late"] and view["commitment"] == "guarantee"
    return (not guarantee, not view["late"], _RANK.index(view["kind"]), -int(view["used"] or 0))


def _view(step: Step, notice: Notice, incident: IncidentFacts, to_customer: bool) -> dict[str, Any]:
    facts, rung = step.facts, (step.step or "")
    left = facts.get("left") or incident.left
    guarantee = facts.get("commitment") == "guarantee"
    moments = {name: moment(facts.get(name, ""), incident.offset_minutes) for name in _MOMENTS}
    why = with_moments(facts.get("why", "").rstrip(". "), incident.offset_minutes)
    lapse = _LAPSE.fullmatch(why)
    unpaid = (lapse["what"] or lapse["which"] or "") if lapse else why if notice.kind in _OF_PAYMENT else ""
    customer, title = incident.customer_name or incident.customer, facts.get("line_title", "")
    return {
        "kind": notice.kind,
        **{name: facts.get(name, "").rstrip(". ") for name in _AS_THEY_ARE},
        "approve": facts.get("approve") or _decide("approve", step, incident),
        "decline": facts.get("decline") or _decide("decline-suspension", step, incident),
        "standing": _pasted("standing", incident.customer),
        "about": f"{customer} ({title})" if title else customer,
        "of_suspension": facts.get("of") == "suspension" or (step.kind == "withdrawal" and step.clock is None),
        "ended": facts.get("standing") == "terminated" or (lapse is not None and "ended" in lapse["ground"]),
        "reason": f"{lapse['ground']} ({unpaid})" if lapse and unpaid else why,
        "of_lapse": lapse is not None,
        "unpaid": unpaid,
        "clocks": clocks(left, facts.get("due", ""), incident.offset_minutes, stand_still=notice.kind == "suspension"),
        "listed": [],
        "more": 0,
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
        "due": moment(facts.get("due") or incident.due, incident.offset_minutes),
        **moments,
        "clock": clock_name(step.clock or ""),
        "clause": notice.clause or step.clause or "",
        "ticket": incident.ticket,
        "source": incident.source,
        "customer": customer,
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
        "why": why,
        "ground": facts.get("ground", "").rstrip(". "),
        "disposition": facts.get("disposition") or (rung if step.kind == "disposition" else ""),
        "missing": [line for line in facts.get("missing", "").splitlines() if line.strip()],
        "knowledge_base": facts.get("knowledge_base", ""),
        "language": facts.get("language", ""),
        "notes": list(dict.fromkeys(note for note in (notice.note, facts.get("note")) if note)),
        "take": command("ack", incident, "--by", notice.to[0] if len(notice.to) == 1 else "YOU"),
        "acknowledge": Line(one_line(incident.acknowledge, _MAX_LINK)),
        "look": command("status", incident),
        "incident": incident.incident,
    }


def sample_view(step: Step, notice: Notice, incident: IncidentFacts) -> dict[str, Any]:
    """The facts that a template is told, for whoever checks one."""
    return _view(step, notice, incident, for_customer(step, notice, incident))


def _promise(step: Step, guarantee: bool) -> str:
    """`response target of 2 business hours (T06)`; only what is guaranteed is called a guarantee (T08, B09)."""
    clock, target, clause = step.clock or "", step.facts.get("target"), step.facts.get("promise_clause")
    estimate = "an estimate" if step.facts.get("commitment") == "estimate" else ""
    aside = ", ".join(word for word in (clause, estimate) if word)
    words = [
        clock_name(clock),
        "guarantee" if guarantee else "target",
        f"of {target}" if target else "",
        f"({aside})" if aside else "",
    ]
    return " ".join(word for word in words if word)
