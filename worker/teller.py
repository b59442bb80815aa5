"""The live teller: what a step says becomes one message for each person and channel, and the courier brings it.

What many incidents say of one suspension is put by, and brought to each person in one message when their account speaks.
"""

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from temporalio.exceptions import ApplicationError

from activities.account_wording import LISTED
from activities.ack_links import Links
from activities.beating import beating
from activities.calls import CarryOut, TellAccount
from activities.courier import Courier
from activities.message import OVER, UPDATE, ChannelUnavailable, Message
from activities.policies import Policies
from records.bundles import BundleStore, Part, PartKey, Pile
from sla.customer import Customer
from sla.roster import Outcome
from sla.steps import Step
from worker import letters
from worker.bundling import Depositor, Patience, in_bundle, settled, utc_now
from worker.storm import Later, put_off
from worker.writing import Writer, subjects_of

PATIENT_ATTEMPTS: Final = 3
"""A channel that is down is tried so often, for about half a minute in all; after that the notice goes another way."""
RESOLVING_ATTEMPTS: Final = 20
"""The same for what says that an incident is over: for about half an hour."""
AT_ONCE: Final = 10
"""Messages of one telling that are under way at a time."""
PILES: Final = 50
KEPT: Final = timedelta(days=90)
"""What was sent is forgotten after so long; the record of what was sent, without its words, stays."""
FORGOTTEN: Final = timedelta(minutes=20)
"""Parts that wait for so long are not waited for by any account: it waits ten minutes at most."""
_REMEMBERED: Final = 20_000

_log = logging.getLogger(__name__)


