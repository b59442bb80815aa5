"""Zendesk: its event webhooks, the body of a trigger (docs/sources/zendesk.md), and tickets read over its API with their audits.

A fact has the same key by every door: a comment by its id, a change by the new value and the second in which the ticket was
updated, which an event tells as `detail.updated_at` and an audit as `created_at`.
"""

import base64
import hashlib
import hmac
import re
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any, Final

from sla import intake, signing
from sla.automatic import automatic
from sla.events import Delivery
from sla.intake import Adapter, Read, Told, Unusable, part, text_of
from sla.signing import Hook
from sla.source import Source, State

STATES: Final[Mapping[str, State]] = {
    "new": "open", "open": "open", "hold": "open", "on-hold": "open", "pending": "waiting", "solved": "resolved", "closed": "closed",
    "deleted": "closed",
}  # fmt: skip
"""`hold` waits for somebody else than the customer, so the clocks go on."""
PRIORITIES: Final = {"urgent": "P1", "high": "P2", "normal": "P3", "low": "P4"}
CHANNELS: Final = {
    "email": "email", "mail": "email", "api": "api", "voice": "phone", "phone": "phone", "help_center": "portal",
    "web_widget": "portal", "web form": "portal",
}  # fmt: skip
STAFF: Final = frozenset({"agent", "admin"})
SYSTEM: Final = "-1"
"""The author of what Zendesk itself does: no customer, and no agent."""
GENERATED: Final = 4
"""The flag of a comment that a machine wrote, such as an out-of-office reply."""
TEXTS: Final = ("Comment", "VoiceComment")
PREFIX: Final = "zen:event-type:"
TRIGGER: Final = "zendesk-trigger"
ELSEWHERE: Final = "the ticket is in none of the channels that count"
_MERGE: Final = re.compile(
    r"This request was closed and merged into request|Request #\d+ .*was closed and merged into this"
)
"""What Zendesk itself writes into both tickets of a merge, as a comment of the agent who merged them."""


def verify(hook: Hook, secrets: Sequence[str]) -> None:
    """Base64 of HMAC-SHA256 over the timestamp's text and the body, with nothing between."""
    stamp = hook.header("x-zendesk-webhook-signature-timestamp")
    signed = stamp.encode("utf-8", "replace") + hook.raw
    made = [hmac.new(secret.encode(), signed, hashlib.sha256).digest() for secret in secrets]
    signing.compare([base64.b64encode(one) for one in made], [hook.header("x-zendesk-webhook-signature")])
    signing.in_window(intake.second(stamp), hook.received)


def delivery_id(hook: Hook) -> str:
    """An event has its id in its body; our trigger's body knows whole minutes, and reads the same for two changes in one."""
    return signing.nudge_id(hook) if TRIGGER.encode() in hook.raw else ""


def read(body: Any, source: Source, received: datetime) -> Read:
    """One delivery: an event, or the body of our trigger."""
    if not isinstance(body, Mapping):
        raise Unusable("the body is no JSON object")
    kind = text_of(body.get("type"), 200) or ""
    if kind.startswith(PREFIX):
        return _event(body, kind.removeprefix(PREFIX), source, received)
    if text_of(body.get("pactkeeper")) == TRIGGER:
        return _trigger(body, source, received)
    if kind:
        return Read(ignored=f"{kind} is no event that matters", kind=kind)
    raise Unusable("it is neither an event of Zendesk nor the body of our trigger: it has no type", "type")


def story(ticket: dict[str, Any], source: Source, received: datetime) -> Told | None:
    """A ticket with its `audits` and `users`, as the API gives them: all its words."""
    now, audits = ticket.get("ticket"), _objects(ticket.get("audits"))
    told = _Ticket(part(now, "id"), "ticket.id", source, received)
    if not source.counts(*_places(now)):
        return None
    users = {text_of(one.get("id")): one for one in _objects(ticket.get("users"))}
    email = text_of(part(users.get(text_of(part(now, "requester_id"))), "email"))
    first = next((one for one in audits if _events(one, "Create")), {})
    begun = {text_of(one.get("field_name")): one.get("value") for one in _events(first, "Create")}
    text = next((text_of(one.get("body"), 20_000) for one in _events(first, *TEXTS)), None)
    told.opens(
        part(now, "created_at"), part(now, "via", "channel"), begun.get("priority") if begun else part(now, "priority"), by=email,
        subject=text_of(part(now, "subject"), 1000), body=text or text_of(part(now, "description"), 20_000),
        product=source.product(_field(now, source.product_field)),
    )  # fmt: skip
    for audit in audits:
        told.audit(audit, users, audit is first)
    if part(now, "status") == "deleted":
        told.says("deleted", part(now, "updated_at"), event="closed")
    return told.told(email, text_of(part(now, "organization_id")))


