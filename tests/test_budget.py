"""Counts are gates: what the reference incident costs, to the event and to the action, and what its sandbox runs anew.

A figure that rises is a regression, and one that falls is to be written down here: neither happens unseen.
"""

import importlib.abc
import sys
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import contextmanager
from importlib.machinery import ModuleSpec
from types import ModuleType

import pytest
from temporalio.worker.workflow_sandbox._importer import Importer

from benchmarks.reference import ONE_BY_ONE, TOGETHER
from benchmarks.reference_incident import MOST_ACTIONS, MOST_EVENTS, Cost, Desk, desk

OURS = {"workflows", "workflows.incident"}


class Watch(importlib.abc.MetaPathFinder):
    """Sees each module that a sandbox loads for itself; one that is passed through was loaded outside, and is not looked for."""

    def __init__(self) -> None:
        self.loaded: list[str] = []

    def find_spec(
        self, fullname: str, path: Sequence[str] | None, target: ModuleType | None = None
    ) -> ModuleSpec | None:
        if Importer.current_importer() is not None:
            self.loaded.append(fullname)
        return None


@contextmanager
def watching() -> Iterator[Watch]:
    watch = Watch()
    sys.meta_path.insert(0, watch)
    try:
        yield watch
    finally:
        sys.meta_path.remove(watch)


@pytest.fixture(scope="module")
async def here() -> AsyncIterator[Desk]:
    async with desk() as opened:
        assert await opened.first_enrolment() == {"start": 1, "update": 1, "activity": 1}
        yield opened


@pytest.fixture(scope="module")
async def watched(here: Desk) -> tuple[Cost, list[str]]:
    """The reference incident, with each delivery on its own, and the modules that its sandbox ran anew."""
    with watching() as watch:
        return await here.cost("one-by-one", "one by one", ONE_BY_ONE), watch.loaded


def test_the_reference_incident_is_44_events(watched: tuple[Cost, list[str]]) -> None:
    """Nine tasks of three, seven signals, a timer that fires and its next, two local activities, three upserts, start and end."""
    cost, _ = watched
    assert cost.events == 9 * 3 + 7 + 3 + 2 + 3 + 2 == 44


def test_the_reference_incident_is_16_actions_and_the_server_counts_as_the_rule_does(
    watched: tuple[Cost, list[str]],
) -> None:
    """Fifteen of its own and one for enrolling; asking the account's ledger before the escalation speaks costs none."""
    cost, _ = watched
    assert cost.incident_by_rule == {
        "start": 1, "signal": 7, "timer": 2, "search attributes": 3, "tasks with local activities": 2,
    }  # fmt: skip
    assert cost.account_by_rule == {"update": 1}
    assert cost.actions == sum(cost.incident_by_rule.values()) + sum(cost.account_by_rule.values()) == 16
    assert "grpc_QueryWorkflow" not in cost.by_server


async def test_told_by_a_helpdesk_that_bundles_it_is_40_events_and_15_actions(here: Desk) -> None:
    """Taking the ticket and answering it, told in one webhook, is one signal: four events and one action less."""
    cost = await here.cost("together", "together", TOGETHER)
    assert (cost.events, cost.actions) == (40, 15)
    assert cost.events <= MOST_EVENTS
    assert cost.actions <= MOST_ACTIONS


def test_the_sandbox_of_an_incident_runs_no_module_anew_but_the_workflows_own(watched: tuple[Cost, list[str]]) -> None:
    """No third-party module, nothing of `sla` and `activities`, and not the other workflows either."""
    _, loaded = watched
    assert sorted(loaded) == sorted(OURS)
