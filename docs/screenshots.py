"""Take the pictures in docs/: real incidents on the embedded server, seen in its own UI by headless Chromium, and the front door.

`python docs/screenshots.py [FOLDER]` (left out: docs/images). It needs Debian's package chromium, and about a minute.
"""

import asyncio
import json
import logging
import os
import shutil
import struct
import sys
import tempfile
import zlib
from base64 import b64decode, b64encode
from datetime import UTC, datetime
from pathlib import Path
from typing import Final
from urllib.parse import quote

from playwright.async_api import Locator, Page, async_playwright
from screenshot_front import deliveries_and_doctor
from screenshot_mail import Post, mail
from screenshot_tickets import CUSTOMERS, SOURCE, Desk, minutes, play
from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities.ack_links import Links
from activities.attributes import ALL_KEYS
from activities.policies import Policies
from sla import names
from starter.embedded import EmbeddedServer
from worker.build import build_worker

IMAGES: Final = Path(__file__).parent / "images"
FLAGS: Final = (
    *("--disable-gpu", "--disable-quic", "--no-first-run", "--disable-background-networking"),
    *("--disable-component-update", "--disable-sync", "--disable-lcd-text", "--font-render-hinting=none"),
)
"""Nothing of Chromium's own goes out, and letters come out alike everywhere."""
COLUMNS: Final = ("Status", "Workflow ID", "SlaCustomer", "SlaPriority", "SlaPhase", "SlaClockState", "SlaNextDue",
                  "SlaAssignee")  # fmt: skip


class Camera:
    """A page of the UI, and the folder that the pictures go to."""

    def __init__(self, page: Page, darkroom: Page, url: str, client: Client, folder: Path) -> None:
        self.page, self.darkroom, self.client, self.folder = page, darkroom, client, folder
        self.url = f"{url}/namespaces/default/workflows"

    async def listing(self, name: str, query: str, tickets: set[str]) -> None:
        """A list of incidents by a filter, which finds at least these; in open hours more may be due."""
        await self.page.set_viewport_size({"width": 1560, "height": 480})
        await self.page.goto(f"{self.url}?query={quote(query)}")
        await self.page.get_by_role("link", name="incident/").first.wait_for()
        found = await self.page.get_by_role("link", name="incident/").all_inner_texts()
        assert {id.strip().rpartition("/")[2] for id in found} >= tickets, f"{query} finds {found}, not {tickets}"
        await self._take(name, None)

    async def tab(self, ticket: str, tab: str, width: int, height: int) -> None:
        """A tab of an incident's page."""
        await self._tab(names.incident_id(SOURCE, ticket), tab, width, height)

    async def _tab(self, id: str, tab: str, width: int, height: int) -> None:
        run = (await self.client.get_workflow_handle(id).describe()).run_id
        await self.page.set_viewport_size({"width": width, "height": height})
        await self.page.goto(f"{self.url}/{quote(id, safe='')}/{run}/{tab}")

    async def card(self, name: str, ticket: str, *, whole: bool = False) -> None:
        """An incident's card; `whole`: the page around it, too."""
        await self.tab(ticket, "user-metadata", 1400, 1080 if whole else 1250)
        # Markdown is drawn in frames of its own: the summary's, the details', the card's.
        end = self.page.locator("iframe").last.content_frame.get_by_text("Times are those of")
        await end.wait_for()
        await self._take(name, end, None if whole else self.page.get_by_text("Current Details", exact=True).first)

    async def account(self, name: str, customer: str) -> None:
        """An account's card."""
        await self._tab(names.account_id(customer), "user-metadata", 1400, 1080)
        end = self.page.locator("iframe").last.content_frame.get_by_text("Times are those of")
        await end.wait_for()
        await self._take(name, end, self.page.get_by_text("Current Details", exact=True).first)

    async def timeline(self, name: str, ticket: str) -> None:
        """What an incident waited for."""
        await self.tab(ticket, "timeline", 1500, 1000)
        begin = self.page.get_by_role("heading", name="Timeline").first
        await self.page.get_by_text("% of response used").first.wait_for()
        await self._take(name, self.page.get_by_text("open_incident", exact=True).first, begin, below=80)

    async def history(self, name: str, ticket: str) -> None:
        """What an incident heard and did."""
        await self.tab(ticket, "history", 1900, 1450)
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
        await self.keep(f"ui-{name}", shot)

    async def keep(self, name: str, shot: bytes | str) -> None:
        """Put a picture into the folder: a PNG, which is developed, or an SVG."""
        kind, made = ("svg", shot.encode()) if isinstance(shot, str) else ("png", await developed(self.darkroom, shot))
        path = self.folder / f"{name}.{kind}"
        path.write_bytes(made)
        print(f"{path}: {path.stat().st_size // 1000} kB")