class LiveTeller:
    """Tells for real: words from the templates, people from the policies, channels from the courier, parts in the records."""

    def __init__(
        self,
        policies: Policies,
        courier: Courier,
        bundles: BundleStore | None = None,
        *,
        patience: Patience = Patience(),  # noqa: B008 - it is frozen
        links: Links | None = None,
        writer: Writer | None = None,
    ) -> None:
        """Without `bundles` nothing is put by: every incident's notice goes out by itself. Without `links` none carries one.

        Without `writer` nothing is written into a helpdesk.
        """
        self._policies = policies
        self._courier = courier
        self._store = bundles
        self._depositor = Depositor(bundles) if bundles is not None else None
        self._later = None if bundles is None or self._depositor is None else Later(bundles, self._depositor, courier)
        self._links = links
        self._writer = writer
        self._patience = patience
        self._dealt_with: OrderedDict[PartKey, None] = OrderedDict()

    async def tell(self, asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], attempt: int) -> None:
        """Bring every message; one that its channel can't take keeps no other back. Steps of a bundle are put by.

        Raises:
            ApplicationError: a channel is down, and may be tried again.
        """
        known = self._known(asked.scene.customer or "")
        said = list(letters.said(asked, chosen, self._policies, known))
        one_by_one = [(s, o) for s, o in chosen if s.bundle is None]
        alone = letters.messages(asked, one_by_one, self._policies, known, self._link)
        now = self._bring_all(alone, attempt)
        together = self._put_by(asked, known, [one for one in said if one[1][0].bundle is not None], attempt)
        failed = [error for errors in await asyncio.gather(now, together) for error in errors]
        for step, _ in chosen:
            if step.kind == UPDATE:
                failed += await self._bring_up_to_date(asked, step, attempt)
        failed += await self._write(asked, chosen, said, attempt)
        _raise(failed)

    async def _write(
        self, asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], said: Sequence[letters.Said], attempt: int
    ) -> list[BaseException]:
        """Write it into the helpdesk, once everybody is told."""
        if self._writer is None:
            return []
        try:
            await self._writer.write(asked, chosen, subjects_of(said), attempt)
        except ChannelUnavailable as error:
            return [error]
        return []

    async def tell_account(
        self,
        asked: TellAccount,
        chosen: Sequence[tuple[Step, Outcome]],
        attempt: int,
        beat: Callable[[], None],
    ) -> None:
        """Bring what an account says, each person one message a step; below it stands what their incidents put by.

        Raises:
            ApplicationError: a channel is down, and may be tried again.
            SQLAlchemyError, OSError: the records are down, and may be tried again.
        """
        known = self._known(asked.customer)
        alone = [(s, o) for s, o in chosen if s.bundle is None]
        together = [(in_bundle(s, asked.customer), o) for s, o in chosen if s.bundle is not None]
        async with beating(beat, self._patience.beat):
            failed = await self._bring_all(letters.own(asked, known, alone), attempt)
            if self._store is None:
                failed += await self._bring_all(letters.own(asked, known, together), attempt)
            elif together:
                failed += await self._tell_together(self._store, asked, known, together, attempt)
        _raise(failed)

    async def resume(self) -> None:
        """See to what a process that is gone has put off."""
        if self._later is not None:
            await self._later.resume()

    async def sweep_bundles(self, older_than: timedelta = FORGOTTEN) -> int:
        """Bring the parts that nobody came for in so long; how many bundles there were. What was sent long ago is dropped.

        What no way takes goes to the log.

        Raises:
            SQLAlchemyError, OSError: the records are down.
        """
        if self._store is None:
            return 0
        await self._policies.readable()
        await self._store.purge(utc_now() - KEPT)
        forgotten = [one for one in await self._store.forgotten(utc_now() - older_than) if not put_off(one[0])]
        failed: list[BaseException] = []
        if self._later is not None:
            await self._later.release_due()
        for bundle, customer in forgotten:
            failed += await self._send(self._store, bundle, self._known(customer), None, PATIENT_ATTEMPTS + 1)
        _raise(failed)
        return len(forgotten)

    async def _tell_together(
        self,
        store: BundleStore,
        asked: TellAccount,
        known: Customer,
        chosen: Sequence[tuple[Step, Outcome]],
        attempt: int,
    ) -> list[BaseException]:
        bundles = [step.bundle or "" for step, _ in chosen]
        await settled(store, bundles, asked.waits_for, self._patience)
        failed: list[BaseException] = []
        for bundle, _ in await store.forgotten(utc_now() - FORGOTTEN, known.id):
            if bundle not in bundles:
                failed += await self._send(store, bundle, known, None, attempt)
        for step, outcome in chosen:
            failed += await self._send(store, step.bundle or "", known, (asked, step, outcome), attempt)
        return failed

    async def _send(
        self,
        store: BundleStore,
        bundle: str,
        customer: Customer,
        account: tuple[TellAccount, Step, Outcome] | None,
        attempt: int,
    ) -> list[BaseException]:
        """Close a bundle and bring what is still to be said: what it holds, and what the account says besides."""
        piles = await store.close(bundle, customer.id, utc_now())
        failed: list[BaseException] = []
        for some in _batches([pile for pile in piles if pile.parts]):
            kept = {pile: parts for pile, parts in (await store.first(some, LISTED)).items() if parts}
            written = []
            for pile, parts in kept.items():
                to, lines = letters.lines_of(parts)
                if account is None:
                    written.append(letters.of_parts(customer, bundle, to, lines, pile.parts))
                else:
                    written.append(letters.of_account(account[0], customer, account[1], to, lines, pile.parts))
            came = await self._bring_each(written, attempt)
            if said := [pile for pile, error in zip(kept, came, strict=True) if error is None]:
                await store.sent(said, utc_now())
            failed += [error for error in came if error is not None]
        if account is not None:
            asked, step, outcome = account
            holds = {(pile.channel, pile.recipient_id) for pile in piles}
            failed += await self._bring_all(letters.own(asked, customer, [(step, outcome)], holds), attempt)
        return failed

    async def _put_by(
        self, asked: CarryOut, customer: Customer, said: Sequence[letters.Said], attempt: int
    ) -> list[BaseException]:
        """Put notices by; those whose bundle went out already, and all where the records are down, go out at once."""
        parts = [letters.part(item[0].bundle or "", asked, customer, to, item) for to, item in said]
        todo = [(part, one) for part, one in zip(parts, said, strict=True) if part.key not in self._dealt_with]
        if not todo:
            return []
        held = await self._held([part for part, _ in todo])
        now = [one for one, kept in zip(todo, held, strict=True) if not kept]
        written = [letters.message(asked, to, [item]) for _, (to, item) in now]
        came = await self._bring_each(written, attempt)
        self._remember(part for (part, _), kept in zip(todo, held, strict=True) if kept)
        self._remember(part for (part, _), error in zip(now, came, strict=True) if error is None)
        return [error for error in came if error is not None]

    async def _held(self, parts: Sequence[Part]) -> list[bool]:
        if self._depositor is None:
            return [False] * len(parts)
        try:
            return await self._depositor.put(parts)
        except (SQLAlchemyError, OSError) as error:
            _log.warning("notices can't be put by, and go out one by one (%s)", type(error).__name__)
            return [False] * len(parts)

    def _remember(self, parts: Iterable[Part]) -> None:
        """So that a further attempt, with the records back or gone meanwhile, does not say in the other way what was said."""
        for part in parts:
            self._dealt_with[part.key] = None
            if len(self._dealt_with) > _REMEMBERED:
                self._dealt_with.popitem(last=False)

    async def _bring_all(self, messages: Sequence[Message], attempt: int) -> list[BaseException]:
        return [error for error in await self._bring_each(messages, attempt) if error is not None]

    async def _bring_each(self, messages: Sequence[Message], attempt: int) -> list[BaseException | None]:
        lanes = asyncio.Semaphore(AT_ONCE)

        async def bring(message: Message) -> None:
            async with lanes:
                await self._bring(message, attempt)

        return await asyncio.gather(*map(bring, messages), return_exceptions=True)

    async def _bring(self, message: Message, attempt: int) -> None:
        if self._later is None or not await self._later.takes(message):
            # An alert that nobody resolves goes on paging, and nobody waits for what is over.
            ends = message.kind == UPDATE and message.data.get("phase") in OVER
            patient = attempt <= (RESOLVING_ATTEMPTS if ends else PATIENT_ATTEMPTS)
            later = None if self._later is None else self._later.takes
            await self._courier.bring(message, patient=patient, later=later)

    async def _bring_up_to_date(self, asked: CarryOut, step: Step, attempt: int) -> list[BaseException]:
        """Show how the incident stands wherever a message of it shows that; this has no words, and no log to fall back to."""
        if asked.phase in OVER and self._later is not None:
            await self._later.call_off(asked.incident)
        try:
            shown = await self._courier.shown(asked.incident)
        except (SQLAlchemyError, OSError) as error:
            if attempt <= PATIENT_ATTEMPTS:
                return [error]
            _log.warning("what shows %s can't be found (%s)", asked.incident, type(error).__name__)
            return []
        return await self._bring_all([letters.update(asked, step, *place) for place in shown], attempt)

    def _link(self, incident: str, person: str, at: datetime) -> str:
        return "" if self._links is None else self._links.to(incident, person, at, utc_now())

    def _known(self, customer: str) -> Customer:
        return self._policies.customer(customer) or Customer(id=customer or "unknown")


def _batches(piles: Sequence[Pile]) -> Iterator[Sequence[Pile]]:
    return (piles[start : start + PILES] for start in range(0, len(piles), PILES))


def _raise(failed: Sequence[BaseException]) -> None:
    """Raise what went wrong, if anything did: an error of ours before a channel that is down."""
    down = [error for error in failed if isinstance(error, ChannelUnavailable)]
    if bug := next((error for error in failed if not isinstance(error, ChannelUnavailable)), None):
        raise bug
    if down:
        waits = [error.retry_after for error in down if error.retry_after is not None]
        delay = timedelta(seconds=min(waits)) if waits else None
        said = "; ".join(dict.fromkeys(map(str, down)))
        raise ApplicationError(said[:2000], type="ChannelUnavailable", next_retry_delay=delay)
