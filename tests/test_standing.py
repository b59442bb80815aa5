"""How a contract line stands, folded from what lapsed and what was paid: grace, approval, references, exceptions, advances, terms."""

import sys
from collections.abc import Sequence
from datetime import UTC, date, datetime, timedelta
from functools import cache
from itertools import permutations
from typing import Any

import pytest

from sla.account import Account, AccountState
from sla.account_events import ACCOUNT_EVENT, AccountDelivery
from sla.duration import Duration
from sla.ledger import AccountLedger, Ledger
from sla.perform import choose_account, done
from sla.policy import Reminder
from sla.roster import Recipient, Roster
from sla.standing import AccountTerms, LineTerms, book, fold
from sla.steps import Step
from sla.timetable import PinnedCalendar
from tests.stage import SHELF

ANN = Recipient("ann@acme.example", "email", "ann@acme.example", "Ann")
TODAY = "2031-08-30 12:00"
BEGUN = "2031-07-09 12:00"
"""A Wednesday."""


@cache
def calendar(first: str = "2031-01-01", last: str = "2032-06-30") -> PinnedCalendar:
    """Reciprocity's hours: Monday to Friday, 08:00 to 17:00 in Los Angeles, no holidays."""
    return SHELF.contract("reciprocity").hours.pin(date.fromisoformat(first), date.fromisoformat(last))


def at(text: str) -> datetime:
    """A local time of the calendar."""
    return calendar().timetable().from_local(datetime.fromisoformat(text))


def line(id: str = "one", **terms: Any) -> LineTerms:
    grace = terms.pop("grace", None)
    return LineTerms(id=id, grace=None if grace is None else Duration.parse(grace), **{"calendar": calendar(), **terms})


def word(when: str, event: str, received: str | None = None, **said: Any) -> AccountDelivery:
    body = {"event": event, **said}
    heard = at(received or when)
    return AccountDelivery(
        key=f"{when} {body}", occurred_at=at(when), received_at=heard, event=ACCOUNT_EVENT.validate_python(body)
    )


def terms(*lines: LineTerms, since: str | None = None) -> AccountTerms:
    return AccountTerms(lines=lines or (line(),), since=None if since is None else at(since))


def ledgers(words: Sequence[AccountDelivery], *held: AccountTerms) -> AccountLedger:
    return book(fold(words, held or (terms(),)), AccountLedger())


def suspended(words: Sequence[AccountDelivery], *held: AccountTerms, of: str = "one") -> list[tuple[str, str | None]]:
    """The stretches of a line, in the calendar's time."""
    return local(ledgers(words, *held).of(of))


def local(ledger: Ledger) -> list[tuple[str, str | None]]:
    shown = [(_shown(one.start), None if one.end is None else _shown(one.end)) for one in ledger.suspended]
    return [(start or "", end) for start, end in shown]


def _shown(when: datetime) -> str:
    return calendar().timetable().to_local(when).strftime("%Y-%m-%d %H:%M")


# Grace


@pytest.mark.parametrize(
    ("grace", "lapsed", "over"),
    [
        ("3 calendar days", "2031-10-30 12:00", "2031-11-02 12:00"),  # 73 hours: the clocks went back
        ("3 calendar days", "2032-03-12 12:00", "2032-03-15 12:00"),  # 71 hours: they went forward
        ("1 calendar week", "2031-10-30 12:00", "2031-11-06 12:00"),
        ("5 business days", "2031-07-09 12:00", "2031-07-16 12:00"),  # over a weekend
        ("1 business day", "2031-07-12 09:00", "2031-07-14 17:00"),  # of a Saturday: Monday's close
        ("1 business day", "2031-07-11 16:00", "2031-07-14 16:00"),  # of a Friday
        ("2 business days", "2031-10-31 10:00", "2031-11-04 10:00"),  # over the change of the clocks
        ("4 business hours", "2031-07-11 15:00", "2031-07-14 10:00"),
        ("48 elapsed hours", "2031-11-01 12:00", "2031-11-03 11:00"),
    ],
)
def test_X03_support_is_suspended_when_the_grace_is_over(grace: str, lapsed: str, over: str) -> None:
    held = terms(line(grace=grace))
    assert suspended([word(lapsed, "payment_lapsed")], held) == [(over, None)]
    assert suspended([word(lapsed, "payment_lapsed"), word(over, "payment_current")], held) == []


