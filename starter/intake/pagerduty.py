"""PagerDuty (webhooks v3, and log entries of its REST API v2): who acknowledges, resolves or hands on there what we paged for.

They open nothing here: each tells of one incident of ours, which the alert's key names, or, as PagerDuty leaves that out
where a service makes alerts as well as incidents, the end of its title. What we did ourselves comes back as the act of an
integration and is nobody's word. A webhook's event and the log entry of the same act have ids of their own; so a word's key
is made of what both tell: what was done, in which second, and by whom.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sla.events import Delivery
from sla.intake import Adapter, Read, Told, Unusable, in_key, moment, part, second, text_of, word
from sla.signing import Hook, compare
from sla.source import Source

INCIDENT = "incident/"
_AT_THE_END = re.compile(r"\[(incident/[^\[\]\s]{1,290})\]\s*\Z")
_PEOPLE = ("user", "user_reference")
_RESOLVED, _REASSIGNED = "incident.resolved", "incident.reassigned"
_SAYS = {"incident.acknowledged": "acknowledged", _RESOLVED: "resolved", "incident.reopened": "reopened"}
_HANDS_ON = (_REASSIGNED, "incident.delegated", "incident.escalated")
LOGGED = {
    "acknowledge_log_entry": "incident.acknowledged",
    "resolve_log_entry": _RESOLVED,
    "assign_log_entry": _REASSIGNED,
    "delegate_log_entry": "incident.delegated",
    "escalate_log_entry": "incident.escalated",
}
"""A log entry's type, and the event of the same. PagerDuty documents none for a reopening: that is told by webhook alone."""


def verify(hook: Hook, secrets: Sequence[str]) -> None:
    """Whether PagerDuty signed it: `v1=` and the HMAC-SHA256 of the body, one for each secret, with commas between.

    Raises:
        BadSignature: it did not.
    """
    wanted = [b"v1=" + hmac.new(one.encode(), hook.raw, hashlib.sha256).hexdigest().encode() for one in secrets]
    compare(wanted, [one.strip() for one in hook.header("x-pagerduty-signature").split(",")])


def delivery_id(hook: Hook) -> str:
    """`X-Webhook-Id`, which every attempt at one delivery repeats."""
    return hook.header("x-webhook-id").strip()


def read(body: Any, source: Source, received: datetime) -> Read:
    """What one delivery tells.

    Raises:
        Unusable: it is no event of PagerDuty's.
    """
    event = part(body, "event")
    kind = text_of(part(event, "event_type"), 100)
    if kind is None:
        raise Unusable("event.event_type is missing; PagerDuty names there what happened", "event.event_type")
    if kind not in _SAYS and kind not in _HANDS_ON:
        return Read(ignored=f"{kind} is no event that matters", kind=kind)
    data = part(event, "data")
    incident = _incident(data)
    if incident is None:
        return Read(ignored="it is about no incident of ours", kind=kind)
    if not _counts(data, source):
        return Read(ignored="its service is none of those that count", kind=kind)
    if kind == _RESOLVED and _merged(data):
        return Read(ignored="it was merged into another incident there, which resolves nothing here", kind=kind)
    given, at = part(data, "assignees"), part(event, "occurred_at")
    said = _said(kind, incident, part(event, "agent"), given, at, source, received)
    if isinstance(said, str):
        return Read(ignored=said, kind=kind)
    return Read(told=(Told(ticket="", words=(said,), incident=incident),), kind=kind)


def story(ticket: dict[str, Any], source: Source, received: datetime) -> Told | None:
    """What the log entries of one of PagerDuty's incidents tell; None: it is none of ours, or nobody did anything.

    Raises:
        Unusable: none of the entries that matter can be read.
    """
    data, entries = ticket.get("incident"), ticket.get("entries")
    incident = _incident(data)
    if incident is None or not _counts(data, source):
        return None
    words: dict[str, Delivery] = {}
    odd: Unusable | None = None
    for one in entries if isinstance(entries, list) else []:
        kind = LOGGED.get(text_of(part(one, "type"), 100) or "")
        if kind is None or (kind == _RESOLVED and _merged(data, one)):
            continue
        given, at = part(one, "assignees"), part(one, "created_at")
        try:
            said = _said(kind, incident, part(one, "agent"), given, at, source, received)
        except Unusable as error:
            odd = error
            continue
        if not isinstance(said, str):
            words.setdefault(said.key, said)
    if odd is not None and not words:
        raise odd
    told = sorted(words.values(), key=lambda one: (one.occurred_at, one.key))
    return Told(ticket="", words=tuple(told), incident=incident) if told else None


def _said(
    kind: str, incident: str, agent: Any, given: Any, at: Any, source: Source, received: datetime
) -> Delivery | str:
    """The word that one act is; or why it is none.

    Raises:
        Unusable: it is somebody's, and cannot be told from others.
    """
    if kind == _RESOLVED and source.state("resolved", {"resolved": "resolved"}) == "ignored":
        return "a resolution there says nothing of the ticket"
    id = text_of(part(agent, "id"), 80)
    if part(agent, "type") not in _PEOPLE or source.is_ours(id, text_of(part(agent, "email"))):
        return "no person did it: our own echo, or a rule of PagerDuty's"
    by = _called(agent, source)
    said: dict[str, Any] = {"event": _SAYS.get(kind), "by": by}
    if kind in _HANDS_ON:
        to = _called(given[0], source) if isinstance(given, list) and given else None
        if to is None:
            return "it was given to nobody"
        # Who escalates or delegates does not take it, even where it comes back to them: PagerDuty goes on paging.
        takes = kind == _REASSIGNED and to == by
        said = {"event": "acknowledged", "by": by} if takes else {"event": "assigned", "to": to, "by": by}
    elif by is None and said["event"] == "acknowledged":
        raise Unusable("its agent names nobody", "event.agent")
    if second(at) is None:
        raise Unusable("when it happened is missing; without that a repetition can't be told", "event.occurred_at")
    key = f"{source.name}:{incident}:{said['event']}:{in_key(at)}:{id or by or 'unknown'}"
    return word(key, moment(at, received), received, **said)


def _counts(data: Any, source: Source) -> bool:
    return source.counts(text_of(part(data, "service", "id")), text_of(part(data, "service", "summary")))


def _merged(*told: Any) -> bool:
    """Whether it ended in another incident; the only reason that PagerDuty ever gives."""
    return any(part(one, "resolve_reason", "type") == "merge_resolve_reason" for one in told)


def _incident(data: Any) -> str | None:
    """The workflow's id of the incident that we paged for; None: it is somebody else's alert."""
    key = text_of(part(data, "incident_key"), 300)
    if key is not None and key.startswith(INCIDENT) and key.isprintable():
        return key
    found = _AT_THE_END.search(text_of(part(data, "title"), 5000) or "")
    return found[1] if found and found[1].isprintable() else None


def _called(person: Any, source: Source) -> str | None:
    """Our name of a user of PagerDuty's, found by id or address; who is not known is called as PagerDuty calls them."""
    id, email = text_of(part(person, "id")), text_of(part(person, "email"))
    known = source.agent(id, email)
    return known if known != id else email or text_of(part(person, "summary")) or id


ADAPTER = Adapter(kind="pagerduty", title="PagerDuty", read=read, verify=verify, delivery_id=delivery_id, story=story)
