"""What the reference incident costs: its history event by event, and the actions that a hosted Temporal would bill.

`python -m benchmarks.reference_incident [--json] [--quick]`. It is opened, escalated once for nobody took it,
acknowledged, answered (which meets the response target), replied to three times by the customer, resolved and closed;
pinning and enrolment are in it. It is lived through on the real server and the real workflows, in virtual time; the
server's own lines on time skipping, which no production server writes, are left out of the count.
"""

import argparse
import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from typing import Any

from temporalio.api.history.v1 import HistoryEvent
from temporalio.testing import WorkflowEnvironment

from activities.attributes import ALL_KEYS
from activities.policies import Policies
from benchmarks.actions import Meter, by_rule
from benchmarks.machine import banner_aside, leave
from benchmarks.reference import CUSTOMER, ONE_BY_ONE, SKIPS, TOGETHER, Said, history, kind, live
from sla import names
from starter.engines import Silent
from starter.ports import choose
from starter.virtual_time import start_environment
from worker.build import build_worker

MOST_EVENTS, MOST_ACTIONS = 42, 15
STORIES = {"one by one": ONE_BY_ONE, "taken and answered in one webhook": TOGETHER}


@dataclass(frozen=True)
class Cost:
    """What one incident cost."""

    story: str
    events: int
    actions: int
    """Of the incident and of its enrolment, as the server counts them."""
    by_server: dict[str, int]
    incident_by_rule: dict[str, int]
    account_by_rule: dict[str, int]
    history: tuple[str, ...]


@dataclass(frozen=True)
class Desk:
    """A server, a worker, and the meter."""

    env: WorkflowEnvironment
    policies: Policies
    meter: Meter

    async def cost(self, ticket: str, story: str, said: Sequence[Said]) -> Cost:
        """Live through one incident, alone on the server."""
        account = names.account_id(CUSTOMER)
        before = await history(self.env.client, account)
        await self.meter.read()
        id = await live(self.env, ticket, said, self.policies)
        by_server = await self.meter.read()
        events = await history(self.env.client, id)
        new = (await history(self.env.client, account))[len(before) :]
        return Cost(
            story, len(events), by_server.total(), dict(by_server),
            dict(by_rule(events)), dict(by_rule(new)),
            tuple(f"{number:3} {line}" for number, line in enumerate(map(told, events), 1)),
        )  # fmt: skip

    async def first_enrolment(self) -> Counter[str]:
        """What starting the customer's account cost, which happens once: live through a first incident."""
        await live(self.env, "first", TOGETHER, self.policies)
        await self.meter.read()
        return by_rule(await history(self.env.client, names.account_id(CUSTOMER)))


@asynccontextmanager
async def desk() -> AsyncIterator[Desk]:
    """A real server in virtual time, with our worker; nobody is told of what never happened."""
    port = choose(None, None, None, usual=False).metrics
    with banner_aside():
        env = await start_environment(ALL_KEYS, metrics_port=port)
    try:
        policies = Policies()
        async with build_worker(env.client, policies, Silent()):
            yield Desk(env, policies, Meter(port))
    finally:
        await env.shutdown()


def told(event: HistoryEvent) -> str:
    """One event in a line: when, what, and what for."""
    at = f"{event.event_time.ToDatetime():%a %H:%M:%S}"
    return f"{at} {kind(event).lower().replace('_', ' '):42} {_what_for(event)}".rstrip()


def _what_for(event: HistoryEvent) -> str:
    match kind(event):
        case "WORKFLOW_EXECUTION_SIGNALED":
            said = json.loads(event.workflow_execution_signaled_event_attributes.input.payloads[0].data)
            return ", ".join(word["event"]["event"] for word in said.get("words", [said]))
        case "UPSERT_WORKFLOW_SEARCH_ATTRIBUTES":
            fields = event.upsert_workflow_search_attributes_event_attributes.search_attributes.indexed_fields
            return ", ".join(f"{name}={value.data.decode() or 'none'}" for name, value in sorted(fields.items()))
        case _:
            return str(json.loads(event.user_metadata.summary.data)) if event.user_metadata.summary.data else ""


async def measure() -> tuple[dict[str, int], list[Cost]]:
    async with desk() as here:
        first = await here.first_enrolment()
        costs = [await here.cost(str(i), story, said) for i, (story, said) in enumerate(STORIES.items())]
    return dict(first), costs


def report(first: dict[str, int], costs: Sequence[Cost]) -> None:
    print("Left out of the count: " + ", ".join(name.lower() for name in SKIPS) + " (time skipping).\n")
    for cost in costs:
        print(f"{cost.story}:")
        print("\n".join(cost.history))
        print(f"  events           {cost.events:3}   aim: at most {MOST_EVENTS}")
        print(f"  billable actions {cost.actions:3}   aim: at most {MOST_ACTIONS}; enrolment and pinning included")
        print(f"  by the server's own count: {_listed(cost.by_server)}")
        print(f"  by rule, the incident:     {_listed(cost.incident_by_rule)}")
        print(f"  by rule, the account:      {_listed(cost.account_by_rule)}\n")
    print(
        f"Once for a customer, when its account starts with the first incident (that one's enrolment included): {_listed(first)}"
    )


def _listed(counts: dict[str, int]) -> str:
    return f"{sum(counts.values())} = " + " + ".join(f"{n} {name}" for name, n in sorted(counts.items()))


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--quick", action="store_true", help="accepted for all benchmarks; this one is quick anyway")
    wanted = parser.parse_args(arguments)
    first, costs = asyncio.run(measure())
    if wanted.json:
        told: dict[str, Any] = {"first_enrolment": first, "costs": [asdict(cost) for cost in costs]}
        print(json.dumps(told, indent=2))
    else:
        report(first, costs)
    return 0


if __name__ == "__main__":
    leave(main())
