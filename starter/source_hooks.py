"""The hooks of the connected helpdesks: one way for every source, whatever its adapter.

The order is fixed: size, raw bytes, signature, window, known already?, parse, map, Temporal, 2xx. What is rightly signed is never
lost: what can't be read is kept as a dead letter, what Temporal does not take is spooled, and only where the records fail as
well the sender is asked to come again.
"""

import asyncio
import hashlib
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

from fastapi import Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from sqlalchemy.exc import SQLAlchemyError

from activities.policies import Policies
from records.dead_letters import Letter, body_of
from sla import names
from sla.account_events import AccountDelivery
from sla.events import Delivery
from sla.intake import Adapter, Read, Unusable
from sla.signing import Hook
from sla.source import Source
from starter.bound import Bound, bind
from starter.came import Came
from starter.hook_bodies import Refused, parse, raw_body
from starter.hook_settings import IntakeSettings
from starter.in_time import in_time
from starter.port import Dispatch, Letters, Log, NotKept, Spool, Unavailable
from starter.senders import Senders
from starter.sources import KINDS, adapter

TEST = "x-pactkeeper-test"
"""A delivery with this header is mapped and answered with what it would tell; nobody hears of it."""
LARGEST = 5 * 1024 * 1024
FORM = "application/x-www-form-urlencoded"
PATIENCE = 2.0
"""Seconds in which Temporal takes all of one delivery, of however many tickets; what is left then is spooled."""
AT_ONCE = 16
"""So many tickets of one delivery are brought at a time."""

_log = logging.getLogger(__name__)