@pytest.mark.parametrize(
    ("grace", "hours"),
    [("5 business days", 120), ("2 calendar weeks", 336), ("3 elapsed days", 72), ("4 business hours", 4)],
)
def test_past_the_pinned_days_a_day_of_grace_is_24_hours(grace: str, hours: int) -> None:
    """And without a calendar altogether; never an error, for a lapse may be told of years later."""
    far = word("2031-10-29 12:00", "payment_lapsed")
    for known in (calendar("2031-07-01", "2031-07-31"), calendar("2031-07-01", "2031-10-30"), None):
        (stretch,) = ledgers([far], terms(line(grace=grace, calendar=known))).suspended
        if known is None or grace != "4 business hours" or known.last < date(2031, 10, 1):
            assert stretch.start == at("2031-10-29 12:00") + timedelta(hours=hours)


def test_X03_a_termination_has_no_grace_and_wants_no_approval() -> None:
    held = terms(line(grace="5 business days", mode="approval"))
    assert suspended([word(BEGUN, "contract_terminated")], held) == [(BEGUN, None)]
    assert ledgers([word(BEGUN, "contract_terminated")], held).standing == "terminated"


def test_a_contract_that_never_suspends_shows_the_lapse_alone() -> None:
    ledger = ledgers([word(BEGUN, "payment_lapsed", reference="INV-1")], terms(line(mode="none")))
    assert (ledger.suspended, ledger.standing, ledger.why) == ((), "lapsed", "payment outstanding (INV-1)")


# Approval


ASKING = terms(line(grace="3 calendar days", mode="approval", asks=("manager",)))
LAPSED = word(BEGUN, "payment_lapsed")


def test_an_approval_before_the_grace_is_over_takes_effect_at_its_end() -> None:
    assert suspended([LAPSED, word("2031-07-10 09:00", "suspension_approved")], ASKING) == [("2031-07-12 12:00", None)]
    assert suspended([LAPSED, word("2031-07-15 09:00", "suspension_approved")], ASKING) == [("2031-07-15 09:00", None)]
    assert suspended([LAPSED], ASKING) == []


def test_approved_declined_and_approved_again() -> None:
    words = [
        LAPSED,
        word("2031-07-14 09:00", "suspension_approved"),
        word("2031-07-15 09:00", "suspension_declined"),
        word("2031-07-16 09:00", "suspension_approved"),
    ]
    for heard in permutations(words):
        assert suspended(heard, ASKING) == [("2031-07-14 09:00", "2031-07-15 09:00"), ("2031-07-16 09:00", None)]


def test_an_answer_holds_for_what_is_outstanding_when_it_is_given() -> None:
    """Not for a lapse before it that was paid, nor for one after it."""
    early, late = word("2031-07-08 09:00", "suspension_approved"), word("2031-07-20 09:00", "suspension_approved")
    paid = word("2031-07-18 09:00", "payment_current")
    assert suspended([early, LAPSED], ASKING) == []
    assert suspended([LAPSED, paid, late], ASKING) == []
    again = word("2031-08-01 12:00", "payment_lapsed")
    assert suspended([LAPSED, word("2031-07-13 12:00", "suspension_approved"), paid, again], ASKING) == [
        ("2031-07-13 12:00", "2031-07-18 09:00")
    ]


# What a payment settles


def test_a_payment_with_a_reference_settles_that_lapse_alone_in_whatever_order_we_hear() -> None:
    words = [
        word("2031-07-09 12:00", "payment_lapsed", reference="A"),
        word("2031-07-10 12:00", "payment_lapsed", reference="B"),
        word("2031-07-11 12:00", "payment_current", reference="A"),
    ]
    for heard in permutations(words):
        assert suspended(heard) == [("2031-07-09 12:00", None)]
        assert ledgers(heard).since == at("2031-07-10 12:00")
        assert ledgers(heard).why == "payment outstanding (B)"
    settled = [*words, word("2031-07-12 12:00", "payment_current", reference="B")]
    assert suspended(settled) == [("2031-07-09 12:00", "2031-07-12 12:00")]


