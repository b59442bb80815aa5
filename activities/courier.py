"""The courier: sends one message by the channel it names, once, and remembers that it did."""

import asyncio
import logging
from collections.abc import Callable
from datetime import UTC, datetime
from typing import TextIO
from weakref import WeakValueDictionary

from sqlalchemy.exc import SQLAlchemyError

from activities import mail, webhook
from activities.logbook import Logbook
from activities.message import Address, ChannelRefused, ChannelUnavailable, Message, Receipt
from activities.settings import SMTP_URL, WEBHOOK_URL, CourierSettings
from records.sent import Sent, SentStore

__all__ = ["Address", "ChannelRefused", "ChannelUnavailable", "Courier", "Message", "Receipt"]

_log = logging.getLogger(__name__)
_NOT_SET_UP = {"email": SMTP_URL, "webhook": WEBHOOK_URL}


def _utc_now() -> datetime:
    return datetime.now(UTC)


class Courier:
    """Sends messages so that each key has one effect.

    The store knows what went out. Between sending and remembering a process may die, and a store may be lost or down;
    then the receiver tells the repetition by the key: `webhook-id`, `Message-ID`, the log file's own key.
    """

    def __init__(
        self,
        settings: CourierSettings,
        sent: SentStore | None,
        out: TextIO | None = None,
        *,
        now: Callable[[], datetime] = _utc_now,
    ) -> None:
        """`out` is the console of the log channel (left out: standard error)."""
        self._settings = settings
        self._sent = sent
        self._now = now
        self._logbook = Logbook(settings.state / "notices.jsonl", out)
        self._turns: WeakValueDictionary[str, asyncio.Lock] = WeakValueDictionary()

    async def send(self, message: Message) -> Receipt:
        """Send the message, unless it has gone out before. A channel that is not set up here falls back to the log.

        Raises:
            ChannelUnavailable: try the same message again, after `retry_after` seconds where that is given.
            ChannelRefused: trying again is of no use; `fall_back` puts it into the log.
        """
        match message.channel:
            case "log":
                return await self._once(message, "log", "")
            case "email" if self._settings.smtp and self._settings.mail_from:
                return await self._once(message, "email", "")
            case "webhook" if self._settings.webhook_url and self._settings.webhook_secret:
                return await self._once(message, "webhook", "")
            case "email" | "webhook" as channel:
                return await self._once(message, "log", f"{channel} is not set up here ({_NOT_SET_UP[channel]})")
            case channel:
                return await self._once(message, "log", f"{channel} is not available in this version")

    async def fall_back(self, message: Message, why: str) -> Receipt:
        """Put into the log what its channel refused, or could not take in time; `why` goes into the receipt's detail.

        Raises:
            ChannelUnavailable: the log's file cannot be written.
        """
        return await self._once(message, "log", why)

    async def _once(self, message: Message, via: str, why: str) -> Receipt:
        async with self._turns.setdefault(message.key, asyncio.Lock()):
            known = await self._known(message.key)
            if known is not None:
                return Receipt(key=message.key, via=known.via, detail=known.detail, repeated=True)
            now, repeated = self._now(), False
            if via == "email":
                detail = await mail.send(self._settings, message, now)
            elif via == "webhook":
                detail = await webhook.send(self._settings, message, now)
            else:
                detail = f"{why}; written to the log" if why else "written to the log"
                repeated = not await asyncio.to_thread(self._logbook.write, message, now, why)
            await self._remember(message, via, now, detail)
            return Receipt(key=message.key, via=via, detail=detail, repeated=repeated)

    async def _known(self, key: str) -> Sent | None:
        if self._sent is None:
            return None
        try:
            return await self._sent.get(key)
        except (SQLAlchemyError, OSError) as error:
            # A page must go out though the database is down; the receiver knows the key.
            _log.warning("the record of sent notices cannot be read (%s)", type(error).__name__)
            return None

    async def _remember(self, message: Message, via: str, at: datetime, detail: str) -> None:
        if self._sent is None:
            return
        to = tuple(person.id for person in message.to)
        kept = message.model_dump(include={"key", "incident", "kind", "clock", "step", "clause", "channel"})
        try:
            await self._sent.put(Sent(**kept, recipients=to, via=via, sent_at=at, detail=detail))
        except (SQLAlchemyError, OSError) as error:
            _log.warning("a notice went out but is not in the record of sent notices (%s)", type(error).__name__)
