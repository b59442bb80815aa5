"""How many incidents a second the web intake starts, against bare StartWorkflowExecution calls on the same server.

`python -m benchmarks.intake [--json] [--quick]`. The embedded server keeps its database on disk, as `pactkeeper up` has
it (WAL, full sync). The intake is the real one in a process of its own (`pactkeeper web`), and takes events of a connected
Zendesk: signature, window, dedupe, strict parse, mapping, the customer, the log of deliveries, and one start with its words and
its attributes. `the call inside` is that start made by the client itself. The load comes from a third process, 32 in flight either
way. No worker runs: this is the intake alone. The two ways take short turns, either first in every other round, and the
median of the rounds counts, for a disk that others use makes single turns differ by half.
"""

import argparse
import asyncio
import contextlib
import json
import os
import statistics
import sys
import tempfile
import urllib.error
import urllib.request
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import asdict, dataclass
from pathlib import Path

from activities.attributes import ALL_KEYS
from benchmarks.load import SOURCE
from benchmarks.machine import leave, machine
from starter.embedded import EmbeddedServer
from starter.hook_settings import new_secret
from starter.ports import choose

ROOT = Path(__file__).resolve().parent.parent
LEAST_RATE, MOST_P99 = 0.8, 1.25
WAYS = ("bare", "inside", "zendesk")


@dataclass(frozen=True)
class Turn:
    """One way's turn: calls a second, milliseconds, and CPU milliseconds a call of client, server and web process."""

    rate: float
    p50_ms: float
    p99_ms: float
    client_cpu_ms: float
    server_cpu_ms: float
    web_cpu_ms: float


@dataclass(frozen=True)
class Round:
    bare: Turn
    inside: Turn
    zendesk: Turn

    @property
    def rate(self) -> float:
        return self.zendesk.rate / self.bare.rate

    @property
    def p99(self) -> float:
        return self.zendesk.p99_ms / self.bare.p99_ms


def cpu(pid: int) -> float:
    """Seconds of CPU that a process has used (Linux)."""
    fields = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8").rpartition(")")[2].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@asynccontextmanager
async def web(target: str, state: Path, secret: str) -> AsyncIterator[tuple[str, int]]:
    """The web intake's address and process."""
    secrets, policies = state / "hook-secrets.yaml", state / "policies"
    secrets.write_text(json.dumps({"sources": {SOURCE.name: {"secrets": [secret]}}}), encoding="utf-8")
    secrets.chmod(0o600)
    (policies / "sources").mkdir(parents=True)
    for kind in ("contracts", "playbooks", "teams", "customers"):
        (policies / kind).symlink_to(ROOT / "policies" / kind)
    (policies / "sources" / f"{SOURCE.name}.yaml").write_text(SOURCE.model_dump_json(exclude_defaults=True))
    port = choose(None, None, None, usual=False).grpc
    environ = os.environ | {
        "TEMPORAL_ADDRESS": target, "PACTKEEPER_STATE": str(state), "PACTKEEPER_HOOK_SECRETS_FILE": str(secrets),
        "PACTKEEPER_POLICIES": str(policies),
    }  # fmt: skip
    process = await asyncio.create_subprocess_exec(
        sys.executable, "-c", "from starter.cli import main; main()", "web", "--port", str(port),
        cwd=ROOT, env=environ, stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
    )  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    try:
        async with asyncio.timeout(30):
            while not await asyncio.to_thread(_ready, url):
                if process.returncode is not None:
                    raise SystemExit("the web intake ended by itself")
                await asyncio.sleep(0.1)
        yield url, process.pid
    finally:
        with contextlib.suppress(ProcessLookupError):
            process.terminate()
        await process.wait()


def _ready(url: str) -> bool:
    try:
        with urllib.request.urlopen(f"{url}/readyz", timeout=5) as answer:
            return bool(answer.status == 200)
    except (urllib.error.URLError, OSError):
        return False


async def turn(way: str, count: int, tag: str, target: str, secret: str, server: int, intake: int) -> Turn:
    before = cpu(server), cpu(intake)
    words = [way, target, str(count), tag, *([secret] if way == "zendesk" else [])]
    load = await asyncio.create_subprocess_exec(
        sys.executable, "-m", "benchmarks.load", *words, cwd=ROOT, stdout=asyncio.subprocess.PIPE
    )
    told, _ = await load.communicate()
    if load.returncode:
        raise SystemExit("the load ended by itself; what it said stands above")
    used = cpu(server) - before[0], cpu(intake) - before[1]
    return Turn(**json.loads(told), server_cpu_ms=used[0] * 1000 / count, web_cpu_ms=used[1] * 1000 / count)


async def measure(count: int, rounds: int) -> list[Round]:
    secret = new_secret()
    with tempfile.TemporaryDirectory() as folder:
        state = Path(folder)
        async with (
            EmbeddedServer(state / "temporal", search_attributes=ALL_KEYS) as server,
            web(server.target, state, secret) as (url, pid),
        ):
            measured = []
            for i in range(rounds + 1):  # the first is a warm-up
                turns: dict[str, Turn] = {}
                for way in WAYS if i % 2 else reversed(WAYS):
                    where = url if way == "zendesk" else server.target
                    turns[way] = await turn(way, count, f"{way}{i}", where, secret, server.pid, pid)
                measured.append(Round(**turns))
            return measured[1:]


def main(arguments: Sequence[str] | None = None) -> int:
    parser = argparse.ArgumentParser(description=(__doc__ or "").partition("\n")[0])
    parser.add_argument("--json", action="store_true", help="print one JSON object instead")
    parser.add_argument("--quick", action="store_true", help="fewer requests, one round")
    wanted = parser.parse_args(arguments)
    before = machine()
    rounds = asyncio.run(measure(*((100, 2) if wanted.quick else (300, 9))))
    rate, p99 = statistics.median(r.rate for r in rounds), statistics.median(r.p99 for r in rounds)
    if wanted.json:
        told = {
            "machine": str(before), "rounds": [asdict(r) | {"rate_ratio": r.rate, "p99_ratio": r.p99} for r in rounds],
            "rate_ratio": rate, "least": LEAST_RATE, "p99_ratio": p99, "most": MOST_P99,
        }  # fmt: skip
        print(json.dumps(told, indent=2))
        return 0
    print(f"{before}; no worker runs\n")
    print(f"{'':22}{'a second':>9}{'p50 ms':>9}{'p99 ms':>9}   CPU ms a call: client, web, server")
    for r in rounds:
        for what, one in (("bare start", r.bare), ("the call inside", r.inside), ("Zendesk events", r.zendesk)):
            print(
                f"{what:22}{one.rate:9.0f}{one.p50_ms:9.0f}{one.p99_ms:9.0f}   "
                f"{one.client_cpu_ms:5.2f} {one.web_cpu_ms:5.2f} {one.server_cpu_ms:6.2f}"
            )
    print(f"\nrate, intake / bare   {rate:5.2f}    aim: at least {LEAST_RATE}")
    print(f"p99, intake / bare    {p99:5.2f}    aim: at most {MOST_P99}")
    inside = statistics.median(r.zendesk.rate / r.inside.rate for r in rounds)
    bound = statistics.median(r.inside.rate / r.bare.rate for r in rounds)
    print(f"rate, intake / the call inside   {inside:5.2f}")
    print(f"rate, the call inside / bare     {bound:5.2f}    what no intake can pass that makes this call")
    return 0


if __name__ == "__main__":
    leave(main())
