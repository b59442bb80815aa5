"""The two engines that play a story: the pure core alone, and the real workflows on the real server with time skipping."""

import asyncio
import uuid
from collections.abc import Awaitable, Callable, Sequence
from datetime import UTC, datetime
from typing import Any

from temporalio.client import WorkflowExecutionStatus, WorkflowHandle
from temporalio.service import RPCError, RPCStatusCode
from temporalio.testing import WorkflowEnvironment

from activities import dispatch
from activities.calls import CarryOut, TellAccount
from sla import names, report
from sla.account import Account, AccountState
from sla.account_events import AccountDelivery
from sla.events import Delivery
from sla.player import Player
from sla.roster import Outcome
from sla.steps import Step
from sla.story import Line
from starter.stories import Loaded, renamed
from starter.virtual_time import Clocks, Member, Overshot, begins_at
from worker.build import build_worker

REPORTED = ("phase", "priority", "assignee", "disposition", "resolution", "clocks", "notices", "attention", "log")
REPORTED_OF_ACCOUNT = ("standing", "since", "lines", "notices")


def play_core(loaded: Loaded) -> dict[str, Any]:
    """Through the pure core alone, in milliseconds."""
    player = Player(loaded.script, loaded, loaded.contract)
    player.play()
    return player.result("core", loaded.table)


class Silent:
    """A teller that reaches nobody: a story's notices are in its log, and no person is told of what never happened."""

    async def tell(self, asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], attempt: int) -> None:
        return None

    async def tell_account(
        self, asked: TellAccount, chosen: Sequence[tuple[Step, Outcome]], attempt: int, beat: Callable[[], None]
    ) -> None:
        return None

    async def sweep_bundles(self) -> int:
        return 0


Keep = Callable[[Sequence[WorkflowHandle[Any, Any]], datetime], Awaitable[None]]
"""Called with every workflow of a played story (its incidents, then its accounts) and its last moment, while its worker still runs."""


async def play_temporal(
    loaded: Loaded,
    env: WorkflowEnvironment,
    watch: Callable[[datetime], None] | None = None,
    keep: Keep | None = None,
) -> dict[str, Any]:
    """On the real workflows, in virtual time. Played again, under new ids, where the server skipped past its target."""
    for attempt in range(4):
        try:
            return await _Stage(loaded, env, watch, keep).play()
        except Overshot:
            if attempt == 3:
                raise
    raise AssertionError


