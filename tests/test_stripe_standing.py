"""What each status of a subscription at Stripe means for a contract line, and when; read twice, it is told once."""

from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from itertools import product
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from activities.calls import Outstanding
from activities.stripe import Invoice, Subscription
from activities.stripe_standing import STATUSES, Reading, news, standing, unexplained, wanted
from sla.account_events import AccountDelivery
from sla.civil import from_us
from sla.standing import AccountTerms, LineTerms, fold

DAY = timedelta(days=1)
START = datetime(2031, 7, 1, 12, 0, tzinfo=UTC)
NOW = START + 20 * DAY


def s(at: datetime | None) -> int | None:
    """As Stripe writes a moment."""
    return None if at is None else int(at.timestamp())


def invoice(id: str = "in_1", status: str = "open", *, day: int = 1, **more: Any) -> dict[str, Any]:
    turned = {"finalized_at": s(START + day * DAY)} | {name: s(at) for name, at in more.pop("turned", {}).items()}
    return {"id": id, "status": status, "created": s(START), "status_transitions": turned, **more}


def subscription(status: str, latest: Any = None, id: str = "sub_1", **more: Any) -> Subscription:
    told = {"id": id, "status": status, "customer": "cus_1", "created": s(START), "latest_invoice": latest, **more}
    return Subscription.model_validate(told)


def reading(*some: Subscription, invoices: Iterable[dict[str, Any]] = (), at: datetime = NOW) -> Reading:
    known = {one["id"]: Invoice.model_validate(one) for one in invoices}
    known |= {one.latest_invoice.id: one.latest_invoice for one in some if isinstance(one.latest_invoice, Invoice)}
    return Reading("main", at, some, known)


def owed(reference: str | None, day: int = 1, line: str = "support", **more: Any) -> Outstanding:
    return Outstanding(line=line, reference=reference, since=START + day * DAY, **more)


def told(words: Iterable[AccountDelivery]) -> list[tuple[str, str | None, float]]:
    """Each event, its reference, and the days since the start."""
    return [(w.event.event, getattr(w.event, "reference", None), (w.occurred_at - START) / DAY) for w in words]


LAPSED, CURRENT, OVER = "payment_lapsed", "payment_current", "contract_terminated"
IN_1, SUB_1 = "stripe:main:in_1", "stripe:main:sub_1"
TRIAL = START + 5 * DAY
NEWS: list[tuple[Subscription, str, list[tuple[str, str, float]]]] = [
    (subscription("active", invoice(status="paid")), "current", []),
    (subscription("trialing"), "current", []),
    (subscription("past_due", invoice(day=3)), "lapsed", [(LAPSED, IN_1, 3)]),
    (subscription("unpaid", invoice(day=3)), "lapsed", [(LAPSED, IN_1, 3)]),
    (subscription("past_due", invoice(due_date=s(START + 9 * DAY))), "lapsed", [(LAPSED, IN_1, 9)]),
    (subscription("past_due", invoice(due_date=s(START + 99 * DAY))), "lapsed", [(LAPSED, IN_1, 20)]),
    (subscription("past_due", invoice(status_transitions={})), "lapsed", [(LAPSED, IN_1, 0)]),
    (subscription("past_due"), "lapsed", [(LAPSED, f"{SUB_1}:past_due:none", 20)]),
    (subscription("incomplete", invoice()), "lapsed", [(LAPSED, IN_1, 0)]),
    (subscription("incomplete"), "lapsed", [(LAPSED, f"{SUB_1}:incomplete", 0)]),
    (subscription("incomplete_expired", ended_at=s(START + DAY)), "terminated", [(OVER, SUB_1, 1)]),
    (
        subscription("incomplete_expired", invoice(status="void", turned={"voided_at": START + 2 * DAY})),
        "terminated",
        [(OVER, SUB_1, 2)],
    ),
    (subscription("canceled", ended_at=s(START + 4 * DAY), canceled_at=s(START)), "terminated", [(OVER, SUB_1, 4)]),
    (subscription("canceled", canceled_at=s(START + 3 * DAY)), "terminated", [(OVER, SUB_1, 3)]),
    (subscription("canceled"), "terminated", [(OVER, SUB_1, 20)]),
    (subscription("paused", trial_end=s(TRIAL)), "lapsed", [(LAPSED, f"{SUB_1}:paused:{s(TRIAL)}", 5)]),
    (subscription("paused"), "lapsed", [(LAPSED, f"{SUB_1}:paused", 20)]),
]


