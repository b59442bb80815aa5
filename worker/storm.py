"""Put off: what comes too thick for one person goes into one message a minute; what is to wake nobody waits for the opening.

A message that is put off lies in the records, and counts as told from then on. This process brings it when its time has
come; where it is gone by then, another does with the first notice that it tells, or whoever sweeps.
"""

import asyncio
import logging
import shlex
import uuid
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from sqlalchemy.exc import SQLAlchemyError

from activities import wording
from activities.account_wording import LISTED
from activities.courier import Courier
from activities.message import UPDATE, ChannelUnavailable, Message, one_line
from records.bundles import BundleStore, Part, Pile
from sla import names
from sla.roster import Recipient
from worker.bundling import Depositor, utc_now
from worker.letters import address, kept_recipient
from worker.reference import reference

MOST: Final = 5
"""So many messages reach one person by one channel within a minute; what is beyond becomes one."""
WINDOW: Final = 60
PEOPLES: Final = ("email", "slack", "apprise")
"""Channels that people read. PagerDuty groups by itself, and a program that takes our webhook wants each."""
PREFIX: Final = "later/"
MINUTE: Final = f"{PREFIX}minute/"
HOURS: Final = f"{PREFIX}hours/"
TRIES: Final = 4
GRACE: Final = timedelta(seconds=30)
"""So long after its time another process leaves a bundle to the one that made it."""
_PERSONS: Final = 1000
_log = logging.getLogger(__name__)


def put_off(bundle: str) -> bool:
    """Whether a bundle holds messages that were put off, and no account's."""
    return bundle.startswith(PREFIX)


class Later:
    """Messages that were put off, in the table of bundles: one bundle a person, channel, moment and process.

    Each process counts by itself and brings what it put off, so that no two bring the same.
    """

    def __init__(
        self,
        store: BundleStore,
        depositor: Depositor,
        courier: Courier,
        *,
        now: Callable[[], datetime] = utc_now,
        sleep: Callable[[float], Awaitable[object]] = asyncio.sleep,
    ) -> None:
        self._store, self._depositor, self._courier = store, depositor, courier
        self._now, self._sleep = now, sleep
        self._counted: dict[tuple[str, str], tuple[int, set[str]]] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._resumed = False
        self._own = uuid.uuid4().hex[:8]

    async def takes(self, message: Message) -> bool:
        """Put the message off, if it must be; False: it is to go out now. A database that is down puts nothing off."""
        waits = message.not_before if message.not_before and message.not_before > self._now() else None
        if message.kind == UPDATE or message.to_customer or (waits is None and message.channel not in PEOPLES):
            return False
        await self.resume()
        try:
            if await self._store.holds(PREFIX, message.incident, message.key):
                return True
            if waits is None and not self._too_thick(message):
                return False
            if await self._courier.told(message.key):
                return True
            until = waits or datetime.fromtimestamp((self._minute() + 1) * WINDOW, UTC)
            whose = f"{message.channel}/{names.canonical(message.to[0].id)}/{self._own}"
            bundle = f"{HOURS if waits else MINUTE}{whose}/{until.astimezone(UTC).isoformat()}"
            # Before it lies there: who is cut short meanwhile finds it there the next time, and does not come here.
            self._arm(bundle)
            [held] = await self._depositor.put([_part(bundle, message)])
        except (SQLAlchemyError, OSError) as error:
            _log.warning("a notice can't be put off, and goes out by itself (%s)", type(error).__name__)
            return False
        return held

    async def call_off(self, incident: str) -> None:
        """It is over: what of it waits for the opening wakes nobody any more, and goes to the log."""
        try:
            kept = await self._store.call_off(HOURS, incident, self._now())
        except (SQLAlchemyError, OSError) as error:
            _log.warning("what waits of %s can't be called off (%s)", incident, type(error).__name__)
            return
        for one in kept:
            await self._courier.fall_back(_message(*one), "it was over before anybody was to be woken")

    async def release_due(self, patience: timedelta = GRACE) -> int:
        """Bring what should have been brought so long ago; how many bundles there were.

        Raises:
            SQLAlchemyError, OSError: the records are down.
        """
        due = [bundle for bundle in await self._waiting() if _until(bundle) <= self._now() - patience]
        for bundle in due:
            await self._release(bundle)
        return len(due)

    async def settled(self) -> None:
        """Wait until all that this process has to bring is brought."""
        while self._tasks:
            await asyncio.gather(*self._tasks.values())

    def _too_thick(self, message: Message) -> bool:
        minute, whose = self._minute(), (message.channel, names.canonical(message.to[0].id))
        if len(self._counted) > _PERSONS:
            self._counted = {one: seen for one, seen in self._counted.items() if seen[0] == minute}
        counted = self._counted.get(whose)
        if counted is None or counted[0] != minute:
            counted = self._counted[whose] = (minute, set())
        if message.key not in counted[1] and len(counted[1]) >= MOST:
            return True
        counted[1].add(message.key)
        return False

    def _minute(self) -> int:
        return int(self._now().timestamp()) // WINDOW

    async def _waiting(self) -> list[str]:
        return [bundle for bundle, _ in await self._store.forgotten(self._now() + timedelta(days=1)) if put_off(bundle)]

    async def resume(self) -> None:
        """Once: see to what another process may have left behind; where the records are down, the next notice does."""
        if not self._resumed:
            self._resumed = True
            try:
                for bundle in await self._waiting():
                    self._arm(bundle, GRACE)
            except (SQLAlchemyError, OSError):
                self._resumed = False

    def _arm(self, bundle: str, after: timedelta = timedelta(0)) -> None:
        if bundle not in self._tasks:
            self._tasks[bundle] = asyncio.create_task(self._bring(bundle, after))

    async def _bring(self, bundle: str, after: timedelta) -> None:
        try:
            await self._sleep(max((_until(bundle) + after - self._now()).total_seconds(), 0.0))
            await self._release(bundle)
        except (SQLAlchemyError, OSError, ChannelUnavailable) as error:
            _log.warning("%s is brought by the next sweep (%s)", bundle, type(error).__name__)
        finally:
            self._tasks.pop(bundle, None)

    async def _release(self, bundle: str) -> None:
        for pile in await self._store.close(bundle, "", self._now()):
            if pile.parts:
                kept = (await self._store.first([pile], LISTED if pile.channel in PEOPLES else pile.parts))[pile]
                for message in _messages(pile, kept):
                    await self._patiently(message)
                await self._store.sent([pile], self._now())

    async def _patiently(self, message: Message) -> None:
        for attempt in range(1, TRIES + 1):
            try:
                await self._courier.bring(message, patient=attempt < TRIES)
                return
            except ChannelUnavailable as error:
                if attempt == TRIES:
                    raise
                await self._sleep(error.retry_after or 5.0 * 2 ** (attempt - 1))


