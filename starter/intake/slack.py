"""Slack: messages of customers in a support channel, and the button that acknowledges an incident.

A customer's message at the top of a channel opens a ticket, `CHANNEL-TS`; what is said in its thread belongs to it. Slack
has no statuses: who resolves a ticket says so elsewhere. Both come signed to one address, the events as JSON and the
buttons as a form whose field `payload` holds JSON, which the intake unpacks.
"""

import hashlib
import hmac
import html
import re
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from sla.events import MAX_BODY, Delivery
from sla.intake import Adapter, Read, Told, Unusable, moment, part, text_of, word
from sla.signing import BadSignature, Hook, compare, in_window
from sla.source import Source

ACKNOWLEDGE = "pactkeeper_acknowledge"
"""The `action_id` of the button that we put under a notice; its value is the incident's workflow id."""
INCIDENT = "incident/"
SAID = ("", "file_share", "me_message", "thread_broadcast")
"""The subtypes that are somebody's own message. Others tell of bots, edits, deletions, joins."""
_TS = re.compile(r"[0-9]{1,12}\.[0-9]{1,9}")
_ID = re.compile(r"[A-Z][A-Z0-9]{1,30}")
_MARKUP = re.compile(r"<([@#!]?)([^<>|]*)(?:\|([^<>]*))?>")


def verify(hook: Hook, secrets: Sequence[str]) -> None:
    """Whether Slack signed it: `v0=` and the HMAC-SHA256 of `v0:timestamp:body`, within five minutes.

    Raises:
        BadSignature: it did not.
    """
    stamp = hook.header("x-slack-request-timestamp")
    plain = stamp.isascii() and stamp.isdigit() and len(stamp) <= 11
    in_window(datetime.fromtimestamp(int(stamp), UTC) if plain else None, hook.received)
    signed = b"v0:" + stamp.encode() + b":" + hook.raw
    wanted = [b"v0=" + hmac.new(one.encode(), signed, hashlib.sha256).hexdigest().encode() for one in secrets]
    given = hook.header("x-slack-signature")
    if not given:
        raise BadSignature("there is no signature")
    compare(wanted, [given])


def read(body: Any, source: Source, received: datetime) -> Read:
    """What one delivery tells.

    Raises:
        Unusable: it is none of Slack's, or lacks what names its ticket.
    """
    kind = text_of(part(body, "type"), 100)
    if kind is None:
        raise Unusable("type is missing; Slack names there what it sends", "type")
    if kind == "url_verification":
        challenge = text_of(part(body, "challenge"), 1000)
        if challenge is None:
            raise Unusable("challenge is missing or no text", "challenge")
        return Read(answer=challenge, ignored="Slack asks at set-up whether we are there", kind=kind)
    if kind == "block_actions":
        return _pressed(body, source, received)
    if kind == "event_callback":
        return _event(body, source, received)
    return Read(ignored=f"{kind} is no event that matters", kind=kind)


def _event(body: Any, source: Source, received: datetime) -> Read:
    event = part(body, "event")
    kind = text_of(part(event, "type"), 100)
    if kind is None:
        raise Unusable("event.type is missing", "event.type")
    subtype = part(event, "subtype")
    named = f"{kind}.{subtype[:100]}" if isinstance(subtype, str) and subtype else kind
    if kind != "message" or (subtype if isinstance(subtype, str) else "") not in SAID:
        return Read(ignored=f"{named} is no event that matters", kind=named)
    channel, ts = _name(event, "channel", _ID), _name(event, "ts", _TS)
    if part(event, "channel_type") in ("im", "app_home") and channel.casefold() not in _listed(source):
        return Read(ignored="what is written to the app itself is no ticket", kind=named)
    if not source.counts(channel):
        return Read(ignored=f"channel {channel} is none of those that count", kind=named)
    ours = _ourselves(body)
    user = text_of(part(event, "user"), 100)
    if part(event, "bot_id") or user is None or user in ours or source.is_ours(user):
        return Read(ignored="a program wrote it", kind=named)
    thread = _thread(event)
    if thread is None:
        told = None if _is_agent(source, user) else _opening(event, source, received, channel, ts, user)
        ignored = "a message of our own people opens no ticket"
    else:
        told = _reply(event, source, received, channel, thread, ts, user, ours)
        ignored = "a thread that no customer began is no ticket"
    return Read(told=(told,), kind=named) if told is not None else Read(ignored=ignored, kind=named)


def _opening(event: Any, source: Source, received: datetime, channel: str, ts: str, user: str) -> Told:
    text = plain(part(event, "text"))
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    opened = word(
        f"{source.name}:{channel}-{ts}:opened", _at(ts, received), received, event="opened", by=user, channel="slack",
        subject=first[:120], body=text,
    )  # fmt: skip
    return _told(channel, ts, opened)


