"""The Slack channel: one message an incident and address, brought up to date as things move; further notices go below it.

Slack knows no key by which it would drop a repetition. So each message carries its key as metadata, the thread's row says
what was begun, and after an end that was not clear we look for it there before it is posted again.
"""

import asyncio
import html
import logging
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import Any
from weakref import WeakValueDictionary

from sqlalchemy.exc import SQLAlchemyError

from activities import slack_api, slack_card
from activities.message import ChannelRefused, ChannelUnavailable, Message
from activities.slack_api import SlackRefused, SlackSettings, Unclear, call
from activities.slack_card import UPDATE
from records.threads import Thread, ThreadStore

__all__ = ["SlackSettings", "send"]

EVENT_TYPE = "pactkeeper_notice"
LOUD = ("escalation", "reassignment", "approval")
"""Kinds whose notices are shown in the channel too, not in the thread alone, unless they are to wake nobody."""
_ADDRESS = re.compile(r"[CGDUW][A-Z0-9]{2,30}")
_KEPT = 60
_LOOKS_BACK = timedelta(minutes=5)
_IN_FLIGHT = timedelta(seconds=2)
_log = logging.getLogger(__name__)
_turns: WeakValueDictionary[tuple[str, str], asyncio.Lock] = WeakValueDictionary()


async def send(
    settings: SlackSettings, message: Message, address: str, threads: ThreadStore | None, now: datetime
) -> str:
    """Bring a notice, or an update (`kind` is `update`), to a channel (C…) or a person (U…); half a sentence for the receipt.

    Raises:
        ChannelUnavailable: try the same message again, after `retry_after` seconds where that is given.
        ChannelRefused: trying again is of no use.
    """
    if not _ADDRESS.fullmatch(address):
        raise ChannelRefused("the address is no id of Slack's; write that of a channel or a person, such as C0123ABCD")
    # An account lives for ever: what it says stands by itself, and not below a message of last year.
    about = message.incident if message.incident.startswith("incident/") else message.key
    async with _turns.setdefault((about, address), asyncio.Lock()):
        return await _Sending(settings, message, about, address, _Memory(threads), now).send()


class _Memory:
    """The threads, as far as the database answers: one that is down keeps no notice from going out."""

    def __init__(self, threads: ThreadStore | None) -> None:
        self._threads = threads

    @property
    def lost(self) -> bool:
        """Whether nothing is remembered: there is no store, or it does not answer."""
        return self._threads is None

    async def get(self, incident: str, channel: str) -> Thread | None:
        return None if self._threads is None else await self._or(self._threads.get(incident, channel), None)

    async def begin(self, thread: Thread) -> bool:
        return self._threads is not None and await self._or(self._threads.begin(thread), False)

    async def put(self, thread: Thread) -> None:
        if self._threads is not None:
            await self._or(self._threads.put(thread), None)

    async def drop(self, thread: Thread) -> None:
        if self._threads is not None:
            await self._or(self._threads.drop(thread.incident, thread.channel), None)

    async def _or(self, asked: Any, instead: Any) -> Any:
        try:
            return await asked
        except (SQLAlchemyError, OSError) as error:
            _log.warning("the record of Slack's threads can't be used (%s)", type(error).__name__)
            self._threads = None
            return instead


