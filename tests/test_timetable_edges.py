"""Where open time begins and ends: closes, midnights, clock changes, closed dates and special days."""

from datetime import UTC, date, datetime, timedelta

from sla.timetable import Segment, from_us, to_us
from tests.tables import ALWAYS, HOUR, MICRO, NIGHTS, la, local, open_on, table
from tests.walker import NAMES


def test_a_deadline_at_closing_time_is_the_close() -> None:
    assert table().add(la("2031-07-07 06:00"), 12 * HOUR) == la("2031-07-07 18:00")


def test_a_microsecond_more_is_the_next_opening_and_a_microsecond() -> None:
    assert table().add(la("2031-07-07 06:00"), 12 * HOUR + MICRO) == la("2031-07-08 06:00") + MICRO


def test_adding_or_subtracting_nothing_moves_nothing_even_while_closed() -> None:
    saturday = la("2031-07-12 13:30")
    assert table().add(saturday, timedelta(0)) == saturday == table().subtract(saturday, timedelta(0))


def test_a_start_outside_hours_counts_from_the_next_opening() -> None:
    assert table().add(la("2031-07-12 13:30"), HOUR) == la("2031-07-14 07:00")


def test_subtracting_ends_at_the_latest_instant() -> None:
    assert table().subtract(la("2031-07-08 18:00"), 12 * HOUR) == la("2031-07-08 06:00")
    assert table().subtract(la("2031-07-08 18:00"), 12 * HOUR + MICRO) == la("2031-07-07 18:00") - MICRO


def test_opening_time_is_open_and_closing_time_is_closed() -> None:
    assert table().is_open(la("2031-07-07 06:00"))
    assert table().is_open(la("2031-07-07 18:00") - MICRO)
    assert not table().is_open(la("2031-07-07 18:00"))
    assert not table().is_open(la("2031-07-07 06:00") - MICRO)


def test_the_next_opening_is_now_while_open() -> None:
    assert table().next_open(la("2031-07-07 17:59")) == la("2031-07-07 17:59")
    assert table().next_open(la("2031-07-11 18:00")) == la("2031-07-14 06:00")


def test_elapsed_time_backwards_is_negative() -> None:
    assert table().elapsed(la("2031-07-08 07:00"), la("2031-07-07 17:00")) == -2 * HOUR


def test_segments_are_cut_to_the_question_and_none_when_it_runs_backwards() -> None:
    segments = table().segments(la("2031-07-07 17:00"), la("2031-07-08 07:00"))
    assert segments == [
        (la("2031-07-07 17:00"), la("2031-07-07 18:00")),
        (la("2031-07-08 06:00"), la("2031-07-08 07:00")),
    ]
    assert segments[0].opens.tzinfo is UTC
    assert table().segments(la("2031-07-08 07:00"), la("2031-07-08 06:30")) == []
    assert table().segments_us(to_us(la("2031-07-07 17:00")), to_us(la("2031-07-07 19:00"))) == [
        Segment(to_us(la("2031-07-07 17:00")), to_us(la("2031-07-07 18:00")))
    ]


def test_answers_are_in_utc_whatever_the_offset_of_the_question() -> None:
    answers = [
        table().add(la("2031-07-07 06:00"), HOUR),
        table().add(local("Asia/Kathmandu", "2031-07-07 18:45"), HOUR),
    ]
    assert answers == [datetime(2031, 7, 7, 14, tzinfo=UTC)] * 2
    assert [answer.tzinfo for answer in answers] == [UTC, UTC]


def test_a_day_in_spring_is_an_hour_short_and_one_in_autumn_an_hour_long() -> None:
    early = dict.fromkeys(NAMES, ("00:00-05:00",))
    assert open_on(date(2031, 3, 9), table(early)) == 4 * HOUR
    assert open_on(date(2031, 11, 2), table(early)) == 6 * HOUR


def test_a_boundary_that_clocks_skip_is_shifted_on_by_the_gap() -> None:
    timetable = table({"sun": ["02:30-06:00"]})
    assert timetable.next_open(la("2031-03-09 00:00")) == la("2031-03-09 03:30")
    assert not timetable.is_open(la("2031-03-09 03:00"))


