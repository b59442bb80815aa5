"""Generated histories: a customer's lapses and payments, its tickets, and the ways in which we hear of it all."""

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import UTC, date, datetime, time, timedelta
from functools import cache, cached_property
from typing import Any
from zoneinfo import ZoneInfo

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from activities.policies import Policies
from sla.customer import WHOLE, Contact, ContractLine, Customer
from sla.policy import PinnedContract
from sla.standing import AccountTerms
from sla.story import Story, script
from sla.timetable import Timetable
from starter.stories import Loaded
from tests.stage import ROOT, SHELF
from tests.walker import zone

BASE = ROOT / "stories" / "standing"
FAMILIES = (
    ("reciprocity", "../policies/patient.yaml", "../policies/asking.yaml"),
    ("tromzo", "bugzero"),
)
"""Contracts that know the same priorities, so that one customer may have lines under several of them."""
PLACES = {"bugzero": "America/Denver"}
ANCHORS = (date(2031, 7, 2), date(2031, 10, 29), date(2032, 3, 10))
"""A holiday beside a weekend; clocks that go back; clocks that go forward."""
DAYS = 9
"""How long things happen; a promise or a grace may reach further."""
ANN = "ann@acme.example"
Happening = dict[str, Any]


@dataclass(frozen=True)
class Heard:
    """Something that happened, and when we heard of it: late, or more than once, or both."""

    at: datetime
    received: tuple[datetime, ...]
    what: Happening

    @property
    def told(self) -> list[Happening]:
        """As a story says it, once for each delivery."""
        return [{**self.what, "at": _text(self.at), "received": _text(one)} for one in self.received]


@dataclass(frozen=True)
class History:
    """What happened to one customer, and until when it is looked at."""

    contract: str
    lines: tuple[ContractLine, ...]
    heard: tuple[Heard, ...]
    rest: timedelta
    order: tuple[int, ...] = ()

    @cached_property
    def until(self) -> datetime:
        """After all that was heard."""
        return max(one for heard in self.heard for one in heard.received) + self.rest

    @property
    def contract_lines(self) -> tuple[ContractLine, ...]:
        return self.lines or (ContractLine(id=WHOLE),)

    @property
    def tickets(self) -> list[str]:
        return sorted({h.what["ticket"] for h in self.heard if "ticket" in h.what})

    def of(self, ticket: str | None) -> list[Heard]:
        """What happened to a ticket, or (None) to the customer's account."""
        return [h for h in self.heard if h.what.get("ticket") == ticket]

    def line_of(self, ticket: str) -> ContractLine:
        """The contract line that a ticket is about, by the product that its opening names."""
        product = next(h.what.get("product") for h in self.of(ticket) if h.what["event"] == "opened")
        return next((line for line in self.contract_lines if product in line.products), self.contract_lines[0])

    def contract_of(self, line: ContractLine) -> str:
        return line.contract or self.contract

    def prompt(self) -> "History":
        """The same, with each word heard once, and as soon as it was said."""
        at_once = tuple(replace(one, received=(one.at,)) for one in self.heard)
        return replace(self, heard=at_once, rest=self.until - max(one.at for one in at_once))

    def loaded(self) -> Loaded:
        """As a story that both engines play."""
        customer = Customer(
            id="acme", name="Acme", lines=self.lines, contacts=(Contact(email=ANN, roles=("support",)),)
        )
        told = [word for heard in self.heard for word in heard.told]
        place = {i: self.order[i % len(self.order)] if self.order else 0 for i in range(len(told))}
        happens = [
            told[i] for i in sorted(place, key=lambda i: (told[i]["event"] != "opened" or not self.lines, place[i]))
        ]
        story = Story(
            title="a history",
            contract=self.contract,
            customers=(customer,),
            happens=tuple(happens),
            until=_text(self.until),
        )
        contract = SHELF.contract(self.contract, BASE)
        table = pinned(self.contract).calendar.timetable()
        return Quick(
            BASE / "history.yaml",
            script(story, contract, table),
            contract,
            table,
            Policies(SHELF, only={"acme": customer}, base=BASE),
            {},
        )


class Quick(Loaded):
    """A story whose contracts are pinned once for all histories."""

    def pin(self, contract: str, playbook: str | None, at: datetime) -> PinnedContract:
        return pinned(contract)

    def terms(self, customer: str, at: datetime) -> AccountTerms:
        (known,) = self.policies.customers().values()
        return _terms(known, self.script.story.contract)


@cache
def pinned(contract: str) -> PinnedContract:
    """A contract over all the days that a history may touch."""
    return SHELF.pin(contract, None, date(2031, 5, 1), date(2032, 12, 31), BASE)


@cache
def _terms(customer: Customer, contract: str) -> AccountTerms:
    policies = Policies(SHELF, only={"acme": customer}, base=BASE)
    return policies.terms("acme", contract, datetime(2031, 7, 1, tzinfo=UTC))


def place(contract: str) -> ZoneInfo:
    """Where a contract's hours are counted."""
    return zone(PLACES.get(contract, "America/Los_Angeles"))


def table_of(contract: str) -> Timetable:
    return pinned(contract).calendar.timetable()


def _text(at: datetime) -> str:
    return at.astimezone(UTC).isoformat()


def moments(anchor: date) -> st.SearchStrategy[datetime]:
    """Minutes of the days after the anchor: often of the working day, often whole hours, so that edges are met."""
    here = place("")
    days = st.integers(0, DAYS - 1).map(lambda n: anchor + timedelta(days=n))
    clocks = st.one_of(
        st.builds(time, st.integers(6, 18)),
        st.builds(time, st.integers(7, 17), st.sampled_from([0, 15, 30, 59])),
        st.builds(time, st.integers(0, 23), st.integers(0, 59)),
    )
    return st.builds(lambda day, clock: datetime.combine(day, clock, tzinfo=here).astimezone(UTC), days, clocks)


