"""The web intake as a part that runs beside others: its port, its address, its end."""

import asyncio
import contextlib
import socket
from collections.abc import Generator
from typing import Final

import uvicorn
from fastapi import FastAPI

from starter.ports import HOST
from starter.state_dir import ServerError

USUAL_WEB_PORT: Final = 8400
NEIGHBOURS: Final = 50
"""So many ports from the usual one on are tried, before any free one is taken."""
GRACE: Final = 5
"""Seconds that requests under way have left when it is stopped."""


class WebServer:
    """An app at a port that is ours from here on; `port` None: the usual one, or the next that is free."""

    def __init__(self, app: FastAPI, host: str = HOST, port: int | None = None) -> None:
        self._socket = _bound(host, port)
        config = uvicorn.Config(
            app, lifespan="off", ws="none", log_config=None, access_log=False, server_header=False, proxy_headers=False,
            timeout_graceful_shutdown=GRACE,
        )  # fmt: skip
        self._server = _Server(config)

    @property
    def url(self) -> str:
        """Where it is."""
        host, port = self._socket.getsockname()[:2]
        return f"http://{f'[{host}]' if ':' in host else host}:{port}"

    async def run(self) -> None:
        """Serve until this is cancelled; requests under way are answered first."""
        serving = asyncio.create_task(self._server.serve(sockets=[self._socket]))
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            self._server.should_exit = True
            await serving
            raise
        finally:
            self._socket.close()

    async def answers(self) -> None:
        """Wait until it takes requests."""
        await self._server.listening.wait()


class _Server(uvicorn.Server):
    """Signals are for whoever runs all the parts."""

    def __init__(self, config: uvicorn.Config) -> None:
        super().__init__(config)
        self.listening = asyncio.Event()

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        self.listening.set()

    @contextlib.contextmanager
    def capture_signals(self) -> Generator[None, None, None]:
        yield


def _bound(host: str, port: int | None) -> socket.socket:
    wanted = (port,) if port is not None else (*range(USUAL_WEB_PORT, USUAL_WEB_PORT + NEIGHBOURS), 0)
    why = ""
    for one in wanted:
        made = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
        made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            made.bind((host, one))
            made.listen(2048)
        except OSError as error:
            made.close()
            why = error.strerror or str(error)
        else:
            made.setblocking(False)
            return made
    raise ServerError(f"the web intake can't listen at {host}:{port or USUAL_WEB_PORT} ({why}); choose another port")