def test_a_boundary_that_clocks_show_twice_is_the_first_pass() -> None:
    opening, closing = table({"sun": ["01:30-06:00"]}), table({"sun": ["00:00-01:30"]})
    assert opening.next_open(la("2031-11-02 00:00")) == la("2031-11-02 01:30", fold=0)
    assert opening.is_open(la("2031-11-02 01:15", fold=1))  # open since the first 01:30, though this clock says 01:15
    assert closing.add(la("2031-11-02 00:00"), 1.5 * HOUR) == la("2031-11-02 01:30", fold=0)
    assert not closing.is_open(la("2031-11-02 01:15", fold=1))


def test_winter_time_as_the_exception_changes_nothing() -> None:
    """Dublin's summer time is the standard: the first pass is still the first."""
    timetable = table({"sun": ["01:30-06:00"]}, "Europe/Dublin")
    assert timetable.next_open(local("Europe/Dublin", "2031-10-26 00:00")) == datetime(2031, 10, 26, 0, 30, tzinfo=UTC)
    assert open_on(date(2031, 10, 26), timetable) == 5.5 * HOUR


def test_half_an_hour_of_summer_time() -> None:
    timetable = table({"sun": ["02:15-05:00"]}, "Australia/Lord_Howe")
    assert open_on(date(2031, 10, 5), timetable) == 2.25 * HOUR  # 02:15 is skipped, and becomes 02:45
    assert open_on(date(2031, 4, 6), table({"sun": ["01:45-05:00"]}, "Australia/Lord_Howe")) == 3.75 * HOUR


def test_clocks_that_change_for_ramadan() -> None:
    early = dict.fromkeys(NAMES, ("00:00-06:00",))
    timetable = table(early, "Africa/Casablanca", date(2026, 1, 1), date(2026, 12, 31))
    assert open_on(date(2026, 2, 15), timetable) == 7 * HOUR
    assert open_on(date(2026, 3, 22), timetable) == 5 * HOUR
    assert open_on(date(2026, 9, 20), timetable) == 7 * HOUR  # the 2026 law; older data lack it


def test_a_date_that_the_zone_left_out_has_no_hours() -> None:
    """Samoa crossed the date line: 2011-12-29 was followed by 2011-12-31."""
    hours = {**dict.fromkeys(NAMES, ("09:00-17:00",)), "fri": ("18:00-20:00",)}  # 2011-12-30 would be a Friday
    timetable = table(hours, "Pacific/Apia", date(2011, 12, 28), date(2012, 1, 2))
    opens = [
        timetable.to_local(segment.opens).date().day
        for segment in timetable.segments(*map(from_us, timetable.horizon_us))
    ]
    assert opens == [28, 29, 31, 1, 2]


def test_nights_around_a_date_left_out_keep_what_lies_on_the_others() -> None:
    timetable = table(dict.fromkeys(NAMES, ("22:00-06:00",)), "Pacific/Apia", date(2011, 12, 29), date(2011, 12, 31))
    hours = [closes - opens for opens, closes in timetable.segments(*map(from_us, timetable.horizon_us))]
    assert hours == [6 * HOUR, 8 * HOUR, 2 * HOUR]


def test_midnight_itself_left_out_or_shown_twice() -> None:
    timetable = table(
        ALWAYS, "America/Asuncion", date(2023, 9, 1), date(2024, 4, 30), closures=["2023-10-01", "2024-03-23"]
    )
    since, until = local("America/Asuncion", "2023-10-01 01:00"), local("America/Asuncion", "2023-10-02 00:00")
    assert timetable.elapsed(since, until) == timedelta(0)
    assert timetable.is_open(since - MICRO)
    assert timetable.is_open(until)
    assert timetable.next_open(local("America/Asuncion", "2024-03-23 12:00")) == datetime(2024, 3, 24, 4, tzinfo=UTC)


def test_a_shift_across_midnight_is_one_stretch() -> None:
    timetable = table(NIGHTS)
    assert timetable.segments(la("2031-07-07 12:00"), la("2031-07-08 12:00")) == [
        (la("2031-07-07 22:00"), la("2031-07-08 06:00"))
    ]
    assert timetable.is_open(la("2031-07-12 05:59"))  # Friday's shift, on Saturday
    assert not timetable.is_open(la("2031-07-07 05:00"))  # Sunday has none


