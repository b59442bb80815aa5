"""The shipped stories, and the stage on which each is played once on the real workflows, however many tests ask for it."""

import asyncio
import re
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

import pytest
from temporalio.testing import WorkflowEnvironment

from records.shelf import Shelf
from sla.expectation import differences
from starter.engines import play_temporal
from starter.stories import load

ROOT = Path(__file__).resolve().parent.parent
SHELF = Shelf(ROOT / "policies")
STORIES = {path.stem: path for path in sorted((ROOT / "stories").glob("*/*.yaml")) if path.parent.name != "policies"}
AT_ONCE = 6
"""Stories played side by side on one server; more of them gain nothing on two cores."""
LONGEST = 240
"""Seconds for all that is played together: a workflow whose task fails would be retried, and waited for, without end."""

Result = Mapping[str, Any]


def of_clause(clause: str) -> list[str]:
    """The stories named by a clause."""
    return [name for name in STORIES if name.startswith(f"{clause}-")]


def wanted(items: Iterable[pytest.Item]) -> list[str]:
    """The stories that the collected tests will ask for: a test's own `story`, or those of the clause in its name."""
    names: dict[str, None] = {}
    for item in items:
        if not {"stage", "acts"} & set(getattr(item, "fixturenames", ())):
            continue
        parameters = getattr(getattr(item, "callspec", None), "params", {})
        clause = re.match(r"test_([A-Z]\d\d)_", item.name)
        names |= dict.fromkeys(
            [parameters["story"]] if "story" in parameters else of_clause(clause[1]) if clause else []
        )
    return list(names)


class Stage:
    """Plays stories on one server, each once."""

    def __init__(self, env: WorkflowEnvironment) -> None:
        self.env = env
        self._gate = asyncio.Semaphore(AT_ONCE)
        self._played: dict[str, Result | Exception] = {}

    async def play(self, names: Iterable[str]) -> None:
        """Play those that were not played yet, side by side. What goes wrong with one is kept for whoever asks for it."""
        new = [name for name in names if name not in self._played]
        deadline = asyncio.get_running_loop().time() + LONGEST
        came = await asyncio.gather(*(self._play(name, deadline) for name in new), return_exceptions=True)
        for name, result in zip(new, came, strict=True):
            if isinstance(result, BaseException) and not isinstance(result, Exception):
                raise result
            self._played[name] = result

    async def result(self, name: str) -> Result:
        """What `play --json` prints of a shipped story; all that the story expects holds.

        Raises: what playing it raised; AssertionError with each difference from what it expects.
        """
        await self.play([name])
        result = self._played[name]
        if isinstance(result, Exception):
            raise result
        return result

    async def _play(self, name: str, deadline: float) -> Result:
        try:
            async with asyncio.timeout_at(deadline), self._gate:
                return await play_temporal(load(STORIES[name], SHELF), self.env)
        except TimeoutError:
            raise TimeoutError(
                f"{name} did not end in {LONGEST} s; see what the worker logged of its workflows"
            ) from None


def unmet(name: str, result: Result) -> list[str]:
    """Each difference between what a story expects and what came of it."""
    loaded = load(STORIES[name], SHELF)
    return differences(loaded.expect, result, loaded.table)
