"""A Django site as a process of its own, on a free port of this machine: made, filled, started and stopped."""

import contextlib
import os
import socket
import subprocess
import sys
import time
from pathlib import Path
from types import TracebackType
from typing import ClassVar, Self

import httpx


class SitePeer:
    """The process; `base` is its address, and its database stays in `home` when it is stopped."""

    site: ClassVar[Path]
    """Where its settings and its seed are: `NAME_settings.py`, `NAME_seed.py`."""
    name: ClassVar[str]
    front: ClassVar[str]
    """A page that answers once it serves."""
    made: ClassVar[str]
    """A file in `home` that is there once it was filled."""

    def __init__(self, home: Path, hook: str = "", **environ: str) -> None:
        self.home = home
        home.mkdir(parents=True, exist_ok=True)
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self.port: int = free.getsockname()[1]
        self.base = f"http://127.0.0.1:{self.port}"
        own = f"{self.name.upper()}_"
        self.environ = {
            **{name: value for name, value in os.environ.items() if not name.startswith(("DJANGO_", own))},
            "DJANGO_SETTINGS_MODULE": f"{self.name}_settings",
            "PYTHONPATH": str(self.site),
            f"{own}HOME": str(home),
            f"{own}HOOK": hook,
            **{f"{own}{name}": value for name, value in environ.items()},
        }
        self.process: subprocess.Popen[bytes] | None = None

    def prepare(self) -> Self:
        """Make and fill the database; needs to be done once for a home."""
        self._run("-m", "django", "migrate", "-v0")
        self._run(str(self.site / f"{self.name}_seed.py"))
        return self

    def start(self) -> Self:
        """Serve; returns when a page answers. An unprepared home is prepared first."""
        if not (self.home / self.made).exists():
            self.prepare()
        command = [sys.executable, "-m", "django", "runserver", f"127.0.0.1:{self.port}", "--noreload", "--skip-checks"]
        with (self.home / "server.log").open("wb") as log:
            self.process = subprocess.Popen(command, env=self.environ, stdout=log, stderr=log)
        give_up = time.monotonic() + 60
        while time.monotonic() < give_up and self.process.poll() is None:
            with contextlib.suppress(httpx.TransportError):
                httpx.get(f"{self.base}{self.front}", timeout=10)
                return self
            time.sleep(0.05)  # between two looks at another process
        self.stop()
        raise RuntimeError(f"{self.name} did not start:\n{(self.home / 'server.log').read_text()[-3000:]}")

    def stop(self) -> None:
        """End the process."""
        if self.process is not None and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(10)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        self.process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self, *command: str) -> None:
        done = subprocess.run(
            [sys.executable, *command], env=self.environ, capture_output=True, timeout=120, check=False
        )
        if done.returncode:
            raise RuntimeError(f"{' '.join(command)} failed:\n{done.stderr.decode()[-3000:]}")
