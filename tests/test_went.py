"""By which way a notice really went: the records know it, and `status` and `log` show it."""

from datetime import UTC, datetime
from pathlib import Path

import pytest
from sqlalchemy.ext.asyncio import AsyncEngine

from records.bundles import BundleStore, Part
from records.sent import Sent, SentStore, Went
from starter.commands.look import _details
from starter.commands.show import sent
from starter.commands.went import by, ways, went, with_ways
from starter.home import Home

AT = datetime(2031, 7, 11, 16, 30, tzinfo=UTC)
INCIDENT = "incident/desk/4711"
MERGED = f"{INCIDENT}/acknowledgement/-/-/1+information_request/-/-/1/ann@acme.example"
NOTICE = {
    "at": "2031-07-11T09:30:00-07:00", "kind": "acknowledgement", "clock": None, "step": None,
    "to": ["ann@acme.example"], "channel": "email", "clause": "T09",
}  # fmt: skip
LOG = [
    {"event": {"event": "opened"}},
    {
        "event": {
            "event": "step_done", "step_key": "acknowledgement/-/-/1", "assignee": None, "held_back": False,
            "notices": [NOTICE | {"at": "2031-07-11T16:30:00Z"}],
        }
    },
]  # fmt: skip


def message(key: str, via: str, incident: str = INCIDENT) -> Sent:
    return Sent(key, incident, "acknowledgement", None, None, "T09", "email", ("ann@acme.example",), via, AT, "")


def part(bundle: str, step: str) -> Part:
    return Part(bundle, "acme", INCIDENT, step, "email", "dana", {"id": "dana"}, {"subject": "s"})


async def test_the_records_tell_how_each_step_went_also_as_a_part_of_another_message(engine: AsyncEngine) -> None:
    store, bundles = SentStore(engine), BundleStore(engine)
    await store.put(message(MERGED, "log"))
    await store.put(message("incident/desk/47110/acknowledgement/-/-/1/dana", "slack", "incident/desk/47110"))
    off = f"{INCIDENT}/escalation/response/75%/1/dana"
    await bundles.put([part("account/acme/lapse", "suspension/-/-/1"), part("minute/email/dana", off)], AT)
    assert [one.to for one in await store.went(INCIDENT)] == ["ann@acme.example"], "the others wait"
    for bundle in ("account/acme/lapse", "minute/email/dana"):
        await store.put(message(f"{bundle}/email-dana", "email", bundle))
    assert sorted(await store.went(INCIDENT), key=lambda one: one.steps) == [
        Went(("acknowledgement/-/-/1", "information_request/-/-/1"), "ann@acme.example", "log"),
        Went(("escalation/response/75%/1",), "dana", "email"),
        Went(("suspension/-/-/1",), "dana", "email"),
    ]


def test_a_notice_that_went_another_way_than_it_was_meant_to_says_both() -> None:
    known = [Went(("acknowledgement/-/-/1",), "ann@acme.example", "log"), Went(("escalation/-/-/1",), "dana", "slack")]
    (told,) = with_ways([NOTICE], LOG, known)
    assert told == NOTICE | {"via": ["log"]}
    assert by(told) == "log (meant: email)"
    assert by(NOTICE | {"via": ["email"]}) == "email"
    assert by(NOTICE | {"via": []}) == by(NOTICE) == "email", "where it is not known, as it was meant"
    assert with_ways([NOTICE | {"channel": "slack"}], LOG, known)[0]["via"] == [], "that is another notice"
    assert ways("escalation/-/-/1", ["ann@acme.example", "dana"], known) == ["slack"]
    assert ways("escalation/-/-/2", ["dana"], known) == []
    assert _details(LOG[1]["event"], known) == "acknowledgement to ann@acme.example by log (meant: email)"
    _, table = sent([told])
    assert [str(cell) for cell in table.columns[4].cells] == ["log (meant: email)"]  # type: ignore[union-attr]


@pytest.mark.parametrize("database", ["", "sqlite+aiosqlite:////nowhere/at/all.db", "no database"])
async def test_where_the_records_cant_be_read_nothing_is_known_and_nothing_is_made(
    tmp_path: Path, database: str
) -> None:
    assert await went(Home(tmp_path / "var", database), INCIDENT) == []
    assert not (tmp_path / "var").exists()
