"""Durations as contracts name them: `2 business hours`, `1 business day`, `4 elapsed hours`, `2 calendar weeks`."""

import re
from dataclasses import dataclass
from enum import StrEnum
from typing import Any, Self

from pydantic import GetCoreSchemaHandler, GetJsonSchemaHandler
from pydantic.json_schema import JsonSchemaValue
from pydantic_core import CoreSchema, core_schema

from sla.civil import SECOND_US
from sla.errors import BadDuration, shown
from sla.timetable import Timetable


class Unit(StrEnum):
    """What is counted: `business` is open time, `elapsed` wall-clock time, `calendar` dates at the same time of day."""

    BUSINESS_MINUTE = "business minute"
    BUSINESS_HOUR = "business hour"
    BUSINESS_DAY = "business day"
    ELAPSED_MINUTE = "elapsed minute"
    ELAPSED_HOUR = "elapsed hour"
    ELAPSED_DAY = "elapsed day"
    CALENDAR_DAY = "calendar day"
    CALENDAR_WEEK = "calendar week"


_FIXED_US = {
    Unit.BUSINESS_MINUTE: 60 * SECOND_US,
    Unit.BUSINESS_HOUR: 3_600 * SECOND_US,
    Unit.ELAPSED_MINUTE: 60 * SECOND_US,
    Unit.ELAPSED_HOUR: 3_600 * SECOND_US,
    Unit.ELAPSED_DAY: 86_400 * SECOND_US,
}
_CALENDAR_DAYS = {Unit.CALENDAR_DAY: 1, Unit.CALENDAR_WEEK: 7}
_UNITS = r"(?:business|elapsed)\s+(?:minute|hour|day)|calendar\s+(?:day|week)"
DURATION_PATTERN = rf"^\s*[1-9][0-9]{{0,5}}\s+(?:{_UNITS})s?\s*$"
_DURATION = re.compile(rf"\s*([1-9][0-9]{{0,5}})\s+({_UNITS})s?\s*", re.ASCII)


@dataclass(frozen=True, slots=True)
class Duration:
    """A whole number, at least 1, of one unit.

    Business units count open time only; elapsed ones wall-clock time, day and night; calendar ones lead to the same
    local time of day that many days later, whatever the clocks did meanwhile.
    """

    amount: int
    unit: Unit

    def __post_init__(self) -> None:
        if self.amount < 1:
            raise BadDuration(_sentence(str(self)))

    @classmethod
    def parse(cls, text: str) -> Self:
        """Reads `2 business hours`; spaces don't matter, nor does the plural.

        Raises:
            BadDuration: it is anything else.
        """
        match = _DURATION.fullmatch(text)
        if match is None:
            raise BadDuration(_sentence(text))
        return cls(int(match[1]), Unit(" ".join(match[2].split())))

    def __str__(self) -> str:
        return f"{self.amount} {self.unit}{'' if self.amount == 1 else 's'}"

    @property
    def counts_open_time(self) -> bool:
        """Whether it counts open time, rather than wall-clock time."""
        return self.unit in (Unit.BUSINESS_MINUTE, Unit.BUSINESS_HOUR, Unit.BUSINESS_DAY)

    def budget_us(self, timetable: Timetable, start_us: int) -> int:
        """What it grants from `start_us`, in microseconds: of open time for business units, else of wall-clock time.

        Raises:
            BeyondHorizon: business or calendar days lead past the pinned days; hours and minutes are what they are.
        """
        if self.unit is Unit.BUSINESS_DAY:
            return timetable.business_days_budget_us(start_us, self.amount)
        if self.unit in _CALENDAR_DAYS:
            return timetable.days_later_us(start_us, self.amount * _CALENDAR_DAYS[self.unit]) - start_us
        return self.amount * _FIXED_US[self.unit]

    @classmethod
    def __get_pydantic_core_schema__(cls, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.no_info_plain_validator_function(
            cls._validated,
            serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema()),
        )

    @classmethod
    def __get_pydantic_json_schema__(cls, schema: CoreSchema, handler: GetJsonSchemaHandler) -> JsonSchemaValue:
        return {
            "type": "string",
            "pattern": DURATION_PATTERN,
            "description": "A whole number and a unit: business minutes, hours or days (open time); elapsed minutes, "
            "hours or days (day and night); calendar days or weeks (the same local time, that many days later).",
            "examples": ["2 business hours", "1 business day", "4 elapsed hours", "2 calendar weeks"],
        }

    @classmethod
    def _validated(cls, value: object) -> Self:
        if isinstance(value, cls):
            return value
        if isinstance(value, str):
            return cls.parse(value)
        raise BadDuration(_sentence(value))


def _sentence(value: object) -> str:
    return (
        f"{shown(value)}; write a whole number and one of: business hours, business days, elapsed hours, calendar weeks"
    )