def _until(bundle: str) -> datetime:
    return datetime.fromisoformat(bundle.rpartition("/")[2])


def _part(bundle: str, message: Message) -> Part:
    to = message.to[0]
    recipient = Recipient(to.id, message.channel, to.address, to.name, message.fallbacks)
    # What waited for the opening may ring then; what came too thick stays as quiet as it was.
    left_out = {"to", "not_before", "quiet"} if bundle.startswith(HOURS) else {"to", "not_before"}
    said = message.model_dump(mode="json", exclude=left_out)
    missed = "0" if "declared_missed" in message.data else "1"
    rank = f"{missed} {message.data.get('priority') or '~'} {message.data.get('due') or '~'} {message.at.isoformat()}"
    return Part(
        bundle=bundle, customer="", incident=message.incident, step_key=message.key, channel=message.channel,
        recipient_id=names.canonical(to.id), recipient=_storable(asdict(recipient)), message=_storable(said | {"rank": rank}),
    )  # fmt: skip


def _messages(pile: Pile, kept: Sequence[tuple[Mapping[str, Any], Mapping[str, Any]]]) -> list[Message]:
    """One message of all, or, where there is but one or a program reads it, each by itself."""
    to = kept_recipient(kept[0][0])
    each = [_message(kept[0][0], said) for _, said in kept]
    if pile.parts == 1 or pile.channel not in PEOPLES:
        return each
    listed = [_line(one) for one in each]
    subject, text = wording.several(listed, pile.parts - len(each), waited=pile.bundle.startswith(HOURS))
    tickets = ", ".join(one.data.get("ticket", "") for one in each)
    return [
        Message(
            key=f"{pile.bundle}/{pile.channel}-{pile.recipient_id}", incident=pile.bundle, kind="several",
            channel=pile.channel, to=(address(to),), subject=subject, text=text, at=min(one.at for one in each),
            data={"incidents": str(pile.parts), "tickets": tickets}, fallbacks=to.fallbacks,
            quiet=all(one.quiet for one in each),
        )
    ]  # fmt: skip


def _message(recipient: Mapping[str, Any], said: Mapping[str, Any]) -> Message:
    """A message as it was before it was put off."""
    to = kept_recipient(recipient)
    plain = {name: held for name, held in said.items() if name != "rank"}
    return Message.model_validate(plain | {"to": (address(to),), "fallbacks": to.fallbacks})


def _line(one: Message) -> dict[str, str]:
    ticket, link, whose = one.data.get("ticket"), one.links.get("acknowledge", ""), one.data.get("assignee", "")
    about = reference(one.data.get("source", ""), ticket) if ticket else one.data.get("customer", "")
    look = f"pactkeeper {'status' if ticket else 'standing'} {shlex.quote(one_line(about, 200))}"
    return {"subject": one.subject, "clause": one.clause or "", "assignee": whose, "link": link, "look": look}


def _storable(value: Any) -> Any:
    """The same, its texts such as every database takes."""
    if isinstance(value, str):
        return value.replace("\x00", " ").encode("utf-8", "replace").decode()
    if isinstance(value, Mapping):
        return {_storable(name): _storable(held) for name, held in value.items()}
    if isinstance(value, list | tuple):
        return [_storable(held) for held in value]
    return value
