"""The log channel: a line on the console for people, and a line of JSON with the key in `notices.jsonl`."""

import errno
import json
import os
import sys
from collections import OrderedDict
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from threading import Lock
from typing import BinaryIO, TextIO

from activities.message import ChannelUnavailable, Message, one_line

if sys.platform != "win32":
    import fcntl

_TAIL = 8 * 1024 * 1024
_KEYS = 100_000


class Logbook:
    """An append-only file of messages, one a line; a key that stands near its end is not written again.

    So a message is there once even where the database that remembers it was lost. Lines that others wrote meanwhile
    are read before each writing. "Near its end" is the last 8 MiB at start-up and 100,000 keys from there on.
    """

    def __init__(self, path: Path, out: TextIO | None = None) -> None:
        self.path = path
        self._out = out
        self._lock = Lock()
        self._keys: OrderedDict[str, None] = OrderedDict()
        self._read_to: int | None = None
        self._file_id: int | None = None

    def write(self, message: Message, sent_at: datetime, detail: str) -> bool:
        """Write the message on stable storage, then on the console; False, and nothing, when it stands there already.

        Blocks. Raises `ChannelUnavailable` when the file cannot be written.
        """
        with self._lock:
            try:
                if not self._append(message.key, _json(message, sent_at, detail)):
                    return False
            except OSError as error:
                raise ChannelUnavailable(f"{self.path} cannot be written: {error.strerror or error}") from None
        self._tell(_line(message, detail))
        return True

    def _append(self, key: str, line: bytes) -> bool:
        self.path.parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(self.path, os.O_RDWR | os.O_APPEND | os.O_CREAT, 0o600)
        with os.fdopen(handle, "r+b", buffering=0) as file:
            if sys.platform != "win32":
                fcntl.flock(file, fcntl.LOCK_EX)  # Another worker on this machine; closing the file lets it go.
            torn = self._catch_up(file)
            if key in self._keys:
                return False
            if file.write(content := (b"\n" if torn else b"") + line) != len(content):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            os.fsync(file.fileno())
        return True

    def _catch_up(self, file: BinaryIO) -> bool:
        """Learn the keys written since we last looked; True when the last line was left half-written."""
        status = os.fstat(file.fileno())
        if self._file_id != status.st_ino or (self._read_to or 0) > status.st_size:
            self._read_to, self._file_id = None, status.st_ino
        start = max(0, status.st_size - _TAIL) if self._read_to is None else self._read_to
        file.seek(start)
        content = file.read(status.st_size - start)
        whole = content.rfind(b"\n") + 1
        self._read_to = start + whole
        for key in _keys(content[:whole]):
            self._keys[key] = None
            self._keys.move_to_end(key)
            if len(self._keys) > _KEYS:
                self._keys.popitem(last=False)
        return whole < len(content)

    def _tell(self, line: str) -> None:
        out = self._out or sys.stderr
        try:
            print(line, file=out, flush=True)
        except (OSError, ValueError):
            return  # The console is gone; the file has it.


def _keys(lines: bytes) -> Iterator[str]:
    for line in lines.splitlines():
        try:
            key = json.loads(line)["key"]
        except (ValueError, LookupError, TypeError):
            continue
        if isinstance(key, str):
            yield key


def _json(message: Message, sent_at: datetime, detail: str) -> bytes:
    said = message.model_dump(mode="json", exclude={"to"})
    said |= {
        "to": [{"id": person.id, "name": person.name} for person in message.to],
        "sent_at": sent_at.astimezone(UTC).isoformat(),
        "detail": detail,
    }
    return json.dumps(said, ensure_ascii=True, separators=(",", ":")).encode() + b"\n"


def _line(message: Message, detail: str) -> str:
    to = ", ".join(person.name or person.id for person in message.to)
    parts = [
        message.at.isoformat(sep=" ", timespec="minutes"),
        message.kind,
        f"{message.incident}:",
        message.subject,
        f"(to {to}{'; ' + message.clause if message.clause else ''}{'; ' + detail if detail else ''})",
    ]
    return one_line(" ".join(parts), 1000)
