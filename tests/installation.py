"""A real `pactkeeper up` of a test's own, and the command line beside it."""

import contextlib
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path

import pytest

from starter import cli
from starter.state_dir import StateDir
from tests.terminal import ROOT, own_logging

PROGRAM = [sys.executable, "-c", "from starter.cli import main; main()"]
OPEN = ("--customer", "acme", "--by", "ann@acme.example")

Say = Callable[..., str]


def environment(folder: Path) -> dict[str, str]:
    """Ours, with the folder as the installation's and nothing that leads to another Temporal server."""
    own = {name: value for name, value in os.environ.items() if not name.startswith(("TEMPORAL_", "PACTKEEPER_"))}
    return own | {"PACTKEEPER_STATE": str(folder), "PYTHONPATH": str(ROOT)}


@dataclass
class Up:
    """A running `pactkeeper up`."""

    folder: Path
    also: Mapping[str, str] = field(default_factory=dict)
    """More of its environment."""
    process: "subprocess.Popen[bytes]" = field(init=False)

    def __post_init__(self) -> None:
        self.folder.mkdir(parents=True, exist_ok=True)
        words = self.folder / "said"
        with words.open("ab") as out:
            self.process = subprocess.Popen(
                [*PROGRAM, "up"], cwd=ROOT, env=environment(self.folder) | dict(self.also), stdout=out, stderr=out,
                start_new_session=True,
            )  # fmt: skip
        starts = words.read_text().count("Pactkeeper is up.")
        soon(lambda: words.read_text().count("Pactkeeper is up.") > starts or self.process.poll() is not None)
        assert self.process.poll() is None, words.read_text()

    @property
    def pids(self) -> list[int]:
        """The process itself and its Temporal server."""
        running = StateDir(self.folder).running()
        assert running is not None
        return [self.process.pid, running.server_pid]

    def stop(self, how: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(how)
        return self.process.wait(20)

    def kill(self) -> None:
        """At once, with everything that belongs to it."""
        for pid in reversed(self.pids):
            os.kill(pid, signal.SIGKILL)
        self.process.wait(10)


def soon(true: Callable[[], object], seconds: float = 30) -> None:
    """Wait until something is so."""
    until = time.monotonic() + seconds
    while not true():
        assert time.monotonic() < until, "it did not come about in time"
        time.sleep(0.05)  # between two looks at another process


def alive(pid: int) -> bool:
    with contextlib.suppress(ProcessLookupError):
        os.kill(pid, 0)
        return True
    return False


@pytest.fixture
def command(capfd: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Say:
    """Carry out a command on the installation in a folder; what it printed, on both streams. `fails`: its exit status."""
    for name in [name for name in os.environ if name.startswith(("TEMPORAL_", "PACTKEEPER_"))]:
        monkeypatch.delenv(name)
    monkeypatch.chdir(ROOT)

    def carry_out(folder: Path, *words: str, fails: int = 0) -> str:
        monkeypatch.setenv("PACTKEEPER_STATE", str(folder))
        capfd.readouterr()
        with own_logging():
            code = cli.run(words)
        said = capfd.readouterr()
        assert code == fails, said
        return said.out + said.err

    return carry_out
