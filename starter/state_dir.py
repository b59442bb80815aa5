"""The folder in which an embedded server lives, and the lock that keeps a second one out of it."""

import asyncio
import contextlib
import fcntl
import json
import os
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import IO

LOG_LIMIT = 10_000_000  # bytes; a longer log is put aside at the next start


class ServerError(RuntimeError):
    """The Temporal server cannot be started or used as it is; the message is one sentence that says why."""


@dataclass(frozen=True, slots=True)
class Addresses:
    """Where a running server is to be found, and the processes that keep it."""

    target: str
    ui_url: str
    metrics_url: str
    pid: int
    server_pid: int


class StateDir:
    """The folder `path`: `temporal.db`, `temporal.log`, `temporal.lock`, and `temporal.json` with the addresses.

    The lock is the kernel's, on the open file, and the server inherits it: it ends with the last process that holds it,
    so that a file which a killed process left behind means nothing.
    """

    def __init__(self, path: Path, patience: float = 10) -> None:
        self.path = path
        self._patience = patience
        self.database = path / "temporal.db"
        self.log = path / "temporal.log"
        self._note = path / "temporal.json"
        self._lock = path / "temporal.lock"
        self._held: int | None = None
        self._log_start = 0

    @property
    def lock_fd(self) -> int:
        """The lock's file descriptor, to be handed to the server."""
        assert self._held is not None
        return self._held

    async def claim(self) -> None:
        """Take the folder, which is made if it is missing.

        When the process that kept the folder was killed, its server is given `patience` seconds to go.

        Raises:
            ServerError: another server has the folder, or it cannot be written.
        """
        note = None
        for _ in range(max(1, round(self._patience * 20))):
            opened = self._locked()
            if opened is not None:
                self._held = opened
                self._note.unlink(missing_ok=True)
                return
            note = self._read_note()
            if note is not None and _alive(note.pid):
                raise ServerError(
                    f"{self.path} is in use by the pactkeeper with process id {note.pid}, "
                    f"whose Temporal server is at {note.target}; stop that one or choose another folder"
                )
            await asyncio.sleep(0.05)
        keeper = "another process" if note is None else f"a Temporal server left behind, process id {note.server_pid}"
        raise ServerError(f"{self.path} is in use by {keeper}; end that one or choose another folder")

    def release(self) -> None:
        """Give the folder back; harmless when it is not ours."""
        if self._held is not None:
            self._note.unlink(missing_ok=True)
            os.close(self._held)
            self._held = None

    def running(self) -> Addresses | None:
        """Where the server that works on this folder is, or None when none does."""
        if not self._lock.exists():
            return None
        opened = self._locked()
        if opened is None:
            return self._read_note()
        os.close(opened)
        return None

    def note(self, addresses: Addresses) -> None:
        """Leave the addresses where `running` finds them."""
        fresh = self._note.with_suffix(".new")
        fresh.write_text(json.dumps(asdict(addresses), indent=2) + "\n")
        fresh.replace(self._note)

    def open_log(self) -> IO[bytes]:
        """The log, to be written on at its end."""
        with contextlib.suppress(FileNotFoundError):
            if self.log.stat().st_size > LOG_LIMIT:
                self.log.replace(self.log.with_suffix(".log.1"))
        log = self.log.open("ab")
        self._log_start = log.tell()
        return log

    def last_words(self) -> str:
        """The last line that the log got since it was opened, for an error's sentence."""
        written = self.log.read_bytes()[self._log_start :].decode(errors="replace")
        lines = [line.strip() for line in written.splitlines() if line.strip()]
        return lines[-1].removeprefix("Error: ") if lines else "it said nothing"

    def _read_note(self) -> Addresses | None:
        try:
            return Addresses(**json.loads(self._note.read_text()))
        except (FileNotFoundError, ValueError, TypeError):
            return None

    def _locked(self) -> int | None:
        try:
            self.path.mkdir(parents=True, exist_ok=True)
            opened = os.open(self._lock, os.O_RDWR | os.O_CREAT, 0o600)
        except OSError as error:
            raise ServerError(f"the folder {self.path} cannot be written: {error.strerror}") from None
        try:
            fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            os.close(opened)
            return None
        return opened


def _alive(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