def _reply(
    event: Any, source: Source, received: datetime, channel: str, thread: str, ts: str, user: str, ours: frozenset[str]
) -> Told | None:
    parent = text_of(part(event, "parent_user_id"), 100) or text_of(part(event, "root", "user"), 100)
    if part(event, "root", "bot_id") or (
        parent and (parent in ours or source.is_ours(parent) or _is_agent(source, parent))
    ):
        return None
    key, at, text = f"{source.name}:{channel}-{thread}:message:{ts}", _at(ts, received), plain(part(event, "text"))
    if _is_agent(source, user):
        said = word(key, at, received, event="agent_replied", by=source.agent(user), public=True, body=text)
    else:
        said = word(key, at, received, event="customer_replied", by=user, body=text)
    return _told(channel, thread, said)


def _told(channel: str, ts: str, said: Delivery) -> Told:
    """The channel stands for the company: a channel shared with a customer tells whose the ticket is."""
    return Told(ticket=f"{channel}-{ts}", words=(said,), organisation=channel)


def _pressed(body: Any, source: Source, received: datetime) -> Read:
    """A button under one of our notices. Links under it are told as well, and matter to nobody."""
    actions = part(body, "actions")
    pressed = (
        next((a for a in actions if part(a, "action_id") == ACKNOWLEDGE), None) if isinstance(actions, list) else None
    )
    if pressed is None:
        return Read(ignored="a button that tells us nothing", kind="block_actions")
    incident = text_of(part(pressed, "value"), 300)
    if incident is None or not incident.startswith(INCIDENT) or not incident.isprintable():
        raise Unusable("the button names no incident", "actions.value")
    user = text_of(part(body, "user", "id"), 100)
    if user is None:
        raise Unusable("user.id is missing; nobody is told of as who pressed the button", "user.id")
    if source.is_customer(user):
        return Read(ignored="a customer can't acknowledge for us", kind="block_actions")
    ts = part(pressed, "action_ts")
    once = ts if isinstance(ts, str) and _TS.fullmatch(ts) else text_of(part(body, "trigger_id"), 200) or user
    called = text_of(part(body, "user", "username"), 100) or text_of(part(body, "user", "name"), 100)
    by = source.agent(user)
    taken = word(
        f"{source.name}:{incident}:acknowledged:{once}", _at(once, received), received, event="acknowledged",
        by=called if called and by == user else by,
    )  # fmt: skip
    return Read(told=(Told(ticket="", words=(taken,), incident=incident),), kind="block_actions")


def plain(text: Any) -> str:
    """A message's text without Slack's markup: `<url|label>` as `label (url)`, `<@U1|dana>` as `@dana`, `&amp;` as `&`."""
    if not isinstance(text, str):
        return ""
    cut = text[: 2 * MAX_BODY]
    return html.unescape(_MARKUP.sub(_word_of, cut).replace("&quot;", "&amp;quot;"))[:MAX_BODY]


def _word_of(found: re.Match[str]) -> str:
    sign, value, label = found[1], found[2], found[3]
    if sign == "!":
        return f"@{(label or value.partition('^')[0]).lstrip('@')}"
    if sign:
        return f"{sign}{(label or value).lstrip(sign)}"
    return f"{label} ({value})" if label and label != value.removeprefix("mailto:") else value.removeprefix("mailto:")


def _name(event: Any, name: str, shape: re.Pattern[str]) -> str:
    value = part(event, name)
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise Unusable(f"event.{name} is missing or none of Slack's", f"event.{name}")
    return value


def _thread(event: Any) -> str | None:
    """The `ts` of the message that the thread hangs from; None for that message itself."""
    thread = part(event, "thread_ts")
    hangs = isinstance(thread, str) and _TS.fullmatch(thread) and thread != part(event, "ts")
    return thread if hangs else None


def _at(ts: str, received: datetime) -> datetime:
    return moment(float(ts), received) if _TS.fullmatch(ts) else received


def _is_agent(source: Source, user: str) -> bool:
    known = {one.casefold() for one in source.agents}
    return user.casefold() in known and not source.is_customer(user)


def _listed(source: Source) -> frozenset[str]:
    return frozenset(one.casefold() for one in source.channels)


def _ourselves(body: Any) -> frozenset[str]:
    """The users as which this app is installed, as each delivery tells."""
    given = part(body, "authorizations")
    bots = given if isinstance(given, list) else []
    return frozenset(str(part(one, "user_id")) for one in bots if part(one, "is_bot") is True and part(one, "user_id"))


ADAPTER = Adapter(kind="slack", title="Slack", read=read, verify=verify, window=True, taken=200)
