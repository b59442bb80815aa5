"""Samples: one documented delivery of each kind of source, signed as the source would sign it. `doctor` sends them."""

import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.message import EmailMessage
from email.utils import format_datetime
from typing import Any, Final

from sla.source import Source
from starter.sample_signing import SIGNERS

TICKET: Final = 999999999
"""A number that no helpdesk has reached."""
SUBJECT: Final = "A test by pactkeeper doctor"
TEXT: Final = "Nobody wrote this, and nobody is told of it."
INCIDENT: Final = "incident/pactkeeper-doctor/test"


@dataclass(frozen=True, slots=True)
class Sample:
    """One delivery: its headers, names in lower case, and the raw bytes of its body."""

    headers: Mapping[str, str] = field(repr=False)
    raw: bytes


@dataclass(frozen=True, slots=True)
class _Scene:
    """What a sample is made for."""

    at: datetime
    email: str
    channel: str | None
    """The first of the channels that count, where the source's file lists some."""

    def iso(self) -> str:
        return self.at.isoformat(timespec="seconds").replace("+00:00", "Z")


def sample(source: Source, secret: str, now: datetime) -> Sample:
    """A sample of the source's kind that its file lets in.

    Raises:
        KeyError: there is no such kind.
    """
    domain = next(iter(source.domains), "pactkeeper.example")
    scene = _Scene(now.astimezone(UTC), f"test@{domain}", next(iter(source.channels), None))
    made = _BODIES[source.kind](scene)
    raw = made if isinstance(made, bytes) else json.dumps(made, separators=(",", ":")).encode()
    kind = "message/rfc822" if isinstance(made, bytes) else "application/json"
    return Sample({"content-type": kind, **SIGNERS[source.kind](secret, raw, scene.at)}, raw)


def _zendesk(scene: _Scene) -> Any:
    place = scene.channel or "web"
    detail: dict[str, Any] = {
        "id": str(TICKET), "subject": SUBJECT, "description": TEXT, "status": "NEW", "priority": "NORMAL",
        "requester_id": "1", "actor_id": "1", "assignee_id": None, "organization_id": None, "group_id": place,
        "brand_id": place, "tags": [], "type": "INCIDENT", "created_at": scene.iso(), "updated_at": scene.iso(),
        "via": {"channel": place},
    }  # fmt: skip
    return {
        "account_id": 1, "id": "pactkeeper-doctor", "time": scene.iso(), "zendesk_event_version": "2022-11-06",
        "type": "zen:event-type:ticket.created", "subject": f"zen:ticket:{TICKET}", "detail": detail, "event": {},
    }  # fmt: skip


def _freshdesk(scene: _Scene) -> Any:
    return {
        "pactkeeper": "freshdesk", "event": "created", "ticket_id": str(TICKET), "subject": SUBJECT,
        "description": f"<div>{TEXT}</div>", "status": "Open", "priority": "Medium", "source": "Portal",
        "group": scene.channel or "Support", "requester_name": "Test", "requester_email": scene.email,
    }  # fmt: skip


def _jira(scene: _Scene) -> Any:
    project, stamp = scene.channel or "TEST", scene.at.strftime("%Y-%m-%dT%H:%M:%S.000+0000")
    who = {"accountId": "test", "accountType": "customer", "displayName": "Test", "emailAddress": scene.email}
    fields = {
        "summary": SUBJECT, "description": TEXT, "created": stamp, "updated": stamp, "reporter": who, "creator": who,
        "status": {"name": "Waiting for support"}, "priority": {"name": "Medium"}, "issuetype": {"name": "Support"},
        "project": {"key": project, "name": project},
    }  # fmt: skip
    return {
        "timestamp": int(scene.at.timestamp() * 1000), "webhookEvent": "jira:issue_created",
        "issue_event_type_name": "issue_created", "user": who,
        "issue": {"id": str(TICKET), "key": f"{project}-{TICKET}", "fields": fields},
    }  # fmt: skip


def _zammad(scene: _Scene) -> Any:
    who = {"id": 3, "firstname": "Test", "lastname": "Test", "email": scene.email, "organization": None}
    ticket = {
        "id": TICKET, "number": str(TICKET), "title": SUBJECT, "state": {"id": 1, "name": "new"},
        "priority": {"id": 2, "name": "2 normal"}, "group": {"id": 1, "name": scene.channel or "Users"},
        "customer": who, "customer_id": 3, "created_by_id": 3, "updated_by_id": 3, "owner_id": 1, "organization": None,
        "created_at": scene.iso(), "updated_at": scene.iso(), "last_contact_customer_at": scene.iso(),
    }  # fmt: skip
    article = {
        "id": TICKET, "ticket_id": TICKET, "sender": "Customer", "type": "web", "internal": False, "subject": SUBJECT,
        "body": TEXT, "content_type": "text/plain", "from": f"Test <{scene.email}>", "created_by": who,
        "created_by_id": 3, "preferences": {}, "created_at": scene.iso(), "updated_at": scene.iso(),
    }  # fmt: skip
    return {"ticket": ticket, "article": article}


