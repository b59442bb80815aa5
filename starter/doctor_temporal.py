"""Whether Temporal is as we need it: it answers, knows our search attributes, has a worker, and keeps our time."""

import asyncio
import contextlib
import time
import uuid
from collections.abc import Iterator
from datetime import timedelta

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType, TaskQueueType
from temporalio.api.operatorservice.v1 import ListSearchAttributesRequest
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    DescribeTaskQueueRequest,
    DescribeTaskQueueResponse,
    GetSystemInfoRequest,
    PollWorkflowTaskQueueRequest,
)
from temporalio.client import Client
from temporalio.service import RPCError, RPCStatusCode

from activities.attributes import ALL_KEYS
from sla import names
from starter.connect import connect
from starter.doctor_clock import compared
from starter.findings import INSTALLATION, Finding, State, tried
from starter.home import Home

SOON = timedelta(seconds=10)
LATELY = 150.0
"""Seconds. A worker's poll lasts about a minute, and its start is what the server remembers."""
LEAST_RETENTION = timedelta(days=7)


async def temporal(home: Home) -> list[Finding]:
    """What is found; nothing but the first line where no server answers."""
    client = await connect(home)
    info = await client.workflow_service.get_system_info(GetSystemInfoRequest(), timeout=SOON)
    target = client.service_client.config.target_host
    found = [_line("Temporal", "ok", f"{target} answers, version {info.server_version or 'unknown'}")]
    for what, check in (
        ("namespace", _namespace),
        ("search attributes", _attributes),
        ("worker", _worker),
        ("clock", _clock),
    ):
        found += await tried(INSTALLATION, what, lambda check=check: check(client))  # type: ignore[misc]
    return found


async def _namespace(client: Client) -> list[Finding]:
    asked = DescribeNamespaceRequest(namespace=client.namespace)
    kept: Duration = (
        await client.workflow_service.describe_namespace(asked, timeout=SOON)
    ).config.workflow_execution_retention_ttl
    days = kept.ToTimedelta() / timedelta(days=1)
    says = f"{client.namespace}, which keeps what is closed for {days:g} days"
    if kept.ToTimedelta() >= LEAST_RETENTION:
        return [_line("namespace", "ok", says)]
    do = (
        "let it keep longer: `temporal operator namespace update --retention 30d`; what came of incidents is read there"
    )
    return [_line("namespace", "warning", says, do)]


async def _attributes(client: Client) -> list[Finding]:
    asked = ListSearchAttributesRequest(namespace=client.namespace)
    try:
        known = (await client.operator_service.list_search_attributes(asked, timeout=SOON)).custom_attributes
    except RPCError as error:
        if error.status not in (RPCStatusCode.UNIMPLEMENTED, RPCStatusCode.PERMISSION_DENIED):
            raise
        do = f"see to it that these are there: {', '.join(key.name for key in ALL_KEYS)}"
        return [_line("search attributes", "warning", "the server does not let us list them", do)]
    missing = [key.name for key in ALL_KEYS if key.name not in known]
    other = [
        f"{key.name} is {IndexedValueType.Name(known[key.name]).removeprefix('INDEXED_VALUE_TYPE_').lower()}"
        for key in ALL_KEYS
        if key.name in known and known[key.name] != IndexedValueType.ValueType(key.indexed_value_type)
    ]
    if missing:
        return [
            _line("search attributes", "failure", f"not known: {', '.join(missing)}", "run `pactkeeper setup` once")
        ]
    if other:
        return [
            _line("search attributes", "failure", ", ".join(other), "remove them there, and run `pactkeeper setup`")
        ]
    return [_line("search attributes", "ok", f"all {len(ALL_KEYS)} are known")]


async def _worker(client: Client) -> list[Finding]:
    silent = []
    for queue, kind in _queues():
        pollers = (await _described(client, queue, kind)).pollers
        last = max((poller.last_access_time.ToNanoseconds() / 1e9 for poller in pollers), default=0.0)
        if time.time() - last > LATELY:
            silent.append(queue)
    if not silent:
        return [_line("worker", "ok", f"one asks for tasks of {names.TASK_QUEUE}")]
    queues = ", ".join(dict.fromkeys(silent))
    return [
        _line("worker", "failure", f"none asks for tasks of {queues}", "run `pactkeeper up` or `pactkeeper worker`")
    ]


def _queues() -> Iterator[tuple[str, "TaskQueueType.ValueType"]]:
    for queue in (names.TASK_QUEUE, names.accounts_queue(names.TASK_QUEUE)):
        yield queue, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW
    yield names.TASK_QUEUE, TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY


async def _clock(client: Client) -> list[Finding]:
    """The server remembers, by its own clock, when a queue was last asked; so a queue that nobody knows is asked once."""
    queue = f"pactkeeper-doctor-{uuid.uuid4()}"
    asked = PollWorkflowTaskQueueRequest(
        namespace=client.namespace, task_queue=TaskQueue(name=queue), identity="pactkeeper doctor"
    )
    before = time.time()
    poll = asyncio.create_task(client.workflow_service.poll_workflow_task_queue(asked, timeout=SOON))
    try:
        for _ in range(40):
            await asyncio.sleep(0.05)
            pollers = (await _described(client, queue, TaskQueueType.TASK_QUEUE_TYPE_WORKFLOW)).pollers
            after = time.time()
            if pollers:
                there = pollers[0].last_access_time.ToNanoseconds() / 1e9
                ahead = timedelta(seconds=there - (before + after) / 2)
                return [compared(INSTALLATION, "the Temporal server", ahead, timedelta(seconds=(after - before) / 2))]
            if poll.done():
                await poll
    finally:
        poll.cancel()
        with contextlib.suppress(asyncio.CancelledError, RPCError):
            await poll
    return [_line("clock", "warning", "the Temporal server does not tell its time", "compare both clocks by hand")]


async def _described(client: Client, queue: str, kind: "TaskQueueType.ValueType") -> DescribeTaskQueueResponse:
    return await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace, task_queue=TaskQueue(name=queue), task_queue_type=kind
        ),
        timeout=SOON,
    )  # fmt: skip


def _line(what: str, state: State, says: str, do: str = "") -> Finding:
    return Finding(INSTALLATION, what, state, says, do)
