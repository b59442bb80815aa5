"""Slack's Web API: the threads of the channels that count, each whole; nothing is written into it.

Needs the app's bot token with the right to read the history of those channels. Slack can't be asked what changed: a message
that begins a thread says when the last reply came, so the channel is read from some days back on.
"""

import re
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

from activities.helpdesks.client import (
    CONNECT,
    REFUSED,
    TOTAL,
    Account,
    HelpdeskRefused,
    HelpdeskUnavailable,
    Writing,
    alone,
    listed,
    whole,
)
from activities.message import ChannelRefused, ChannelUnavailable
from activities.slack_api import NOBODYS, SlackRefused, SlackSettings, Unclear, call, further, pages
from sla.intake import text_of

HORIZON = timedelta(days=14)
"""How much older than the last round a thread may be whose replies are found."""
PAGE = 200
MOST_PAGES = 100
_TS = re.compile(r"[0-9]{1,10}\.[0-9]{1,9}")
_TICKET = re.compile(r"([A-Z][A-Z0-9]{1,30})-([0-9]{1,10}\.[0-9]{1,9})")


class Slack:
    """One workspace, as one app is installed there."""

    def __init__(self, account: Account) -> None:
        self.account = account
        base = f"{account.url.removesuffix('/api')}/api"
        self.settings = SlackSettings(account.token, base, CONNECT, TOTAL, "its token in the file of hook secrets")
        self._known: dict[str, Any] | None = None

    async def changed(self, since: datetime) -> AsyncIterator[dict[str, Any]]:
        """Every thread with a message since then, unless it began more than 14 days before; a channel may be refused alone."""
        await self._me()  # The token is the account's: what is said of it is said of no thread alone.
        found: dict[tuple[str, str], dict[str, Any]] = {}
        for channel in await self._channels():
            threads = await alone(self._threads(channel, since), channel, "channel") or {}
            if REFUSED in threads:
                yield threads
            else:
                found |= {(channel, ts): told for ts, told in threads.items()}
        for (channel, ts), told in sorted(found.items(), key=lambda one: float(one[1]["newest"])):
            id = f"{channel}-{ts}"
            single = told["single"]
            ticket = await self._made(channel, ts, [single]) if single else await alone(self.ticket(id), id)
            if ticket is not None:
                # By the time that the list told, not by what was written since: others are still to come.
                yield {**ticket, "_changed": datetime.fromtimestamp(float(told["newest"]), UTC).isoformat()}

    async def ticket(self, id: str) -> dict[str, Any] | None:
        """One thread: its first message and all that hangs from it."""
        named = _TICKET.fullmatch(id)
        if named is None:
            return None
        try:
            messages = await self._all("conversations.replies", "messages", channel=named[1], ts=named[2])
        except HelpdeskRefused as refused:
            if refused.status == 404:
                return None
            raise
        return await self._made(named[1], named[2], messages)

    async def write(self, id: str, writing: Writing) -> str:
        """Nothing: Slack knows no internal notes, and a thread is the customer's too."""
        raise HelpdeskRefused("Slack has no internal notes, so nothing is written there; take `writes` out of its file")

    async def check(self) -> str:
        """As whom, and whether each channel can be read."""
        me = await self._me()
        who = f"{text_of(me.get('user'))} ({text_of(me.get('user_id'))}) of {text_of(me.get('team'))}"
        if text_of(me.get("bot_id")) is None:
            raise HelpdeskRefused(
                f"the token is the one of {who}; the app's bot token is needed, which begins with xoxb-"
            )
        channels, refused = await self._channels(), []
        for channel in channels:
            try:
                with _told():
                    await call(self.settings, "conversations.history", {"channel": channel, "limit": "1"}, form=True)
            except HelpdeskRefused as error:
                refused.append(f"channel {channel}: {error}")
        if refused:
            raise HelpdeskRefused("; ".join(refused[:3]))
        if not channels:
            raise HelpdeskRefused(f"Slack knows us as {who}, and as a member of no channel; invite the app")
        return f"Slack lets us read {', '.join(channels[:5])}{' and others' if channels[5:] else ''} as {who}"

    async def _me(self) -> dict[str, Any]:
        """As whom the app is installed, which stays the same."""
        if self._known is None:
            with _told():
                self._known = whole(await call(self.settings, "auth.test", {}, form=True))
        return self._known

    async def _channels(self) -> list[str]:
        """Those that the source's file names; else all that the app is in."""
        if self.account.channels:
            return list(dict.fromkeys(one.strip().upper() for one in self.account.channels))
        found = await self._all(
            "users.conversations", "channels", types="public_channel,private_channel", exclude_archived="true"
        )
        return [id for one in found if (id := text_of(one.get("id")))]

    async def _threads(self, channel: str, since: datetime) -> dict[str, Any]:
        """The threads of a channel that changed, by the `ts` of their first message: when, and that message if it is all."""
        oldest = f"{max((since - HORIZON).timestamp(), 0):.6f}"
        found: dict[str, Any] = {}
        for message in await self._all("conversations.history", "messages", channel=channel, oldest=oldest):
            ts, last = _stamp(message.get("ts")), _stamp(message.get("latest_reply"))
            # What hangs below a program's message, ours among them, is no ticket.
            if ts is None or message.get("bot_id"):
                continue
            thread, newest = _stamp(message.get("thread_ts")) or ts, max(ts, last or ts, key=float)
            if float(newest) < since.timestamp():
                continue
            # A reply that is shown in the channel too stands there by itself, and its thread may have begun long ago.
            before = found.get(thread)
            single = message if before is None and thread == ts and last is None else None
            newest = newest if before is None else max(newest, before["newest"], key=float)
            found[thread] = {"newest": newest, "single": single}
        return found

    async def _all(self, method: str, name: str, **said: str) -> list[dict[str, Any]]:
        """The objects of a list, all pages of it."""
        found: list[dict[str, Any]] = []
        last: dict[str, Any] = {}
        with _told():
            async for last in pages(self.settings, method, {**said, "limit": str(PAGE)}, MOST_PAGES):
                found += listed(whole(last), name)
        if further(last):
            raise HelpdeskRefused(f"Slack has more than {MOST_PAGES} pages for {method}", 413)
        return found

    async def _made(self, channel: str, ts: str, messages: list[dict[str, Any]]) -> dict[str, Any]:
        stamps = [one for one in (_stamp(message.get("ts")) for message in messages) if one]
        last = datetime.fromtimestamp(float(max(stamps or [ts], key=float)), UTC)
        me = await self._me()
        ours = [id for id in (text_of(me.get("user_id")), text_of(me.get("bot_id"))) if id]
        return {"_changed": last.isoformat(), "channel": channel, "ts": ts, "messages": messages, "ours": ours}


@contextmanager
def _told() -> Iterator[None]:
    """What the Web API says, in the words of a helpdesk."""
    try:
        yield
    except ChannelUnavailable as error:
        of_one = isinstance(error, Unclear) and error.reached and error.retry_after is None
        raise HelpdeskUnavailable(str(error), error.retry_after, of_one=of_one) from None
    except SlackRefused as error:
        status = 401 if error.error in NOBODYS else 404 if error.error == "thread_not_found" else 403
        raise HelpdeskRefused(str(error), status) from None
    except ChannelRefused as error:
        raise HelpdeskRefused(str(error)) from None


def _stamp(told: Any) -> str | None:
    """The `ts` of a message: seconds since the epoch, and what tells it from the others of that second."""
    return told if isinstance(told, str) and _TS.fullmatch(told) else None