@pytest.mark.parametrize(("one", "stands", "events"), NEWS, ids=lambda value: getattr(value, "status", ""))
def test_each_status_has_its_meaning_and_its_moment(one: Subscription, stands: str, events: list[Any]) -> None:
    assert standing(reading(one)) == stands
    assert told(news(reading(one), "support", [])) == events


def test_every_status_that_stripe_has_is_in_the_table() -> None:
    assert {one.status for one, *_ in NEWS} == STATUSES


@pytest.mark.parametrize(("one", "stands", "events"), NEWS, ids=lambda value: getattr(value, "status", ""))
def test_what_the_account_has_is_not_told_again(one: Subscription, stands: str, events: list[Any]) -> None:
    known = [owed(reference, terminated=event == OVER) for event, reference, _ in events]
    assert news(reading(one), "support", known) == ()


@pytest.mark.parametrize(("one", "stands", "events"), NEWS, ids=lambda value: getattr(value, "status", ""))
def test_read_twice_it_has_the_same_keys(one: Subscription, stands: str, events: list[Any]) -> None:
    later = reading(one, at=NOW + DAY)
    if any(day == 20 for *_, day in events) and one.latest:
        return  # a due date that lies ahead is no moment of Stripe's yet
    assert [w.key for w in news(later, "support", [])] == [w.key for w in news(reading(one), "support", [])]


PAID = START + 8 * DAY
SETTLED: list[tuple[Reading, Outstanding, float | None]] = [
    # The invoice itself was paid, voided, or given up and the subscription lives on.
    (reading(subscription("active", invoice(status="paid", turned={"paid_at": PAID}))), owed(IN_1), 8),
    (reading(subscription("active", invoice(status="void", turned={"voided_at": PAID}))), owed(IN_1), 8),
    (
        reading(subscription("active", invoice(status="uncollectible", turned={"marked_uncollectible_at": PAID}))),
        owed(IN_1),
        8,
    ),
    # Paid before it was due: the moment stands, and undoes the lapse.
    (reading(subscription("active", invoice(status="paid", turned={"paid_at": START}))), owed(IN_1), 0),
    # Another invoice was paid since; an older payment settles nothing, so it is the moment of reading.
    (
        reading(
            subscription("active", invoice("in_2", "paid", turned={"paid_at": PAID})),
            invoices=[invoice("in_1", "open")],
        ),
        owed(IN_1),
        8,
    ),
    (reading(subscription("active", invoice("in_2", "paid", turned={"paid_at": START}))), owed(IN_1), 20),
    (reading(subscription("trialing")), owed(IN_1), 20),
    (reading(subscription("active")), owed("stripe:main:sub_1:paused:5"), 20),
    (reading(subscription("active")), owed("stripe:elsewhere:in_9"), 20),
    # A new subscription after one that ended: from its beginning.
    (reading(subscription("active", id="sub_2", created=s(PAID))), owed(SUB_1, terminated=True), 8),
    (reading(subscription("active", id="sub_2", created=s(START + DAY))), owed(SUB_1, terminated=True), 1),
    (
        reading(subscription("past_due", invoice("in_2", day=9), "sub_2", created=s(PAID))),
        owed(SUB_1, terminated=True),
        8,
    ),
    # Still unpaid, or still over.
    (reading(subscription("past_due", invoice())), owed(IN_1), None),
    (reading(subscription("past_due", invoice("in_2")), invoices=[invoice()]), owed(IN_1), None),
    (reading(subscription("unpaid", invoice("in_2")), invoices=[invoice(status="uncollectible")]), owed(IN_1), None),
    (reading(subscription("canceled", ended_at=s(PAID)), invoices=[invoice()]), owed(IN_1), None),
    (reading(subscription("canceled", ended_at=s(PAID))), owed(SUB_1, terminated=True), None),
    # Paid, though something else is unpaid or over.
    (
        reading(subscription("past_due", invoice("in_2")), invoices=[invoice(status="paid", turned={"paid_at": PAID})]),
        owed(IN_1),
        8,
    ),
    (
        reading(subscription("canceled", ended_at=s(NOW)), invoices=[invoice(status="paid", turned={"paid_at": PAID})]),
        owed(IN_1),
        8,
    ),
    (reading(subscription("past_due", invoice("in_2"))), owed("stripe:main:sub_1:paused:5"), 20),
]


