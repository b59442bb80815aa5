"""The look-out: sees that the files of secrets and sources change while everything runs, and what is wrong with them."""

import asyncio
import logging
from collections.abc import Callable, Container, Iterator
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Final

from sqlalchemy.exc import SQLAlchemyError
from temporalio.client import Client
from temporalio.service import RPCError

from activities.policies import Policies
from records.shelf import PolicyFileError
from records.sources import SourceStore
from sla.source import Source
from starter.hook_settings import IntakeSettings
from starter.schedules import ensure_source_schedules

EVERY: Final = 15.0
"""Seconds between two looks."""
PATIENCE: Final = 30.0
"""Seconds that Temporal and the records may take."""

_log = logging.getLogger(__name__)


@dataclass
class Lookout:
    """Who reads the helpdesks follows their files; a file that can't be used is one line of the log, and one alarm a day."""

    client: Client
    policies: Policies
    settings: IntakeSettings
    states: SourceStore
    say: Callable[[str, str], None]
    """Has somebody told of a subject, once a day."""
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    _followed: tuple[list[Source], list[str]] | None = None
    _wrong: dict[str, str] = field(default_factory=dict)
    _behind: bool = False

    async def run(self) -> None:
        """Look every so often, until this is cancelled."""
        while True:
            await self.look()
            await asyncio.sleep(EVERY)

    async def look(self) -> None:
        """Look once."""
        there, unread = self.policies.shelf.usable_sources()
        self._wrong = dict(self._faults(there))
        for subject, sentence in self._wrong.items():
            self.say(f"file/{subject}", sentence)
        if (list(there.values()), list(unread)) == self._followed:
            return
        try:
            async with asyncio.timeout(PATIENCE):
                await ensure_source_schedules(self.client, there.values(), unread)
                for source in there.values():
                    # From now on it is expected to be heard.
                    await self.states.seen(source.name, source.kind, self.now())
        except (RPCError, RuntimeError, TimeoutError, SQLAlchemyError, OSError) as error:
            if not self._behind:
                _log.error("the sources are not yet read as their files say (%s); tried again", type(error).__name__)
            self._behind = True
        else:
            self._followed, self._behind = (list(there.values()), list(unread)), False
            _log.info(
                "the schedules of the sources are as their files say: %s", ", ".join(there) or "none is connected"
            )

    def _faults(self, there: Container[str]) -> Iterator[tuple[str, str]]:
        """What is wrong with which file."""
        self.settings.fresh()
        if self.settings.fault is not None:
            yield "secrets", f"{self.settings.fault}; what was read before stays in force"
        for path in self.policies.shelf.paths("source"):
            try:
                self.policies.shelf.sheet(Source, "source", path)
            except PolicyFileError as error:
                goes_on = (
                    "goes on as it was read before" if path.stem in there else "can't be heard until it is put right"
                )
                said = f"{error.sentences[0]}; {path.stem} {goes_on}"
                if self._wrong.get(f"source/{path.stem}") != said:
                    _log.error("%s", said)
                yield f"source/{path.stem}", said