def _event(body: Mapping[str, Any], kind: str, source: Source, received: datetime) -> Read:
    """An event: `detail` is the ticket as it then was, `event` what happened."""
    if not kind.startswith("ticket."):
        return Read(ignored=f"{kind} is no event that matters", kind=kind)
    detail, event, subject = body.get("detail"), body.get("event"), text_of(body.get("subject")) or ""
    told = _Ticket(part(detail, "id") or subject.rpartition(":")[2], "detail.id", source, received)
    if not source.counts(*_places(detail)):
        return Read(ignored=ELSEWHERE, kind=kind)
    at = part(detail, "updated_at") if intake.second(part(detail, "updated_at")) else body.get("time")
    actor, company = text_of(part(detail, "actor_id")), text_of(part(detail, "organization_id"))
    ignored = f"{kind} is no event that matters"
    match kind.removeprefix("ticket."):
        case "created":
            at = part(detail, "created_at") or at
            text, channel = text_of(part(detail, "description"), 20_000), part(detail, "via", "channel")
            told.opens(at, channel, part(detail, "priority"), subject=text_of(part(detail, "subject"), 1000), body=text)
            told.changes("status", part(detail, "status"), None, at, actor)
            told.changes("assignee_id", part(detail, "assignee_id"), None, at, actor)
        case "comment_added":
            ignored = told.comment_added(detail, part(event, "comment"), at)
        case "status_changed" | "priority_changed" | "agent_assignment_changed" as what:
            field = "assignee_id" if what[0] == "a" else what.removesuffix("_changed")
            ignored = told.changes(field, part(event, "current"), part(event, "previous"), at, actor)
        case "merged":
            told.says("status:closed", at, event="closed")
        case "soft_deleted" | "permanently_deleted" | "marked_as_spam":
            told.says("deleted", at, event="closed")
        case "undeleted":
            told.says("undeleted", at, event="reopened")
    if not told.words and not told.doubts:
        return Read(ignored=ignored or "it changes nothing", kind=kind)
    mapped = (company or "").casefold() in {one.casefold() for one in source.organisations}
    if source.url and (kind == "ticket.created" or not mapped):
        # An event names no address: who asks for support, and for which customer, would be a guess.
        return Read((Told(told.id, organisation=company, look=True),), kind=kind)
    return Read((told.told(None, company),), kind=kind)


def _trigger(body: Mapping[str, Any], source: Source, received: datetime) -> Read:
    """Our trigger's body. It knows whole minutes, and not what was before: where there is an API it is a nudge to look."""
    ticket, comment = body.get("ticket"), body.get("comment")
    told, kind = _Ticket(part(ticket, "id"), "ticket.id", source, received), TRIGGER
    email, company = text_of(part(ticket, "requester")), text_of(part(ticket, "organization_id"))
    if not source.counts(*(text_of(part(ticket, name)) for name in ("channel", "group", "brand"))):
        return Read(ignored=ELSEWHERE, kind=kind)
    if source.url:
        return Read((Told(told.id, (), email, company, look=True),), kind=kind)
    begun, at, subject = part(ticket, "created_at"), part(ticket, "updated_at"), text_of(part(ticket, "subject"), 1000)
    told.opens(begun, part(ticket, "channel"), part(ticket, "priority"), by=email, subject=subject)
    if (id := text_of(part(comment, "id"))) and begun != at:
        who, role = text_of(part(comment, "author_id")), (text_of(part(comment, "role")) or "").casefold()
        staff = role in STAFF or (not role and who != text_of(part(ticket, "requester_id")))
        public = (text_of(part(comment, "public")) or "true").casefold() == "true"
        told.comments(id, at, (who, text_of(part(comment, "author"))), staff, public, None)
    told.changes("status", part(ticket, "status"), None, at, text_of(body.get("actor")))
    return Read((told.told(email, company),), kind=kind)


