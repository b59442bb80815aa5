"""The load of the intake benchmark, in a process of its own: `python -m benchmarks.load bare|inside|zendesk TARGET COUNT TAG [SECRET]`.

`bare` calls StartWorkflowExecution; `inside` makes the call that an intake makes, a start with its words and attributes, without an
intake; `zendesk` posts signed events of new tickets over as many kept connections, by hand, so that the
client hardly counts. Both keep 32 in flight. Prints one JSON object.
"""

import asyncio
import hashlib
import json
import resource
import sys
import time
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from urllib.parse import urlsplit

from temporalio.client import Client
from temporalio.contrib.pydantic import pydantic_data_converter

from activities import dispatch
from activities.policies import Policies
from benchmarks.machine import leave
from sla.events import Delivery, Opened
from sla.source import Source
from starter import samples
from starter.sample_signing import SIGNERS

SOURCE = Source(name="desk", kind="zendesk", customer="acme")
IN_FLIGHT = 32
NOBODY = "benchmark-nobody"
"""A task queue without a worker."""


def requests(url: str, secret: str, count: int, tag: str) -> list[bytes]:
    """HTTP requests, each the event of a new ticket, signed as Zendesk signs."""
    where = urlsplit(url)
    made = []
    for i in range(count):
        now = datetime.now(UTC)
        sample = samples.sample(SOURCE, secret, now)
        body = json.loads(sample.raw)
        ticket = str(int.from_bytes(hashlib.sha256(f"{tag}-{i}".encode()).digest()[:6]))
        body |= {"id": f"{tag}-{i}", "subject": f"zen:ticket:{ticket}"}
        body["detail"] |= {"id": ticket, "description": "Since this morning every export stops after ten pages. " * 8}
        raw = json.dumps(body).encode()
        signed = sample.headers | SIGNERS[SOURCE.kind](secret, raw, now)
        head = (
            f"POST /hooks/zendesk/{SOURCE.name} HTTP/1.1\r\nHost: {where.netloc}\r\nContent-Length: {len(raw)}\r\n"
            + "".join(f"{name}: {value}\r\n" for name, value in signed.items())
        )
        made.append(f"{head}\r\n".encode() + raw)
    return made


async def keep_in_flight(calls: list[Callable[[], Awaitable[None]]], in_flight: int) -> dict[str, float]:
    """Make all calls, so many at once; calls a second, and how long they took in milliseconds."""
    waiting, took = iter(calls), list[float]()

    async def lane() -> None:
        for call in waiting:
            began = time.perf_counter()
            await call()
            took.append((time.perf_counter() - began) * 1000)

    began, cpu = time.perf_counter(), _cpu()
    await asyncio.gather(*(lane() for _ in range(in_flight)))
    seconds = time.perf_counter() - began
    took.sort()
    return {
        "rate": len(took) / seconds,
        "p50_ms": took[len(took) // 2],
        "p99_ms": took[int(len(took) * 0.99)],
        "client_cpu_ms": (_cpu() - cpu) * 1000 / len(took),
    }


async def bare(target: str, count: int, tag: str) -> dict[str, float]:
    client = await Client.connect(target)

    def call(id: str) -> Callable[[], Awaitable[None]]:
        async def start() -> None:
            await client.start_workflow("Noop", id=id, task_queue=NOBODY)

        return start

    await client.start_workflow("Noop", id=f"{tag}-first", task_queue=NOBODY)
    return await keep_in_flight([call(f"{tag}-{i}") for i in range(count)], IN_FLIGHT)


async def inside(target: str, count: int, tag: str) -> dict[str, float]:
    client = await Client.connect(target, data_converter=pydantic_data_converter)
    policies, now = Policies(), datetime.now(UTC)

    def call(id: str) -> Callable[[], Awaitable[None]]:
        said = Opened(priority="P2", by="ann@acme.example", channel="email", body="Since this morning. " * 20)
        word = Delivery(key=id, occurred_at=now, received_at=now, event=said)

        async def deliver() -> None:
            await dispatch.deliver(client, SOURCE.name, id, "acme", word, task_queue=NOBODY, policies=policies)

        return deliver

    await call(f"{tag}-first")()
    return await keep_in_flight([call(f"{tag}-{i}") for i in range(count)], IN_FLIGHT)


async def hook(url: str, secret: str, count: int, tag: str) -> dict[str, float]:
    where = urlsplit(url)
    opened = [await asyncio.open_connection(where.hostname, where.port) for _ in range(IN_FLIGHT)]
    free = asyncio.Queue[tuple[asyncio.StreamReader, asyncio.StreamWriter]]()
    for connection in opened:
        free.put_nowait(connection)

    def call(request: bytes) -> Callable[[], Awaitable[None]]:
        async def post() -> None:
            reader, writer = connection = free.get_nowait()
            writer.write(request)
            head = await reader.readuntil(b"\r\n\r\n")
            length = int(head.lower().split(b"content-length: ")[1].split(b"\r\n")[0])
            answer = await reader.readexactly(length)
            if b" 202 " not in head.split(b"\r\n", 1)[0]:
                raise SystemExit(f"the intake answered {head.decode()}{answer.decode()}")
            free.put_nowait(connection)

        return post

    prepared = requests(url, secret, count + 1, tag)
    await call(prepared.pop())()
    measured = await keep_in_flight([call(request) for request in prepared], IN_FLIGHT)
    for _, writer in opened:
        writer.close()
    return measured


def _cpu() -> float:
    used = resource.getrusage(resource.RUSAGE_SELF)
    return used.ru_utime + used.ru_stime


if __name__ == "__main__":
    way, target, count, tag = sys.argv[1:5]
    direct = {"bare": bare, "inside": inside}
    run = direct[way](target, int(count), tag) if way in direct else hook(target, sys.argv[5], int(count), tag)
    print(json.dumps(asyncio.run(run)))
    leave(0)
