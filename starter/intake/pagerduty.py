"""PagerDuty (webhooks v3): who acknowledges, resolves or hands on there what we paged for.

They open nothing here: each tells of one incident of ours, which the alert's key names, or, as PagerDuty leaves that out
where a service makes alerts as well as incidents, the end of its title. What we did ourselves comes back as the act of an
integration and is nobody's word.
"""

import hashlib
import hmac
import re
from collections.abc import Sequence
from datetime import datetime
from typing import Any

from sla.intake import Adapter, Read, Told, Unusable, moment, part, text_of, word
from sla.signing import Hook, compare
from sla.source import Source

INCIDENT = "incident/"
_AT_THE_END = re.compile(r"\[(incident/[^\[\]\s]{1,290})\]\s*\Z")
_PEOPLE = ("user", "user_reference")
_RESOLVED = "incident.resolved"
_SAYS = {"incident.acknowledged": "acknowledged", _RESOLVED: "resolved", "incident.reopened": "reopened"}
_HANDS_ON = ("incident.reassigned", "incident.delegated", "incident.escalated")


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
    kind, id = text_of(part(event, "event_type"), 100), text_of(part(event, "id"), 200)
    if kind is None:
        raise Unusable("event.event_type is missing; PagerDuty names there what happened", "event.event_type")
    if kind not in _SAYS and kind not in _HANDS_ON:
        return Read(ignored=f"{kind} is no event that matters", kind=kind)
    if id is None:
        raise Unusable("event.id is missing; without it a repetition can't be told", "event.id")
    incident = _incident(part(event, "data"))
    if incident is None:
        return Read(ignored="it is about no incident of ours", kind=kind)
    if not source.counts(
        text_of(part(event, "data", "service", "id")), text_of(part(event, "data", "service", "summary"))
    ):
        return Read(ignored="its service is none of those that count", kind=kind)
    if kind == _RESOLVED and source.state("resolved", {"resolved": "resolved"}) == "ignored":
        return Read(ignored="a resolution there says nothing of the ticket", kind=kind)
    agent = part(event, "agent")
    if part(agent, "type") not in _PEOPLE or source.is_ours(text_of(part(agent, "id")), text_of(part(agent, "email"))):
        return Read(ignored="no person did it: our own echo, or a rule of PagerDuty's", kind=kind)
    by = _called(agent, source)
    said: dict[str, Any] = {"event": _SAYS.get(kind), "by": by}
    if kind in _HANDS_ON:
        given = part(event, "data", "assignees")
        to = _called(given[0], source) if isinstance(given, list) and given else None
        if to is None:
            return Read(ignored="it was given to nobody", kind=kind)
        said = {"event": "acknowledged", "by": by} if to == by else {"event": "assigned", "to": to, "by": by}
    elif by is None and said["event"] == "acknowledged":
        raise Unusable("event.agent names nobody", "event.agent")
    at = moment(part(event, "occurred_at"), received)
    told = word(f"{source.name}:{incident}:event:{id}", at, received, **said)
    return Read(told=(Told(ticket="", words=(told,), incident=incident),), kind=kind)


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


ADAPTER = Adapter(kind="pagerduty", title="PagerDuty", read=read, verify=verify, delivery_id=delivery_id)
