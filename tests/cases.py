"""Generated tickets: what happened to one, when we heard of it, and how its customer stood; and ways to live through it."""

from dataclasses import dataclass
from datetime import date, datetime, timedelta
from functools import cache
from typing import Any

from hypothesis import strategies as st

from sla.customer import WHOLE
from sla.entries import Entry, Read, StandingTold, entry, record
from sla.evaluate import View
from sla.events import INCIDENT_EVENT, Delivery
from sla.incident import Incident, IncidentState
from sla.ledger import AccountLedger, Interval, Ledger
from sla.perform import choose, done
from sla.player import Player
from sla.policy import Contract, PinnedContract
from sla.roster import Recipient, Roster
from sla.standing import AccountTerms
from sla.story import Line, Script, Story
from tests.stage import SHELF

CONTRACTS = ("tromzo", "bugzero", "reciprocity")
OPENED = datetime.fromisoformat("2031-07-03T17:00:00-07:00")
"""An hour before the close on the eve of a holiday and a weekend."""
ANN = Recipient("ann@acme.example", "email", "ann@acme.example", "Ann")


@cache
def pinned(contract: str) -> PinnedContract:
    """A shipped contract over a year about the opening."""
    return SHELF.pin(contract, None, date(2031, 6, 1), date(2032, 6, 30))


@cache
def roster() -> Roster:
    """The example team."""
    return Roster.around(SHELF.team("default"), OPENED)


@dataclass(frozen=True)
class Case:
    """A contract, what happened (with when we heard of it), and what was told of the customer's standing and the opening."""

    contract: str
    words: tuple[Delivery, ...]
    ledger: Ledger
    read: Read
    span: timedelta

    @property
    def pinned(self) -> PinnedContract:
        return pinned(self.contract)

    @property
    def log(self) -> list[Entry]:
        facts = [record("read", OPENED, self.read), record("standing:1", self.told, StandingTold(ledger=self.ledger))]
        return [*facts, *(entry(word) for word in self.words)]

    @property
    def told(self) -> datetime:
        """When the ledger was told: after the last change in it."""
        return max([OPENED, *(mark for s in self.ledger.suspended for mark in (s.start, s.end) if mark is not None)])

    @property
    def end(self) -> datetime:
        """After all that was heard, of the ticket and of the customer's standing."""
        return max(*(word.received_at for word in self.words), self.told) + self.span