def test_a_window_knows_the_night_that_began_before_it_and_ends_at_its_last_midnight() -> None:
    timetable = table(NIGHTS, first=date(2031, 7, 8), last=date(2031, 7, 9))
    assert timetable.is_open(la("2031-07-08 00:00"))
    assert timetable.segments(*map(from_us, timetable.horizon_us))[-1].closes == la("2031-07-10 00:00")


def test_a_closed_date_takes_only_what_lies_on_it() -> None:
    timetable = table(NIGHTS, closures=["2031-07-08"])
    assert timetable.segments(la("2031-07-07 12:00"), la("2031-07-09 12:00")) == [
        (la("2031-07-07 22:00"), la("2031-07-08 00:00")),
        (la("2031-07-09 00:00"), la("2031-07-09 06:00")),
    ]


def test_two_closures_touching_are_one_hole() -> None:
    timetable = table(ALWAYS, closures=["2031-12-24", date(2031, 12, 25)])
    assert timetable.segments(la("2031-12-23 12:00"), la("2031-12-26 12:00")) == [
        (la("2031-12-23 12:00"), la("2031-12-24 00:00")),
        (la("2031-12-26 00:00"), la("2031-12-26 12:00")),
    ]
    assert timetable.add(la("2031-12-23 23:00"), 2 * HOUR) == la("2031-12-26 01:00")


def test_ranges_that_touch_are_one_stretch_within_a_day_and_over_midnight() -> None:
    timetable = table({"mon": ["06:00-12:00", "12:00-24:00"], "tue": ["00:00-02:00"]})
    assert timetable.segments(la("2031-07-07 00:00"), la("2031-07-09 00:00")) == [
        (la("2031-07-07 06:00"), la("2031-07-08 02:00"))
    ]


def test_round_the_clock_is_one_stretch() -> None:
    assert len(table(ALWAYS).segments(la("2031-01-01 00:00"), la("2032-12-31 00:00"))) == 1


def test_seconds_in_hours_are_honoured() -> None:
    assert table({"mon": ["09:00:05-17:00:10"]}).add(la("2031-07-07 00:00"), 8 * HOUR) == la("2031-07-07 17:00:05")


def test_special_hours_replace_the_dates_own() -> None:
    timetable = table(special_hours={"2031-12-31": ["05:00-07:00", "08:00-09:00"]})
    assert timetable.segments(la("2031-12-31 00:00"), la("2032-01-01 00:00")) == [
        (la("2031-12-31 05:00"), la("2031-12-31 07:00")),
        (la("2031-12-31 08:00"), la("2031-12-31 09:00")),
    ]


def test_special_hours_open_a_day_that_is_closed_by_the_week() -> None:
    assert table(special_hours={"2031-07-12": ["10:00-12:00"]}).is_open(la("2031-07-12 11:00"))


def test_a_closure_and_a_holiday_win_over_special_hours() -> None:
    day = {"2031-12-25": ["06:00-12:00"], "2031-12-24": ["06:00-12:00"]}
    timetable = table(special_hours=day, closures=["2031-12-24"], holidays={"country": "US"})
    assert timetable.next_open(la("2031-12-23 18:00")) == la("2031-12-26 06:00")


def test_special_hours_push_off_the_night_before_and_end_their_own_night() -> None:
    """Weekly nights: Tuesday's special day has just its hours, and no shift starts on it for Wednesday morning."""
    timetable = table(NIGHTS, special_hours={"2031-07-08": ["09:00-12:00"]})
    assert timetable.segments(la("2031-07-07 12:00"), la("2031-07-09 12:00")) == [
        (la("2031-07-07 22:00"), la("2031-07-08 00:00")),
        (la("2031-07-08 09:00"), la("2031-07-08 12:00")),
    ]


def test_special_hours_may_run_past_midnight_even_onto_a_special_day() -> None:
    special = {"2031-07-07": ["20:00-02:00"], "2031-07-08": ["02:00-03:00", "23:00-01:00"]}
    assert table(special_hours=special).segments(la("2031-07-07 00:00"), la("2031-07-09 05:00")) == [
        (la("2031-07-07 20:00"), la("2031-07-08 03:00")),
        (la("2031-07-08 23:00"), la("2031-07-09 01:00")),
    ]