@pytest.mark.parametrize(("read", "item", "day"), SETTLED)
def test_what_is_outstanding_is_settled_when_it_was_paid(read: Reading, item: Outstanding, day: float | None) -> None:
    settled = [w for w in news(read, "support", [item]) if w.event.event == CURRENT]
    assert told(settled) == ([] if day is None else [(CURRENT, item.reference, day)])
    again = Reading(read.account, read.at + DAY, read.subscriptions, read.invoices)
    assert [w.key for w in settled] == [w.key for w in news(again, "support", [item]) if w.event.event == CURRENT]


@pytest.mark.parametrize("status", sorted(STATUSES))
def test_what_stripe_did_not_say_stripe_does_not_settle(status: str) -> None:
    """A lapse that an operator entered, or that another source told, or of another line, stays."""
    read = reading(subscription(status, invoice(status="paid", turned={"paid_at": PAID})))
    others = [owed(None), owed("INV-77"), owed("erp:stripe:main:in_1"), owed(IN_1, line="other")]
    assert [w for w in news(read, "support", others) if w.event.event == CURRENT] == []


BESIDE: list[tuple[tuple[str, ...], str]] = [
    (("active", "canceled"), "current"),
    (("active", "incomplete"), "current"),
    (("active", "incomplete_expired"), "current"),
    (("trialing", "paused"), "current"),
    (("active", "past_due"), "lapsed"),
    (("trialing", "unpaid", "canceled"), "lapsed"),
    (("past_due", "canceled"), "lapsed"),
    (("paused", "canceled"), "lapsed"),
    (("incomplete", "incomplete_expired"), "lapsed"),
    (("incomplete", "canceled"), "terminated"),
    (("canceled", "incomplete_expired"), "terminated"),
]


@pytest.mark.parametrize(("statuses", "stands"), BESIDE)
def test_beside_a_living_subscription_only_one_that_owes_money_counts(statuses: tuple[str, ...], stands: str) -> None:
    some = [subscription(status, invoice(f"in_{i}"), f"sub_{i}") for i, status in enumerate(statuses)]
    assert {standing(reading(*order)) for order in (some, some[::-1])} == {stands}


def test_of_several_that_are_over_the_last_one_counts() -> None:
    ends = [subscription("canceled", id=f"sub_{i}", ended_at=s(START + i * DAY)) for i in (3, 7, 5)]
    assert told(news(reading(*ends), "support", [])) == [(OVER, "stripe:main:sub_7", 7)]


def test_a_customer_without_any_subscription_changes_nothing() -> None:
    assert standing(reading()) is None
    assert news(reading(), "support", [owed(IN_1)]) == ()


def test_where_the_latest_invoice_is_a_draft_the_oldest_open_one_is_what_is_owed() -> None:
    one = subscription("unpaid", invoice("in_9", "draft"))
    beside = {"parent": {"subscription_details": {"subscription": "sub_1"}}}
    some = [
        invoice("in_5", day=5, **beside),
        invoice("in_3", day=3, **beside),
        invoice("in_1", day=1, subscription="sub_x"),
    ]
    assert unexplained(reading(one)) == ("sub_1",)
    assert told(news(reading(one, invoices=some), "support", [])) == [(LAPSED, "stripe:main:in_3", 3)]


def test_what_was_given_up_is_not_owed_again_when_a_later_invoice_is_open() -> None:
    """Its lapse is settled, and known by its key: told again, it would suspend nobody."""
    one = subscription("unpaid", invoice("in_9", "draft"))
    some = [
        invoice("in_1", "uncollectible", day=1, subscription="sub_1"),
        invoice(day=7, id="in_5", subscription="sub_1"),
    ]
    assert told(news(reading(one, invoices=some), "support", [])) == [(LAPSED, "stripe:main:in_5", 7)]


def test_a_second_lapse_after_a_payment_has_another_key() -> None:
    first = news(reading(subscription("past_due", invoice())), "support", [])
    second = news(reading(subscription("past_due", invoice("in_2", day=9))), "support", [])
    assert first[0].key != second[0].key


