"""The reconciler of the connected helpdesks: reads by their API what changed, and feeds what the webhooks missed."""

import asyncio
from collections import OrderedDict
from collections.abc import Awaitable, Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities import dispatch, http
from activities.beating import beating
from activities.calls import ReadSource, ReadTicket, SourceRead
from activities.helpdesks.client import REFUSED, Helpdesk, HelpdeskRefused, HelpdeskUnavailable
from activities.policies import Policies
from activities.reading import OVERLAP, Progress, many, patience
from records.sources import SourceStore, quiet_by_name, quiet_since
from sla import names
from sla.events import Delivery
from sla.intake import Unusable
from sla.source import Source

BEAT = 10.0
REMEMBERED = 20_000
"""So many words are known to have been brought, and are not brought again by the rounds that overlap."""
NOTED = 100
"""After so many tickets it is kept how far the round came: one that is cut off goes on from there."""
TOLD_AT = 10
"""From this try on somebody is told that it still fails: about ten minutes have passed by then."""
LONG = 600.0
"""Where so many seconds are to be waited, somebody is told at once."""
LATER = timedelta(minutes=15)
"""What is refused for lack of a right is asked again when somebody may have given it: then, later, and at last in hours."""
SELDOM = timedelta(hours=6)


class Heard(Protocol):
    """A ticket's story, and whose it is."""

    @property
    def ticket(self) -> str:
        """Its number there."""

    @property
    def customer(self) -> str:
        """The customer's id here."""

    @property
    def words(self) -> tuple[Delivery, ...]:
        """All that it tells."""

    @property
    def incident(self) -> str | None:
        """The workflow's id of the one incident that the words are for, which they open not; none: the ticket's own."""


Hear = Callable[[Source, dict[str, Any], datetime], Heard | None]
"""Maps a ticket as the API hands it over; None: it is none of ours. Raises Unusable."""


def _now() -> datetime:
    return datetime.now(UTC)


