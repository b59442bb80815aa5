"""Choosing the embedded server's ports on loopback."""

import contextlib
import fcntl
import os
import socket
import tempfile
from dataclasses import dataclass
from pathlib import Path

from starter.state_dir import ServerError

HOST = "127.0.0.1"
USUAL_PORT, USUAL_UI_PORT = 7233, 8233


@dataclass(frozen=True, slots=True)
class Ports:
    """The server's four ports, all different: gRPC, UI, metrics and the HTTP API."""

    grpc: int
    ui: int
    metrics: int
    http: int


def claim_usual() -> int | None:
    """The right to the usual ports among this user's pactkeepers, as a file descriptor to close; None: another has it.

    Two that start in the same moment both find a port free, and the one that loses it would reach the other's server.
    """
    path = Path(tempfile.gettempdir()) / f"pactkeeper-ports-{os.getuid()}.lock"
    try:
        opened = os.open(path, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    except OSError:
        return None
    try:
        fcntl.flock(opened, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(opened)
        return None
    return opened


def choose(grpc: int | None, ui: int | None, metrics: int | None, *, usual: bool) -> Ports:
    """The ports asked for; in place of None, the usual one if `usual` and it is free, else any free one.

    Raises:
        ServerError: a port asked for is taken.
    """
    with contextlib.ExitStack() as held:

        def take(asked: int | None, habit: int, what: str) -> int:
            for wanted in (habit if usual else 0, 0) if asked is None else (asked,):
                listener = held.enter_context(socket.socket())
                # As the server will: a port that was used a moment ago is not taken.
                listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
                with contextlib.suppress(OSError):
                    listener.bind((HOST, wanted))
                    return int(listener.getsockname()[1])
            raise ServerError(f"port {asked} for the {what} is taken; choose another, or none to get a free one")

        return Ports(
            grpc=take(grpc, USUAL_PORT, "Temporal server"),
            ui=take(ui, USUAL_UI_PORT, "Temporal UI"),
            metrics=take(metrics, 0, "server's metrics"),
            http=take(None, 0, "server's HTTP API"),
        )


def listens(port: int) -> bool:
    """Whether something accepts connections on the port."""
    with contextlib.suppress(OSError), socket.create_connection((HOST, port), timeout=1):
        return True
    return False
