"""When a source says that something happened: its own time, as far as a time can be believed."""

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from sla.intake import AHEAD, OLDEST, PAST, moment

NOW = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
SECONDS = st.integers(0, int(OLDEST.total_seconds()))


@given(SECONDS, SECONDS)
def test_what_happened_before_comes_before_however_long_ago(one: int, other: int) -> None:
    """A ticket of two years ago that was resolved then and opened again last week is open."""
    first, second = sorted((NOW - timedelta(seconds=one), NOW - timedelta(seconds=other)))
    told = [moment(at.isoformat(), NOW) for at in (first, second)]
    assert told == sorted(told)
    assert (told[0] == told[1]) == (first == second)
    assert all(NOW - PAST - timedelta(days=1) < at <= NOW for at in told)


@pytest.mark.parametrize("days", [0, 1, 400])
def test_what_is_not_older_than_four_hundred_days_is_taken_as_it_is(days: int) -> None:
    assert moment((NOW - timedelta(days=days)).isoformat(), NOW) == NOW - timedelta(days=days)


@pytest.mark.parametrize(
    "told",
    ["", "soon", None, True, [], {}, float("nan"), 10**400, 0, "0001-01-01T00:00:00Z", "2031-07-07T16:00:00", "2031-02-30T00:00:00Z",
     (NOW - OLDEST - timedelta(days=1)).isoformat(), (NOW + AHEAD + timedelta(seconds=1)).isoformat()],
)  # fmt: skip
def test_what_is_no_time_or_an_absurd_one_counts_as_now(told: object) -> None:
    assert moment(told, NOW) == NOW