@dataclass
class SourceActivities:
    """Needs a client a source, how its tickets are mapped, and where is kept how far each was read."""

    policies: Policies
    client: Client
    helpdesk: Callable[[Source], Helpdesk | None]
    hear: Hear
    states: SourceStore
    alarm: Callable[[str, str], Awaitable[None]] | None = None
    """Tells somebody of a sentence, once under its key."""
    now: Callable[[], datetime] = field(default=_now)
    sleep: http.Sleep = field(default=asyncio.sleep)
    _known: OrderedDict[tuple[str, str, str], None] = field(default_factory=OrderedDict)
    _behind: dict[str, timedelta] = field(default_factory=dict)

    @activity.defn(name=names.RECONCILE_SOURCE)
    async def reconcile_source(self, asked: ReadSource) -> SourceRead:
        """Read what changed since the last round and bring it to the incidents, with the helpdesk's own times.

        What is known there already counts once, by its key. A ticket that can't be read keeps no other back: it is left
        to a workflow of its own, which reads it again until it can. A helpdesk that limits us is waited for.
        """
        source = self.policies.source(asked.source)
        if source is None:
            return SourceRead(said="there is no such source any more")
        await self.states.seen(source.name, source.kind, self.now())
        await self._listen(source)
        desk = self.helpdesk(source)
        if desk is None:
            return SourceRead(said="it has no API that is set up here")
        state = await self.states.get(source.name)
        assert state is not None
        begun = self.now()
        known = min(state.read_to or state.since, begun)
        clock = self._behind.get(source.name, timedelta(0))
        progress = Progress(source.name, begun, known, clock, state.since, patience(activity.info().attempt))
        try:
            async with beating(lambda: activity.heartbeat(progress.read, progress.words), BEAT):
                with http.patient(self.sleep):
                    async for ticket in desk.changed(known - OVERLAP):
                        await self._take(source, ticket, progress)
            progress.ends()  # Where nothing else came, it may be the account that lacks the right, or the helpdesk that fails.
            await self._hand_over(source, progress)
        except HelpdeskUnavailable as error:
            await self._note(source, progress, progress.to, f"broke off: {error}")
            await self._lament(source, progress)
            if _lasts(error):
                await self._tell(source, "away", f"can't be read: {error}; what changes there comes late until it can")
            raise _later(error) from None
        except HelpdeskRefused as error:
            # The next round asks again; until then somebody may have given us the right.
            await self._note(source, progress, progress.to, f"refused: {error}")
            await self._tell(source, "refused", f"can't be read: {error}; `pactkeeper doctor {source.name}` says more")
            return SourceRead(
                read=progress.read, words=progress.words, failed=1, to=progress.to, said=f"refused: {error}"
            )
        # All is read that changed before we began to ask, by the clock there as far as it is behind ours.
        to = max(filter(None, (progress.to, begun + behind(source) - OVERLAP)))
        kept = await self._note(source, progress, to, said := progress.said())
        await self._lament(source, progress)
        failed = progress.failed + len(progress.apart)
        return SourceRead(read=progress.read, words=progress.words, failed=failed, to=kept, said=said)

    @activity.defn(name=names.READ_TICKET)
    async def read_ticket(self, asked: ReadTicket) -> int:
        """Read one ticket and bring what it tells; how many words."""
        source = self.policies.source(asked.source)
        desk = None if source is None else self.helpdesk(source)
        if source is None or desk is None:
            said = f"{asked.source} tells too little by its webhooks, and its API is not set up; add url and token"
            raise ApplicationError(said, type="HelpdeskNotSetUp", next_retry_delay=LATER)
        progress = Progress(source.name, self.now(), self.now())
        try:
            async with beating(activity.heartbeat, BEAT):
                ticket = await desk.ticket(asked.ticket)
        except HelpdeskUnavailable as error:
            if _lasts(error):
                progress.fails(f"ticket {asked.ticket[:80]}: {error}")
                await self._lament(source, progress)
            raise _later(error) from None
        except HelpdeskRefused as error:
            progress.fails(str(error))
            await self._lament(source, progress)
            delay = min(LATER * activity.info().attempt, SELDOM)
            raise ApplicationError(str(error), type="HelpdeskRefused", next_retry_delay=delay) from None
        if ticket is not None:
            await self._bring(source, ticket, progress)
        await self._lament(source, progress)
        return progress.words

    async def _take(self, source: Source, ticket: dict[str, Any], progress: Progress) -> None:
        if REFUSED in ticket:
            progress.passes(ticket)
            return
        await self._hand_over(source, progress)  # Now it is known that the helpdesk does not fail, but they do.
        await self._bring(source, ticket, progress)
        if progress.read and progress.read % NOTED == 0:
            await self._note(source, progress, progress.to, f"being read, {many(progress.read, 'ticket')} so far")

    async def _hand_over(self, source: Source, progress: Progress) -> None:
        """Leave each ticket that fails to a workflow of its own."""
        for id, why in progress.left:
            if id is not None:
                progress.fails(str(why))
                with _temporal():
                    await dispatch.read_ticket(self.client, source.name, id, task_queue=activity.info().task_queue)
        progress.left.clear()

    async def _bring(self, source: Source, ticket: dict[str, Any], progress: Progress) -> None:
        await self.policies.fresh()
        try:
            heard = self.hear(source, ticket, self.now())
        except Unusable as error:
            progress.fails(error.sentence)
            return
        if heard is not None and (new := self._new(source, heard)):
            try:
                with _temporal():
                    await self._deliver(source, heard, new)
            except dispatch.TooManyLinks as error:
                progress.fails(str(error))
                return
            self._remember(source, heard)
        progress.words += 0 if heard is None else len(heard.words)
        progress.read += 1
        progress.reaches(ticket.get("_changed"), behind(source))

    async def _deliver(self, source: Source, heard: Heard, words: list[Delivery]) -> None:
        if heard.incident is not None:
            await dispatch.existing(self.client, heard.incident, words)
            return
        await dispatch.deliver(
            self.client, source.name, heard.ticket, heard.customer, words,
            task_queue=activity.info().task_queue, policies=self.policies,
        )  # fmt: skip

    def _new(self, source: Source, heard: Heard) -> list[Delivery]:
        """What Temporal has not had from here: each word for a closed incident would cost a link of its ticket."""
        return [one for one in heard.words if (source.name, heard.ticket, one.key) not in self._known]

    def _remember(self, source: Source, heard: Heard) -> None:
        for one in heard.words:
            name = (source.name, heard.ticket, one.key)
            self._known[name] = None
            self._known.move_to_end(name)
        while len(self._known) > REMEMBERED:
            self._known.popitem(last=False)

    async def _lament(self, source: Source, progress: Progress) -> None:
        """Tell somebody, once a day, of what can't be read: it keeps nothing else back, so nobody else would."""
        if (lacks := progress.lacks()) is not None:
            await self._tell(source, "part", lacks)
        if progress.failed:
            of = f"{many(progress.failed, 'ticket')} of"
            await self._tell(
                source, "unread", f"can't be read: {progress.why}; look at them there, for their clocks may not run", of
            )

    async def _tell(self, source: Source, what: str, said: str, of: str = "") -> None:
        if self.alarm is not None:
            whole = f"{of} {source.title or source.name} {said}".strip()
            await self.alarm(f"source/{source.name}/{what}/{self.now():%Y-%m-%d}", whole)

    async def _note(self, source: Source, progress: Progress, to: datetime | None, said: str) -> datetime | None:
        """Keep how far it was read; that far."""
        late = behind(source)
        to = progress.surely(to, late)
        await self.states.read(source.name, source.kind, to, self.now(), said)
        self._behind[source.name] = late
        return to

    async def _listen(self, source: Source) -> None:
        """Tell somebody, once, when a source has been quiet for longer than it should."""
        state, now = await self.states.get(source.name), self.now()
        since = quiet_since(source, state, now)
        if state is None or since is None or state.told_quiet_at is not None or self.alarm is None:
            return
        said = quiet_by_name({source.name: source}, {source.name: state}, now)[source.name]
        await self.alarm(f"source/{source.name}/quiet/{since.isoformat()}", said)
        await self.states.told_quiet(source.name, now)


def behind(source: Source) -> timedelta:
    """How far the clock there is behind ours, below zero; zero where it is ahead, for nothing is lost by asking for more."""
    return min(http.ahead(source.url or ""), timedelta(0))


@contextmanager
def _temporal() -> Iterator[None]:
    try:
        yield
    except RPCError as error:
        raise ApplicationError(error.message, type="TemporalUnavailable") from None


def _lasts(error: HelpdeskUnavailable) -> bool:
    return activity.info().attempt >= TOLD_AT or (error.retry_after or 0) >= LONG


def _later(error: HelpdeskUnavailable) -> ApplicationError:
    delay = None if error.retry_after is None else timedelta(seconds=error.retry_after)
    return ApplicationError(str(error), type="HelpdeskUnavailable", next_retry_delay=delay)
