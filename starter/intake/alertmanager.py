"""Prometheus Alertmanager, webhook version 4 (Grafana's is alike): an outage that nobody had to report.

One group of alerts is one incident, one a customer where its alerts are of several. Each delivery tells how the whole group
stands, never what came before, so what is told has keys made of the alerts' own times: told again, it is the same.
"""

import hashlib
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from sla.events import Delivery
from sla.intake import Adapter, Read, Told, Unusable, moment, part, text_of, word
from sla.signing import bearer
from sla.source import Source

SEVERITIES = {"critical": "P1", "page": "P1", "error": "P2", "warning": "P3", "info": "P4"}
"""What the label `severity` usually says, the most urgent first."""
QUIET = "none"
"""The severity of alerts that always fire, such as Watchdog."""
MOST_ALERTS = 2000
SHOWN = 20
_QUOTED = re.compile(r"\\([^\w\s])")


@dataclass(frozen=True, slots=True)
class Alert:
    """One alert of a group."""

    firing: bool
    labels: Mapping[str, str]
    notes: Mapping[str, str]
    starts: Any
    ends: Any
    link: str | None

    @property
    def severity(self) -> str | None:
        """As its label has it."""
        return self.labels.get("severity")


def read(body: Any, source: Source, received: datetime) -> Read:
    """How one group of alerts stands.

    Raises:
        Unusable: it has no group key, or no alert.
    """
    key, told = text_of(part(body, "groupKey"), 10_000), part(body, "alerts")
    status = text_of(part(body, "status")) or ""
    if key is None:
        raise Unusable("groupKey is missing; Alertmanager sends a text there", "groupKey")
    alerts = [_alert(one) for one in told[:MOST_ALERTS] if isinstance(one, Mapping)] if isinstance(told, list) else []
    if not alerts:
        raise Unusable("alerts is missing or empty; Alertmanager sends a list of alerts there", "alerts")
    # Alertmanager quotes the receiver's name as for a regular expression.
    receiver = _QUOTED.sub(r"\1", text_of(part(body, "receiver")) or "")
    if not source.counts(receiver):
        return Read(ignored=f"the receiver {receiver} is none of those that count", kind=status)
    alerts = [alert for alert in alerts if (alert.severity or "").casefold() != QUIET]
    if not alerts:
        return Read(ignored="its alerts are of the severity none: they fire always", kind=status)
    cut = part(body, "truncatedAlerts")
    whole = status != "firing" or not isinstance(cut, int) or cut == 0
    customers = sorted({alert.labels.get("customer", "") for alert in alerts})
    groups = {one: [alert for alert in alerts if alert.labels.get("customer", "") == one] for one in customers}
    named = _texts(part(body, "groupLabels"))
    told_of = [_Group(key, one, mine, named, source, received).told(whole) for one, mine in groups.items()]
    return Read(tuple(told_of), kind=status)


