"""What a hosted Temporal would bill: the server's own count of actions, and the same by rule from a history.

The rules are Temporal's (docs.temporal.io/cloud/actions): workflow tasks, completion, replay, descriptions and
attributes set at the start are free.
"""

import asyncio
import re
import urllib.request
from collections import Counter
from collections.abc import Iterable

from temporalio.api.history.v1 import HistoryEvent

from benchmarks.reference import kind

REFRESH = 1.3
"""Seconds after which the server's counters, written about once a second, tell of all that went before."""
_ACTION = re.compile(r'^action\{.*?action_type="([^"]+)".*\} ([0-9.e+]+)$', re.MULTILINE)
OF_THE_TEST = frozenset({"grpc_UpdateWorkflowExecutionOptions"})
"""Moving virtual time; in production nobody does."""


class Meter:
    """Counts the actions since it was last read."""

    def __init__(self, port: int) -> None:
        self._url = f"http://127.0.0.1:{port}/metrics"
        self._before: Counter[str] = Counter()

    async def read(self) -> Counter[str]:
        """The actions since the last reading, by type."""
        await asyncio.sleep(REFRESH)
        total = await asyncio.to_thread(self._total)
        since = total - self._before
        self._before = total
        return Counter({name: count for name, count in since.items() if name not in OF_THE_TEST})

    def _total(self) -> Counter[str]:
        with urllib.request.urlopen(self._url, timeout=10) as answer:
            text = answer.read().decode()
        total: Counter[str] = Counter()
        for name, count in _ACTION.findall(text):
            total[name] += int(float(count))
        return total


def by_rule(history: Iterable[HistoryEvent]) -> Counter[str]:
    """What a workflow's history costs."""
    cost: Counter[str] = Counter()
    task = 0
    with_markers: set[int] = set()
    for event in history:
        match kind(event):
            case "WORKFLOW_EXECUTION_STARTED":
                cost["start"] += 1
            case "WORKFLOW_EXECUTION_SIGNALED":
                cost["signal"] += 1
            case "WORKFLOW_EXECUTION_UPDATE_ACCEPTED":
                cost["update"] += 1
            case "TIMER_STARTED":
                cost["timer"] += 1
            case "ACTIVITY_TASK_SCHEDULED":
                cost["activity"] += 1
            case "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES":
                cost["search attributes"] += 1
            case "WORKFLOW_PROPERTIES_MODIFIED":
                cost["memo"] += 1
            case "WORKFLOW_TASK_COMPLETED":
                task = event.event_id
            case "MARKER_RECORDED" if event.marker_recorded_event_attributes.marker_name == "core_local_activity":
                with_markers.add(task)
    if with_markers:
        cost["tasks with local activities"] = len(with_markers)
    return +cost
