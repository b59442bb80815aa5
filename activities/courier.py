"""The courier: sends one message by the channel it names, once, and remembers that it did.

Where a person has further ways, a channel that will not take a message, or cannot for too long, is followed by the next,
and the last of them by the ways of the team's fallback member; the log comes last, and takes everything.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Iterator
from datetime import UTC, datetime
from typing import TextIO
from weakref import WeakValueDictionary

from sqlalchemy.exc import SQLAlchemyError

from activities import apprise, mail, pagerduty, slack, webhook
from activities.logbook import Logbook
from activities.message import UPDATE, Address, ChannelRefused, ChannelUnavailable, Message, Receipt
from activities.settings import SMTP_URL, WEBHOOK_URL, CourierSettings
from activities.slack_api import SLACK_TOKEN
from activities.stand_in import StandIn
from records.sent import Sent, SentStore
from records.threads import ThreadStore

__all__ = ["Address", "ChannelRefused", "ChannelUnavailable", "Courier", "Message", "Receipt"]

_log = logging.getLogger(__name__)
_NEEDS = {
    "email": SMTP_URL,
    "webhook": WEBHOOK_URL,
    "slack": SLACK_TOKEN,
    "pagerduty": pagerduty.PAGERDUTY_KEY,
    "apprise": "the extra `notices`",
}


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Courier:
    """Sends messages so that each key has one effect.

    The store knows what went out. Between sending and remembering a process may die, and a store may be lost or down;
    then the receiver tells the repetition by the key: `webhook-id`, `Message-ID`, Slack's metadata, the log file's own key.
    """

    def __init__(
        self,
        settings: CourierSettings,
        sent: SentStore | None,
        out: TextIO | None = None,
        *,
        threads: ThreadStore | None = None,
        stand_in: StandIn | None = None,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """`out` is the console of the log channel (left out: standard error); `threads`: where incidents' messages are.

        `stand_in`: who is told where none of a person's ways takes a message; left out: nobody, and it goes to the log.
        """
        self._settings = settings
        self._sent = sent
        self._threads = threads
        self._stand_in = stand_in
        self._now = now
        self._logbook = Logbook(settings.state / "notices.jsonl", out)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def bring(
        self, message: Message, *, patient: bool, later: Callable[[Message], Awaitable[bool]] | None = None
    ) -> Receipt:
        """Bring the message by the first of its ways that takes it, else by those of the team's fallback member, at last by
        the log; the receipt tells of those that failed.

        `later` is asked of what goes to the fallback member: True means that it has seen to it.

        Raises:
            ChannelUnavailable: `patient`, and a channel cannot take it now; or the log's file cannot be written.
        """
        failed: list[str] = []
        clock = asyncio.get_running_loop().time
        ends = clock() + self._settings.all_seconds
        receipt = await self._by_ways(message, message.channel, failed, ends, patient)
        if receipt is not None:
            return receipt
        # A team that has set up no mail writes to no customer at all: that is no failure which somebody must make good.
        silent = message.to_customer and all(way.channel in _NEEDS and self._lack(way) for way in _ways(message))
        asks = None if silent else self._stand_in
        instead = None if asks is None else asks.of(message, "; ".join(failed), self._now())
        if instead is not None:
            failed.append(f"on to {instead.to[0].id}, the fallback")
            if later is not None and await later(instead):
                return Receipt(key=message.key, via=instead.channel, detail=f"{'; '.join(failed)}, with others")
            ends = max(ends, clock() + self._settings.total_seconds)  # however long the person's own ways hung
            receipt = await self._by_ways(instead, message.channel, failed, ends, patient)
            if receipt is not None:
                return receipt
        why = "; ".join(failed)
        if message.kind == UPDATE:
            _log.warning("a message of %s is not brought up to date: %s", message.incident, why)
            return Receipt(key=message.key, via=message.channel, detail=f"not brought up to date: {why}")
        _log.log(logging.INFO if silent else logging.ERROR, "a notice of %s goes to the log: %s", message.incident, why)
        return await self.fall_back(message, why)

    async def send(self, message: Message) -> Receipt:
        """Send the message by its own channel, unless it has gone out before. One that is not set up here falls back to the log.

        Raises:
            ChannelUnavailable: try the same message again, after `retry_after` seconds where that is given.
            ChannelRefused: trying again is of no use; `fall_back` puts it into the log.
        """
        lack = self._lack(message)
        return await self._once(message, "log" if lack else message.channel, lack or "", message.channel)

    async def fall_back(self, message: Message, why: str) -> Receipt:
        """Put into the log what its channel refused, or could not take in time; `why` goes into the receipt's detail.

        Raises:
            ChannelUnavailable: the log's file cannot be written.
        """
        return await self._once(message, "log", why, message.channel)

    async def shown(self, incident: str) -> list[tuple[str, str]]:
        """Channel and address of each message that shows how an incident stands.

        Raises:
            SQLAlchemyError, OSError: the database can't be asked.
        """
        if self._threads is None:
            return []
        found = [thread.channel.partition(":") for thread in await self._threads.of(incident)]
        return [(channel, address) for channel, _, address in found if channel in ("slack", "pagerduty")]

    async def told(self, key: str) -> bool:
        """Whether a message of that key went out, as far as the record can be read."""
        return await self._known(key) is not None

    async def note(self, message: Message, via: str, detail: str) -> None:
        """Remember that a message went out as a part of another."""
        await self._remember(message, via, self._now(), detail, message.channel)

    async def _by_ways(
        self, message: Message, asked: str, failed: list[str], ends: float, patient: bool
    ) -> Receipt | None:
        """Bring the message by the first of one person's ways that takes it; None: none does, and `failed` says why."""
        clock = asyncio.get_running_loop().time
        for way in _ways(message):
            lack = self._lack(way)
            if lack is None:
                try:
                    # Channels that are slow one after the other must not keep it from the log.
                    async with asyncio.timeout_at(max(ends, clock())):
                        return await self._once(way, way.channel, "; ".join(failed), asked)
                except ChannelRefused as error:
                    lack = str(error)
                except (ChannelUnavailable, TimeoutError) as error:
                    late = ChannelUnavailable(f"{way.channel} was not done within {self._settings.all_seconds:g} s")
                    down = error if isinstance(error, ChannelUnavailable) else late
                    if patient:
                        raise down from None
                    lack = str(down)
            failed.append(lack)
        return None

    def _lack(self, message: Message) -> str | None:
        """Why the channel of a message can't be used here at all; None: it can."""
        settings, channel = self._settings, message.channel
        match channel:
            case "log":
                return None
            case "email":
                ready = bool(settings.smtp and settings.mail_from)
            case "webhook":
                ready = bool(settings.webhook_url and settings.webhook_secret)
            case "slack":
                ready = settings.slack is not None
            case "pagerduty":
                named = message.to[0].address or (settings.pagerduty and settings.pagerduty.routing_key)
                ready = settings.pagerduty is not None and bool(named)
            case "apprise":
                ready = settings.apprise is not None
            case _:
                return f"{channel} is not available in this version"
        return None if ready else f"{channel} is not set up here ({_NEEDS[channel]})"

    async def _once(self, message: Message, via: str, why: str, asked: str) -> Receipt:
        async with self._turns.setdefault(message.key, asyncio.Lock()):
            known = await self._known(message.key)
            if known is not None:
                return Receipt(key=message.key, via=known.via, detail=known.detail, repeated=True)
            now, repeated = self._now(), False
            if via == "log":
                detail = f"{why}; written to the log" if why else "written to the log"
                repeated = not await asyncio.to_thread(self._logbook.write, message, now, why)
            else:
                detail = await self._sent_by(via, message, now)
                detail = f"{why}; then {detail} ({via})" if why else detail
            await self._remember(message, via, now, detail, asked)
            return Receipt(key=message.key, via=via, detail=detail, repeated=repeated)

    async def _sent_by(self, via: str, message: Message, now: datetime) -> str:
        settings, address = self._settings, message.to[0].address or ""
        match via:
            case "email":
                return await mail.send(settings, message, now)
            case "webhook":
                return await webhook.send(settings, message, now)
            case "slack":
                assert settings.slack is not None
                return await slack.send(settings.slack, message, address, self._threads, now)
            case "pagerduty":
                assert settings.pagerduty is not None
                return await pagerduty.send(settings.pagerduty, message, address, self._threads, now)
            case _:
                assert settings.apprise is not None
                return await apprise.send(settings.apprise, message, address)

    async def _known(self, key: str) -> Sent | None:
        if self._sent is None:
            return None
        try:
            return await self._sent.get(key)
        except (SQLAlchemyError, OSError) as error:
            # A page must go out though the database is down; the receiver knows the key.
            _log.warning("the record of sent notices cannot be read (%s)", type(error).__name__)
            return None

    async def _remember(self, message: Message, via: str, at: datetime, detail: str, asked: str) -> None:
        if self._sent is None:
            return
        to = tuple(person.id for person in message.to)
        kept = message.model_dump(include={"key", "incident", "kind", "clock", "step", "clause"})
        try:
            await self._sent.put(Sent(**kept, channel=asked, recipients=to, via=via, sent_at=at, detail=detail))
        except (SQLAlchemyError, OSError) as error:
            _log.warning("a notice went out but is not in the record of sent notices (%s)", type(error).__name__)


def _ways(message: Message) -> Iterator[Message]:
    """The message by each of its ways, all under one key: whichever takes it, it has gone out."""
    yield message
    for channel, address in message.fallbacks:
        to = tuple(person.model_copy(update={"address": address}) for person in message.to)
        yield message.model_copy(update={"channel": channel, "to": to, "fallbacks": ()})