@dataclass(frozen=True)
class _Group:
    """The alerts of one customer in one group."""

    key: str
    customer: str
    alerts: Sequence[Alert]
    labels: Mapping[str, str]
    source: Source
    received: datetime

    def told(self, whole: bool) -> Told:
        """All that is told of it. Unless the delivery is `whole`, that no alert fires says nothing."""
        words, firing = [self._opened(), *self._priority()], self._firing
        if firing:
            # Said also of the first time: there it changes nothing, for what was never resolved runs on.
            words.append(self._word(f"fires:{_stamp(firing[0].starts)}", firing[0].starts, event="reopened"))
        elif whole:
            last = max(self.alerts, key=lambda alert: _at(alert.ends, self.received))
            words.append(self._word(f"resolved:{_stamp(last.ends)}", last.ends, event="resolved"))
        known = {name.casefold() for name in self.source.organisations}
        ours = self.customer if self.customer.casefold() not in known else None
        return Told(
            self._ticket,
            tuple(words),
            organisation=self.customer or None,
            customer=ours.strip()[:120] or None if ours else None,
        )

    @property
    def _firing(self) -> list[Alert]:
        return sorted((one for one in self.alerts if one.firing), key=lambda one: _at(one.starts, self.received))

    @property
    def _first(self) -> Alert:
        return min(self.alerts, key=lambda alert: _at(alert.starts, self.received))

    @property
    def _ticket(self) -> str:
        """Short, for a group key may be long: a word for people, and a hash. Of the group alone, for its alerts come and go."""
        name = re.sub(r"[^A-Za-z0-9_.-]", "", self.labels.get("alertname", ""))[:40]
        digest = hashlib.sha256(f"{self.key}\n{self.customer}".encode("utf-8", "replace")).hexdigest()[:12]
        return f"{name}-{digest}" if name else digest

    def _opened(self) -> Delivery:
        first = self._first
        known = {name: value for name, value in first.labels.items() if name not in ("alertname", "customer")}
        field = self.source.product_field
        return self._word(
            "opened",
            first.starts,
            event="opened",
            priority=self.source.priority(first.severity, SEVERITIES),
            channel="api",
            subject=self._subject(),
            body="\n\n".join(_shown(alert) for alert in self.alerts[:SHOWN]),
            product=self.source.product(next((one.labels[field] for one in self.alerts if field in one.labels), None))
            if field
            else None,
            fields=dict(list(known.items())[:40]),
        )

    def _priority(self) -> list[Delivery]:
        """The most urgent priority, from when the first alert of it fires. It falls no more: that is for people to judge."""
        order = list(SEVERITIES)
        told = sorted((one for one in self.alerts if one.severity), key=lambda one: _at(one.starts, self.received))
        # A severity that nobody knows comes before those that we know.
        worst = min(
            told, key=lambda one: order.index(s) if (s := (one.severity or "").lower()) in order else -1, default=None
        )
        priority = self.source.priority(worst.severity, SEVERITIES) if worst else None
        if worst is None or priority is None or worst.severity == self._first.severity:
            return []
        key = f"severity:{worst.severity}:{_stamp(worst.starts)}"
        return [self._word(key, worst.starts, event="priority_changed", to=priority)]

    def _subject(self) -> str:
        summary = next((one.notes["summary"] for one in self._firing or self.alerts if one.notes.get("summary")), None)
        many = f" ({len(self.alerts)} alerts)" if len(self.alerts) > 1 else ""
        name = self.labels.get("alertname") or self._first.labels.get("alertname") or "Alert"
        return f"{name}: {summary}{many}" if summary else f"{name}{many}"

    def _word(self, what: str, at: Any, **said: Any) -> Delivery:
        key = f"{self.source.name}:{self._ticket}:{what}"
        return word(key, moment(at, self.received), self.received, **said)


def _alert(told: Mapping[str, Any]) -> Alert:
    return Alert(
        firing=told.get("status") != "resolved",
        labels=_texts(told.get("labels")),
        notes=_texts(told.get("annotations")),
        starts=told.get("startsAt"),
        ends=told.get("endsAt"),
        link=text_of(told.get("generatorURL"), 1000),
    )


def _texts(value: Any) -> dict[str, str]:
    """Labels or annotations: names and values that are texts, without blanks around them."""
    if not isinstance(value, Mapping):
        return {}
    return {str(name)[:200]: text for name, told in value.items() if (text := text_of(told, 2000)) is not None}


def _shown(alert: Alert) -> str:
    """An alert for people."""
    said = [alert.notes.get("summary"), alert.notes.get("description") or alert.notes.get("message")]
    labels = ", ".join(f"{name}={value}" for name, value in sorted(alert.labels.items()))
    runbook = alert.notes.get("runbook_url")
    return "\n".join(line for line in (*said, labels, alert.link, runbook and f"Runbook: {runbook}") if line)


def _stamp(told: Any) -> str:
    """A time within a key: the instant itself, however it is written; what is no time as it is."""
    if not isinstance(told, str):
        return "?"
    try:
        at = datetime.fromisoformat(told)
        return at.astimezone(UTC).isoformat() if at.tzinfo is not None else told[:40]
    except (ValueError, OverflowError):
        return told[:40]


def _at(told: Any, received: datetime) -> datetime:
    return moment(told, received)


ADAPTER = Adapter(kind="alertmanager", title="Prometheus Alertmanager", read=read, verify=bearer)
