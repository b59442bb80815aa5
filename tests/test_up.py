"""`pactkeeper up` for real: started as a program, killed, started again, stopped."""

import asyncio
import json
import os
import signal
import subprocess
import time
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from starter.home import Home
from starter.state_dir import ServerError, StateDir
from starter.up import first_to_end
from tests.installation import OPEN, PROGRAM, Say, Up, alive, command, environment, soon
from tests.terminal import ROOT

__all__ = ["command"]


async def test_a_part_that_ends_takes_all_with_it_and_a_sentence_says_which(tmp_path: Path) -> None:
    ended = []

    async def goes_on() -> None:
        try:
            await asyncio.sleep(60)  # never waited for: it is given up, or cancelled
        finally:
            ended.append("web")

    async def breaks() -> None:
        raise RuntimeError("no more polls")

    home = Home(tmp_path)
    with pytest.raises(
        ServerError, match=r"the worker ended by itself \(RuntimeError: no more polls\); see .*pactkeeper\.log"
    ):
        await first_to_end(home, {"the worker": breaks(), "the web intake": goes_on()})
    assert ended == ["web"]


def test_up_ends_with_its_server_and_says_so(tmp_path: Path) -> None:
    running = Up(tmp_path / "var")
    os.kill(running.pids[1], signal.SIGKILL)
    assert running.process.wait(20) == 1
    assert "the Temporal server ended by itself" in (running.folder / "said").read_text()


def test_it_can_be_stopped_while_it_starts(tmp_path: Path) -> None:
    words = [*PROGRAM, "up"]
    starting = subprocess.Popen(
        words, cwd=ROOT, env=environment(tmp_path), stderr=subprocess.PIPE, start_new_session=True
    )
    assert starting.stderr is not None
    assert starting.stderr.readline().startswith(b"Starting")
    starting.send_signal(signal.SIGTERM)
    _, said = starting.communicate(timeout=20)
    assert starting.returncode == 0, said
    assert b"Traceback" not in said
    assert StateDir(tmp_path).running() is None


def test_a_kill_loses_nothing_and_ctrl_c_stops_cleanly(tmp_path: Path, command: Say) -> None:
    folder = tmp_path / "var"
    first = Up(folder)
    # The deadline is five seconds away, and nothing runs for most of them.
    received = (datetime.now(UTC) - timedelta(hours=4, seconds=-5)).isoformat()
    words = ("--contract", "reciprocity", "--priority", "S1", "--at", received)
    command(folder, "open", "4711", *OPEN, *words)
    gone = first.pids
    first.kill()
    soon(lambda: not any(alive(pid) for pid in gone))

    second = Up(folder)
    lines = folder / "notices.jsonl"
    soon(lambda: any(json.loads(line)["step"] == "100%" for line in lines.read_text().splitlines()), 20)
    assert "response missed" in command(folder, "reply", "4711", "--by", "dana")
    told = [json.loads(line)["key"] for line in lines.read_text().splitlines()]
    assert len(told) == len(set(told))

    in_use = f"is in use by the pactkeeper with process id {second.process.pid}"
    assert in_use in command(folder, "up", fails=1)

    gone = second.pids
    start = time.monotonic()
    assert second.stop() == 0
    assert time.monotonic() - start < 10
    assert not any(alive(pid) for pid in gone)
    assert "Stopped. Nothing is lost" in (folder / "said").read_text()
    assert StateDir(folder).running() is None
