"""`/deliveries`: what the sources sent and what became of it, for whoever holds a token; HTML for people, JSON for programs.

The page needs no script. A browser asks for the token as a password, of whatever name.
"""

import hashlib
import hmac
import logging
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import UTC, datetime
from functools import cache, partial
from pathlib import Path
from typing import Any, Final, Protocol
from urllib.parse import parse_qs, urlencode

from fastapi import APIRouter, Depends, Request
from fastapi.encoders import jsonable_encoder
from fastapi.responses import HTMLResponse, JSONResponse, Response
from jinja2 import Environment, FileSystemLoader, StrictUndefined, Template
from sqlalchemy.exc import SQLAlchemyError
from sqlalchemy.ext.asyncio import AsyncEngine
from starlette.exceptions import HTTPException

from records.dead_letters import DeadLetterStore
from records.deliveries import DeliveryStore
from sla.signing import BadSignature, Hook, bearer
from sla.source import Source
from starter.commands.terminal import from_now
from starter.hook_bodies import Refused, raw_body
from starter.hook_settings import IntakeSettings
from starter.letter_office import NotSeenTo
from starter.openapi import TEXT, answer, body, obj, one, page, query, refused
from starter.outcomes import MEANS
from starter.port import NotKept, Unavailable
from starter.source_rows import source_lines

LIMIT: Final = 100
MOST: Final = 1000
LETTERS: Final = 50
FORM: Final = 16 * 1024
FILTERS: Final = ("source", "outcome", "ticket")
HEADERS: Final = {
    "Cache-Control": "no-store",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
    "Referrer-Policy": "same-origin",
    "X-Content-Type-Options": "nosniff",
}
ASK: Final = 'Basic realm="Pactkeeper: the token as the password", charset="UTF-8"'

_log = logging.getLogger(__name__)


class Office(Protocol):
    """Where dead letters are seen to."""

    async def replay(self, id: str) -> str:
        """Bring a letter again; half a sentence. Raises NotSeenTo, Unavailable, NotKept."""


