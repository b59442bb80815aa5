"""The files of sources and secrets change while everything runs: who reads the helpdesks follows, and somebody is told of a broken one."""

import asyncio
import io
import json
import logging
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from temporalio.service import RPCError, RPCStatusCode

from activities.courier import Courier
from activities.policies import Policies
from activities.settings import CourierSettings
from records.shelf import Shelf
from sla.source import Source
from starter import lookout
from starter.hook_settings import EVERY, IntakeSettings
from starter.lookout import Lookout
from starter.outcry import Outcry
from starter.sample_signing import SIGNERS
from starter.samples import sample
from tests.front_desk import NOW, SECRET, Desk
from tests.test_source_schedules import Temporal, every
from worker.alarms import Alarms

FILE = "name: {name}\nkind: zendesk\nurl: https://desk.example\nreconcile_minutes: {minutes}\n"
DESK = Source(name="desk", kind="jira", customer="acme")
TEAM = """
name: default
members: {dana: {name: Dana, always: true, channel: log}}
tiers: [{title: First line, members: [dana]}]
fallback: dana
"""


@dataclass
class Seen:
    """The records of sources."""

    names: list[str] = field(default_factory=list)
    down: bool = False

    async def seen(self, name: str, kind: str, at: datetime) -> None:
        if self.down:
            raise OperationalError("INSERT", {}, Exception("no such host"))
        self.names.append(name)


class Away(Temporal):
    """A Temporal server that may not answer."""

    away = False

    async def list_schedules(self) -> Any:
        if self.away:
            raise RPCError("no connection", RPCStatusCode.UNAVAILABLE, b"")
        return await super().list_schedules()


class Scene:
    """A look-out over files that can change."""

    def __init__(self, root: Path) -> None:
        self.root, self.temporal, self.seen, self.seconds = root, Away(), Seen(), 0.0
        self.said: list[tuple[str, str]] = []
        (root / "hook-secrets.yaml").write_text("{}\n")
        (root / "sources").mkdir()
        settings = IntakeSettings(file=root / "hook-secrets.yaml", clock=lambda: self.seconds)
        policies = Policies(Shelf(root))
        temporal: Any = self.temporal
        seen: Any = self.seen
        self.out = Lookout(temporal, policies, settings, seen, lambda *what: self.said.append(what), lambda: NOW)

    def write(self, name: str, minutes: int = 10, text: str = FILE) -> None:
        (self.root / "sources" / f"{name}.yaml").write_text(text.format(name=name, minutes=minutes))

    async def looks(self) -> dict[str, timedelta]:
        """How often each helpdesk is read after one look."""
        self.seconds += EVERY
        await self.out.look()
        return {id.removeprefix("read-source-"): every(made) for id, made in self.temporal.kept.items()}


@pytest.fixture
def scene(tmp_path: Path) -> Scene:
    return Scene(tmp_path)


async def test_a_source_that_comes_is_read_and_expected_to_be_heard_and_one_that_goes_is_not_read_any_more(
    scene: Scene,
) -> None:
    assert await scene.looks() == {}
    scene.write("desk")
    assert await scene.looks() == {"desk": timedelta(minutes=10)}
    scene.write("other", 25)
    assert await scene.looks() == {"desk": timedelta(minutes=10), "other": timedelta(minutes=25)}
    (scene.root / "sources" / "desk.yaml").unlink()
    assert await scene.looks() == {"other": timedelta(minutes=25)}
    assert set(scene.seen.names) == {"desk", "other"}
    assert scene.said == []


