"""Recorded histories replay, and come to what they came to: the code of today keeps the promises of its earlier days."""

import gzip
import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.worker import (
    ExecuteWorkflowInput,
    Interceptor,
    Replayer,
    WorkflowInboundInterceptor,
    WorkflowInterceptorClassInput,
)

from sla import report
from worker.build import runner
from workflows import WORKFLOWS

HERE = Path(__file__).parent
FILES = sorted((HERE / "histories").rglob("*.json.gz"))
SEEN: dict[str, Any] = {}


class Watch(Interceptor):
    """Keeps the workflow that a replay makes, to ask it what it came to."""

    def workflow_interceptor_class(
        self, input: WorkflowInterceptorClassInput
    ) -> type[WorkflowInboundInterceptor] | None:
        input.unsafe_extern_functions["keep"] = lambda made: SEEN.__setitem__("made", made)

        class Inbound(WorkflowInboundInterceptor):
            async def execute_workflow(self, input: ExecuteWorkflowInput) -> Any:
                workflow.extern_functions()["keep"](workflow.instance())
                return await super().execute_workflow(input)

        return Inbound


async def came_to(kept: dict[str, Any]) -> dict[str, Any]:
    """Replay a history, and ask the workflow that it makes; the replay itself raises where the code took another way."""
    SEEN.clear()
    replayer = Replayer(
        workflows=WORKFLOWS, data_converter=pydantic_data_converter, workflow_runner=runner(), interceptors=[Watch()]
    )
    await replayer.replay_workflow(WorkflowHistory.from_json(kept["workflow"], kept["history"]))
    if hasattr(SEEN["made"], "account"):
        account = SEEN["made"].account
        told = report.account(account.view(datetime.fromisoformat(kept["asked_at"])), account.state.log)
        return {name: told[name] for name in kept["came_to"]}
    incident = SEEN["made"].incident
    view = incident.view(datetime.fromisoformat(kept["asked_at"]))
    told = report.incident(view, incident.state.log, incident.pinned.calendar.timetable())
    return {name: told[name] for name in kept["came_to"]}


def load(path: Path) -> dict[str, Any]:
    kept: dict[str, Any] = json.loads(gzip.decompress(path.read_bytes()))
    return kept


@pytest.mark.parametrize("path", FILES, ids=lambda path: path.name.removesuffix(".json.gz"))
async def test_a_recorded_history_replays_and_comes_to_the_same(path: Path) -> None:
    """No command differs, and neither does any clock, deadline or notice."""
    kept = load(path)
    assert await came_to(kept) == kept["came_to"]


def test_there_are_histories() -> None:
    assert len(FILES) >= 40


async def test_a_moved_deadline_is_seen_though_the_replay_is_clean() -> None:
    """The comparison can fail: a shorter target in the pinned contract shows, where the replay alone says nothing."""
    kept = load(next(path for path in FILES if "R09" in path.name))
    text = json.dumps(kept["came_to"])
    assert await came_to(kept) == kept["came_to"]
    kept["came_to"] = json.loads(text.replace("-07:00", "-08:00"))
    assert await came_to(kept) != kept["came_to"]


LIES = """
import asyncio, os, sys
sys.path[:0] = [{root!r}, {here!r}]
import test_replay
import sla.calendar
def refuse(*args, **kwargs):
    raise RuntimeError("a replay asked for holidays or a time zone")
touched = [name for name in ("country_holidays", "ZoneInfo", "zone") if hasattr(sla.calendar, name)]
assert "country_holidays" in touched
for name in touched:
    setattr(sla.calendar, name, refuse)
sla.calendar.BusinessCalendar.pin = refuse
async def all_of_them():
    for path in test_replay.FILES:
        kept = test_replay.load(path)
        assert await test_replay.came_to(kept) == kept["came_to"], path.name
    print(len(test_replay.FILES), "replayed")
asyncio.run(all_of_them())
sys.stdout.flush()
os._exit(0)
"""


def test_histories_replay_where_holidays_and_time_zones_cannot_even_be_read() -> None:
    """So no release of tzdata or of holidays can move a running incident or break its replay: neither is looked at."""
    code = LIES.format(root=str(HERE.parent), here=str(HERE))
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, env=os.environ, timeout=240, check=False
    )
    assert done.returncode == 0, done.stderr[-2000:]
    assert done.stdout.strip().endswith(f"{len(FILES)} replayed")