def later(lo: int = 0, hi: int = 12 * 24 * 60) -> st.SearchStrategy[timedelta]:
    """Minutes: often few, sometimes days; often a whole hour, so that boundaries are met."""
    return st.one_of(
        st.integers(lo, 300), st.integers(lo, hi), st.integers(0, hi // 60).map(lambda h: h * 60 + lo)
    ).map(lambda m: timedelta(minutes=m))


def events(contract: Contract, *, closing: bool = True) -> st.SearchStrategy[dict[str, Any]]:
    """One thing that happens to a ticket after its opening."""
    plain = ["acknowledged", "plan_provided", "waiting_on_customer", "resolved", "reopened", "restored"]
    agents = st.sampled_from(plain + ["closed"] * closing).map(lambda name: {"event": name, "by": "dana"})
    replied = st.booleans().map(lambda public: {"event": "agent_replied", "by": "eli", "public": public})
    says = st.sampled_from(["customer_replied", "customer_replied", "authorized", "declined"])
    customers = says.map(lambda name: {"event": name, "by": "ann@acme.example"})
    author = st.sampled_from(["dana", "ann@acme.example"])
    revised = st.builds(
        lambda to, by: {"event": "priority_changed", "to": to, "by": by},
        st.sampled_from(list(contract.priorities)),
        author,
    )
    put_aside = st.sampled_from(list(contract.dispositions)).map(
        lambda name: {"event": "dispositioned", "as": name, "by": "dana"}
    )
    # Another door's opening of the same ticket: it may have happened before the one that was heard first.
    again = st.sampled_from([None, *contract.priorities]).map(
        lambda asked: {"event": "opened", "by": "ann@acme.example", "channel": "email", "priority": asked}
    )
    given_to = st.sampled_from(["dana", "eli", "farid"]).map(lambda who: {"event": "assigned", "to": who, "by": "gwen"})
    return st.one_of(agents, replied, customers, revised, put_aside, given_to, again)


@st.composite
def ledgers(draw: st.DrawFn) -> Ledger:
    """How a customer stood: up to two stretches of suspension, the last of which may last."""
    marks = sorted(set(draw(st.lists(later(-600), max_size=4))))
    ends = [OPENED + mark for mark in marks]
    stretches = [
        Interval(start=a, end=b) for a, b in zip(ends[::2], [*ends[1::2], None][: len(ends[::2])], strict=True)
    ]
    lasts = bool(stretches) and stretches[-1].end is None
    return Ledger(version=1, standing="suspended" if lasts else "current", suspended=tuple(stretches))


@st.composite
def cases(draw: st.DrawFn, contracts: tuple[str, ...] = CONTRACTS, *, closing: bool = True) -> Case:
    """A ticket: its opening, up to nine things that happened (late ones among them), a standing and a reading."""
    name = draw(st.sampled_from(contracts))
    contract = pinned(name).contract
    opening = {
        "event": "opened",
        "by": "ann@acme.example",
        "channel": "email",
        "priority": draw(st.sampled_from([None, *contract.priorities])),
    }
    happened = [
        (timedelta(0), opening),
        *draw(st.lists(st.tuples(later(-60), events(contract, closing=closing)), max_size=9)),
    ]
    words = []
    for i, (after, what) in enumerate(happened):
        at = OPENED + after
        received = at + draw(st.one_of(st.just(timedelta(0)), later()))
        words.append(
            Delivery(key=f"k{i}", occurred_at=at, received_at=received, event=INCIDENT_EVENT.validate_python(what))
        )
    read = Read(
        missing=draw(st.sampled_from([(), (), tuple(contract.checklist.items)[:2]])) if contract.checklist else (),
        authorized_contact=draw(st.sampled_from([True, True, False])),
        language=draw(st.sampled_from(["en", "en", "en", "fr"])),
    )
    return Case(name, tuple(words), draw(ledgers()), read, draw(later()))


def waits(case: Case) -> list[tuple[datetime, datetime | None]]:
    """When an agent waits for the customer, read from the words alone."""
    rank = {"customer_replied": 1, "waiting_on_customer": 5, "resolved": 8, "reopened": 9, "closed": 10}
    found: list[tuple[datetime, datetime | None]] = []
    since: datetime | None = None
    for word in sorted(case.words, key=lambda w: (w.happened, rank.get(w.event.event, 0), w.key)):
        if word.event.event == "waiting_on_customer" and since is None:
            since = word.happened
        elif word.event.event in ("customer_replied", "resolved", "reopened", "closed") and since is not None:
            found.append((since, word.happened))
            since = None
    return found if since is None else [*found, (since, None)]


def living(case: Case) -> Incident:
    """An incident that has heard the whole case and done nothing yet."""
    return Incident(IncidentState(source="s", ticket="a", customer="acme", pinned=case.pinned, log=case.log))


def carry_out(incident: Incident, view: View) -> None:
    """Begin all that is owed, and write down what came of it."""
    incident.begin(view.owed)
    chosen = choose(view.owed, roster(), incident.scene(view), ANN)
    incident.finish(view.owed, [done(step, outcome) for step, outcome in chosen])


@dataclass(frozen=True)
class World:
    """The shipped policies, and every language as told."""

    contract: str

    def pin(self, contract: str, playbook: str | None, at: datetime) -> PinnedContract:
        return pinned(contract)

    def terms(self, customer: str, at: datetime) -> AccountTerms:
        return AccountTerms(contract=self.contract)

    def line(self, customer: str, product: str | None) -> tuple[str, str]:
        return WHOLE, self.contract

    def roster(self, at: datetime) -> Roster:
        return roster()

    def language(self, contract: Contract, opening: Delivery) -> tuple[str | None, str | None]:
        return None, None


def played(words: tuple[Delivery, ...], case: Case, until: datetime) -> dict[str, Any]:
    """The words as one ticket's story, through the pure player."""
    order = sorted(range(len(words)), key=lambda i: (words[i].received_at, i))
    story = Story(title="a", contract=case.contract, happens=())
    script = Script(story, tuple(Line("acme", "a", words[i]) for i in order), until)
    player = Player(script, World(case.contract), case.pinned.contract)
    player.accounts["acme"].state.ledger = AccountLedger(**dict(case.ledger))
    player.play()
    return player.result("core", case.pinned.calendar.timetable())
