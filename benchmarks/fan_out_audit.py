"""What came of it all, read from the notices that went out and from the histories: wrong, lost and doubled, exactly."""

import asyncio
import json
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from sqlalchemy import func, select
from temporalio.api.history.v1 import HistoryEvent
from temporalio.client import Client

from activities.calls import CarriedOut, StandingWord
from benchmarks.reference import kind
from records import database
from records.models import NoticePart
from sla import names
from sla.ledger import Interval

AT_ONCE = 16


@dataclass(frozen=True)
class Sent:
    """A notice that went out: its kind, the moment it is about, and the keys of the steps that it says."""

    key: str
    incident: str
    kind: str
    at: datetime
    sent_at: datetime
    steps: tuple[str, ...]


@dataclass(frozen=True)
class Kept:
    """What an incident's history says: each word of its standing by version, and the steps held back."""

    words: Mapping[int, int]
    held_back: tuple[str, ...]


def sent(file: Path) -> list[Sent]:
    """All notices in the log, in the order in which they went out."""
    found = []
    for line in file.read_text(encoding="utf-8").splitlines() if file.exists() else []:
        told = json.loads(line)
        key = str(told["key"]).removeprefix(f"{told['incident']}/").rpartition("/")[0]
        steps = tuple(told["data"].get("steps", "").split(", ")) if told["data"].get("steps") else (key,)
        found.append(
            Sent(told["key"], told["incident"], told["kind"], _moment(told["at"]), _moment(told["sent_at"]), steps)
        )
    return found


def escalations(notices: Iterable[Sent]) -> list[tuple[Sent, str]]:
    """Each escalation that was told, with its key."""
    return [(one, key) for one in notices for key in one.steps if key.startswith("escalation/")]


def wrong(notices: Sequence[Sent], stretch: Interval, known: datetime) -> list[Sent]:
    """The escalations told for a moment at which support was suspended.

    What went out before the account could know (`known`: the server had acknowledged the lapse) is no fault where it
    was withdrawn.
    """
    withdrawn = {one.incident for one in notices if one.kind == "withdrawal"}
    return [
        one
        for one, _ in escalations(notices)
        if stretch.start <= one.at and (stretch.end is None or one.at < stretch.end)
        and (one.sent_at >= known or one.incident not in withdrawn)
    ]  # fmt: skip


async def bundles(state: Path, incidents: int) -> dict[str, int]:
    """What the incidents had to say of the suspension and the resumption, to the customer and to the assignee.

    Each of the two changes is two parts of each incident, put by under a key and sent in one message to each person;
    a part that came late goes out by itself.
    """
    engine = database.engine(database.default_url(state))
    async with engine.connect() as connection:
        asked = select(func.count(), func.count(NoticePart.sent_at)).select_from(NoticePart)
        parts, said = (await connection.execute(asked)).one()
    await engine.dispose()
    notices = sent(state / "notices.jsonl")
    about = [one for one in notices if one.kind in ("suspension", "resumption")]
    alone = [one for one in about if one.incident.startswith("incident/")]
    whole = 4 * incidents
    return {
        "parts": parts,
        "parts_alone": len(alone),
        "parts_lost": max(0, whole - said - len(alone)),
        "parts_doubled": max(0, said + len(alone) - whole) + len(about) - len({one.key for one in about}),
        "messages": len(about),
    }


async def histories(client: Client, ids: Collection[str]) -> dict[str, Kept]:
    """What each incident's history says."""
    waiting, found = iter(ids), dict[str, Kept]()

    async def lane() -> None:
        for id in waiting:
            events = (await client.get_workflow_handle(id).fetch_history()).events
            found[id] = _kept(events)

    await asyncio.gather(*(lane() for _ in range(AT_ONCE)))
    return found


def _kept(events: Iterable[HistoryEvent]) -> Kept:
    words: Counter[int] = Counter()
    held_back: list[str] = []
    for event in events:
        signal = event.workflow_execution_signaled_event_attributes
        if kind(event) == "WORKFLOW_EXECUTION_SIGNALED" and signal.signal_name == names.STANDING_TOLD:
            words[StandingWord.model_validate_json(signal.input.payloads[0].data).ledger.version] += 1
        for data in _results(event):
            if b'"outcomes"' in data:
                came = CarriedOut.model_validate_json(data)
                held_back += [one.step_key for one in came.outcomes if one.held_back]
    return Kept(words, tuple(held_back))


def _results(event: HistoryEvent) -> list[bytes]:
    """What activities gave back, local or not."""
    if kind(event) == "MARKER_RECORDED":
        return [p.data for p in event.marker_recorded_event_attributes.details["result"].payloads]
    return [p.data for p in event.activity_task_completed_event_attributes.result.payloads]


async def account_events(client: Client, account: str, since: datetime, until: datetime) -> list[HistoryEvent]:
    """The events of an account's history in a stretch of time, over all its runs."""
    run, found = None, list[HistoryEvent]()
    while True:
        events = (await client.get_workflow_handle(account, run_id=run).fetch_history()).events
        found = [e for e in events if since <= e.event_time.ToDatetime(UTC) <= until] + found
        run = events[0].workflow_execution_started_event_attributes.continued_execution_run_id or None
        if run is None or events[0].event_time.ToDatetime(UTC) < since:
            return found


def telling(events: Sequence[HistoryEvent]) -> tuple[datetime, datetime]:
    """From when to when incidents were being told: the first batch asked for, the last one done."""
    asked = {
        e.event_id: e.event_time.ToDatetime(UTC)
        for e in events
        if e.activity_task_scheduled_event_attributes.activity_type.name == names.TELL_INCIDENTS
    }
    ends = [
        e.event_time.ToDatetime(UTC)
        for e in events
        if e.activity_task_completed_event_attributes.scheduled_event_id in asked
    ]
    return min(asked.values()), max(ends)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)
