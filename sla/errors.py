"""What can be wrong with something written or asked; every text is one sentence: what, where, what is allowed."""

import json
from datetime import date
from typing import Literal

LONGEST_SHOWN = 80


def shown(value: object) -> str:
    """What was written, as an error shows it: text in double quotes, all on one line, and not endlessly."""
    if isinstance(value, str):
        text = json.dumps(value, ensure_ascii=False)
    else:
        text = " ".join((str(value) if isinstance(value, date) else repr(value)).split())
    return text if len(text) <= LONGEST_SHOWN else f"{text[: LONGEST_SHOWN - 1]}…"


class PolicyError(ValueError):
    """Something an author wrote can't be used.

    `where` leads from the field that was checked to the part that is wrong, e.g. `("mon",)` below `hours`.
    """

    def __init__(self, sentence: str, where: tuple[str, ...] = ()) -> None:
        super().__init__(sentence)
        self.where = where


class BadDuration(PolicyError):
    """A text that is no duration, such as "4 busines hours"."""


class BadHours(PolicyError):
    """Opening hours that are malformed, empty, reversed, overlapping, or on a day that no week has."""


class BadDate(PolicyError):
    """A closure or a special day that is no date."""


class EmptyWeek(PolicyError):
    """A week without a single open hour: nothing could ever come due."""


class UnknownZone(PolicyError):
    """A time zone that the pinned IANA data does not name."""


class UnknownCountry(PolicyError):
    """A country whose holidays nobody has told us."""


class UnknownSubdivision(PolicyError):
    """A state or province that the country's holiday data does not name."""


class BadWindow(PolicyError):
    """Days to pin that are no dates, run backwards, or span more than a calendar may."""


class QuestionError(ValueError):
    """A question that a timetable can't answer."""


class NaiveDatetime(QuestionError):
    """A date and time without an offset: it names no instant."""


class AwareDatetime(QuestionError):
    """A local date and time was asked for, and one with an offset came."""


class NegativeAmount(QuestionError):
    """An amount of time below zero; `subtract` counts backwards."""


class BeyondHorizon(QuestionError):
    """The question or its answer lies outside the pinned days; `day` is the pinned day at that `side`."""

    def __init__(self, what: str, day: date, side: Literal["first", "last"]) -> None:
        super().__init__(what, day, side)
        self.what, self.day, self.side = what, day, side

    def __str__(self) -> str:
        lies = "before" if self.side == "first" else "past"
        return f"{self.what} lies {lies} {self.day}, the {self.side} pinned day; pin the calendar further"
