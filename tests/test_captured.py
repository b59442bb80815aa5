"""X04: every delivery that was captured, or made after a source's documentation, delivered twice and shuffled: the same end."""

import json
import random
import re
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from records.shelf import Shelf
from sla.entries import entry
from sla.evaluate import evaluate
from sla.source import Source
from starter.sample_signing import SIGNERS
from starter.source_hooks import TEST
from starter.sources import KINDS, adapter
from tests.front_desk import SECRET, Desk

FOLDER = Path(__file__).parent / "deliveries"
DESK_CAPTURES = Path(__file__).parent / "captures" / "django_helpdesk"
HOUR = timedelta(hours=1)
_MOMENT = re.compile(rb"20\d\d-\d\d-\d\d[T ]\d\d:\d\d:\d\d")
_STAMP = re.compile(rb"\b(1[6-9]\d{8}|2[0-9]\d{8})(?:\d{3})?\b")


def captured(kind: str) -> list[bytes]:
    """The bodies of a kind, in the order of their files' names."""
    folder = DESK_CAPTURES if kind == "django-helpdesk" else FOLDER / kind
    files = sorted(path for path in folder.rglob("*") if path.suffix in (".json", ".eml"))
    made = [path.read_bytes() for path in files]
    return [one for raw in made for one in (_each(raw) if raw.lstrip().startswith(b"[") else [raw])]


def _each(raw: bytes) -> list[bytes]:
    return [json.dumps(one).encode() for one in json.loads(raw)]


def newest(bodies: list[bytes], otherwise: datetime = datetime(2031, 7, 12, tzinfo=UTC)) -> datetime:
    """A little after all that is told of, so that every moment is one that the intake believes and no signature is stale."""
    text = b"\n".join(bodies)
    told = [datetime.fromisoformat(m[0].decode().replace(" ", "T")).replace(tzinfo=UTC) for m in _MOMENT.finditer(text)]
    told += [datetime.fromtimestamp(int(m[1]), UTC) for m in _STAMP.finditer(text)]
    told = told or [otherwise]  # mails write their dates in words
    year = max(at.year for at in told)
    return max(at for at in told if at.year == year) + timedelta(minutes=2)


def sent(kind: str, raw: bytes, late: timedelta, newest_of_all: datetime) -> tuple[bytes, datetime]:
    """A delivery as it comes so much later, and when that is."""
    at = newest([raw], newest_of_all) + late
    if kind == "escalated-django" and late:  # it signs a moment within its body, and writes it anew for every try
        body = json.loads(raw)
        raw = json.dumps(body | {"timestamp": at.isoformat()} if "timestamp" in body else body).encode()
    return raw, at


async def ends(kind: str, arrivals: list[tuple[bytes, timedelta]], memory: bool = True) -> dict[str, Any]:
    """How each ticket stands once all of them have come, under the contract tromzo; each taken at its own time, none refused."""
    now = newest([raw for raw, _ in arrivals])
    more: dict[str, Any] = {"channels": ("C0SUPPORT",), "agents": {"U0DANA": "dana"}} if kind == "slack" else {}
    desk = Desk(Source(name="desk", kind=kind, customer="acme", **more))
    clock = [now]
    desk.hooks.settings.now = lambda: clock[0]
    if not memory:
        desk.hooks.log = None
    place = SECRET if adapter(kind).secret_in_path else "desk"
    for i, (body, late) in enumerate(arrivals):
        raw, clock[0] = sent(kind, body, late, now)
        headers = {"x-request-id": str(i), **SIGNERS[kind](SECRET, raw, clock[0])}
        answer = await desk.post(f"/hooks/{kind}/{place}", raw, headers)
        assert answer.status_code in (200, 202), (answer.text, raw)
        assert TEST not in answer.headers
    pinned = Shelf().pin("tromzo", None, now.date() - timedelta(days=500), now.date() + timedelta(days=60))
    words: dict[str, list[Any]] = {}
    for _, ticket, _, word in desk.door.words:
        words.setdefault(ticket, []).append(entry(word))
    views = {ticket: evaluate(pinned, log, now + 3 * HOUR) for ticket, log in words.items()}
    return {
        ticket: (view.phase, view.priority, view.assignee, view.acknowledged, view.clocks, view.triage)
        for ticket, view in views.items()
    } | {
        "keys": sorted(desk.door.keys()),
        "looks": sorted(set(desk.door.looks)),
        "existing": sorted({w.key for _, w in desk.door.existing_words}),
    }


@pytest.mark.parametrize("kind", KINDS)
async def test_X04_captured_deliveries_twice_and_shuffled_come_to_the_same(kind: str) -> None:
    bodies = [(raw, timedelta()) for raw in captured(kind)]
    assert len(bodies) >= 3, f"there are hardly any deliveries of {kind}"
    once = await ends(kind, bodies)
    assert once["keys"] or once["looks"] or once["existing"]
    for seed in range(10):
        shuffled = bodies * 2
        random.Random(seed).shuffle(shuffled)
        assert await ends(kind, shuffled) == once, seed


@pytest.mark.parametrize("kind", KINDS)
async def test_X04_what_comes_again_an_hour_later_at_a_door_that_remembers_nothing_counts_once(kind: str) -> None:
    """As after a restart whose memory is lost, or at another process: by the keys of the words alone, in any order.

    Freshdesk's bodies that tell no time are told apart by the hour (docs/sources/freshdesk.md), so these come within it.
    """
    bodies = captured(kind)
    hourly = [raw for raw in bodies if kind == "freshdesk" and not _MOMENT.search(raw)]
    once = await ends(kind, [(raw, timedelta()) for raw in bodies], memory=False)
    for seed in range(10):
        arrivals = [(raw, late) for raw in bodies for late in (timedelta(), HOUR / 6 if raw in hourly else HOUR)]
        random.Random(seed).shuffle(arrivals)
        assert await ends(kind, arrivals, memory=False) == once, seed
