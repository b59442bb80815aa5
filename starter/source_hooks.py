"""The hooks of the connected helpdesks: one way for every source, whatever its adapter.

The order is fixed: size, raw bytes, signature, window, known already?, parse, map, Temporal, 2xx. What is rightly signed is never
lost: what can't be read is kept as a dead letter, what Temporal does not take is spooled, and only where the records fail as
well the sender is asked to come again.
"""

import asyncio
import hashlib
import logging
import time
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal, Protocol
from urllib.parse import parse_qs

from fastapi import FastAPI, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response
from sqlalchemy.exc import SQLAlchemyError

from activities.policies import Policies
from records.dead_letters import Letter
from records.deliveries import DeliveryRecord
from records.shelf import PolicyFileError
from sla import names
from sla.events import Delivery
from sla.intake import Adapter, BadSignature, Hook, Read, Source, Told, Unusable, word
from starter.hook_bodies import Refused, parse, raw_body
from starter.hook_settings import IntakeSettings, SourceSecrets
from starter.openapi import TEXT, answer, body, header, obj, one, page, taken
from starter.port import Dispatch, Letters, NotKept, Unavailable
from starter.sources import KINDS, adapter

TEST = "x-pactkeeper-test"
"""A delivery with this header is mapped and answered with what it would tell; nobody hears of it."""
LARGEST = 5 * 1024 * 1024
FORM = "application/x-www-form-urlencoded"
UNKNOWN = "unknown"
"""The customer of tickets that are nobody's."""
PATIENCE = 2.0
"""Seconds in which Temporal takes all of one delivery, of however many tickets; what is left then is spooled."""
AT_ONCE = 16
"""So many tickets of one delivery are brought at a time."""

_log = logging.getLogger(__name__)


class Log(Protocol):
    """Where what became of deliveries is noted, and by what a repetition is known."""

    def known(self, source: str, delivery: str, digest: str) -> Literal["new", "duplicate", "other"]:
        """Whether it was carried out before; `other`: the id was, with another body."""

    def note(self, record: DeliveryRecord) -> None:
        """Note what became of one; at once, and without fail."""


class Spool(Protocol):
    """Where words wait while Temporal does not answer."""

    async def put(
        self, source: str, ticket: str, customer: str, words: Sequence[Delivery], why: str, incident: str | None = None
    ) -> None:
        """Keep them. Raises SQLAlchemyError or OSError where the records fail as well."""