DELAYS = st.one_of(
    st.just(0), st.just(0), st.just(0), st.sampled_from([1, 30, 60, 240]), st.integers(0, 6 * 24).map(lambda h: h * 60)
).map(lambda minutes: timedelta(minutes=minutes))


def account_events(lines: tuple[ContractLine, ...], anchor: date) -> st.SearchStrategy[Happening]:
    """One thing that happens to a customer."""
    line = st.sampled_from([None, None, None, *(one.id for one in lines), *(["unknown"] if lines else [])])
    reference = st.sampled_from([None, "INV-1", "INV-2"])
    named = {"line": line, "reference": reference}
    lapsed = st.fixed_dictionaries({"event": st.just("payment_lapsed"), **named})
    paid = st.fixed_dictionaries({"event": st.just("payment_current"), **named})
    ended = st.fixed_dictionaries({"event": st.just("contract_terminated"), **named})
    answers = st.sampled_from(["suspension_approved", "suspension_approved", "suspension_declined", "exception_ended"])
    answered = st.fixed_dictionaries({"event": answers, "line": line, "by": st.just("gwen")})
    until = {"by": st.just("gwen"), "why": st.just("launch"), "until": moments(anchor).map(_text)}
    granted = st.fixed_dictionaries({"event": st.just("exception_granted"), "line": line, **until})
    either = st.one_of(lapsed, lapsed, lapsed, paid, answered, answered, granted, ended)
    return either.map(lambda what: {"customer": "acme", **{k: v for k, v in what.items() if v is not None}})


def ticket_events(priorities: list[str]) -> st.SearchStrategy[Happening]:
    """One thing that happens to a ticket after its opening."""
    dana = st.sampled_from(
        [
            "agent_replied",
            "plan_provided",
            "waiting_on_customer",
            "waiting_on_customer",
            "resolved",
            "reopened",
            "acknowledged",
        ]
    )
    revised = st.builds(
        lambda to, by: {"event": "priority_changed", "to": to, "by": by}, st.sampled_from(priorities), st.sampled_from(["dana", ANN])
    )  # fmt: skip
    return st.one_of(
        dana.map(lambda name: {"event": name, "by": "dana"}), revised, st.just({"event": "customer_replied", "by": ANN})
    )


@st.composite
def lines_of(draw: st.DrawFn, family: tuple[str, ...], anchor: date) -> tuple[ContractLine, ...]:
    """One line for everything, or two, of which the second may be under another contract and paid in advance."""
    if draw(st.booleans()):
        return ()
    until = st.integers(1, DAYS - 2).map(lambda n: anchor + timedelta(days=n))
    second = ContractLine(
        id="two", products=("two",), contract=draw(st.sampled_from([None, *family])), prepaid=draw(st.sampled_from([False, False, True])),
        prepaid_until=draw(st.one_of(st.none(), until)),
    )  # fmt: skip
    return (
        ContractLine(id="one", products=("one",), prepaid_until=draw(st.one_of(st.none(), st.none(), until))),
        second,
    )


@st.composite
def histories(draw: st.DrawFn) -> History:
    """One to three tickets of one customer, two to nine words about its payments, and how we heard of it all."""
    anchor, family = draw(st.sampled_from(ANCHORS)), draw(st.sampled_from([FAMILIES[0], FAMILIES[0], FAMILIES[1]]))
    contract = draw(st.sampled_from(family))
    lines = draw(lines_of(family, anchor))
    priorities = list(pinned(contract).contract.priorities)
    happened: list[tuple[datetime, Happening]] = []
    for ticket in ("a", "b", "c")[: draw(st.integers(1, 3))]:
        opened = draw(moments(anchor))
        opening = {
            "ticket": ticket,
            "event": "opened",
            "by": ANN,
            "channel": "email",
            "priority": draw(st.sampled_from([None, *priorities])),
        }
        opening["product"] = draw(st.sampled_from(["one", "two"])) if lines else None
        happened.append((opened, {k: v for k, v in opening.items() if v is not None}))
        for at, what in draw(st.lists(st.tuples(moments(anchor), ticket_events(priorities)), max_size=6)):
            happened.append((max(at, opened), {"ticket": ticket, **what}))
    happened += draw(st.lists(st.tuples(moments(anchor), account_events(lines, anchor)), min_size=2, max_size=9))
    heard: dict[tuple[Any, ...], Heard] = {}
    for at, what in happened:
        once = (
            (what.get("ticket"), at, what["event"])
            if what["event"] == "priority_changed"
            else (at, *sorted(what.items()))
        )
        received = tuple(at + delay for delay in draw(st.lists(DELAYS, min_size=1, max_size=2)))
        if (
            lines and what["event"] == "opened"
        ):  # Its product says which line it is about: it must be the first word of its ticket.
            received = (at, *received)
        heard.setdefault(once, Heard(at, received, what))
    rest = draw(st.one_of(st.just(0), st.integers(0, 12 * 24))) * timedelta(hours=1)
    order = tuple(draw(st.lists(st.integers(0, 9), max_size=5)))
    return History(contract, lines, tuple(heard.values()), rest, order)


def sample(count: int, wanted: Callable[[History], bool] = lambda history: True) -> list[History]:
    """The same histories every time."""
    found: list[History] = []

    @settings(
        max_examples=count, deadline=None, derandomize=True, database=None, phases=[Phase.generate],
        suppress_health_check=[HealthCheck.too_slow, HealthCheck.data_too_large],
    )  # fmt: skip
    @given(histories())
    def collect(history: History) -> None:
        if wanted(history):
            found.append(history)

    collect()
    return found
