"""The front door in pictures: a web intake to which four sources really sent, and what `doctor` finds of one.

Each delivery is a sample of its kind, signed as the source signs it, and goes the whole way through the app; only Temporal has
a stand-in, for it has to be away for some minutes.
"""

import asyncio
import html
import json
import os
import shutil
import sys
from collections.abc import Callable, Sequence
from datetime import UTC, datetime, timedelta
from io import StringIO
from pathlib import Path
from typing import Any, Final

import httpx
import yaml
from fastapi import FastAPI
from playwright.async_api import Page
from rich.console import Console
from rich.text import Text

from records.dead_letters import DeadLetterStore
from records.deliveries import DeliveryStore
from records.sources import SourceStore
from records.spool import Spool
from sla import names
from sla.source import Source
from starter.deliveries_page import DeliveriesPage
from starter.delivery_log import DeliveryLog
from starter.film_screen import SVG, THEME
from starter.home import Home
from starter.hook_settings import IntakeSettings
from starter.kept import Kept, prepare_records, recorded
from starter.letter_office import LetterOffice
from starter.port import Unavailable
from starter.sample_signing import SIGNERS
from starter.samples import sample
from starter.source_hooks import SourceHooks
from starter.spooler import Spooler
from starter.web import create_app
from starter.web_server import WebServer

SHELF: Final = Path(__file__).parent.parent / "policies"
SECRET: Final = "a-secret-that-opens-nothing-at-all-0001"  # noqa: S105 - of a folder that is gone a minute later
COLUMNS: Final = 112
Change = Callable[[Any], object]
"""What a delivery says otherwise than its kind's sample."""


class Temporal:
    """Acknowledges whatever it is told, unless it is away."""

    away = False

    async def incident(self, source: str, ticket: str, customer: str, words: Sequence[Any]) -> str:
        return await self.existing(f"incident/{source}/{ticket}", words)

    async def read_ticket(self, source: str, ticket: str) -> str:
        return await self.existing(f"ticket/{source}/{ticket}", ())

    async def existing(self, incident: str, words: Sequence[Any]) -> str:
        await self.ready()
        return incident

    async def ready(self) -> None:
        if self.away:
            raise Unavailable("Temporal does not answer")


class Stage:
    """A web intake with its records in a folder, a clock that can be put back, and who sends to it."""

    def __init__(self, kept: Kept, sources: Sequence[Source], secrets: Path) -> None:
        self.now, self.states, self.temporal = datetime.now(UTC), SourceStore(kept.engine), Temporal()
        self.sources, self.sent = {source.name: source for source in sources}, dict[str, bytes]()
        door: Any = self.temporal
        settings, letters = IntakeSettings(file=secrets, now=self.clock), DeadLetterStore(kept.engine)
        self.log = DeliveryLog(DeliveryStore(kept.engine), self.states, self.clock)
        spooler = Spooler(Spool(kept.engine), door, self.clock)
        hooks = SourceHooks(door, settings, kept.policies, letters, self.log, spooler, only=self.sources)
        office = LetterOffice(letters, kept.customers, door, hooks)
        page = DeliveriesPage(kept.engine, settings, hooks.sources, office, self.clock)
        self.app = create_app(door, settings, sources=hooks, pages=[page.router()])
        self.http = httpx.AsyncClient(transport=httpx.ASGITransport(self.app), base_url="http://intake")

    def clock(self) -> datetime:
        return self.now

    async def sends(self, name: str, at: datetime, *changes: Change, signed: bool = True) -> None:
        """A source sends a sample of its kind, changed; unsigned: without its signature."""
        self.now = at
        body = json.loads(sample(self.sources[name], SECRET, at).raw)
        for change in changes:
            change(body)
        self.sent[name] = json.dumps(body, separators=(",", ":")).encode()
        await self.repeats(name, at, signed=signed)

    async def repeats(self, name: str, at: datetime, *, signed: bool = True) -> None:
        """It sends once more what it sent last."""
        self.now, kind, raw = at, self.sources[name].kind, self.sent[name]
        headers = SIGNERS[kind](SECRET, raw, at) if signed else {}
        await self.http.post(f"/hooks/{kind}/{name}", content=raw, headers=headers)

    async def page(self) -> str:
        """The page of deliveries, as a browser gets it."""
        await self.log.flush()
        return (await self.http.get("/deliveries", headers={"accept": "text/html"}, auth=("dana", SECRET))).text


