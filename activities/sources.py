"""The reconciler of the connected helpdesks: reads by their API what changed, and feeds what the webhooks missed."""

import logging
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Protocol

from temporalio import activity
from temporalio.client import Client
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from activities import dispatch
from activities.beating import beating
from activities.calls import ReadSource, ReadTicket, SourceRead
from activities.helpdesks.client import REFUSED, Helpdesk, HelpdeskRefused, HelpdeskUnavailable
from activities.policies import Policies
from records.sources import SourceStore, quiet_by_name, quiet_since
from sla import names
from sla.civil import parsed
from sla.events import Delivery
from sla.intake import Unusable
from sla.source import Source

OVERLAP = timedelta(minutes=5)
"""So far before the last moment read the next round begins: a helpdesk's search may be behind its tickets."""
BEAT = 10.0
REMEMBERED = 20_000
"""So many words are known to have been brought, and are not brought again by the rounds that overlap."""
LATER = timedelta(minutes=15)
"""What is refused for lack of a right is asked again when somebody may have given it."""

_log = logging.getLogger(__name__)


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
    _known: OrderedDict[tuple[str, str, str], None] = field(default_factory=OrderedDict)

    @activity.defn(name=names.RECONCILE_SOURCE)
    async def reconcile_source(self, asked: ReadSource) -> SourceRead:
        """Read what changed since the last round and bring it to the incidents, with the helpdesk's own times.

        What is known there already counts once, by its key. A ticket that can't be read keeps no other back.
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
        since = min(state.read_to, begun) - OVERLAP if state.read_to is not None else state.since
        progress = _Progress(source.name, begun)
        try:
            async with beating(lambda: activity.heartbeat(progress.read, progress.words), BEAT):
                async for ticket in desk.changed(since):
                    await self._bring(source, ticket, progress)
            if progress.refused is not None and not progress.read:
                raise progress.refused  # Nothing else came: it may be the account that lacks the right.
        except HelpdeskUnavailable as error:
            await self._note(source, progress.to, f"broke off: {error}")
            raise _later(error) from None
        except HelpdeskRefused as error:
            # The next round asks again; until then somebody may have given us the right.
            await self._note(source, progress.to, f"refused: {error}")
            if self.alarm is not None:
                said = (
                    f"{source.title or source.name} can't be read: {error}; `pactkeeper doctor {source.name}` says more"
                )
                await self.alarm(f"source/{source.name}/refused/{begun:%Y-%m-%d}", said)
            return SourceRead(
                read=progress.read, words=progress.words, failed=1, to=progress.to, said=f"refused: {error}"
            )
        # Nothing changed up to the moment at which we began to ask: by our clock, less what clocks differ by.
        to = max(filter(None, (progress.to, begun - OVERLAP)), default=None)
        said = f"{_many(progress.read, 'ticket')} read, {_many(progress.words, 'word')}" + (
            f", {progress.failed} not read: {progress.why}" if progress.failed else ""
        )
        await self._note(source, to, said)
        await self._lament(source, progress)
        return SourceRead(read=progress.read, words=progress.words, failed=progress.failed, to=to, said=said)

    @activity.defn(name=names.READ_TICKET)
    async def read_ticket(self, asked: ReadTicket) -> int:
        """Read one ticket and bring what it tells; how many words."""
        source = self.policies.source(asked.source)
        desk = None if source is None else self.helpdesk(source)
        if source is None or desk is None:
            said = f"{asked.source} tells too little by its webhooks, and its API is not set up; add url and token"
            raise ApplicationError(said, type="HelpdeskNotSetUp", next_retry_delay=LATER)
        progress = _Progress(source.name, self.now())
        try:
            ticket = await desk.ticket(asked.ticket)
        except HelpdeskUnavailable as error:
            raise _later(error) from None
        except HelpdeskRefused as error:
            progress.fails(str(error))
            await self._lament(source, progress)
            raise ApplicationError(str(error), type="HelpdeskRefused", next_retry_delay=LATER) from None
        if ticket is not None:
            await self._bring(source, ticket, progress)
        await self._lament(source, progress)
        return progress.words

    async def _bring(self, source: Source, ticket: dict[str, Any], progress: "_Progress") -> None:
        if isinstance(refused := ticket.get(REFUSED), HelpdeskRefused):
            progress.refused = refused
            progress.fails(str(refused))
            return
        await self.policies.fresh()
        try:
            heard = self.hear(source, ticket, self.now())
        except Unusable as error:
            progress.fails(error.sentence)
            return
        if heard is not None and (new := self._new(source, heard)):
            try:
                await dispatch.deliver(
                    self.client, source.name, heard.ticket, heard.customer, new,
                    task_queue=activity.info().task_queue, policies=self.policies,
                )  # fmt: skip
            except dispatch.TooManyLinks as error:
                progress.fails(str(error))
                return
            except RPCError as error:
                raise ApplicationError(error.message, type="TemporalUnavailable") from None
            self._remember(source, heard)
        progress.words += 0 if heard is None else len(heard.words)
        progress.read += 1
        progress.reaches(ticket.get("_changed"))

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

    async def _lament(self, source: Source, progress: "_Progress") -> None:
        """Tell somebody, once a day, of tickets that can't be read: they keep no other back, so nobody else would."""
        if progress.failed and self.alarm is not None:
            which = f"{_many(progress.failed, 'ticket')} of {source.title or source.name} can't be read"
            said = f"{which}: {progress.why}; look at them there, for their clocks may not run"
            await self.alarm(f"source/{source.name}/unread/{self.now():%Y-%m-%d}", said)

    async def _note(self, source: Source, to: datetime | None, said: str) -> None:
        await self.states.read(source.name, source.kind, to, self.now(), said)

    async def _listen(self, source: Source) -> None:
        """Tell somebody, once, when a source has been quiet for longer than it should."""
        state, now = await self.states.get(source.name), self.now()
        since = quiet_since(source, state, now)
        if state is None or since is None or state.told_quiet_at is not None or self.alarm is None:
            return
        said = quiet_by_name({source.name: source}, {source.name: state}, now)[source.name]
        await self.alarm(f"source/{source.name}/quiet/{since.isoformat()}", said)
        await self.states.told_quiet(source.name, now)


@dataclass
class _Progress:
    source: str
    begun: datetime
    read: int = 0
    words: int = 0
    failed: int = 0
    why: str = ""
    to: datetime | None = None
    refused: HelpdeskRefused | None = None

    def fails(self, why: str) -> None:
        """A ticket that can't be read."""
        self.failed, self.why = self.failed + 1, why
        _log.warning("a ticket of %s can't be read: %s", self.source, why)

    def reaches(self, changed: Any) -> None:
        """All that changed up to here is read; what lies ahead of us (a ticket's date may) must hide nothing that comes."""
        if (at := parsed(changed)) is not None:
            self.to = max(filter(None, (self.to, min(at, self.begun))))


def _many(number: int, what: str) -> str:
    return f"{number} {what}{'' if number == 1 else 's'}"


def _later(error: HelpdeskUnavailable) -> ApplicationError:
    delay = None if error.retry_after is None else timedelta(seconds=error.retry_after)
    return ApplicationError(str(error), type="HelpdeskUnavailable", next_retry_delay=delay)