def test_a_line_that_is_prepaid_up_to_a_day_does_not_end_before_it() -> None:
    read = reading(subscription("canceled", ended_at=s(PAID)))
    assert told(news(read, "support", [], prepaid=True)) == [(LAPSED, SUB_1, 8)]
    assert news(read, "support", [owed(SUB_1)], prepaid=True) == ()
    back = reading(subscription("active", id="sub_2", created=s(NOW)))
    assert told(news(back, "support", [owed(SUB_1, 8)], prepaid=True)) == [(CURRENT, SUB_1, 20)]


def test_only_the_invoices_that_matter_are_asked_for() -> None:
    some = [
        subscription("active", invoice("in_1")),
        subscription("past_due", "in_2", "sub_2"),
        subscription("canceled", "in_3", "sub_3"),
    ]
    known = [owed("stripe:main:in_4"), owed("stripe:other:in_5"), owed("stripe:main:sub_3"), owed("INV-77"), owed(None)]
    assert wanted("main", some, known) == ("in_2", "in_4")


@pytest.mark.parametrize(
    "shape",
    [
        {"subscription": "sub_7"},
        {"subscription": {"id": "sub_7"}},
        {"parent": {"subscription_details": {"subscription": "sub_7"}}},
    ],
)
def test_an_invoice_tells_its_subscription_in_old_and_new_versions_of_the_api(shape: dict[str, Any]) -> None:
    assert Invoice.model_validate({"id": "in_1", **shape}).of == "sub_7"


def test_odd_moments_are_none_and_unknown_fields_no_fault() -> None:
    one = Invoice.model_validate(
        {"id": "in_1", "due_date": "soon", "created": True, "status_transitions": {"paid_at": 1e99}, "new": {}}
    )
    assert (one.due_date, one.created, one.status_transitions.paid_at) == (None, None, None)


STEPS = st.lists(
    st.tuples(st.sampled_from(sorted(STATUSES)), st.sampled_from(["open", "paid", "void", "uncollectible", "draft"])),
    min_size=1,
    max_size=8,
)
TERMS = [AccountTerms(lines=(LineTerms(id="support"),))]


@settings(max_examples=300, deadline=None)
@given(steps=STEPS, skipped=st.sets(st.integers(0, 7)))
def test_whatever_was_missed_the_account_ends_as_the_last_reading_says(
    steps: list[tuple[str, str]], skipped: set[int]
) -> None:
    """Any walk of one subscription, any of its stations unread but the last: the fold of what was told stands as Stripe does."""
    log: list[AccountDelivery] = []
    last = reading()
    for i, (status, bill) in enumerate(steps):
        if i in skipped and i < len(steps) - 1:
            continue
        at = START + (2 + 2 * i) * DAY
        turned = {name: at - DAY for name, on in (("paid_at", "paid"), ("voided_at", "void")) if bill == on}
        one = subscription(
            status, invoice(f"in_{i}", bill, day=2 * i, turned=turned), trial_end=s(at - DAY), id=f"sub_{i}"
        )
        last = reading(one, at=at)
        known = fold(log, TERMS)["support"].outstanding
        asked = [
            Outstanding(line="support", reference=due.reference, since=from_us(due.start), terminated=due.terminated)
            for due in known
        ]
        log += news(last, "support", asked)
    outstanding = fold(log, TERMS)["support"].outstanding
    ends = "current" if not outstanding else "terminated" if any(d.terminated for d in outstanding) else "lapsed"
    assert ends == standing(last)


def test_the_table_of_all_pairs_of_statuses_is_settled_by_a_living_one() -> None:
    """From any state, a reading that is current leaves nothing of Stripe's outstanding."""
    for before, now in product(sorted(STATUSES), ("active", "trialing")):
        first = news(reading(subscription(before, invoice(), trial_end=s(TRIAL))), "support", [])
        known = [owed(getattr(w.event, "reference"), terminated=w.event.event == OVER) for w in first]  # noqa: B009
        words = news(reading(subscription(now, invoice("in_2", "paid"), "sub_2")), "support", known)
        assert {getattr(w.event, "reference") for w in words} == {item.reference for item in known}  # noqa: B009