@dataclass(frozen=True)
class DeliveriesPage:
    """Needs the records, the tokens in force, the connected sources, and where dead letters are seen to."""

    engine: AsyncEngine
    settings: IntakeSettings
    sources: Callable[[], Mapping[str, Source]]
    office: Office
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def router(self) -> APIRouter:
        """The page, and what its buttons do."""
        made = APIRouter(prefix="/deliveries", dependencies=[Depends(self.known)])
        said = partial(page, tag="deliveries", who=("token", "password", "header"))
        rows = {"type": "array", "items": {"type": "object"}}
        facts = obj(
            fault={"type": ["string", "null"]},
            sources=rows,
            letters=rows,
            waiting={"type": "integer", "minimum": 0},
            deliveries=rows,
        )
        limit = {"type": "integer", "minimum": 1, "maximum": MOST, "default": LIMIT}
        asks = [
            query("source", "`KIND/NAME`, or `NAME` alone.", TEXT),
            query("outcome", "What became of it.", {"enum": [*MEANS, ""]}),
            query("ticket", "Its number there.", TEXT),
            query("limit", "So many, the newest first.", limit),
        ]
        shown = {200: answer("JSON for whoever accepts that and no HTML.", facts, html=TEXT)}
        made.get("", **said("list_deliveries", "What the sources sent", shown, 401, 422, 503, parameters=asks))(
            self.look
        )
        not_done = {
            "anyOf": [obj(id=TEXT, done=one(False), error=TEXT), refused(503)["content"]["application/json"]["schema"]]
        }
        answers = {
            200: answer("What became of it.", obj(id=TEXT, done=one(True), how=TEXT), html=TEXT),
            409: answer("It stays as it is; the sentence says why.", not_done, html=TEXT),
            503: answer("Temporal or the database does not answer just now.", not_done, html=TEXT),
        }
        form = body("The letter.", obj("proof", id=TEXT, proof=TEXT), media=("application/x-www-form-urlencoded",))
        replay = said("replay_letter", "Replay a dead letter", answers, 401, 403, sends=form)
        made.post("/letters/replay", **replay)(self.replay)
        return made

    async def known(self, request: Request) -> None:
        """Only a token opens it."""
        try:
            bearer(Hook(request.headers, b"", self.now()), self.settings.api)
        except BadSignature:
            said = (
                "the request has no token that is known here; send Authorization: Bearer TOKEN, or TOKEN as a password"
            )
            raise HTTPException(401, said, {"WWW-Authenticate": ASK, "Connection": "close"}) from None

    async def look(self, request: Request) -> Response:
        """What the records have to say."""
        return await self._shown(request, _asked(request.query_params))

    async def replay(self, request: Request) -> Response:
        """Replay the dead letter that the form names."""
        try:
            form = parse_qs((await raw_body(request, FORM)).decode(), max_num_fields=10)
        except ValueError:
            raise Refused(400, "the body is no form; send id=LETTER") from None
        id, proof = (form.get(name, [""])[0] for name in ("id", "proof"))
        browser = request.headers.get("authorization", "").lower().startswith("basic")
        # A browser sends the password along with whatever page of others makes it send: only our own form has the proof.
        if browser and not hmac.compare_digest(proof.encode(), self.proof(id).encode()):
            raise Refused(403, "the form is not from this page; open /deliveries, and press the button there")
        status, done, said = await self._replayed(id)
        if _wants_json(request):
            return JSONResponse({"id": id, "done": done, ("how" if done else "error"): said}, status)
        return await self._shown(request, _asked({}), f"{id}: {said}" if done else said, done, status)

    def proof(self, id: str) -> str:
        """What a form of ours holds, and nobody else can make."""
        key = "\n".join(self.settings.api).encode()
        return hmac.new(key, f"replay {id}".encode("utf-8", "replace"), hashlib.sha256).hexdigest()

    async def _replayed(self, id: str) -> tuple[int, bool, str]:
        try:
            return 200, True, await self.office.replay(id)
        except NotSeenTo as error:
            return 409, False, str(error)
        except (Unavailable, NotKept) as error:
            return 503, False, str(error)
        except (SQLAlchemyError, OSError) as error:
            raise _away(error) from None

    async def _shown(
        self, request: Request, asked: Mapping[str, Any], message: str = "", done: bool = True, status: int = 200
    ) -> Response:
        now = self.now()
        try:
            facts = await self._facts(asked, now)
        except (SQLAlchemyError, OSError) as error:
            raise _away(error) from None
        if _wants_json(request):
            return JSONResponse(jsonable_encoder(facts), status, HEADERS)
        shown = _page().render(
            facts, now=now, asked=asked, message=message, done=done, outcomes=MEANS, proof=self.proof, when=_when,
            ago=partial(_ago, now), link=partial(_link, asked),
        )  # fmt: skip
        return HTMLResponse(shown, status, HEADERS)

    async def _facts(self, asked: Mapping[str, Any], now: datetime) -> dict[str, Any]:
        letters = DeadLetterStore(self.engine)
        waiting = await letters.list(LETTERS)
        try:
            connected, fault = self.sources(), None
        except NotKept as error:
            connected, fault = {}, str(error)
        return {
            "fault": fault,
            "sources": [asdict(line) for line in await source_lines(self.engine, connected, now)],
            "letters": [{k: v for k, v in asdict(one).items() if k != "body"} for one in waiting],
            "waiting": await letters.waiting(),
            "deliveries": [asdict(one) for one in await DeliveryStore(self.engine).recent(**asked)],
        }


@cache
def _page() -> Template:
    folder = FileSystemLoader(Path(__file__).parent / "templates")
    made = Environment(loader=folder, autoescape=True, undefined=StrictUndefined, trim_blocks=True)
    return made.get_template("deliveries.html.j2")


def _asked(query: Mapping[str, str]) -> dict[str, Any]:
    """What an address asks for.

    Raises:
        Refused: it can't be read.
    """
    asked: dict[str, Any] = {name: query.get(name, "").strip()[:200] or None for name in FILTERS}
    if asked["outcome"] is not None and asked["outcome"] not in MEANS:
        raise Refused(422, f"outcome is none of those that there are; write one of: {', '.join(MEANS)}", "outcome")
    limit = query.get("limit", str(LIMIT))
    if not (limit.isascii() and limit.isdigit() and len(limit) <= 4 and 1 <= int(limit) <= MOST):
        raise Refused(422, f"limit is no whole number from 1 to {MOST}", "limit")
    return asked | {"limit": int(limit)}


def _wants_json(request: Request) -> bool:
    accepts = request.headers.get("accept", "")
    return "application/json" in accepts and "text/html" not in accepts


def _away(error: Exception) -> Refused:
    _log.error("the page of deliveries can't be shown (%s)", type(error).__name__)
    return Refused(503, "the records can't be reached; look again in a moment, and at PACTKEEPER_DATABASE")


def _when(at: datetime) -> str:
    return f"{at.astimezone(UTC):%Y-%m-%d %H:%M:%S}"


def _ago(now: datetime, at: datetime) -> str:
    return from_now(at, now)


def _link(asked: Mapping[str, Any], **other: str | None) -> str:
    """The address of this page, with something asked for differently."""
    wanted: Sequence[tuple[str, str]] = [
        (name, value) for name in FILTERS if (value := other[name] if name in other else asked[name])
    ]
    return f"/deliveries{'?' if wanted else ''}{urlencode(wanted)}#log"
