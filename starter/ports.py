"""Choosing the embedded server's ports on loopback."""

import contextlib
import socket
from dataclasses import dataclass

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


def choose(grpc: int | None, ui: int | None, metrics: int | None, *, usual: bool = True) -> Ports:
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