@dataclass
class _Sending:
    """One message on its way to one address."""

    settings: SlackSettings
    message: Message
    about: str
    """What all messages below one parent have in common."""
    address: str
    memory: _Memory
    now: datetime

    async def send(self) -> str:
        fresh = Thread(self.about, f"slack:{self.address}", "", self.now)
        thread = await self.memory.get(fresh.incident, fresh.channel)
        if thread is None and not self.memory.lost:
            if self.message.kind == UPDATE:
                return "nothing to bring up to date: Slack has no message of it"
            if await self.memory.begin(fresh):
                return await self._open(fresh)
            thread = await self.memory.get(fresh.incident, fresh.channel)
        if thread is None:
            thread = replace(fresh, put_at=self.now - timedelta(days=1))
        if not thread.reference:
            found = await self._parent(thread.put_at)
            if found is None:
                return await self._open_anew(thread)
            thread = found
            await self.memory.put(thread)
        return await self._go_on(thread)

    async def _open_anew(self, thread: Thread) -> str:
        """The parent was begun, by us or by another process, and is not there."""
        if self.message.kind == UPDATE:
            return "nothing to bring up to date: Slack has no message of it"
        waits = timedelta(seconds=self.settings.total_seconds) + _IN_FLIGHT - (self.now - thread.put_at)
        if waits > timedelta(0):
            raise ChannelUnavailable(
                "a message of this incident is just being posted to Slack, and is not there yet", waits.total_seconds()
            )
        thread = replace(thread, put_at=self.now)
        await self.memory.put(thread)
        return await self._open(thread)

    async def _open(self, thread: Thread) -> str:
        card = slack_card.merged({}, self.message)
        text, blocks = slack_card.rendered(card, self.message.incident)
        try:
            told = await self._post(self.address, text, blocks)
        except Unclear:
            raise
        except (ChannelUnavailable, ChannelRefused):
            await self.memory.drop(thread)
            raise
        state = {"channel": told["channel"], "card": card, "said": [self.message.key]}
        await self.memory.put(replace(thread, reference=told["ts"], state=state, put_at=self.now))
        return f"posted to {told['channel']}"

    async def _go_on(self, thread: Thread) -> str:
        """There is a parent: bring it up to date, and say below it what is new."""
        state, channel = dict(thread.state), str(thread.state.get("channel") or self.address)
        told, begun = slack_card.keys(state, "said"), slack_card.keys(state, "begun")
        before = state.get("card")
        old: Mapping[str, Any] = before if isinstance(before, dict) else {}
        card = slack_card.merged(old, self.message)
        if card != old and not await self._bring_up_to_date(channel, thread.reference, card):
            await self.memory.drop(thread)
            return "the message was deleted in Slack" if self.message.kind == UPDATE else await self.send()
        key = self.message.key
        if key in told:
            how = "brought up to date"
        elif (key in begun or self.memory.lost) and await self._below(channel, thread.reference):
            how = "found in its thread"
        else:
            state["begun"] = [*begun, key][-_KEPT:]
            await self.memory.put(replace(thread, state=state))
            await self._reply(channel, thread.reference)
            how = "told in its thread"
        state |= {
            "card": card,
            "said": [*(k for k in told if k != key), key][-_KEPT:],
            "begun": [k for k in begun if k != key],
        }
        await self.memory.put(replace(thread, state=state))
        return f"{how} in {channel}" if how.startswith("brought") else f"{how}, {channel}"

    async def _bring_up_to_date(self, channel: str, ts: str, card: Mapping[str, Any]) -> bool:
        """Whether the parent is there. One that may not be edited any more stays as it is."""
        text, blocks = slack_card.rendered(card, self.message.incident)
        said = {"channel": channel, "ts": ts, "text": text, "blocks": blocks, "parse": "none", "link_names": False}
        try:
            await call(self.settings, "chat.update", said)
        except SlackRefused as refused:
            if refused.error == "message_not_found":
                return False
            _log.warning("a message in Slack stays as it is: %s", refused)
        return True

    async def _reply(self, channel: str, ts: str) -> None:
        text, blocks = slack_card.reply(self.message)
        loud = self.message.kind in LOUD and not self.message.quiet
        await self._post(channel, text, blocks, thread_ts=ts, **({"reply_broadcast": True} if loud else {}))

    async def _post(self, channel: str, text: str, blocks: Sequence[Any], **further: Any) -> dict[str, str]:
        payload = {"key": self.message.key, "incident": self.about}
        said = {
            "channel": channel, "text": text, "blocks": blocks, "unfurl_links": False, "unfurl_media": False,
            "metadata": {"event_type": EVENT_TYPE, "event_payload": payload}, **further,
        }  # fmt: skip
        told = await call(self.settings, "chat.postMessage", said)
        if not isinstance(told.get("ts"), str) or not isinstance(told.get("channel"), str):
            raise Unclear("Slack took the message and did not say where it stands")
        return {"ts": told["ts"], "channel": told["channel"]}

    async def _parent(self, since: datetime) -> Thread | None:
        """The parent, where it was posted after all: found by the incident in its metadata."""
        try:
            channel = await self._conversation()
            said = {"channel": channel, "oldest": f"{(since - _LOOKS_BACK).timestamp():.6f}"}
            found = await slack_api.find(
                self.settings, "conversations.history", said, lambda payload: payload.get("incident") == self.about
            )  # fmt: skip
        except SlackRefused as refused:
            _log.warning("whether a message went out can't be looked up in Slack: %s", refused)
            return None
        if found is None:
            return None
        # A reply that is shown in the channel too stands there beside its parent.
        ts = found["thread_ts"] if isinstance(found.get("thread_ts"), str) else found["ts"]
        headline = html.unescape(str(found.get("text") or "")).partition(" | ")[0]
        state = {"channel": channel, "card": {"subject": headline}, "said": [str(found["payload"].get("key"))]}
        return Thread(self.about, f"slack:{self.address}", ts, self.now, state)

    async def _below(self, channel: str, ts: str) -> bool:
        """Whether the message stands in the thread already."""
        try:
            return None is not await slack_api.find(
                self.settings, "conversations.replies", {"channel": channel, "ts": ts},
                lambda payload: payload.get("key") == self.message.key,
            )  # fmt: skip
        except SlackRefused as refused:
            _log.warning("whether a message went out can't be looked up in Slack: %s", refused)
            return False

    async def _conversation(self) -> str:
        """The channel's id; for a person, that of the conversation with them."""
        if self.address[0] not in "UW":
            return self.address
        told = await call(self.settings, "conversations.open", {"users": self.address})
        channel = told.get("channel")
        return str(channel.get("id") or self.address) if isinstance(channel, dict) else self.address
