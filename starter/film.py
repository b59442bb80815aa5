"""A played story as a film: how each of its incidents stood at every moment, and what there is to say of it.

What a clock shows between two moments is computed by `evaluate`, from the log that the incident had then: the fold that
the workflows run. What they answered in the end is held against it, so a film never shows anything else.
"""

import json
from bisect import bisect_left, bisect_right
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import Any

from sla.entries import Entry
from sla.evaluate import View, evaluate
from sla.incident import Incident
from sla.player import Player
from sla.policy import Contract, PinnedContract
from sla.story import Line
from sla.timetable import Timetable, to_us
from starter.film_axis import Axis, axis
from starter.film_names import Names
from starter.film_words import Caption, Seen, Sent, caption
from starter.stories import Loaded

AHEAD = 0.35
"""How far past the last moment a deadline may lie, as a share of the story's span, to be shown."""


class FilmError(Exception):
    """A story that cannot be shown: one sentence that says why."""


@dataclass(frozen=True)
class Take:
    """An incident as it was from a moment on, until its log grew again."""

    at: datetime
    pinned: PinnedContract
    log: tuple[Entry, ...]


@dataclass(frozen=True)
class Reel:
    """One incident, take after take, and the notices that went out."""

    called: str
    takes: tuple[Take, ...]
    sent: tuple[Sent, ...]

    def view(self, at: datetime) -> View | None:
        """How the incident stood at a moment, by what was known then; None: it was not opened yet."""
        take = bisect_right([take.at for take in self.takes], at) - 1
        return None if take < 0 else evaluate(self.takes[take].pinned, self.takes[take].log, at)

    def dues(self, clock: str, until: datetime) -> set[datetime]:
        """Every deadline that a clock had by a moment."""
        return {due for at, name, due in self._dues if name == clock and at <= until}

    @cached_property
    def _dues(self) -> list[tuple[datetime, str, datetime]]:
        views = [(take.at, self.view(take.at)) for take in self.takes]
        clocks = [(at, clock) for at, view in views if view is not None for clock in view.clocks]
        return [(at, clock.name, clock.due) for at, clock in clocks if clock.due is not None]

    def before(self, at: datetime) -> View | None:
        """How it stood just before a moment."""
        take = bisect_left([take.at for take in self.takes], at) - 1
        return None if take < 0 else evaluate(self.takes[take].pinned, self.takes[take].log, self.takes[take].at)


@dataclass(frozen=True)
class Film:
    """A story made ready to be shown."""

    loaded: Loaded
    reels: tuple[Reel, ...]
    captions: tuple[Caption, ...]
    ends: datetime

    @property
    def title(self) -> str:
        return self.loaded.script.story.title

    @property
    def contract(self) -> Contract:
        return self.loaded.contract

    @property
    def table(self) -> Timetable:
        return self.loaded.table

    @cached_property
    def begins(self) -> datetime:
        """The first thing that happens, or is heard of."""
        first = min(line.word.occurred_at for line in self.loaded.script.lines)
        return min([first, *(caption.at for caption in self.captions)])

    @cached_property
    def moments(self) -> tuple[datetime, ...]:
        """When something is to be told, and the end."""
        told = tuple(caption.at for caption in self.captions)
        return told if told and told[-1] == self.ends else (*told, self.ends)

    def axis(self, width: int) -> Axis:
        """The line of time, `width` columns wide: the whole story, and the deadlines that lie near."""
        span = max(self.ends - self.begins, timedelta(minutes=1))
        near = self.ends + AHEAD * span
        dues = [
            clock.due
            for moment in self.moments
            for reel in self.reels
            if (view := reel.view(moment)) is not None
            for clock in view.clocks
            if clock.due is not None and clock.due <= near
        ]
        last = max([self.ends, *dues])
        happens = {to_us(at) for at in (*self.moments, *dues, *self._occurred())}
        margin = to_us(last) - to_us(self.begins)
        return axis(self.table, to_us(self.begins), to_us(last) + max(margin // 40, 60_000_000), width, happens)

    def _occurred(self) -> list[datetime]:
        return [line.word.occurred_at for line in self.loaded.script.lines if line.word.occurred_at >= self.begins]


def film(loaded: Loaded, result: dict[str, Any]) -> Film:
    """The film of a story that was played.

    Raises:
        FilmError: what came of it is not what the fold of its log comes to.
    """
    player = Player(loaded.script, loaded, loaded.contract)
    takes: dict[str, list[Take]] = {}

    def watch(called: str, incident: Incident, now: datetime) -> None:
        kept = takes.setdefault(called, [])
        if kept and kept[-1].at == now:
            kept.pop()
        kept.append(Take(now, incident.pinned, tuple(incident.state.log)))

    player.watch = watch
    player.play()
    _agree(loaded, player.result(result["engine"], loaded.table), result)
    reels = tuple(
        Reel(called, tuple(kept), tuple(Sent.of(told) for told in result["incidents"][called]["notices"]))
        for called, kept in takes.items()
    )
    ends = datetime.fromisoformat(result["now"])
    return Film(loaded, reels, tuple(_captions(loaded, reels, ends)), ends)


def _captions(loaded: Loaded, reels: Sequence[Reel], ends: datetime) -> Iterator[Caption]:
    names, script = Names.of(loaded, ends), loaded.script
    heard = [line for line in script.lines if line.received <= ends]
    sent = {sent.at for reel in reels for sent in reel.sent}
    number = 1
    for at in sorted({take.at for reel in reels for take in reel.takes} | {line.received for line in heard} | sent):
        now = [line for line in heard if line.received == at and line.ticket is not None]
        seen = [
            Seen(
                reel.called,
                reel.before(at),
                after,
                tuple(line for line in now if _hears(reel, reels, line)),
                tuple(s for s in reel.sent if s.at == at),
            )
            for reel in reels
            if (after := reel.view(at)) is not None
        ]
        told = caption(names, script, number, at, seen)
        if told is not None:
            number += 1
            yield told


def _hears(reel: Reel, reels: Sequence[Reel], line: Line) -> bool:
    """Whether a ticket's word went to this incident of the ticket: the last that was there."""
    of_ticket = [r for r in reels if r.called.partition("/")[0] == line.ticket and r.takes[0].at <= line.received]
    return bool(of_ticket) and of_ticket[-1] is reel


def _agree(loaded: Loaded, computed: dict[str, Any], answered: dict[str, Any]) -> None:
    ours, theirs = (json.loads(json.dumps(told, default=str)) for told in (computed, answered))
    where = _unlike(ours, theirs)
    if where is not None:
        raise FilmError(
            f"{loaded.path}: the workflows answered {where}, which is not what their log comes to; "
            "this is a fault of Pactkeeper, please report it"
        )


def _unlike(ours: Any, theirs: Any, path: str = "") -> str | None:
    """The first difference of two answers, as `path value`."""
    if isinstance(ours, dict) and isinstance(theirs, dict) and ours.keys() == theirs.keys():
        return next((found for key in ours if (found := _unlike(ours[key], theirs[key], f"{path}.{key}"))), None)
    if isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        return next(
            (
                found
                for i, (a, b) in enumerate(zip(ours, theirs, strict=True))
                if (found := _unlike(a, b, f"{path}.{i}"))
            ),
            None,
        )
    return None if ours == theirs else f"{path.lstrip('.')} {theirs!r}"