def test_what_was_paid_before_it_was_called_overdue_never_lapsed() -> None:
    """But only once: what lapses anew after that is owed."""
    paid, lapsed = (
        word("2031-07-09 11:00", "payment_current", reference="A"),
        word(BEGUN, "payment_lapsed", reference="A"),
    )
    assert suspended([lapsed, paid]) == []
    assert suspended([lapsed, paid, word("2031-08-09 12:00", "payment_lapsed", reference="A")]) == [
        ("2031-08-09 12:00", None)
    ]


@pytest.mark.parametrize("reference", [None, "a receipt that names no lapse"])
def test_a_payment_that_names_no_lapse_settles_all(reference: str | None) -> None:
    words = [
        word("2031-07-09 12:00", "payment_lapsed", reference="A"),
        word("2031-07-10 12:00", "payment_lapsed", reference="B"),
    ]
    assert suspended([*words, word("2031-07-11 12:00", "payment_current", reference=reference)]) == [
        ("2031-07-09 12:00", "2031-07-11 12:00")
    ]


def test_a_payment_of_what_lapsed_on_one_line_settles_nothing_on_another() -> None:
    """Even where it names no line: its reference says what it is for."""
    held = terms(line("one"), line("two"))
    words = [
        word("2031-07-09 12:00", "payment_lapsed", reference="A", line="one"),
        word("2031-07-10 12:00", "payment_lapsed", reference="B", line="two"),
        word("2031-07-11 12:00", "payment_current", reference="A"),
    ]
    assert suspended(words, held, of="one") == [("2031-07-09 12:00", "2031-07-11 12:00")]
    assert suspended(words, held, of="two") == [("2031-07-10 12:00", None)]


def test_a_lapse_told_twice_is_one_lapse_and_a_payment_in_the_same_instant_counts_for_the_customer() -> None:
    twice = [
        word("2031-07-09 12:00", "payment_lapsed"),
        word("2031-07-10 12:00", "payment_lapsed"),
        word("2031-07-11 12:00", "payment_current"),
    ]
    assert suspended(twice) == [("2031-07-09 12:00", "2031-07-11 12:00")]
    assert suspended([word(BEGUN, "payment_current"), LAPSED]) == []


def test_X03_a_payment_told_late_ends_the_suspension_when_it_was_made() -> None:
    late = word("2031-07-10 12:00", "payment_current", received="2031-07-20 12:00")
    assert suspended([LAPSED, late]) == [(BEGUN, "2031-07-10 12:00")]


# Exceptions


GRANTED = word("2031-07-10 10:00", "exception_granted", by="gwen", why="their launch", until="2031-07-11T10:00-07:00")


def test_an_exception_is_on_the_record_and_ends_by_itself() -> None:
    assert suspended([LAPSED, GRANTED]) == [(BEGUN, "2031-07-10 10:00"), ("2031-07-11 10:00", None)]
    ledger = ledgers([LAPSED, GRANTED])
    (kept,) = ledger.exceptions
    assert (kept.by, kept.why, _shown(kept.start), kept.end and _shown(kept.end)) == (
        "gwen",
        "their launch",
        "2031-07-10 10:00",
        "2031-07-11 10:00",
    )
    standings = {
        moment: ledger.standing_at(at(moment))
        for moment in ("2031-07-09 11:00", BEGUN, "2031-07-10 10:00", "2031-07-11 10:00")
    }
    assert list(standings.values()) == ["current", "suspended", "lapsed", "suspended"]


def test_an_exception_ends_early_on_somebodys_word_and_one_granted_later_stands() -> None:
    ended = word("2031-07-10 15:00", "exception_ended", by="gwen")
    again = word("2031-07-10 16:00", "exception_granted", by="gwen", why="after all", until="2031-07-10T17:00-07:00")
    assert suspended([LAPSED, GRANTED, ended, again]) == [
        (BEGUN, "2031-07-10 10:00"),
        ("2031-07-10 15:00", "2031-07-10 16:00"),
        ("2031-07-10 17:00", None),
    ]


def test_an_exception_that_is_over_before_it_is_granted_changes_nothing() -> None:
    past = word("2031-07-12 10:00", "exception_granted", by="gwen", why="too late", until="2031-07-11T10:00-07:00")
    assert suspended([LAPSED, past]) == [(BEGUN, None)]
    assert ledgers([LAPSED, past]).exceptions == ()


# Lines, and what is paid in advance


