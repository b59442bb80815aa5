"""How a contract line stands, as its account tells it to the incidents: whether support is given, since when, until when."""

from datetime import datetime
from typing import Literal, Self

from pydantic import AwareDatetime, BaseModel, ConfigDict, model_validator


class Interval(BaseModel):
    """A stretch of time `[start, end)`; `end` is None while it lasts."""

    model_config = ConfigDict(frozen=True)

    start: AwareDatetime
    end: AwareDatetime | None = None

    @model_validator(mode="after")
    def _forward(self) -> Self:
        if self.end is not None and self.end < self.start:
            raise ValueError(
                f"the interval ends at {self.end.isoformat()}, before it starts at {self.start.isoformat()}"
            )
        return self


class Granted(Interval):
    """A stretch in which support is given in spite of a suspension: on whose word, and why."""

    by: str
    why: str


class Ledger(BaseModel):
    """The standing of one contract line as its account knows it; a higher `version` knows better.

    Stretches may lie ahead: a suspension that begins when the grace is over, or again when an exception ends.
    """

    model_config = ConfigDict(frozen=True)

    version: int = 0
    line: str = ""
    standing: Literal["current", "lapsed", "suspended", "terminated"] = "current"
    """How it comes to stand if nothing more is heard; `standing_at` tells how it stands at a moment."""
    since: AwareDatetime | None = None
    """When it was last paid, or lapsed, or the contract ended."""
    why: str = ""
    """What is outstanding, for people."""
    suspended: tuple[Interval, ...] = ()
    exceptions: tuple[Granted, ...] = ()

    def stretch(self, at: datetime) -> Interval | None:
        """The stretch of suspension in which `at` lies."""
        return next((s for s in self.suspended if s.start <= at and (s.end is None or at < s.end)), None)

    def standing_at(self, at: datetime) -> str:
        """`current`, `lapsed` (unpaid, yet support is given), `suspended` or `terminated`."""
        if self.stretch(at) is not None:
            return "terminated" if self.standing == "terminated" else "suspended"
        ahead = self.since is not None and at < self.since
        return "current" if self.standing == "current" or ahead else "lapsed"

    def exception(self, at: datetime) -> Granted | None:
        """The exception in force at `at`."""
        return next((one for one in self.exceptions if one.start <= at and (one.end is None or at < one.end)), None)

    def since_at(self, at: datetime) -> datetime | None:
        """Since when it stands as it does at `at`."""
        stretch = self.stretch(at)
        return self.since if stretch is None else stretch.start


class AccountLedger(Ledger):
    """The ledger of a whole customer: its first contract line's, and beside it those of its other lines."""

    lines: dict[str, Ledger] = {}
    terms: str = ""
    """The fingerprint of the terms that the account goes by, and the contract that was asked for, if one was."""
    asked: str | None = None

    def of(self, line: str | None) -> Ledger:
        """The ledger of a line; of one that is not known, the first line's."""
        return self.lines.get(line or "", self)
