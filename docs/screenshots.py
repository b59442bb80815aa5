"""Take the pictures in docs/operators.md: real incidents on the embedded server, seen in its own UI by headless Chromium.

`python docs/screenshots.py [FOLDER]` (left out: docs/images). It needs Debian's package chromium, and about a minute.
"""

import asyncio
import json
import os
import shutil
import struct
import sys
import tempfile
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final
from urllib.parse import quote

from playwright.async_api import Locator, Page, async_playwright
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities import dispatch
from activities.attributes import ALL_KEYS
from activities.policies import Policies
from sla import events, names
from sla.customer import Contact, Customer
from starter.embedded import EmbeddedServer
from starter.engines import Silent
from worker.build import build_worker

IMAGES: Final = Path(__file__).parent / "images"
FLAGS: Final = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-lcd-text", "--font-render-hinting=none"),
)
"""Nothing of Chromium's own goes out, and letters come out alike everywhere."""
COLUMNS: Final = ("Status", "Workflow ID", "SlaCustomer", "SlaPriority", "SlaPhase", "SlaClockState", "SlaNextDue",
                  "SlaAssignee")  # fmt: skip
SOURCE: Final = "helpdesk"
"""The connected helpdesk that the pictured tickets come from."""


def _customer(id: str, contract: str) -> Customer:
    contact = Contact(email=f"ann@{id}.example", roles=("technical", "support"), prefers="log")
    return Customer(id=id, contract=contract, contacts=(contact,))


CUSTOMERS: Final = {
    customer.id: customer
    for customer in (
        _customer("acme", "tromzo"),
        _customer("birch-bank", "reciprocity"),
        _customer("cedar-clinic", "bugzero"),
        _customer("dune-air", "reciprocity"),
    )
}


@dataclass
class Desk:
    """A service desk whose tickets came in some time ago, so that their clocks stand where a picture needs them."""

    client: Client
    now: datetime
    policies: Policies
    sent: int = 0
    opened: dict[str, str] = field(default_factory=dict)

    def open_ago(self, customer: str, amount: timedelta) -> datetime:
        """The moment since which so much support time has passed under the customer's contract, however late it is."""
        table = self.policies.pin(customer, None, None, self.now).calendar.timetable()
        return table.subtract(self.now, amount)

    def word(self, event: Any, at: datetime) -> events.Delivery:
        self.sent += 1
        return events.Delivery(key=f"word-{self.sent}", occurred_at=at, received_at=datetime.now(UTC), event=event)

    async def opens(self, customer: str, ticket: str, priority: str, at: datetime, **opening: Any) -> None:
        """A ticket opens, `at` being when the customer's message reached the desk."""
        by = opening.pop("by", f"ann@{customer}.example")
        said = {"subject": "Nothing loads", "language": "en", **opening}
        self.opened[ticket] = customer
        await self.happens(ticket, events.Opened(priority=priority, by=by, **said), at)

    async def happens(self, ticket: str, event: Any, at: datetime) -> None:
        """Something happens to a ticket."""
        await dispatch.deliver(self.client, SOURCE, ticket, self.opened[ticket], self.word(event, at))

    async def lapses(self, customer: str, at: datetime) -> None:
        """A customer's payment lapses."""
        word = events.AccountDelivery(
            key=f"lapse-{customer}", occurred_at=at, received_at=datetime.now(UTC), event=events.PaymentLapsed()
        )
        await dispatch.pay(self.client, customer, word)

    async def settled(self) -> None:
        """Every incident has done what it owed."""
        async with asyncio.timeout(60):
            for ticket in self.opened:
                handle = self.client.get_workflow_handle(names.incident_id(SOURCE, ticket))
                while (await handle.query(names.STATUS)).get("in_flight", 1) != 0:
                    await asyncio.sleep(0.1)


def minutes(amount: float) -> timedelta:
    return timedelta(minutes=amount)