def test_a_lapse_touches_no_line_that_is_prepaid_for_good() -> None:
    """Its contract can end all the same, where that is said of the line itself."""
    held = terms(line("one"), line("two", prepaid=True))
    assert suspended([LAPSED], held, of="two") == []
    assert suspended([word(BEGUN, "payment_lapsed", line="two")], held, of="two") == []
    assert suspended([word(BEGUN, "contract_terminated")], held, of="two") == []
    assert suspended([word(BEGUN, "contract_terminated", line="two")], held, of="two") == [(BEGUN, None)]


def test_what_is_paid_in_advance_is_used_up_before_a_lapse_counts() -> None:
    """The grace begins then; a payment before that leaves nothing of the lapse."""
    held = terms(line(prepaid_until=at("2031-07-16 00:00"), grace="2 calendar days"))
    assert suspended([LAPSED], held) == [("2031-07-18 00:00", None)]
    assert ledgers([LAPSED], held).standing_at(at("2031-07-15 23:59")) == "current"
    assert ledgers([LAPSED], held).standing_at(at("2031-07-16 00:00")) == "lapsed"
    assert suspended([LAPSED, word("2031-07-15 09:00", "payment_current")], held) == []
    assert suspended([word("2031-07-20 09:00", "payment_lapsed")], held) == [("2031-07-22 09:00", None)]


def test_a_lapse_of_one_line_suspends_that_line_alone() -> None:
    held = terms(line("one"), line("two"))
    ledger = ledgers([word(BEGUN, "payment_lapsed", line="two")], held)
    assert (ledger.standing, ledger.of("two").standing) == ("current", "suspended")


def test_what_names_an_unknown_line_is_kept_aside_and_counts_once_there_is_such_a_line() -> None:
    account = Account(AccountState(customer="acme", terms=terms(line("one"))))
    assert account.hear(word(BEGUN, "payment_lapsed", line="two"))
    assert account.version == 0
    (letter,) = account.state.dead_letters
    assert "there is no contract line 'two'; there are: one" in letter.why
    assert account.take_terms(terms(line("one"), line("two")), at("2031-07-20 12:00"))
    assert local(account.state.ledger.of("two")) == [(BEGUN, None)]
    assert account.state.ledger.standing == "current"


def test_a_lapse_is_judged_by_the_terms_in_force_when_it_began() -> None:
    """A grace agreed on later is for later lapses."""
    account = Account(AccountState(customer="acme", terms=terms(line())))
    account.hear(LAPSED)
    assert account.take_terms(terms(line(grace="5 business days")), at("2031-07-20 12:00"))
    assert local(account.state.ledger) == [(BEGUN, None)]
    account.hear(word("2031-07-22 12:00", "payment_current"))
    account.hear(word("2031-08-06 12:00", "payment_lapsed"))
    assert local(account.state.ledger) == [(BEGUN, "2031-07-22 12:00"), ("2031-08-13 12:00", None)]
    late = word("2031-07-01 12:00", "payment_lapsed", received="2031-08-07 12:00", reference="old")
    account.hear(late)
    assert local(account.state.ledger)[0] == ("2031-07-01 12:00", "2031-07-22 12:00")


@pytest.mark.parametrize(
    ("then", "now", "asked"),
    [("automatic", "approval", []), ("approval", "automatic", ["gwen"])],
)
def test_whether_somebody_is_asked_is_judged_by_the_same_terms_as_the_suspension(
    then: Any, now: Any, asked: list[str]
) -> None:
    """Nobody is asked about what is suspended already, and a question stays open that only an answer can settle."""
    account = Account(AccountState(customer="acme", terms=terms(line(mode=then, asks=("gwen",)))))
    account.hear(LAPSED)
    account.take_terms(terms(line(mode=now, asks=("gwen",))), at("2031-07-09 13:00"))
    view = account.view(at("2031-07-09 14:00"))
    assert [person for step in view.owed if step.kind == "approval" for person in step.tells] == asked
    assert view.lines[0].awaits_approval == bool(asked)


def test_nobody_reads_that_support_goes_on_while_it_is_suspended_for_another_payment() -> None:
    """Once that one is paid, what is still outstanding is told of."""
    account = Account(AccountState(customer="acme", terms=terms(line(grace="2 calendar days"))))
    account.hear(word(BEGUN, "payment_lapsed", reference="INV-1"))
    account.begin(account.view(at(BEGUN)).owed)
    account.hear(word("2031-07-12 12:00", "payment_lapsed", reference="INV-2"))
    assert "reminder" not in {step.kind for step in account.view(at("2031-07-12 12:00")).owed}
    account.hear(word("2031-07-13 12:00", "payment_current", reference="INV-1"))
    (told,) = (step for step in account.view(at("2031-07-13 12:00")).owed if step.kind == "reminder")
    assert told.facts["why"] == "INV-2"


