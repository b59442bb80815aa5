"""The load of the intake benchmark, in a process of its own: `python -m benchmarks.load bare|zendesk TARGET COUNT TAG [SECRET]`.

`bare` calls StartWorkflowExecution; `zendesk` posts signed events of new tickets over as many kept connections, by hand, so that the
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

from benchmarks.machine import leave
from sla.intake import Source
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
    run = bare(target, int(count), tag) if way == "bare" else hook(target, sys.argv[5], int(count), tag)
    print(json.dumps(asyncio.run(run)))
    leave(0)