async def play(desk: Desk) -> None:
    """The tickets in the pictures. Reciprocity's response counts day and night; the others' clocks only open hours."""
    now, bank, clinic = desk.now, "birch-bank", "cedar-clinic"
    # Severity 1, a plan is due within 4 hours: in 22 minutes; in 3 hours 20. Severity 3, 12 hours: in 9 minutes.
    await desk.opens(bank, "5101", "S1", now - minutes(218))
    await desk.happens("5101", events.Acknowledged(by="dana"), now - minutes(200))
    await desk.opens(bank, "5102", "S1", now - minutes(40))
    await desk.happens("5102", events.Acknowledged(by="farid"), now - minutes(31))
    await desk.opens(bank, "5107", "S3", now - minutes(711))
    await desk.happens("5107", events.Acknowledged(by="eli"), now - minutes(690))
    # Severity 2, 8 hours: missed 20 minutes ago, and nobody took it.
    await desk.opens(bank, "5103", "S2", now - minutes(500))
    # Three quarters of its 8 hours will be used in a few seconds: the picture of a history shows the step fire.
    await desk.opens(bank, "5104", "S2", now - minutes(360) + timedelta(seconds=15))
    await desk.opens(bank, "5105", "S3", now - minutes(300))
    await desk.happens("5105", events.PlanProvided(by="eli"), now - minutes(240))
    await desk.happens("5105", events.Resolved(by="eli", kind="workaround"), now - minutes(60))
    await desk.opens(bank, "5099", "S4", now - minutes(2880))
    await desk.happens("5099", events.Resolved(by="eli"), now - minutes(1500))
    await desk.happens("5099", events.Closed(by="eli"), now - minutes(20))
    await desk.opens(bank, "5106", "S3", now - minutes(15), subject="Nichts geht mehr", language="de")
    # Tromzo counts open hours; while we wait for the customer its resolution pauses.
    early = desk.open_ago("acme", minutes(300))
    await desk.opens("acme", "4711", "P2", early, fields={"impact": "all", "logs": "attached", "steps": "log in"})
    await desk.happens("4711", events.AgentReplied(by="dana"), desk.open_ago("acme", minutes(240)))
    await desk.happens("4711", events.WaitingOnCustomer(by="dana"), desk.open_ago("acme", minutes(235)))
    await desk.opens("acme", "4712", "P1", desk.open_ago("acme", minutes(100)))
    await desk.happens("4712", events.Acknowledged(by="eli"), desk.open_ago("acme", minutes(90)))
    await desk.opens("acme", "4713", "P4", desk.open_ago("acme", minutes(200)))
    await desk.happens(
        "4713", events.Dispositioned(disposition="feature_request", by="eli"), desk.open_ago("acme", minutes(100))
    )
    await desk.opens(clinic, "77", "P2", desk.open_ago(clinic, minutes(100)), by="somebody@cedar-clinic.example")
    await desk.opens(clinic, "78", "P1", desk.open_ago(clinic, minutes(450)))
    await desk.happens("78", events.Acknowledged(by="dana"), desk.open_ago(clinic, minutes(440)))
    # Not current with its payments since an hour ago: support is suspended.
    await desk.opens("dune-air", "3001", "S2", now - minutes(150))
    await desk.happens("3001", events.Acknowledged(by="dana"), now - minutes(140))
    await desk.lapses("dune-air", now - minutes(60))
    # A word that nobody here understands is kept as a dead letter.
    handle = desk.client.get_workflow_handle(names.incident_id(SOURCE, "4712"))
    await handle.signal("ticket_merged", {"into": "4700"})


class Camera:
    """A page of the UI, and the folder that the pictures go to."""

    def __init__(self, page: Page, url: str, client: Client, folder: Path) -> None:
        self.page, self.url, self.client, self.folder = page, f"{url}/namespaces/default/workflows", client, folder

    async def listing(self, name: str, query: str, tickets: set[str]) -> None:
        """A list of incidents by a filter, which finds exactly these."""
        await self.page.set_viewport_size({"width": 1500, "height": 430})
        await self.page.goto(f"{self.url}?query={quote(query)}")
        await self.page.get_by_role("link", name="incident/").first.wait_for()
        found = await self.page.get_by_role("link", name="incident/").all_inner_texts()
        assert {id.strip().rpartition("/")[2] for id in found} == tickets, f"{query} finds {found}, not {tickets}"
        await self._take(name, None)

    async def tab(self, ticket: str, tab: str, width: int, height: int) -> None:
        """A tab of an incident's page."""
        id = names.incident_id(SOURCE, ticket)
        run = (await self.client.get_workflow_handle(id).describe()).run_id
        await self.page.set_viewport_size({"width": width, "height": height})
        await self.page.goto(f"{self.url}/{quote(id, safe='')}/{run}/{tab}")

    async def card(self, name: str, ticket: str, *, whole: bool = False) -> None:
        """An incident's card; `whole`: the page around it, too."""
        await self.tab(ticket, "user-metadata", 1400, 1080)
        end = self.page.get_by_text("Times are those of")
        await end.wait_for()
        await self._take(name, end, None if whole else self.page.get_by_text("Current Details", exact=True).first)

    async def timeline(self, name: str, ticket: str) -> None:
        """What an incident waited for."""
        await self.tab(ticket, "timeline", 1500, 1000)
        begin = self.page.get_by_role("heading", name="Timeline").first
        await self.page.get_by_text("% of response used").first.wait_for()
        await self._take(name, self.page.get_by_text("deliver", exact=True).first, begin, below=80)

    async def history(self, name: str, ticket: str) -> None:
        """What an incident heard and did."""
        await self.tab(ticket, "history", 1900, 1300)
        begin = self.page.get_by_role("heading", name="Event History").first
        end = self.page.get_by_text("Workflow Execution Started").first
        await end.wait_for()
        await self._take(name, end, begin)

    async def _take(self, name: str, end: Locator | None, begin: Locator | None = None, below: int = 40) -> None:
        """Take the page, from `begin` (its left and upper edge) down to `end`."""
        await self.page.wait_for_timeout(1500)  # until what was drawn has come to rest
        size = self.page.viewport_size
        first = await begin.bounding_box() if begin is not None else None
        last = await end.bounding_box() if end is not None else None
        assert size is not None
        x, y = (max(0, first["x"] - 24), max(0, first["y"] - 24)) if first else (0.0, 0.0)
        bottom = min(size["height"], last["y"] + last["height"] + below) if last else size["height"]
        shot = await self.page.screenshot(clip={"x": x, "y": y, "width": size["width"] - x, "height": bottom - y})
        path = self.folder / f"ui-{name}.png"
        path.write_bytes(squeezed(shot))
        print(f"{path}: {path.stat().st_size // 1000} kB")