async def test_it_looks_again_by_itself_within_a_minute(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    assert lookout.EVERY <= 60
    monkeypatch.setattr(lookout, "EVERY", 0)
    running = asyncio.create_task(scene.out.run())
    scene.write("desk")
    async with asyncio.timeout(20):
        while "read-source-desk" not in scene.temporal.kept:
            await asyncio.sleep(0)
        scene.write("late")
        while "read-source-late" not in scene.temporal.kept:
            await asyncio.sleep(0)
    running.cancel()
    with pytest.raises(asyncio.CancelledError):
        await running


async def test_temporal_is_asked_nothing_while_no_file_changes(scene: Scene) -> None:
    scene.write("desk")
    await scene.looks()
    scene.temporal.kept.clear()
    assert await scene.looks() == {}


async def test_what_temporal_or_the_records_did_not_take_is_tried_again_and_said_once(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    scene.write("desk")
    scene.temporal.away = scene.seen.down = True
    with caplog.at_level(logging.ERROR, lookout.__name__):
        assert await scene.looks() == {}
        scene.temporal.away = False
        assert await scene.looks() == {"desk": timedelta(minutes=10)}
        assert scene.seen.names == []
    assert len(caplog.records) == 1
    scene.seen.down = False
    await scene.looks()
    assert scene.seen.names == ["desk"]


async def test_a_broken_file_changes_nothing_and_one_line_and_one_alarm_a_day_say_what_is_wrong(
    scene: Scene, caplog: pytest.LogCaptureFixture
) -> None:
    """Broken from the start, it leaves the schedule of an earlier run; broken later, the source goes on as it was read."""
    scene.temporal.kept["read-source-early"] = None
    scene.write("early", text="name: early\nkind: [\n")
    scene.write("desk")
    with caplog.at_level(logging.ERROR, lookout.__name__):
        scene.seconds += EVERY
        await scene.out.look()
        assert set(scene.temporal.kept) == {"read-source-early", "read-source-desk"}
        scene.write("desk", text="name: desk\nkind: {{\n")
        scene.write("late")
        for _ in range(3):
            scene.seconds += EVERY
            await scene.out.look()
    assert set(scene.temporal.kept) == {"read-source-early", "read-source-desk", "read-source-late"}
    assert {subject for subject, _ in scene.said} == {"file/source/early", "file/source/desk"}
    said = dict(scene.said)
    assert "desk.yaml:3: " in said["file/source/desk"]
    assert said["file/source/desk"].endswith("; desk goes on as it was read before")
    assert said["file/source/early"].endswith("; early can't be heard until it is put right")
    assert sorted(record.getMessage() for record in caplog.records) == sorted(said.values())

    scene.write("desk", 5)
    scene.said.clear()
    scene.seconds += EVERY
    await scene.out.look()
    assert {subject for subject, _ in scene.said} == {"file/source/early"}


async def test_a_broken_file_of_secrets_is_told_of_without_a_secret(scene: Scene) -> None:
    (scene.root / "hook-secrets.yaml").write_text("sources: {desk: {secrets: [a-secret-of-some-length-0001")
    await scene.looks()
    ((subject, sentence),) = scene.said
    assert subject == "file/secrets"
    assert "hook-secrets.yaml is no YAML" in sentence
    assert "a-secret" not in sentence


async def test_a_folder_that_can_not_be_looked_into_takes_no_source_away(scene: Scene) -> None:
    scene.write("desk")
    await scene.looks()
    (scene.root / "sources").rename(scene.root / "elsewhere")
    assert await scene.looks() == {"desk": timedelta(minutes=10)}
    assert list(scene.out.policies.shelf.usable_sources()[0]) == ["desk"]


async def test_an_alarm_is_told_beside_once_a_day_of_each_subject_and_one_that_fails_keeps_no_other_back(
    caplog: pytest.LogCaptureFixture,
) -> None:
    told, day = [], [NOW]

    async def tell(key: str, sentence: str) -> None:
        if "broken" in sentence:
            raise OSError("the disk is full")
        told.append((key, sentence))

    outcry = Outcry(tell, lambda: day[0])
    telling = asyncio.create_task(outcry.run())
    outcry.say("a", "it is broken")
    outcry.say("b", "first")
    outcry.say("b", "again")
    day[0] += timedelta(days=1)
    outcry.say("b", "tomorrow")
    async with asyncio.timeout(20):
        while len(told) < 2:
            await asyncio.sleep(0)
    telling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await telling
    assert told == [("b/2031-07-07", "first"), ("b/2031-07-08", "tomorrow")]
    assert "it is broken" in caplog.text


async def test_another_body_under_an_id_that_came_before_is_told_of_once_a_day_for_each_source(tmp_path: Path) -> None:
    """It may be somebody who tampers; no sender waits for the channel by which somebody is told."""
    made = Desk(DESK)
    tells = Alarms(Policies(Shelf(tmp_path)), Courier(CourierSettings(state=tmp_path), None, io.StringIO())).tell
    (tmp_path / "teams").mkdir()
    (tmp_path / "teams" / "default.yaml").write_text(TEAM)
    outcry = Outcry(tells, lambda: NOW)
    made.hooks.alarm = outcry.say
    book = tmp_path / "notices.jsonl"
    whole = sample(DESK, SECRET, NOW)
    for turn in range(4):
        raw = json.dumps(json.loads(whole.raw) | {"turn": turn}).encode()
        headers = {**SIGNERS["jira"](SECRET, raw, NOW), "x-atlassian-webhook-identifier": "d-1"}
        assert (await made.post("/hooks/jira/desk", raw, headers)).status_code == (409 if turn else 202)
    assert not book.exists()
    telling = asyncio.create_task(outcry.run())
    async with asyncio.timeout(20):
        while not book.exists() or not book.read_text().endswith("\n"):
            await asyncio.sleep(0)
    telling.cancel()
    with pytest.raises(asyncio.CancelledError):
        await telling
    (line,) = book.read_text().splitlines()
    assert json.loads(line)["key"] == "installation/hook/jira/desk/409/2031-07-07"
    assert "jira/desk sent another body under an id that came before" in line
    assert "pactkeeper deliveries --source jira/desk --outcome refused" in line