class _Stage:
    def __init__(
        self, loaded: Loaded, env: WorkflowEnvironment, watch: Callable[[datetime], None] | None, keep: Keep | None
    ) -> None:
        self.loaded, self.env, self.watch, self.keep = loaded, env, watch, keep
        self.tag = uuid.uuid4().hex[:10]
        self.queue = f"story-{self.tag}"
        self.policies = renamed(loaded, self.tag)
        self.clocks = Clocks(env)
        self.handles: dict[str, list[WorkflowHandle[Any, Any]]] = {}
        """The links of each ticket, in order."""
        self.accounts: dict[str, WorkflowHandle[Any, Any]] = {}
        """Those of the customers of whom something is told, by the customer's id in the story."""
        self.now = loaded.script.lines[0].received

    async def play(self) -> dict[str, Any]:
        async with build_worker(self.env.client, self.policies, Silent(), task_queue=self.queue):
            until = self.loaded.script.until
            await self._accounts()
            for line in self.loaded.script.lines:
                if until is not None and line.received > until:
                    break
                await self.clocks.before(line.received)
                self.now = line.received
                await self._hear(line)
                if self.watch is not None:
                    self.watch(self.now)
            await self._play_on(until)
            result = await self._result()
            if self.keep is not None:
                incidents = [handle for links in self.handles.values() for handle in links]
                await self.keep([*incidents, *self.accounts.values()], self.now)
            return result

    async def _play_on(self, until: datetime | None) -> None:
        await self.clocks.to(self.now)
        await self._links()
        while True:
            changes = [await self._next_change(links[-1]) for links in self.handles.values()]
            changes += [await self._settled(account) for account in self.accounts.values()]
            soonest = min((at for at in changes if at is not None), default=None)
            if soonest is None or (until is not None and soonest > until):
                break
            await self.clocks.to(soonest)
            self.now = soonest
            await self._links()
            if self.watch is not None:
                self.watch(self.now)
        self.now = until or self.now

    async def _next_change(self, handle: WorkflowHandle[Any, Any]) -> datetime | None:
        told = await self._status(handle)
        at = told["next_change_at"]
        return None if at is None or told["phase"] == "closed" else datetime.fromisoformat(at).astimezone(UTC)

    async def _hear(self, line: Line) -> None:
        customer = f"{self.tag}.{line.customer}"
        story = self.loaded.script.story
        if isinstance(line.word, AccountDelivery):
            await dispatch.pay(self.env.client, customer, line.word, task_queue=self.queue, contract=story.contract)
            await self._settled(self.accounts[line.customer])
        else:
            assert line.ticket is not None
            await self._deliver(line.ticket, customer, line.word)
        await self._links()

    async def _deliver(self, ticket: str, customer: str, word: Delivery) -> None:
        story = self.loaded.script.story
        with begins_at(word.received_at):
            id = await dispatch.deliver(self.env.client, f"story-{self.tag}", ticket, customer, word, task_queue=self.queue,
                                        contract=story.contract, playbook=story.playbook, policies=self.policies)  # fmt: skip
        await self._join(ticket, id, word.received_at)

    async def _join(self, ticket: str, id: str, at: datetime) -> None:
        links = self.handles.setdefault(ticket, [])
        known = next((link for link in links if link.id == id), None)
        handle = known or self.env.client.get_workflow_handle(id)
        if known is None:
            links.append(handle)
            await self.clocks.add(Member(handle, lambda: self._wake(handle)), at)
        await self._status(handle)

    async def _links(self) -> None:
        """Follow-ups that incidents opened by themselves join the others' time."""
        for ticket, links in self.handles.items():
            while (await links[-1].describe()).status != WorkflowExecutionStatus.RUNNING:
                id = names.incident_id(f"story-{self.tag}", ticket, len(links) + 1)
                try:
                    await self.env.client.get_workflow_handle(id).describe()
                except RPCError as error:
                    if error.status != RPCStatusCode.NOT_FOUND:
                        raise
                    break
                await self._join(ticket, id, self.now)

    async def _wake(self, handle: WorkflowHandle[Any, Any]) -> datetime | None:
        at = await handle.query(names.WAKE)
        return None if at is None else datetime.fromisoformat(at)

    async def _status(self, handle: WorkflowHandle[Any, Any]) -> dict[str, Any]:
        """The incident as it stands, once nothing is under way in it."""
        for _ in range(500):
            told: dict[str, Any] = await handle.query(names.STATUS, self.now.isoformat())
            if told.get("in_flight", 1) == 0:
                return told
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{handle.id} did not settle: {told}")

    async def _accounts(self) -> None:
        """The accounts of whose customers something is told, opened before all else."""
        for line in self.loaded.script.lines:
            if isinstance(line.word, AccountDelivery) and line.customer not in self.accounts:
                with begins_at(self.now):
                    id = await dispatch.open_account(self.env.client, f"{self.tag}.{line.customer}", task_queue=self.queue,
                                                     contract=self.loaded.script.story.contract)  # fmt: skip
                handle = self.accounts[line.customer] = self.env.client.get_workflow_handle(id)
                await self.clocks.add(self._member(handle), self.now)

    def _member(self, account: WorkflowHandle[Any, Any]) -> Member:
        return Member(account, lambda: self._settled(account))

    async def _settled(self, account: WorkflowHandle[Any, Any]) -> datetime | None:
        """When the account wakes by itself, once its incidents are told and all that it owes is said."""
        for _ in range(500):
            told = await account.query(names.STATUS)
            if told["told"] == told["version"] and told["ready"] and not told["in_flight"]:
                return await self._wake(account)
            await asyncio.sleep(0.02)
        raise TimeoutError(f"{account.id} did not settle: {told}")

    async def _result(self) -> dict[str, Any]:
        incidents: dict[str, Any] = {}
        for ticket, links in self.handles.items():
            for handle in links:
                told = await self._status(handle)
                label = ticket if told["number"] == 1 else f"{ticket}/{told['number']}"
                incidents[label] = {name: told[name] for name in REPORTED}
        customers = {id: await self._standing(id) for id in self.loaded.script.customers}
        return {
            "title": self.loaded.script.story.title,
            "engine": "temporal",
            "contract": {"name": self.loaded.contract.name, "version": self.loaded.contract.version},
            "now": report.local(self.loaded.table, self.now),
            "incidents": incidents,
            "customers": customers,
            "availability": {},
        }

    async def _standing(self, customer: str) -> dict[str, Any]:
        handle = self.accounts.get(customer)
        if handle is None:
            untouched = Account(AccountState(customer=customer))
            untouched.take_terms(self.loaded.terms(customer, self.now), self.now)
            return report.account(untouched.view(self.now), [], self.loaded.table)
        told = await handle.query(names.STATUS, self.now.isoformat())
        return {name: self._localized(told[name], name) for name in REPORTED_OF_ACCOUNT}

    def _localized(self, told: Any, key: str = "") -> Any:
        """The same with its moments in the offset of the story's calendar."""
        if isinstance(told, dict):
            return {name: self._localized(value, name) for name, value in told.items()}
        if isinstance(told, list):
            return [self._localized(value, "") for value in told]
        moments = ("at", "since", "from", "to", "until", "suspends_at")
        return report.local(self.loaded.table, datetime.fromisoformat(told)) if told and key in moments else told
