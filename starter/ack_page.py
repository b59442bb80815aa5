"""The page behind a notice's link: opening it changes nothing (mail scanners do), pressing its button takes the incident."""

import asyncio
import hashlib
import html
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Final, Protocol

from fastapi import APIRouter
from fastapi.responses import HTMLResponse
from temporalio.client import Client, WorkflowUpdateFailedError
from temporalio.service import RPCError

from activities.ack_links import BadLink, Links, read
from activities.message import one_line
from sla import names
from sla.events import Acknowledged, Delivery
from starter.commands import send
from starter.commands.failures import RefusalError
from starter.commands.find import find, parts
from starter.commands.query import query
from starter.openapi import TEXT, answer, page, ref
from starter.port import Unavailable

RETRY_AFTER: Final = 30
_HEADERS: Final = {
    "Cache-Control": "no-store",
    "Referrer-Policy": "no-referrer",
    "X-Content-Type-Options": "nosniff",
    "X-Robots-Tag": "noindex",
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'; form-action 'self'; frame-ancestors 'none'",
}


class NotTaken(Exception):
    """The incident was not taken, and will not be by this link; one sentence."""


class Takers(Protocol):
    """The door to the incidents."""

    async def take(self, incident: str, person: str, key: str, at: datetime) -> bool:
        """Acknowledge as a person, once a key; False: they have it already, and nothing was changed.

        Raises:
            NotTaken: the incident refuses, or there is none.
            Unavailable: nobody answers; pressing again may help, and counts once.
        """


@dataclass(frozen=True)
class AckPages:
    """Needs what reads the links, and a door to the incidents."""

    links: Links
    takers: Takers
    now: Callable[[], datetime] = lambda: datetime.now(UTC)

    def router(self) -> APIRouter:
        """`GET` and `POST /ack/{token}`."""
        router = APIRouter()
        asked = {200: answer("A page with one button.", html=TEXT), 404: answer("The link can't be used.", html=TEXT)}
        taken = asked | {
            200: answer("It is theirs.", html=TEXT),
            409: answer("The incident refuses.", html=TEXT),
            503: answer("Nobody answers just now.", ref("Refusal"), html=TEXT),
        }

        @router.get("/ack/{token}", **page("ask", "The page of a notice's link", asked, tag="links"))
        async def ask(token: str) -> HTMLResponse:
            """A page with one button."""
            try:
                incident, person = read(self.links.secret, token, self.now())
            except BadLink as error:
                return _page(404, "This link can't be used", str(error))
            ticket = _ticket(incident)
            return _page(
                200, f"Take {ticket}?", f"From then on it is {person}'s, and nobody else is looked for.", ticket
            )

        @router.post("/ack/{token}", **page("take", "Take the incident", taken, tag="links"))
        async def take(token: str) -> HTMLResponse:
            """Take it."""
            now = self.now()
            try:
                incident, person = read(self.links.secret, token, now)
                key = f"ack-link:{hashlib.sha256(token.encode()).hexdigest()[:32]}"
                fresh = await self.takers.take(incident, person, key, now)
            except BadLink as error:
                return _page(404, "This link can't be used", str(error))
            except NotTaken as error:
                return _page(409, "Not taken", str(error))
            except Unavailable:
                return _page(
                    503, "Not taken yet", "Nobody answers just now; press the button again in half a minute", "it"
                )
            ticket = _ticket(incident)
            if not fresh:
                return _page(200, f"{person} has {ticket} already", "This link was used before; nothing was changed")
            return _page(200, f"{person} has {ticket} now", "Nobody else is looked for; you may close this page")

        return router


@dataclass(frozen=True)
class TemporalTakers:
    """The incidents, by the update that the command line uses too."""

    client: Client

    async def take(self, incident: str, person: str, key: str, at: datetime) -> bool:
        """See `Takers`."""
        try:
            async with asyncio.timeout(send.PATIENCE):
                found = await find(self.client, incident, None)
                if found.running:
                    told = await query(found.handle, found.handle.id, names.STATUS, at.isoformat())
                    if _has_it(told, person):
                        return False
                    if before := _taken_by(told, person):
                        key = (
                            f"{key}:{before}"  # somebody else took it since; under its old key nothing would come of it
                        )
            said = send.word(Delivery, Acknowledged(by=person), at, key)
            await send.act(self.client, found, "acknowledge", said, late=False)
        except RefusalError as error:
            if "did not answer" in str(error):
                raise Unavailable(str(error)) from None
            raise NotTaken(str(error)) from None
        except WorkflowUpdateFailedError as error:
            raise NotTaken(one_line(str(getattr(error.cause, "message", error.cause)), 300)) from None
        except (TimeoutError, RPCError, RuntimeError) as error:
            raise Unavailable(f"the incident can't be asked ({type(error).__name__})") from None
        return True


def _has_it(told: dict[str, object], person: str) -> bool:
    return _taken_by(told, person) > 0 and told.get("assignee") == person


def _taken_by(told: dict[str, object], person: str) -> int:
    """How often a person has taken the incident so far."""
    log = told.get("log")
    lines = log if isinstance(log, list) else []
    return sum(line.get("event") == "acknowledged" and line.get("by") == person for line in lines)


def _ticket(incident: str) -> str:
    try:
        return parts(incident)[1]
    except ValueError:
        return incident


def _page(status: int, title: str, sentence: str, button: str | None = None) -> HTMLResponse:
    """A page in plain HTML; every word of it is escaped."""
    press = f'<form method="post"><button type="submit">Take {html.escape(button)}</button></form>' if button else ""
    body = f"""<!doctype html>
<html lang="en">
<head><meta charset="utf-8"><meta name="viewport" content="width=device-width"><title>{html.escape(title)}</title>
<style>body{{font:18px/1.5 system-ui,sans-serif;max-width:34em;margin:15vh auto;padding:0 1em;color:#1c1c1c}}
button{{font:inherit;padding:.6em 1.2em;border:0;border-radius:6px;background:#1a5fb4;color:#fff;cursor:pointer}}</style></head>
<body><main><h1>{html.escape(title)}</h1><p>{html.escape(sentence.rstrip("."))}.</p>{press}</main></body>
</html>
"""
    headers = _HEADERS | ({"Retry-After": str(RETRY_AFTER)} if status == 503 else {})
    return HTMLResponse(body, status, headers=headers)