@dataclass(frozen=True, slots=True)
class Bound:
    """Words of one ticket, and whose it is."""

    told: Told
    customer: str
    words: tuple[Delivery, ...]

    @property
    def ticket(self) -> str:
        """Its number there."""
        return self.told.ticket


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

    def sources(self) -> Mapping[str, Source]:
        """The connected sources. Files that can't be read leave those out that they are about."""
        if self.only is not None:
            return self.only
        try:
            return self.policies.shelf.sources()
        except PolicyFileError as error:
            _log.error("the files of the sources can't be used: %s", error.sentences[0])
            raise NotKept("the files of the sources can't be used") from None

    async def take(self, kind: str, place: str, request: Request) -> Response:
        """One request at `/hooks/{kind}/{place}`."""
        begun, received = time.perf_counter(), self.settings.now()
        size = adapter(kind).limit if kind in KINDS else LARGEST
        came = Came(self._called(kind, place), received)
        try:
            raw = await raw_body(request, min(size, LARGEST))
            came.digest = hashlib.sha256(raw).hexdigest()
            hook = Hook({name.lower(): value for name, value in request.headers.items()}, raw, received)
            source = self._authentic(kind, place, hook)
            came.source = f"{kind}/{source.name}"
            answer = await self._take(adapter(kind), source, hook, came)
        except Refused as refused:
            came.ends("refused", f"{refused.status}: {refused.sentence}")
            raise
        except NotKept as error:
            came.ends("refused", f"503: {error}")
            raise
        finally:
            took = round((time.perf_counter() - begun) * 1000)
            if self.log is not None and not came.silent:
                self.log.note(came.record(took))
        return answer

    def _authentic(self, kind: str, place: str, hook: Hook) -> Source:
        """The source that the request is from.

        Raises:
            Refused: 401, in the same words whatever is wrong.
        """
        source = None
        try:
            if kind not in KINDS:
                raise BadSignature("there is no such kind of source")
            if adapter(kind).secret_in_path:
                found = [one for one in self.sources().values() if one.kind == kind and self._opens(one, place)]
                if not found:
                    raise BadSignature("the address holds no secret of a source")
                source = found[0]
            else:
                source = self.sources().get(place)
                secrets = self._secrets(place).secrets
                if source is None or source.kind != kind or not secrets:
                    # The same work as for a source that is there, so that the time tells nothing.
                    adapter(kind).verify(hook, ["there is no such source"])
                    raise BadSignature("there is no such source, or it has no secret")
                adapter(kind).verify(hook, secrets)
        except BadSignature as error:
            _log.warning("a delivery of %s is not taken: %s", self._called(kind, place), error)
            raise Refused(401, "the delivery is not signed with a secret of this hook; see docs/intake.md") from None
        return source

    def _opens(self, source: Source, place: str) -> bool:
        """Whether the last part of the address is a secret of that source; every one is compared."""
        hook = Hook({"x-pactkeeper-token": place}, b"", self.settings.now())
        try:
            adapter(source.kind).verify(hook, self._secrets(source.name).secrets)
        except BadSignature:
            return False
        return True

    def _called(self, kind: str, place: str) -> str:
        """How a hook is called before anybody is known to be who they say: by names of ours alone.

        What else stands in an address may be a secret that was put into a wrong one, and may be made up without end.
        """
        if kind not in KINDS:
            return UNKNOWN
        if adapter(kind).secret_in_path:
            return kind
        return f"{kind}/{place if place in self.settings.sources else UNKNOWN}"

    def _secrets(self, name: str) -> SourceSecrets:
        return self.settings.sources.get(name) or SourceSecrets()

    async def _take(self, how: Adapter, source: Source, hook: Hook, came: "Came") -> Response:
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

    def repeats(self, came: "Came") -> bool:
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
                raise Refused(409, "another body came under this id before; send each event under an id of its own")
        return False

    def _read(self, how: Adapter, source: Source, hook: Hook) -> Read:
        return how.read(_body(how, hook), source, hook.received)

    async def _bring(self, source: Source, read: Read, came: "Came") -> Response:
        given, found = await self._bound(source, read), list[str | None]()
        until = asyncio.get_running_loop().time() + PATIENCE
        for start in range(0, len(given), AT_ONCE):
            several = given[start : start + AT_ONCE]
            found += await asyncio.gather(*(self._brought(source, bound, until) for bound in several))
        took, spooled = [workflow for workflow in found if workflow], None in found
        came.words = sum(len(bound.words) for bound in given)
        came.tickets = tuple(bound.told.ticket or bound.told.incident or "" for bound in given)
        came.ends(
            "spooled" if spooled else "accepted", "Temporal did not answer; kept in the records" if spooled else ""
        )
        answer: dict[str, Any] = {"accepted": True, "workflows": took, "words": came.words}
        return JSONResponse(answer | ({"spooled": True} if spooled else {}), adapter(source.kind).taken)

    async def _brought(self, source: Source, bound: Bound, until: float) -> str | None:
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
            await self._spool(source, bound, str(error) or f"Temporal did not take all of it within {PATIENCE:g} s")
            return None
        return workflow

    async def _spool(self, source: Source, bound: Bound, why: str) -> None:
        if self.spool is None:
            raise Unavailable(why)
        told = bound.told
        if told.look:  # That a ticket is to be read waits as well, as an entry without words.
            await self.put_by(source.name, told.ticket, bound.customer, (), why)
        if bound.words:
            await self.put_by(source.name, told.ticket, bound.customer, bound.words, why, told.incident)

    async def put_by(
        self, source: str, ticket: str, customer: str, words: Sequence[Delivery], why: str, incident: str | None = None
    ) -> None:
        """Keep words in the records until Temporal answers.

        Raises:
            NotKept: the records fail as well.
        """
        assert self.spool is not None
        try:
            await self.spool.put(source, ticket, customer, words, why, incident=incident)
        except (SQLAlchemyError, OSError) as error:
            raise NotKept(f"neither Temporal nor the records answer ({type(error).__name__})") from None

    async def _bound(self, source: Source, read: Read) -> list[Bound]:
        """What is told of each ticket, with its customer found, and what nobody knows put as a doubt."""
        if not await self.policies.readable():
            raise NotKept("the customers can't be read")
        return [bind(told, source, self.policies, self.settings.now()) for told in read.told]

    async def _kept(self, hook: Hook, came: "Came", error: Unusable) -> Response:
        id = f"{came.source}/{came.delivery or f'sha256-{came.digest[:24]}'}"
        letter = Letter(
            id=id, source=came.source, received_at=hook.received, why=error.sentence, kind=came.kind, subject=error.path,
            body=hook.raw.decode("utf-8", "replace"),
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
        hook = Hook({}, letter.body.encode(), letter.received_at)
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


@dataclass
class Came:
    """What is known of a request as it goes through."""

    source: str
    received: datetime
    delivery: str = ""
    digest: str = ""
    kind: str = ""
    outcome: str = "refused"
    detail: str = "a fault of ours"
    tickets: tuple[str, ...] = ()
    words: int = 0
    silent: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def ends(self, outcome: str, detail: str) -> None:
        """What becomes of it."""
        self.outcome, self.detail = outcome, detail

    def record(self, took_ms: int) -> DeliveryRecord:
        """A line of the log."""
        return DeliveryRecord(
            id=self.id, source=self.source, received_at=self.received, delivery=self.delivery, digest=self.digest,
            kind=self.kind, outcome=self.outcome, detail=self.detail, tickets=self.tickets, words=self.words, took_ms=took_ms,
        )  # fmt: skip


def bind(told: Told, source: Source, policies: Policies, received: datetime) -> Bound:
    """Whose ticket it is: what the source says of our customers, the company's and the requester's; else it is nobody's."""
    own = told.customer if told.customer and policies.customer(told.customer) else None
    customer, doubts = own or _customer(told, source, policies), list(told.doubts)
    if told.customer and own is None:
        doubts.append(f"there is no customer {told.customer}")
    if customer is None and told.incident is None and told.words:
        who = told.requester or told.organisation
        doubts.append(f"nobody knows whose ticket it is{f': {who}' if who else ''}; the default contract holds")
    words = told.words
    if doubts and told.incident is None:
        at = min((one.occurred_at for one in words), default=received)
        words += tuple(_doubt(source, told.ticket, doubt, at, received) for doubt in dict.fromkeys(doubts))
    return Bound(told, customer or UNKNOWN, words)


def _customer(told: Told, source: Source, policies: Policies) -> str | None:
    company = (told.organisation or "").strip().casefold()
    if found := next((id for name, id in source.organisations.items() if name.casefold() == company), None):
        return found
    if told.requester:
        domain = told.requester.rpartition("@")[2].casefold()
        own = next((id for name, id in source.domains.items() if name.casefold() == domain), None)
        if found := own or policies.customer_of(told.requester):
            return found
    return source.customer


def _doubt(source: Source, ticket: str, doubt: str, at: datetime, received: datetime) -> Delivery:
    digest = hashlib.sha256(doubt.encode("utf-8", "replace")).hexdigest()[:12]
    return word(f"{source.name}:{ticket}:doubt:{digest}", at, received, event="doubted", what=doubt[:300])


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


def add_source_hooks(app: FastAPI, hooks: SourceHooks) -> None:
    """The route of all connected sources."""
    texts = {"type": "array", "items": TEXT}
    brought = obj(
        "spooled", accepted=one(True), workflows=texts, words={"type": "integer", "minimum": 0}, spooled=one(True)
    )
    nothing = obj(accepted=one(False), ignored=TEXT)
    kept = obj(accepted=one(False), dead_letter=TEXT, why=TEXT)
    tried = obj(
        test=one(True),
        kind=TEXT,
        ignored={"type": ["string", "null"]},
        told={"type": "array", "items": {"type": "object"}},
    )
    said = page(
        "send_delivery",
        "Send a delivery of a connected helpdesk",
        {
            202: answer("It is with Temporal; or `spooled`: kept in the records until Temporal answers.", brought),
            200: answer(
                "It came before, tells nothing, is a test, or is kept as a dead letter; for sources that want 200, also "
                "what is 202 for the others; and as plain text a challenge that is answered.",
                {"anyOf": [taken(duplicate=one(True)), nothing, kept, tried, brought]},
                plain=TEXT,
            ),
        },
        401, 409, 422, 503,
        tag="hooks",
        sends=body("What the helpdesk sends.", {}, media=("application/json", FORM, "message/rfc822")),
        parameters=[header("X-Pactkeeper-Test", "`1`: only say what would be made of it.", required=False)],
    )  # fmt: skip

    @app.post("/hooks/{kind}/{place}", status_code=202, **said)
    async def source_hook(kind: str, place: str, request: Request) -> Response:
        """Each kind proves itself as its vendor has it: a signature over the bytes of the body in a header of its own (`zendesk`,
        `jira`, `zammad`, `escalated-django`, `request-tracker`, `slack`, `pagerduty`), the secret as `Authorization: Bearer`, as
        the password of `Basic` or as `X-Pactkeeper-Token` (`freshdesk`, `mail`, `alertmanager`), or as the last part of the address
        (`django-helpdesk`). For all others `place` is the name of the source.
        """
        return await hooks.take(kind, place, request)