class _Ticket:
    """A ticket, and the words found for it so far."""

    def __init__(self, id: Any, path: str, source: Source, received: datetime) -> None:
        self.id, self.source, self.received = text_of(id, 201) or "", source, received
        if not 0 < len(self.id) <= 200:
            raise Unusable(f"{path} is missing, or no id of a ticket", path)
        self.words: list[Delivery] = []
        self.doubts: list[str] = []

    def opens(self, at: Any, channel: Any, priority: Any, **said: Any) -> None:
        """The first message."""
        said["channel"] = CHANNELS.get((text_of(channel) or "").casefold(), "ticket")
        said["priority"] = self.source.priority(text_of(priority, 200), PRIORITIES)
        self.words.append(self._word("opened", at, event="opened", **said))

    def told(self, requester: str | None, company: str | None) -> Told:
        """All of it."""
        return Told(self.id, tuple(self.words), requester, company, doubts=tuple(self.doubts))

    def says(self, what: str, at: Any, **said: Any) -> None:
        """A word about the ticket, known again by what it says and by its second."""
        self.words.append(self._word(f"{what}:{intake.in_key(at)}", at, **said))

    def comment_added(self, ticket: Any, comment: Any, at: Any) -> str:
        """A comment of an event; else why it has no word."""
        text, opened, then = (
            text_of(part(comment, "body"), 20_000),
            intake.second(part(ticket, "created_at")),
            intake.second(at),
        )
        young = opened is not None and then is not None and then - opened < timedelta(minutes=1)
        if young and (then == opened or text == text_of(part(ticket, "description"), 20_000)):
            return "it is the ticket's own first message"
        id, who = text_of(part(comment, "id")) or intake.in_key(at), text_of(part(comment, "author", "id"))
        public, staff = part(comment, "is_public") is not False, part(comment, "author", "is_staff") is True
        return self.comments(id, at, (who, None), staff, public, text)

    def comments(
        self, id: str | None, at: Any, who: tuple[str | None, str | None], staff: bool, public: bool, text: str | None,
        flagged: bool = False,
    ) -> str:  # fmt: skip
        """A comment's word; else why it has none. `who`: the author's id and address; `flagged`: Zendesk told what a machine wrote."""
        source = self.source
        if intake.marked(text, public=public) or (source.is_ours(*who) and not public):
            return "it is our own note"
        if who[0] == SYSTEM or _MERGE.match(text or ""):
            return "Zendesk wrote it itself"
        customers = source.is_customer(*who) or not staff
        if customers and not public:
            return "it is a customer's and private, such as the record of a chat"
        if customers and not flagged and automatic(text):
            return "it is an automatic answer"
        said: dict[str, Any] = {"event": "agent_replied", "public": public, "by": self.by(*who)}
        if customers:
            said = {"event": "customer_replied", "by": who[1]}
        self.words.append(self._word(f"comment:{id}", at, **said, body=text))
        return ""

    def changes(self, field: str, value: Any, before: Any, at: Any, actor: str | None) -> str:
        """A changed field's word; else why it has none."""
        source, to, was = self.source, text_of(value, 200), text_of(before, 200)
        if source.is_ours(actor):
            return "we did it ourselves"
        if to is None or to == "0":
            return f"{field} is empty now"
        key, by = to.casefold(), self.by(actor)
        if field == "priority":
            self.says(f"priority:{key}", at, event="priority_changed", to=source.priority(to, PRIORITIES), by=by)
        elif field == "assignee_id" and to == actor:
            self.says(f"assigned:{key}", at, event="acknowledged", by=by)
        elif field == "assignee_id":
            self.says(f"assigned:{key}", at, event="assigned", to=source.agent(to), by=by)
        elif (state := source.state(to, STATES)) is None:
            self.doubts.append(
                f"the status {to!r} is not known here; name it under statuses in the file of {source.name}"
            )
        elif event := intake.turned(state, source.state(was, STATES) if was else None):
            self.says(f"status:{key}", at, event=event, by=by)
        return f"{to} changes nothing"

    def audit(self, audit: Mapping[str, Any], users: Mapping[str | None, Any], first: bool) -> None:
        """All words of one update; of the first one, its text is the opening's."""
        at, actor, flags = audit.get("created_at"), text_of(audit.get("author_id")), part(audit, "metadata", "flags")
        silent = first or (isinstance(flags, list) and GENERATED in flags)
        for one in [] if silent or part(audit, "via", "source", "rel") == "merge" else _events(audit, *TEXTS):
            who = text_of(one.get("author_id")) or actor
            staff, address = part(users.get(who), "role") in STAFF, text_of(part(users.get(who), "email"))
            text, public = text_of(one.get("body"), 20_000), one.get("public") is not False
            self.comments(text_of(one.get("id")), at, (who, address), staff, public, text, "metadata" in audit)
        for one in _events(audit, "Change", "Create"):
            field = text_of(one.get("field_name"))
            if field in ("status", "assignee_id") or (field == "priority" and not first):
                self.changes(field, one.get("value"), one.get("previous_value"), at, actor)

    def by(self, *ids: str | None) -> str | None:
        """An agent; nobody, where it was Zendesk itself."""
        return self.source.agent(*(id for id in ids if id != SYSTEM))

    def _word(self, what: str, at: Any, **said: Any) -> Delivery:
        key = f"{self.source.name}:{self.id}:{what}"
        return intake.word(key, intake.moment(at, self.received), self.received, **said)


def _places(ticket: Any) -> list[str | None]:
    return [text_of(part(ticket, *path)) for path in (("via", "channel"), ("group_id",), ("brand_id",))]


def _field(ticket: Any, name: str | None) -> str | None:
    """A field of the ticket by its name, or a custom one by its id."""
    custom = {text_of(one.get("id")): one.get("value") for one in _objects(part(ticket, "custom_fields"))}
    return text_of(custom[name] if name in custom else part(ticket, name), 200) if name else None


def _events(audit: Mapping[str, Any], *kinds: str) -> list[Mapping[str, Any]]:
    return [one for one in _objects(audit.get("events")) if one.get("type") in kinds]


def _objects(value: Any) -> list[Mapping[str, Any]]:
    return [one for one in value if isinstance(one, Mapping)] if isinstance(value, list) else []


ADAPTER = Adapter("zendesk", "Zendesk", read, verify, delivery_id, story, window=True)
