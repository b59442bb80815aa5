"""Slack: messages of customers in a support channel, and the button that acknowledges an incident.

A customer's message at the top of a channel opens a ticket, `CHANNEL-TS`; what is said in its thread belongs to it. Slack
has no statuses: who resolves a ticket says so elsewhere. Both come signed to one address, the events as JSON and the
buttons as a form whose field `payload` holds JSON, which the intake unpacks. A thread that was read over the API tells
the same as the events of its messages.
"""

import hashlib
import hmac
import html
import re
from collections.abc import Mapping, Sequence
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
    if kind != "message" or not _is_said(event):
        return Read(ignored=f"{named} is no event that matters", kind=named)
    channel, ts = _name(event, "channel", _ID, "event."), _name(event, "ts", _TS, "event.")
    if part(event, "channel_type") in ("im", "app_home") and channel.casefold() not in _listed(source):
        return Read(ignored="what is written to the app itself is no ticket", kind=named)
    if not source.counts(channel):
        return Read(ignored=f"channel {channel} is none of those that count", kind=named)
    said = _word(event, source, received, channel, ts, _ourselves(body))
    if isinstance(said, str):
        return Read(ignored=said, kind=named)
    return Read(told=(_told(channel, _thread(event) or ts, (said,)),), kind=named)


def story(ticket: dict[str, Any], source: Source, received: datetime) -> Told | None:
    """A thread as the API client hands it over: its `channel`, its `ts`, its `messages`, and `ours`, who we are there.

    None: no customer began it, or nobody can tell any more, as its first message was deleted.

    Raises:
        Unusable: it is no thread.
    """
    channel, thread = _name(ticket, "channel", _ID), _name(ticket, "ts", _TS)
    told, given = part(ticket, "messages"), part(ticket, "ours")
    said = [one for one in told if _is_said(one)] if isinstance(told, list) else []
    ours = frozenset(one for one in given if isinstance(one, str)) if isinstance(given, list) else frozenset()
    first = next((one for one in said if part(one, "ts") == thread), None)
    if first is None or not source.counts(channel):
        return None
    words: dict[str, Delivery] = {}
    began = {"root": first, "parent_user_id": part(first, "user")}
    for one in said:
        ts = part(one, "ts")
        if isinstance(ts, str) and _TS.fullmatch(ts) and (_thread(one) or ts) == thread:
            found = _word({**one, **began}, source, received, channel, ts, ours)
            if not isinstance(found, str):
                words.setdefault(found.key, found)
    return _told(channel, thread, tuple(words.values())) if words else None


def _is_said(message: Any) -> bool:
    """Whether it is somebody's own message."""
    subtype = part(message, "subtype")
    return part(message, "type") == "message" and (subtype if isinstance(subtype, str) else "") in SAID


def _word(
    message: Any, source: Source, received: datetime, channel: str, ts: str, ours: frozenset[str]
) -> Delivery | str:
    """What a message tells; else why it tells nothing."""
    user = text_of(part(message, "user"), 100)
    if part(message, "bot_id") or user is None or user in ours or source.is_ours(user):
        return "a program wrote it"
    thread = _thread(message)
    if thread is not None:
        said = _reply(message, source, received, channel, thread, ts, user, ours)
        return said or "a thread that no customer began is no ticket"
    if _is_agent(source, user):
        return "a message of our own people opens no ticket"
    return _opening(message, source, received, channel, ts, user)


def _opening(message: Any, source: Source, received: datetime, channel: str, ts: str, user: str) -> Delivery:
    text = _said(message)
    first = next((line.strip() for line in text.splitlines() if line.strip()), "")
    return word(
        f"{source.name}:{channel}-{ts}:opened", _at(ts, received), received, event="opened", by=user, channel="slack",
        subject=first[:120], body=text,
    )  # fmt: skip


def _reply(
    event: Any, source: Source, received: datetime, channel: str, thread: str, ts: str, user: str, ours: frozenset[str]
) -> Delivery | None:
    parent = text_of(part(event, "parent_user_id"), 100) or text_of(part(event, "root", "user"), 100)
    if part(event, "root", "bot_id") or (
        parent and (parent in ours or source.is_ours(parent) or _is_agent(source, parent))
    ):
        return None
    key, at, text = f"{source.name}:{channel}-{thread}:message:{ts}", _at(ts, received), _said(event)
    if _is_agent(source, user):
        return word(key, at, received, event="agent_replied", by=source.agent(user), public=True, body=text)
    return word(key, at, received, event="customer_replied", by=user, body=text)


def _said(message: Any) -> str:
    """What a message says: its own text and the messages that it forwards; else the names of its files."""
    text, attached = plain(part(message, "text")), _objects(part(message, "attachments"))
    # What is attached to a text of its own and is not forwarded is the preview of a link, which comes only later.
    shared = [one for one in attached if not text.strip() or part(one, "is_share") is True]
    texts = [text, *(plain(part(one, "text")) or plain(part(one, "fallback")) for one in shared)]
    files = [file for holder in (message, *shared) for file in _objects(part(holder, "files"))]
    names = [text_of(part(one, "title")) or text_of(part(one, "name")) or "a file without a name" for one in files]
    return "\n\n".join(one for one in texts if one.strip()) or "\n".join(names)


def _objects(value: Any) -> list[Any]:
    return [one for one in value[:20] if isinstance(one, Mapping)] if isinstance(value, list) else []


def _told(channel: str, ts: str, said: tuple[Delivery, ...]) -> Told:
    """The channel stands for the company: a channel shared with a customer tells whose the ticket is."""
    return Told(ticket=f"{channel}-{ts}", words=said, organisation=channel)


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


def _name(holder: Any, name: str, shape: re.Pattern[str], under: str = "") -> str:
    value = part(holder, name)
    if not isinstance(value, str) or not shape.fullmatch(value):
        raise Unusable(f"{under}{name} is missing or none of Slack's", f"{under}{name}")
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


ADAPTER = Adapter(kind="slack", title="Slack", read=read, verify=verify, story=story, window=True, taken=200)
