"""Carrying a pinned calendar further ahead without moving a day that was pinned already."""

from datetime import date, datetime, timedelta

from sla.civil import OffsetChange, local_us
from sla.policy import PinnedContract
from sla.timetable import PinnedCalendar

BEFORE = timedelta(days=45)
"""How much of the calendar before an opening is pinned: a late word may tell of a time before it."""


def window(at: datetime, horizon_days: int) -> tuple[date, date]:
    """The local dates to pin for an incident that opens at `at`."""
    return (at - BEFORE).date(), (at + timedelta(days=horizon_days)).date()


def further(pinned: PinnedContract, newer: PinnedCalendar) -> PinnedContract:
    """The same contract, its calendar as pinned, with the days past its last one taken from `newer`."""
    old = pinned.calendar
    if newer.last <= old.last:
        return pinned
    boundary = (
        local_us(datetime.combine(old.last + timedelta(days=1), datetime.min.time())) // 1_000_000
        - old.offsets[-1].offset
    )
    carried_on = max(
        (change for change in newer.offsets if change.since <= boundary),
        key=lambda c: c.since,
        default=newer.offsets[0],
    )
    if carried_on.offset == old.offsets[-1].offset:
        joint: tuple[OffsetChange, ...] = ()
    else:
        joint = (OffsetChange(boundary, carried_on.offset, carried_on.name),)
    merged = old.model_copy(
        update={
            "last": newer.last,
            "closed": (*old.closed, *(day for day in newer.closed if day.day > old.last)),
            "special": (*old.special, *(day for day in newer.special if day.day > old.last)),
            "offsets": (*old.offsets, *joint, *(change for change in newer.offsets if change.since > boundary)),
            "tzdata_version": newer.tzdata_version,
            "holidays_version": newer.holidays_version,
        }
    )
    return pinned.model_copy(update={"calendar": merged})
