"""What a reader must know of the machine beside a figure, and keeping a server's banner out of our output."""

import contextlib
import os
import platform
import sys
import time
from collections.abc import Iterator
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path
from typing import NoReturn


@dataclass(frozen=True)
class Machine:
    """The state of the machine when a benchmark began."""

    cores: int
    python: str
    temporalio: str
    psi10: float | None
    """Share of the last ten seconds (percent) in which somebody waited for a core; None: the kernel does not tell."""
    loop_ms: float
    """A fixed loop of Python, in milliseconds of CPU: how fast the machine is just now."""

    def __str__(self) -> str:
        waits = "unknown" if self.psi10 is None else f"{self.psi10:.0f} %"
        return (
            f"{self.cores} cores, Python {self.python}, temporalio {self.temporalio}; waiting for a core {waits}, "
            f"a fixed loop {self.loop_ms:.0f} ms"
        )


def machine() -> Machine:
    """The machine, now."""
    return Machine(os.cpu_count() or 1, platform.python_version(), version("temporalio"), pressure(), _loop())


def pressure() -> float | None:
    """CPU pressure of the last ten seconds, in percent."""
    try:
        text = Path("/proc/pressure/cpu").read_text(encoding="utf-8")
    except OSError:
        return None
    return float(text.split("avg10=", 1)[1].split()[0])


def _loop() -> float:
    began = time.process_time()
    total = 0
    for i in range(500_000):
        total += i * i
    return (time.process_time() - began) * 1000


@contextlib.contextmanager
def banner_aside() -> Iterator[None]:
    """What a server that is started here says on standard output goes to standard error, so that ours can be read by a program."""
    sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        os.dup2(kept, 1)
        os.close(kept)


def leave(code: int) -> NoReturn:
    """End the program. A client of Temporal that has just been used may crash the interpreter while it takes itself apart."""
    sys.stdout.flush()
    sys.stderr.flush()
    os._exit(code)
