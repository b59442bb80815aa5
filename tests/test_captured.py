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


def newest(bodies: list[bytes]) -> datetime:
    """A little after all that is told of, so that every moment is one that the intake believes."""
    text = b"\n".join(bodies)
    told = [datetime.fromisoformat(m[0].decode().replace(" ", "T")).replace(tzinfo=UTC) for m in _MOMENT.finditer(text)]
    told += [datetime.fromtimestamp(int(m[1]), UTC) for m in _STAMP.finditer(text)]
    told = told or [datetime(2031, 7, 12, tzinfo=UTC)]  # mails write their dates in words
    year = max(at.year for at in told)
    return max(at for at in told if at.year == year) + timedelta(minutes=5)


async def ends(kind: str, bodies: list[bytes], now: datetime) -> dict[str, Any]:
    """How each ticket stands once all of them have come, under the contract tromzo."""
    channels = ("C0123SUPPORT", "C0123", "CSUPPORT") if kind == "slack" else ()
    desk = Desk(Source(name="desk", kind=kind, customer="acme", channels=channels), now=now)
    place = SECRET if adapter(kind).secret_in_path else "desk"
    for i, raw in enumerate(bodies):
        headers = {"x-request-id": str(i), **SIGNERS[kind](SECRET, raw, now)}
        answer = await desk.post(f"/hooks/{kind}/{place}", raw, headers)
        assert answer.status_code in (200, 202, 401), answer.text
        assert TEST not in answer.headers
    pinned = Shelf().pin("tromzo", None, now.date() - timedelta(days=500), now.date() + timedelta(days=60))
    words: dict[str, list[Any]] = {}
    for _, ticket, _, word in desk.door.words:
        words.setdefault(ticket, []).append(entry(word))
    views = {ticket: evaluate(pinned, log, now + timedelta(hours=1)) for ticket, log in words.items()}
    return {
        ticket: (view.phase, view.priority, view.assignee, view.acknowledged, view.clocks, view.triage)
        for ticket, view in views.items()
    } | {"looks": sorted(set(desk.door.looks)), "existing": sorted({w.key for _, w in desk.door.existing_words})}


@pytest.mark.parametrize("kind", KINDS)
async def test_X04_captured_deliveries_twice_and_shuffled_come_to_the_same(kind: str) -> None:
    bodies = captured(kind)
    assert len(bodies) >= 3, f"there are hardly any deliveries of {kind}"
    now = newest(bodies)
    once = await ends(kind, bodies, now)
    assert len(once) > 2 or once["looks"] or once["existing"]
    for seed in range(10):
        shuffled = bodies * 2
        random.Random(seed).shuffle(shuffled)
        assert await ends(kind, shuffled, now) == once, seed