DEVELOP: Final = """
async (png) => {
  const bitmap = await createImageBitmap(await (await fetch("data:image/png;base64," + png)).blob());
  const context = new OffscreenCanvas(bitmap.width, bitmap.height).getContext("2d");
  context.drawImage(bitmap, 0, 0);
  const pixels = context.getImageData(0, 0, bitmap.width, bitmap.height).data;
  const count = new Map(), colours = new Uint32Array(pixels.length / 4);
  for (let i = 0; i < pixels.length; i += 4) {
    const colour = (pixels[i] << 16) | (pixels[i + 1] << 8) | pixels[i + 2];
    count.set(colour, (count.get(colour) || 0) + 1);
    colours[i / 4] = colour;
  }
  const often = [...count.keys()].sort((a, b) => count.get(b) - count.get(a));
  const apart = (a, b) => Math.max(
    Math.abs((a >> 16) - (b >> 16)), Math.abs(((a >> 8) & 255) - ((b >> 8) & 255)), Math.abs((a & 255) - (b & 255)));
  for (let near = 0; ; near += 2) {  // coarser, until 256 colours are enough; those that are seen most stay as they are
    const palette = [], known = new Map();
    for (const colour of often) {
      let found = palette.findIndex((one) => apart(one, colour) <= near);
      if (found < 0) found = palette.push(colour) - 1;
      known.set(colour, found);
      if (palette.length > 256) break;
    }
    if (palette.length > 256) continue;
    const indexes = Uint8Array.from(colours, (colour) => known.get(colour));
    let text = "";
    for (let i = 0; i < indexes.length; i += 32768) text += String.fromCharCode(...indexes.subarray(i, i + 32768));
    return {width: bitmap.width, height: bitmap.height, palette, indexes: btoa(text)};
  }
}
"""


async def developed(darkroom: Page, png: bytes) -> bytes:
    """The same picture with a palette of at most 256 colours: a third of the bytes, and no eye tells the difference."""
    made = await darkroom.evaluate(DEVELOP, b64encode(png).decode())
    width, height, indexes = made["width"], made["height"], b64decode(made["indexes"])
    rows = b"".join(b"\0" + indexes[y * width : (y + 1) * width] for y in range(height))
    chunks = [
        (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
        (b"PLTE", b"".join(colour.to_bytes(3) for colour in made["palette"])),
        (b"IDAT", zlib.compress(rows, 9)),
        (b"IEND", b""),
    ]
    framed = [struct.pack(">I", len(b)) + kind + b + struct.pack(">I", zlib.crc32(kind + b)) for kind, b in chunks]
    return b"\x89PNG\r\n\x1a\n" + b"".join(framed)


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
    await camera.account("account", "elm-estates")
    await camera.timeline("timeline", "5104")
    await camera.history("history", "5104")


async def photograph_front(camera: Camera, post: Post) -> None:
    """The pictures of docs/deliveries.md, docs/connect.md and docs/notices.md."""
    blank = await camera.page.context.new_page()
    with tempfile.TemporaryDirectory() as state:
        shown, printed = await deliveries_and_doctor(blank, Path(state))
    await camera.keep("deliveries", shown)
    await camera.keep("connect", printed)
    await camera.keep("notice-mail", await mail(blank, post.of("5104", "escalation")))


async def take(folder: Path, browser: str) -> None:
    """Start everything, let the tickets happen, take the pictures, stop everything."""
    logging.getLogger("starter").setLevel(logging.ERROR)  # what the pictured web intake warns of is in its picture
    with tempfile.TemporaryDirectory() as state:
        async with EmbeddedServer(Path(state), search_attributes=ALL_KEYS) as server, async_playwright() as playwright:
            client = await Client.connect(server.target, identity="worker-1", data_converter=pydantic_data_converter)
            policies = Policies(only=CUSTOMERS, base=Path(__file__).parent.parent / "policies")
            desk = Desk(client, datetime.now(UTC), policies)
            post = Post(policies, Links("https://support.example.com", b"of a server that is gone a minute later"))
            # All is heard before anybody looks: so each incident finds its story complete, and no step is unfounded.
            await play(desk)
            async with build_worker(client, policies, post):
                await desk.settled()
                root = ["--no-sandbox"] if os.geteuid() == 0 else []
                chromium = await playwright.chromium.launch(executable_path=browser, args=[*FLAGS, *root])
                context = await chromium.new_context(timezone_id="UTC", locale="en-US")
                page, darkroom = await context.new_page(), await context.new_page()
                columns = json.dumps({"default": [{"label": label} for label in COLUMNS]})
                stored = f"localStorage.setItem('namespace-workflow-table-columns', {json.dumps(columns)})"
                await page.add_init_script(stored)
                camera = Camera(page, darkroom, server.ui_url, client, folder)
                await photograph(camera, desk.now)
                await photograph_front(camera, post)
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
