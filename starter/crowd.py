"""So many requests at a time: what comes on top of them at the hooks is told to come again in a moment.

It is 503 that says so, not 429: some senders (PagerDuty, Alertmanager) give up on a 4xx, and come again after a 5xx. uvicorn's
own bound (`limit_concurrency`) counts idle connections and the pages too, and answers in plain text without `Retry-After`.
"""

import logging
import time
from collections.abc import Callable
from typing import Final

from starlette.responses import JSONResponse
from starlette.types import ASGIApp, Receive, Scope, Send

MOST: Final = 256
"""Requests that are worked on at a time."""
RETRY_AFTER: Final = 1
"""Seconds after which there may be room."""
COUNTED: Final = "/hooks/"
"""Where the addresses begin that are counted; health, and the pages for people and programs, stay open."""
TOLD_EVERY: Final = 60.0
"""Seconds: the log has a line of it at most so often."""

_log = logging.getLogger(__name__)


class Crowd:
    """ASGI middleware: at most `most` requests of the hooks go in; others are answered 503, with nothing of them read."""

    def __init__(self, app: ASGIApp, most: int = MOST, clock: Callable[[], float] = time.monotonic) -> None:
        self._app, self._most, self._clock = app, most, clock
        self._inside = self._sent_away = 0
        self._told_at = -float("inf")

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or not scope["path"].startswith(COUNTED):
            await self._app(scope, receive, send)
            return
        if self._inside >= self._most:
            self._sent_away += 1
            self._tell()
            said = f"{self._most} requests are being worked on, which is the most at a time; send the same again in a second"
            await JSONResponse({"error": said}, 503, {"Retry-After": str(RETRY_AFTER)})(scope, receive, send)
            return
        self._inside += 1
        try:
            await self._app(scope, receive, send)
        finally:
            self._inside -= 1
            self._tell()

    def _tell(self) -> None:
        """Say how many were sent away, if any were, and not within a minute of the last time."""
        if self._sent_away and self._clock() - self._told_at >= TOLD_EVERY:
            _log.error(
                "%d requests were put off (503), for %d were being worked on; since the last such line",
                self._sent_away,
                self._most,
            )
            self._sent_away, self._told_at = 0, self._clock()
