"""When the connected helpdesks are read: as often as each one's file says, and no more once it is gone."""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

from temporalio.client import Schedule, ScheduleAlreadyRunningError

from sla.source import Source
from starter.schedules import ensure_source_schedules


@dataclass
class Temporal:
    """Schedules, in memory."""

    kept: dict[str, Schedule | None] = field(default_factory=dict)

    async def create_schedule(self, id: str, schedule: Schedule) -> None:
        if id in self.kept:
            raise ScheduleAlreadyRunningError
        self.kept[id] = schedule

    def get_schedule_handle(self, id: str) -> Any:
        async def delete() -> None:
            del self.kept[id]

        async def update(_: Any) -> None: ...

        return SimpleNamespace(delete=delete, update=update)

    async def list_schedules(self) -> AsyncIterator[Any]:
        async def each() -> AsyncIterator[Any]:
            for id in list(self.kept):
                yield SimpleNamespace(id=id)

        return each()


def every(schedule: Schedule | None) -> timedelta:
    assert schedule is not None
    return schedule.spec.intervals[0].every


async def test_each_is_read_as_often_as_its_file_says_and_not_once_it_is_gone() -> None:
    temporal = Temporal({"reconcile-billing": None, "read-source-gone": None})
    sources = [
        Source(name="desk", kind="zendesk", url="https://desk.example", reconcile_minutes=7),
        Source(name="mails", kind="mail"),
        Source(name="mute", kind="mail", quiet_hours=0),
    ]
    await ensure_source_schedules(temporal, sources)  # type: ignore[arg-type]
    assert list(temporal.kept) == ["reconcile-billing", "read-source-desk", "read-source-mails"]
    assert every(temporal.kept["read-source-desk"]) == timedelta(minutes=7)
    assert every(temporal.kept["read-source-mails"]) == timedelta(hours=1)


async def test_one_whose_file_nobody_could_read_yet_stays_as_it_is() -> None:
    temporal = Temporal({"read-source-desk": None, "read-source-gone": None})
    await ensure_source_schedules(temporal, [], ["desk"])  # type: ignore[arg-type]
    assert list(temporal.kept) == ["read-source-desk"]