def squeezed(png: bytes) -> bytes:
    """The same picture in fewer bytes: packed as tightly as zlib can, and nothing but the picture kept."""
    kept, data, at = [], b"", 8
    while at < len(png):
        (length,), kind = struct.unpack(">I", png[at : at + 4]), png[at + 4 : at + 8]
        body = png[at + 8 : at + 8 + length]
        if kind == b"IDAT":
            data += body
        elif kind in (b"IHDR", b"PLTE"):
            kept.append((kind, body))
        at += 12 + length
    packed = zlib.compressobj(9, memLevel=9)
    chunks = [*kept, (b"IDAT", packed.compress(zlib.decompress(data)) + packed.flush()), (b"IEND", b"")]
    made = [struct.pack(">I", len(b)) + kind + b + struct.pack(">I", zlib.crc32(kind + b)) for kind, b in chunks]
    return min(png[:8] + b"".join(made), png, key=len)


async def photograph(camera: Camera, now: datetime) -> None:
    """All the pictures of docs/operators.md."""
    soon = (now + minutes(30)).isoformat(timespec="seconds").replace("+00:00", "Z")
    running = 'ExecutionStatus = "Running"'
    await camera.listing("due-soon", f'{running} AND SlaNextDue < "{soon}"', {"5101", "5107"})
    query = f'{running} AND SlaCustomer = "birch-bank" AND SlaPriority = "S1"'
    await camera.listing("open-s1", query, {"5101", "5102"})
    await camera.card("incident", "5103", whole=True)
    await camera.card("paused", "4711")
    await camera.card("suspended", "3001")
    await camera.card("dead-letter", "4712")
    await camera.timeline("timeline", "5104")
    await camera.history("history", "5104")


async def take(folder: Path, browser: str) -> None:
    """Start everything, let the tickets happen, take the pictures, stop everything."""
    with tempfile.TemporaryDirectory() as state:
        async with EmbeddedServer(Path(state), search_attributes=ALL_KEYS) as server, async_playwright() as playwright:
            client = await Client.connect(server.target, data_converter=pydantic_data_converter)
            policies = Policies(only=CUSTOMERS)
            desk = Desk(client, datetime.now(UTC), policies)
            # All is heard before anybody looks: so each incident finds its story complete, and no step is unfounded.
            await play(desk)
            async with build_worker(client, policies, Silent()):
                await desk.settled()
                root = ["--no-sandbox"] if os.geteuid() == 0 else []
                chromium = await playwright.chromium.launch(executable_path=browser, args=[*FLAGS, *root])
                page = await (await chromium.new_context(timezone_id="UTC", locale="en-US")).new_page()
                columns = json.dumps({"default": [{"label": label} for label in COLUMNS]})
                stored = f"localStorage.setItem('namespace-workflow-table-columns', {json.dumps(columns)})"
                await page.add_init_script(stored)
                await photograph(Camera(page, server.ui_url, client, folder), desk.now)
                await chromium.close()


def main() -> int:
    """Take the pictures; 1 where there is nothing to take them with."""
    browser = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))), None)
    if browser is None:
        print(
            "docs/screenshots.py needs Chromium and finds none; install your system's package `chromium`",
            file=sys.stderr,
        )
        return 1
    folder = Path(sys.argv[1]) if len(sys.argv) > 1 else IMAGES
    folder.mkdir(parents=True, exist_ok=True)
    asyncio.run(take(folder, browser))
    return 0


if __name__ == "__main__":
    code = main()
    sys.stdout.flush()
    os._exit(code)  # an interpreter that winds down beside a Temporal client's threads can crash