def test_the_same_terms_read_again_are_not_taken_down_twice() -> None:
    account = Account(AccountState(customer="acme", terms=terms(line())))
    assert not account.take_terms(terms(line()), at("2031-07-20 12:00"))
    assert account.state.earlier == []


def test_a_grace_past_the_days_pinned_then_is_counted_by_those_pinned_last() -> None:
    """An account that heard nothing for a year and more learns of a lapse before it reads its terms again."""
    first = line(grace="5 business days", calendar=calendar("2030-01-01", "2031-07-08"))
    account = Account(AccountState(customer="acme", terms=terms(first)))
    account.hear(word("2031-07-17 19:00", "payment_lapsed"))
    assert account.calendar_runs_out(at("2031-07-17 20:00"))
    assert account.take_terms(terms(line(grace="5 business days")), at("2031-07-17 20:00"))
    assert local(account.state.ledger) == [("2031-07-24 17:00", None)]


# Lines that come and go


def lines_of_two() -> Account:
    """The lines `one` and `two` with an incident each; two lapsed, and both were told all there was."""
    account = Account(AccountState(customer="acme", terms=terms(line("one"), line("two"))))
    account.enrol("i/1", "one", known=False)
    account.enrol("i/2", "two", known=False)
    for n in range(3):
        account.hear(word(f"2031-07-0{n + 1} 12:00", "payment_lapsed", line="two", reference=str(n)))
    account.state.told = account.version
    return account


def test_an_incident_stays_on_its_line_though_the_record_has_it_no_more() -> None:
    account = lines_of_two()
    assert account.state.ledger.of("two").standing == "suspended"
    account.take_terms(terms(line("one")), at("2031-07-20 12:00"))
    assert (account.of_line("one"), account.of_line("two")) == (["i/1"], ["i/2"])
    assert account.untold() == []
    account.hear(word("2031-07-21 12:00", "payment_current"))
    (told,) = account.untold()
    assert (told.line, told.standing) == ("two", "current")
    account.forget(["i/2"])
    account.hear(word("2031-07-22 12:00", "payment_lapsed"))
    assert list(account.state.ledger.lines) == []


def test_an_edited_record_rewrites_no_past() -> None:
    """Paid in advance from the 20th on: what was suspended before it stays so, and what lasts ends there."""
    account = Account(AccountState(customer="acme", terms=terms(line())))
    account.hear(word("2031-07-09 12:00", "payment_lapsed"))
    account.hear(word("2031-07-12 12:00", "payment_current"))
    account.hear(word("2031-07-15 12:00", "payment_lapsed"))
    before = account.state.ledger.suspended
    account.take_terms(terms(line(prepaid=True)), at("2031-07-20 12:00"))
    ledger = account.state.ledger
    assert ledger.suspended[0] == before[0]
    assert [(_shown(s.start), s.end and _shown(s.end)) for s in ledger.suspended[1:]] == [
        ("2031-07-15 12:00", "2031-07-20 12:00")
    ]
    assert ledger.standing == "current"


def test_a_lapse_is_told_also_where_the_line_that_was_told_of_last_is_no_more() -> None:
    """No version comes back to a number that an incident has had."""
    account = lines_of_two()
    account.take_terms(terms(line("one")), at("2031-07-20 12:00"))
    account.state.told = max(account.state.told, account.version)
    account.hear(word("2031-07-21 12:00", "payment_lapsed", line="one"))
    (told,) = account.untold()
    assert (told.line, told.standing) == ("one", "suspended")


def test_incidents_keep_their_lines_where_the_lines_change_their_order() -> None:
    account = lines_of_two()
    account.take_terms(terms(line("two"), line("one")), at("2031-07-20 12:00"))
    assert (account.of_line("one"), account.of_line("two")) == (["i/1"], ["i/2"])
    assert account.untold() == []