def _django_helpdesk(scene: _Scene) -> Any:
    entry = {
        "id": TICKET, "ticket": TICKET, "user": None, "title": "Ticket Opened Via Web", "comment": TEXT, "public": True,
        "new_status": None, "date": scene.iso(), "message_id": None, "time_spent": None,
    }  # fmt: skip
    ticket = {
        "id": TICKET, "queue": 1, "title": SUBJECT, "description": TEXT, "resolution": None, "status": 1, "priority": 3,
        "submitter_email": scene.email, "assigned_to": None, "on_hold": False, "due_date": None, "merged_to": None,
        "followup_set": [entry],
    }  # fmt: skip
    return {"ticket": ticket, "queue_slug": scene.channel or "support"}


def _escalated(scene: _Scene) -> Any:
    told = {
        "ticket_id": TICKET, "reference": f"ESC-{TICKET}", "user_id": None, "subject": SUBJECT, "status": "open",
        "priority": "medium", "department": scene.channel,
    }  # fmt: skip
    return {"event": "ticket.created", "payload": told, "timestamp": scene.at.isoformat()}


def _request_tracker(scene: _Scene) -> Any:
    change = {
        "id": TICKET, "type": "Create", "field": None, "old": None, "new": None, "creator": scene.email,
        "created": scene.iso(), "content": TEXT,
    }  # fmt: skip
    ticket = {
        "id": TICKET, "queue": scene.channel or "General", "status": "new", "priority": 50, "subject": SUBJECT,
        "requestors": [scene.email], "owner": "Nobody", "created": scene.iso(),
    }  # fmt: skip
    return {**ticket, "ticket": ticket, "transaction": change}


def _slack(scene: _Scene) -> Any:
    event = {
        "type": "message", "channel": scene.channel or "C0PACTTEST", "channel_type": "channel", "user": "U0PACTTEST",
        "text": f"{SUBJECT}. {TEXT}", "ts": f"{scene.at.timestamp():.6f}",
    }  # fmt: skip
    return {
        "type": "event_callback", "team_id": "T0PACTTEST", "api_app_id": "A0PACTTEST", "event": event,
        "event_id": "Ev0PACTTEST", "event_time": int(scene.at.timestamp()), "authorizations": [],
    }  # fmt: skip


def _mail(scene: _Scene) -> bytes:
    mail = EmailMessage()
    mail["From"], mail["To"] = f"Test <{scene.email}>", scene.channel or "support@pactkeeper.example"
    mail["Subject"], mail["Date"] = SUBJECT, format_datetime(scene.at)
    mail["Message-ID"] = f"<doctor.{scene.at.timestamp():.0f}@pactkeeper.example>"
    mail.set_content(f"{TEXT}\n")
    return bytes(mail)


def _alertmanager(scene: _Scene) -> Any:
    labels = {"alertname": "PactkeeperDoctor", "severity": "warning", "instance": "test"}
    alert = {
        "status": "firing", "labels": labels, "annotations": {"summary": SUBJECT, "description": TEXT},
        "startsAt": scene.iso(), "endsAt": "0001-01-01T00:00:00Z", "generatorURL": "", "fingerprint": "0" * 16,
    }  # fmt: skip
    return {
        "version": "4", "groupKey": '{}:{alertname="PactkeeperDoctor"}', "truncatedAlerts": 0, "status": "firing",
        "receiver": scene.channel or "pactkeeper", "groupLabels": {"alertname": "PactkeeperDoctor"},
        "commonLabels": labels, "commonAnnotations": {}, "externalURL": "", "alerts": [alert],
    }  # fmt: skip


def _pagerduty(scene: _Scene) -> Any:
    service = {"id": scene.channel or "PTEST01", "type": "service_reference", "summary": scene.channel or "Test"}
    data = {
        "id": "PACTTEST1", "type": "incident", "incident_key": INCIDENT, "number": 1, "title": SUBJECT,
        "status": "acknowledged", "service": service, "assignees": [],
    }  # fmt: skip
    agent = {"id": "PUSER01", "type": "user_reference", "summary": "Test"}
    event = {
        "id": "pactkeeper-doctor", "event_type": "incident.acknowledged", "resource_type": "incident",
        "occurred_at": scene.iso(), "agent": agent, "client": None, "data": data,
    }  # fmt: skip
    return {"event": event}


_BODIES: Final[Mapping[str, Callable[[_Scene], Any]]] = {
    "zendesk": _zendesk,
    "freshdesk": _freshdesk,
    "jira": _jira,
    "zammad": _zammad,
    "django-helpdesk": _django_helpdesk,
    "escalated-django": _escalated,
    "request-tracker": _request_tracker,
    "slack": _slack,
    "mail": _mail,
    "alertmanager": _alertmanager,
    "pagerduty": _pagerduty,
}