@dataclass
class SourceHooks:
    """What the hooks need. Without `letters`, `log` or `spool` (tests) the sender is put off where these would help."""

    dispatch: Dispatch
    settings: IntakeSettings
    policies: Policies
    letters: Letters | None = None
    log: Log | None = None
    spool: Spool | None = None
    only: Mapping[str, Source] | None = None
    """The sources, where they are not those of the policy files."""
    alarm: Callable[[str, str], None] | None = None
    """Has somebody told of a subject, once a day."""

    @property
    def senders(self) -> Senders:
        """Who may send."""
        return Senders(self.settings, self.policies, self.only)

    def sources(self) -> Mapping[str, Source]:
        """The connected sources."""
        return self.senders.sources()

    async def take(self, kind: str, place: str, request: Request) -> Response:
        """One request at `/hooks/{kind}/{place}`."""
        received = self.settings.now()
        size = adapter(kind).limit if kind in KINDS else LARGEST
        came = Came(self.senders.called(kind, place), received)
        with came.noted(self.log):
            raw = await raw_body(request, min(size, LARGEST))
            came.digest = hashlib.sha256(raw).hexdigest()
            hook = Hook({name.lower(): value for name, value in request.headers.items()}, raw, received)
            source = self.senders.authentic(kind, place, hook)
            came.source = f"{kind}/{source.name}"
            return await in_time(self._take(adapter(kind), source, hook, came))

    async def _take(self, how: Adapter, source: Source, hook: Hook, came: Came) -> Response:
        came.delivery = how.delivery_id(hook)[:200]
        test = hook.header(TEST) == "1"
        if not test and self.repeats(came):
            return JSONResponse({"accepted": True, "duplicate": True}, 200)
        try:
            read = self._read(how, source, hook)
        except Unusable as error:
            if test:
                raise Refused(422, error.sentence, error.path or None) from None
            return await self._kept(hook, came, error)
        came.kind = read.kind[:200]
        if test:
            came.silent = True
            return JSONResponse(await self._shown(source, read), 200)
        if read.answer is not None:
            came.ends("ignored", read.ignored or "answered")
            return PlainTextResponse(read.answer)
        if not read.told:
            came.ends("ignored", read.ignored or "it tells nothing")
            return JSONResponse({"accepted": False, "ignored": read.ignored}, 200)
        return await self._bring(source, read, came)

    def repeats(self, came: Came) -> bool:
        """Whether it was carried out before.

        Raises:
            Refused: 409 where another body came under its id.
        """
        match "new" if self.log is None else self.log.known(came.source, came.delivery, came.digest):
            case "duplicate":
                came.ends("duplicate", "")
                return True
            case "other":
                _log.error("%s sent another body under the id %s", came.source, names.canonical(came.delivery))
                if self.alarm is not None:
                    do = f"look at `pactkeeper deliveries --source {came.source} --outcome refused`"
                    said = f"{came.source} sent another body under an id that came before, and it was refused"
                    self.alarm(f"hook/{came.source}/409", f"{said}: somebody tampers, or it has a fault; {do}")
                raise Refused(409, "another body came under this id before; send each event under an id of its own")
        return False

    def _read(self, how: Adapter, source: Source, hook: Hook) -> Read:
        return how.read(_body(how, hook), source, hook.received)

    async def _bring(self, source: Source, read: Read, came: Came) -> Response:
        given, found = await self._bound(source, read), list[str | None]()
        until = asyncio.get_running_loop().time() + PATIENCE
        for start in range(0, len(given), AT_ONCE):
            several = given[start : start + AT_ONCE]
            found += await asyncio.gather(*(self._brought(source, bound, until, came.id) for bound in several))
        took, spooled = [workflow for workflow in found if workflow], None in found
        came.words = sum(len(bound.words) for bound in given)
        came.tickets = tuple(bound.told.ticket or bound.told.incident or "" for bound in given)
        if not took and not spooled and all(bound.told.incident for bound in given):
            came.ends("ignored", "the incident that it is for does not run any more")
            return JSONResponse({"accepted": False, "ignored": came.detail}, 200)
        came.ends(
            "spooled" if spooled else "accepted", "Temporal did not answer; kept in the records" if spooled else ""
        )
        answer: dict[str, Any] = {"accepted": True, "workflows": took, "words": came.words}
        return JSONResponse(answer | ({"spooled": True} if spooled else {}), adapter(source.kind).taken)

    async def _brought(self, source: Source, bound: Bound, until: float, delivery: str) -> str | None:
        """Bring what is told of one ticket until then (by the loop's clock); the workflow's id, None where it is spooled."""
        told, workflow = bound.told, ""
        try:
            async with asyncio.timeout_at(until):
                if told.look:
                    workflow = await self.dispatch.read_ticket(source.name, told.ticket)
                if bound.words and told.incident is not None:
                    workflow = await self.dispatch.existing(told.incident, bound.words)
                elif bound.words:
                    workflow = await self.dispatch.incident(source.name, told.ticket, bound.customer, bound.words)
        except (Unavailable, TimeoutError) as error:
            await self._spool(
                source, bound, str(error) or f"Temporal did not take all of it within {PATIENCE:g} s", delivery
            )
            return None
        return workflow

    async def _spool(self, source: Source, bound: Bound, why: str, delivery: str) -> None:
        if self.spool is None:
            raise Unavailable(why)
        told = bound.told
        if told.look:  # That a ticket is to be read waits as well, as an entry without words.
            await self.put_by(source.name, told.ticket, bound.customer, (), why, delivery=delivery)
        if bound.words:
            await self.put_by(source.name, told.ticket, bound.customer, bound.words, why, told.incident, delivery)

    async def put_by(
        self, source: str, ticket: str, customer: str, words: Sequence[Delivery | AccountDelivery], why: str,
        incident: str | None = None, delivery: str = "",
    ) -> None:  # fmt: skip
        """Keep words in the records until Temporal answers; see `Spooled`.

        Raises:
            NotKept: the records fail as well.
        """
        assert self.spool is not None
        try:
            await self.spool.put(source, ticket, customer, words, why, incident=incident, delivery=delivery)
        except (SQLAlchemyError, OSError) as error:
            raise NotKept(f"neither Temporal nor the records answer ({type(error).__name__})") from None

    async def _bound(self, source: Source, read: Read) -> list[Bound]:
        """What is told of each ticket, with its customer found, and what nobody knows put as a doubt."""
        if not await self.policies.readable():
            raise NotKept("the customers can't be read")
        return [bind(told, source, self.policies, self.settings.now()) for told in read.told]

    async def _kept(self, hook: Hook, came: Came, error: Unusable) -> Response:
        id = f"{came.source}/{came.delivery or f'sha256-{came.digest[:24]}'}"
        letter = Letter(
            id=id, source=came.source, received_at=hook.received, why=error.sentence, kind=came.kind, subject=error.path,
            body=body_of(hook.raw),
        )  # fmt: skip
        try:
            if self.letters is None:
                raise NotKept("no database of records is set up")
            await self.letters.put(letter)
        except (SQLAlchemyError, OSError) as trouble:
            raise NotKept(f"the records can't be used ({type(trouble).__name__})") from None
        _log.warning("a delivery of %s is kept as the dead letter %s: %s", came.source, id, error.sentence)
        came.ends("kept", error.sentence)
        return JSONResponse({"accepted": False, "dead_letter": id, "why": error.sentence}, 200)

    async def replay(self, letter: Letter) -> str:
        """Take a dead letter again, with what is known by now; half a sentence on what became of it.

        Raises:
            Refused, Unusable, Unavailable, NotKept: it still can't be taken.
        """
        kind, _, name = letter.source.partition("/")
        source = self.sources().get(name)
        if kind not in KINDS or source is None:
            raise Refused(404, f"there is no source {letter.source} any more; connect it again, or drop the letter")
        hook = Hook({}, letter.raw, letter.received_at)
        read = self._read(adapter(kind), source, hook)
        came = Came(letter.source, letter.received_at)
        if not read.told:
            return f"it tells nothing: {read.ignored}"
        await self._bring(source, read, came)
        return f"{came.words} words brought to {', '.join(came.tickets)}"

    async def _shown(self, source: Source, read: Read) -> dict[str, Any]:
        told = [
            {
                "ticket": one.told.ticket, "incident": one.told.incident, "customer": one.customer, "read by API": one.told.look,
                "words": [
                    {"key": w.key, "at": w.occurred_at.isoformat(), **w.event.model_dump(exclude_defaults=True), "event": w.event.event}
                    for w in one.words
                ],
            }
            for one in await self._bound(source, read)
        ]  # fmt: skip
        return {"test": True, "kind": read.kind, "ignored": read.ignored, "told": told}


def _body(how: Adapter, hook: Hook) -> Any:
    """The body as the adapter takes it.

    Raises:
        Unusable: it is no such thing.
    """
    if how.body == "mail":
        return hook.raw
    try:
        # A dead letter has kept its body alone, and no JSON begins so.
        if hook.header("content-type").partition(";")[0].strip().lower() == FORM or hook.raw.startswith(b"payload="):
            form = parse_qs(hook.raw.decode("utf-8"), max_num_fields=50)
            return parse(form.get("payload", [""])[0].encode())
        return parse(hook.raw)
    except Refused as error:
        raise Unusable(error.sentence) from None
    except ValueError:
        raise Unusable("the body is no form that we can read") from None