def test_an_incident_that_named_a_line_before_the_account_knew_it_is_told_once_it_does() -> None:
    account = Account(AccountState(customer="acme", terms=terms(line("one"))))
    account.hear(LAPSED.model_copy(update={"event": LAPSED.event.model_copy(update={"line": "one"})}))
    assert account.enrol("i/2", "two", known=False).standing == "suspended"
    account.state.told = account.version
    account.take_terms(terms(line("one"), line("two")), at("2031-07-20 12:00"))
    (told,) = account.untold()
    assert (told.line, told.standing) == ("two", "current")


# Versions, and the order of words


def test_a_version_rises_only_where_a_lines_ledger_says_something_new() -> None:
    account = Account(AccountState(customer="acme", terms=terms(line("one"), line("two"))))
    seen = []
    for heard in (
        word(BEGUN, "payment_lapsed", line="one"),
        word(BEGUN, "payment_lapsed", line="one"),  # the same delivery again
        word("2031-07-09 13:00", "payment_lapsed", line="one"),  # the same lapse again
        word("2031-07-09 14:00", "suspension_approved"),  # nobody asked
        word("2031-07-10 12:00", "payment_lapsed", line="two"),
        word("2031-07-11 12:00", "payment_current"),
    ):
        account.hear(heard)
        seen.append((account.state.ledger.version, account.state.ledger.of("two").version))
    assert seen == [(1, 0), (1, 0), (1, 0), (1, 0), (1, 2), (3, 3)]
    assert [ledger.line for ledger in account.untold()] == ["one", "two"]


def test_X04_the_ledger_is_the_same_whatever_the_order_and_number_of_deliveries() -> None:
    words = [
        LAPSED,
        GRANTED,
        word("2031-07-12 09:00", "payment_current"),
        word("2031-07-14 09:00", "contract_terminated", reference="sub"),
    ]
    for heard in permutations(words):
        assert ledgers([*heard, *(late.model_copy(update={"received_at": at(TODAY)}) for late in heard)]) == ledgers(
            words
        )


def test_a_sender_whose_clock_is_ahead_is_taken_at_the_time_we_heard() -> None:
    ahead = word("2031-07-09 13:00", "payment_lapsed").model_copy(update={"received_at": at(BEGUN)})
    assert suspended([ahead]) == [(BEGUN, None)]


# Size


def test_a_thousand_lapses_are_folded_with_few_steps() -> None:
    """Counted, not timed: twice the words take about twice the calls."""
    small, large = (calls([one for n in range(count) for one in month(n)]) for count in (500, 1000))
    assert large < 2.3 * small
    assert large < 250 * 1000


def month(n: int) -> list[AccountDelivery]:
    """A lapse of its own, and its payment a day later."""
    lapsed = datetime(2031, 1, 2, 12, tzinfo=UTC) + timedelta(hours=9 * n)
    paid = lapsed + timedelta(days=1)
    words = [(lapsed, "payment_lapsed"), (paid, "payment_current")]
    made = [(when, ACCOUNT_EVENT.validate_python({"event": name, "reference": f"INV-{n}"})) for when, name in words]
    return [
        AccountDelivery(key=f"{n} {what.event}", occurred_at=when, received_at=when, event=what) for when, what in made
    ]


def calls(words: Sequence[AccountDelivery]) -> int:
    """How many calls of Python functions (and turns of generators) it takes to make the ledger."""
    counted = 0

    def count(frame: Any, event: str, arg: Any) -> None:
        nonlocal counted
        counted += event == "call"

    held = terms(line(grace="3 calendar days"))
    before = sys.getprofile()
    sys.setprofile(count)
    try:
        ledgers(words, held)
    finally:
        sys.setprofile(before)
    return counted


# What the account says


def lived(*words: AccountDelivery, held: AccountTerms, until: str) -> list[tuple[str, str, tuple[str, ...]]]:
    """What an account that hears these words says until then: when, what, to whom."""
    account = Account(AccountState(customer="acme"))
    account.take_terms(held, at("2031-07-01 12:00"))
    roster = Roster.around(SHELF.team("default"), at(BEGUN))
    waiting = sorted(words, key=lambda one: one.received_at)
    said: list[tuple[str, str, tuple[str, ...]]] = []
    now = at("2031-07-01 12:00")
    while True:
        heard = waiting[0].received_at if waiting else None
        changes = account.view(now).look_again_at
        moments = [moment for moment in (heard, changes) if moment is not None]
        if not moments or min(moments) > at(until):
            return said
        now = min(moments)
        if now == heard:
            account.hear(waiting.pop(0))
        while owed := account.view(now).owed:
            account.begin(owed)
            chosen = choose_account(owed, roster, (ANN,))
            account.finish(owed, [done(step, outcome) for step, outcome in chosen])
            said += [(_shown(step.at), step.kind, to(step, outcome.notices)) for step, outcome in chosen]