async def happen(stage: Stage, now: datetime) -> None:
    """What the sources sent, until now."""

    def ago(hours: float, seconds: float = 0) -> datetime:
        return now - timedelta(hours=hours) + timedelta(seconds=seconds)

    def ticket(id: int, what: str = "created") -> Change:
        return lambda body: (body["detail"].update(id=str(id)), body.update(type=f"zen:event-type:ticket.{what}"))

    def alert(name: str, status: str = "firing") -> Change:
        def change(body: Any) -> None:
            body.update(groupKey=f'{{}}:{{alertname="{name}"}}', status=status, groupLabels={"alertname": name})
            (one,) = body["alerts"]
            one.update(status=status, startsAt=ago(7.3).isoformat(), labels={"alertname": name, "severity": "critical"})
            if status == "resolved":
                one.update(endsAt=stage.now.isoformat())

        return change

    paged = {"incident_key": names.incident_id("zendesk", "5139")}
    await stage.sends("pagerduty", ago(51.4), lambda body: body["event"]["data"].update(paged))
    await stage.sends("alertmanager", ago(7.2), alert("DiskFull"))
    await stage.sends("slack", ago(5.4), lambda body: body["event"].update(channel="C0SUPPORT"))
    await stage.sends("slack", ago(5.3), lambda body: body["event"].update(channel="C0SUPPORT", bot_id="B0STATUS"))
    await stage.sends("zendesk", ago(3.1), ticket(5158))
    await stage.repeats("zendesk", ago(3.1, 9))
    await stage.sends("zendesk", ago(2.2), ticket(5158, "tags_changed"))
    await stage.sends("slack", ago(1.6), signed=False)
    await stage.sends("zendesk", ago(1.2), lambda body: (body["detail"].pop("id"), body.update(subject="")))
    await stage.sends("alertmanager", ago(0.7), alert("DiskFull", "resolved"))
    stage.temporal.away = True
    await stage.sends("zendesk", ago(0.06), ticket(5163))
    await stage.sends("alertmanager", ago(0.04), alert("CertificateExpires"))
    stage.temporal.away = False
    stage.now = now
    # As whoever reads their APIs notes it.
    await stage.states.read("zendesk", "zendesk", now, ago(0.05), "2 tickets read, 5 words")
    await stage.states.read("slack", "slack", now, ago(0.03), "0 tickets read, 0 words")
    await stage.states.read("pagerduty", "pagerduty", now, ago(0.07), "1 ticket read, 2 words")


def api() -> FastAPI:
    """As much of Zendesk's API as an examination asks for."""
    app = FastAPI()

    @app.get("/api/v2/users/me")
    async def me() -> dict[str, Any]:
        return {"user": {"id": 8447388090499, "name": "Pactkeeper", "role": "agent"}}

    return app


async def deliveries_and_doctor(page: Page, state: Path) -> tuple[bytes, str]:
    """The page of deliveries as a PNG, and what `pactkeeper doctor zendesk` prints as an SVG."""
    there = WebServer(api(), port=0)
    sources = (
        Source(name="zendesk", kind="zendesk", title="Zendesk of Acme", customer="acme", url=there.url,
               writes=("notes", "assignee")),
        Source(name="slack", kind="slack", title="Slack, #support", customer="acme", url="https://slack.com"),
        Source(name="alertmanager", kind="alertmanager", title="Alertmanager", customer="acme"),
        Source(name="pagerduty", kind="pagerduty", title="PagerDuty", url="https://api.pagerduty.com"),
    )  # fmt: skip
    home, secrets, shelf = Home(state), state / "hook-secrets.yaml", state / "policies"
    shutil.copytree(SHELF, shelf, ignore=shutil.ignore_patterns("django-helpdesk.yaml"))
    for source in sources:
        told = source.model_dump(mode="json", exclude_defaults=True)
        (shelf / "sources" / f"{source.name}.yaml").write_text(yaml.safe_dump(told, sort_keys=False))
    entry = {"secrets": [SECRET], "user": "bot@acme.example", "token": SECRET}
    secrets.touch(0o600)
    secrets.write_text(yaml.safe_dump({"sources": {source.name: entry for source in sources}, "api": [SECRET]}))
    await prepare_records(home)
    async with recorded(home) as kept:
        await kept.read()
        stage = Stage(kept, sources, secrets)
        here = WebServer(stage.app, port=0)
        running = [asyncio.create_task(web.run()) for web in (there, here)]
        try:
            await asyncio.gather(there.answers(), here.answers())
            printed = await doctor("zendesk", here.url, state, shelf)
        finally:
            for one in running:
                one.cancel()
            await asyncio.gather(*running, return_exceptions=True)
        await happen(stage, datetime.now(UTC))
        await page.set_viewport_size({"width": 1360, "height": 900})
        await page.set_content(await stage.page())
        shot = await page.screenshot(full_page=True)
    return shot, printed


async def doctor(name: str, web: str, state: Path, shelf: Path) -> str:
    """What it prints in a terminal, as a picture that needs nothing from anywhere."""
    environ = {key: value for key, value in os.environ.items() if key not in ("NO_COLOR", "PACTKEEPER_DATABASE")}
    colours = {"FORCE_COLOR": "1", "TERM": "xterm-256color", "COLUMNS": str(COLUMNS)}
    ours = {"PACTKEEPER_STATE": str(state), "PACTKEEPER_POLICIES": str(shelf)}
    command = (str(Path(sys.executable).with_name("pactkeeper")), "doctor", name, "--web", web)
    run = await asyncio.create_subprocess_exec(
        *command, env={**environ, **colours, **ours}, stdout=asyncio.subprocess.PIPE
    )
    said, _ = await run.communicate()
    shown = Text.assemble(
        ("$ ", "green"), (f"pactkeeper doctor {name}\n", "bold"), Text.from_ansi(said.decode().strip())
    )
    console = Console(width=COLUMNS, record=True, file=StringIO(), force_terminal=True, color_system="truecolor",
                      highlight=False, markup=False, emoji=False, _environ={})  # fmt: skip
    console.print(shown)
    told = html.escape(" ".join(shown.plain.split())).replace("{", "{{").replace("}", "}}")
    form = SVG.replace("ALTERNATIVE", told)
    return console.export_svg(
        title=f"pactkeeper doctor {name}", theme=THEME, code_format=form, unique_id="pactkeeper-doctor"
    )