def to(step: Step, notices: Any) -> tuple[str, ...]:
    return tuple(person for notice, _ in notices for person in notice.to)


def test_whoever_may_is_asked_when_the_grace_is_over_and_others_while_nobody_answers() -> None:
    reminded = (Reminder(after=Duration.parse("1 business day")),)
    mine = line(grace="3 calendar days", mode="approval", asks=("manager",), unanswered=reminded)
    said = lived(LAPSED, held=terms(mine), until="2031-07-30 12:00")
    assert [(when, kind) for when, kind, _ in said] == [
        (BEGUN, "reminder"), ("2031-07-12 12:00", "approval"), ("2031-07-14 17:00", "approval"),
    ]  # fmt: skip
    assert said[1][2] == ("gwen",)
    answered = word("2031-07-12 13:00", "suspension_declined", by="gwen")
    assert [kind for _, kind, _ in lived(LAPSED, answered, held=terms(mine), until="2031-07-30 12:00")] == [
        "reminder",
        "approval",
    ]
    paid = word("2031-07-12 11:00", "payment_current")
    assert [kind for _, kind, _ in lived(LAPSED, paid, held=terms(mine), until="2031-07-30 12:00")] == ["reminder"]


def test_the_payers_are_told_of_each_suspension_and_its_end_once() -> None:
    granted = GRANTED
    said = lived(
        LAPSED, granted, word("2031-07-12 12:00", "payment_current"), held=terms(line()), until="2031-07-30 12:00"
    )
    assert said == [
        (BEGUN, "suspension", (ANN.id,)), ("2031-07-10 10:00", "resumption", (ANN.id,)),
        ("2031-07-11 10:00", "suspension", (ANN.id,)), ("2031-07-12 12:00", "resumption", (ANN.id,)),
    ]  # fmt: skip


def test_X04_a_suspension_that_never_was_is_withdrawn_when_we_hear_of_it() -> None:
    paid = word("2031-07-09 11:00", "payment_current", received="2031-07-11 12:00", reference="A")
    lapsed = word(BEGUN, "payment_lapsed", reference="A")
    said = lived(lapsed, paid, held=terms(line()), until="2031-07-30 12:00")
    assert said == [(BEGUN, "suspension", (ANN.id,)), ("2031-07-11 12:00", "withdrawal", (ANN.id,))]


def test_incidents_of_a_line_are_told_of_that_line() -> None:
    """Also those of a line that the record has no more, for as long as they are open."""
    account = Account(AccountState(customer="acme", terms=terms(line("one"), line("two"))))
    account.enrol("a", "one", known=False)
    account.enrol("b", "two", known=False)
    account.enrol("c", None, known=False)
    assert (account.of_line("one"), account.of_line("two")) == (["a", "c"], ["b"])
    account.take_terms(terms(line("one")), at(BEGUN))
    assert (account.of_line("one"), account.of_line("two")) == (["a", "c"], ["b"])
    account.forget(["a", "b"])
    assert account.state.enrolled == ["c"]
    assert account.state.lines == {}


def test_a_correction_goes_to_those_who_were_told_whoever_pays_by_now() -> None:
    account = Account(AccountState(customer="acme", terms=terms(line())))
    roster = Roster.around(SHELF.team("default"), at(BEGUN))
    account.hear(LAPSED)
    told = choose_account(account.view(at(BEGUN)).owed, roster, [ANN])
    account.begin([step for step, _ in told])
    account.finish([step for step, _ in told], [done(step, outcome) for step, outcome in told])
    eve = Recipient("eve@acme.example", "email", "eve@acme.example", "Eve")
    account.hear(word("2031-07-09 12:00", "payment_current", received="2031-07-10 12:00"))
    (step,) = account.view(at("2031-07-10 12:00")).owed
    ((_, outcome),) = choose_account([step], roster, [eve])
    assert (step.kind, [notice.to for notice, _ in outcome.notices]) == ("withdrawal", [("ann@acme.example",)])
