"""The tickets in the pictures of docs/operators.md: whenever they are taken, each clock stands where a picture needs it."""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, Final

from temporalio.client import Client

from activities import dispatch
from activities.policies import Policies
from sla import account_events, events, names
from sla.customer import Contact, ContractLine, Customer

SOURCE: Final = "helpdesk"
"""The connected helpdesk that the pictured tickets come from."""


ASKING: Final = "../stories/policies/asking.yaml"
"""A contract that suspends support only when somebody approves."""
LINES: Final = (
    ContractLine(id="grc", title="ZenGRC", products=("zengrc",), contract=ASKING),
    ContractLine(id="audit", title="Audit service", products=("audit",)),
    ContractLine(id="roar", title="ROAR", products=("roar",), contract="tromzo", prepaid=True),
)


def _customer(id: str, contract: str, *lines: ContractLine) -> Customer:
    contact = Contact(email=f"ann@{id}.example", roles=("technical", "support"), prefers="log")
    return Customer(id=id, contract=contract, contacts=(contact,), lines=lines)


CUSTOMERS: Final = {
    customer.id: customer
    for customer in (
        _customer("acme", "tromzo"),
        _customer("birch-bank", "reciprocity"),
        _customer("cedar-clinic", "bugzero"),
        _customer("dune-air", "reciprocity"),
        _customer("elm-estates", "reciprocity", *LINES),
    )
}


@dataclass
class Desk:
    """A service desk whose tickets came in some time ago, so that their clocks stand where a picture needs them."""

    client: Client
    now: datetime
    policies: Policies
    sent: int = 0
    opened: dict[str, str] = field(default_factory=dict)

    def open_ago(self, customer: str, amount: timedelta) -> datetime:
        """The moment since which so much support time has passed under the customer's contract, however late it is."""
        table = self.policies.pin(customer, None, None, self.now).calendar.timetable()
        return table.subtract(self.now, amount)

    def word(self, event: Any, at: datetime) -> events.Delivery:
        self.sent += 1
        return events.Delivery(key=f"word-{self.sent}", occurred_at=at, received_at=datetime.now(UTC), event=event)

    async def opens(self, customer: str, ticket: str, priority: str, at: datetime, **opening: Any) -> None:
        """A ticket opens, `at` being when the customer's message reached the desk."""
        by = opening.pop("by", f"ann@{customer}.example")
        said = {"subject": "Nothing loads", "language": "en", **opening}
        self.opened[ticket] = customer
        await self.happens(ticket, events.Opened(priority=priority, by=by, **said), at)

    async def happens(self, ticket: str, event: Any, at: datetime) -> None:
        """Something happens to a ticket."""
        await dispatch.deliver(self.client, SOURCE, ticket, self.opened[ticket], self.word(event, at))

    async def lapses(self, customer: str, at: datetime, reference: str | None = None) -> None:
        """A customer's payment lapses."""
        what = account_events.PaymentLapsed(reference=reference)
        word = account_events.AccountDelivery(
            key=f"lapse-{customer}", occurred_at=at, received_at=datetime.now(UTC), event=what
        )
        await dispatch.pay(self.client, customer, word)

    async def settled(self) -> None:
        """Every incident has done what it owed."""
        for ticket in self.opened:
            handle = self.client.get_workflow_handle(names.incident_id(SOURCE, ticket))
            for _ in range(600):
                if (await handle.query(names.STATUS)).get("in_flight") == 0:
                    break
                await asyncio.sleep(0.1)
            else:
                raise TimeoutError(f"{handle.id} still has something to do after a minute")


def minutes(amount: float) -> timedelta:
    return timedelta(minutes=amount)


async def play(desk: Desk) -> None:
    """The tickets in the pictures. Reciprocity's response counts day and night; the others' clocks only open hours."""
    now, bank, clinic = desk.now, "birch-bank", "cedar-clinic"
    # Severity 1, a plan is due within 4 hours: in 22 minutes; in 3 hours 20. Severity 3, 12 hours: in 9 minutes.
    await desk.opens(bank, "5101", "S1", now - minutes(218))
    await desk.happens("5101", events.Acknowledged(by="dana"), now - minutes(200))
    await desk.opens(bank, "5102", "S1", now - minutes(40))
    await desk.happens("5102", events.Acknowledged(by="farid"), now - minutes(31))
    await desk.opens(bank, "5107", "S3", now - minutes(711))
    await desk.happens("5107", events.Acknowledged(by="eli"), now - minutes(690))
    # Severity 2, 8 hours: missed 20 minutes ago, and nobody took it.
    await desk.opens(bank, "5103", "S2", now - minutes(500))
    # Three quarters of its 8 hours will be used in a few seconds: the picture of a history shows the step fire.
    await desk.opens(bank, "5104", "S2", now - minutes(360) + timedelta(seconds=15))
    await desk.opens(bank, "5105", "S3", now - minutes(300))
    await desk.happens("5105", events.PlanProvided(by="eli"), now - minutes(240))
    await desk.happens("5105", events.Resolved(by="eli", kind="workaround"), now - minutes(60))
    await desk.opens(bank, "5099", "S4", now - minutes(2880))
    await desk.happens("5099", events.Resolved(by="eli"), now - minutes(1500))
    await desk.happens("5099", events.Closed(by="eli"), now - minutes(20))
    await desk.opens(bank, "5106", "S3", now - minutes(15), subject="Nichts geht mehr", language="de")
    # Tromzo counts open hours; while we wait for the customer its resolution pauses.
    early = desk.open_ago("acme", minutes(300))
    await desk.opens("acme", "4711", "P2", early, fields={"impact": "all", "logs": "attached", "steps": "log in"})
    await desk.happens("4711", events.AgentReplied(by="dana"), desk.open_ago("acme", minutes(240)))
    await desk.happens("4711", events.WaitingOnCustomer(by="dana"), desk.open_ago("acme", minutes(235)))
    await desk.opens("acme", "4712", "P1", desk.open_ago("acme", minutes(100)))
    await desk.happens("4712", events.Acknowledged(by="eli"), desk.open_ago("acme", minutes(90)))
    await desk.opens("acme", "4713", "P4", desk.open_ago("acme", minutes(200)))
    await desk.happens(
        "4713",
        events.Dispositioned.model_validate({"as": "feature_request", "by": "eli"}),
        desk.open_ago("acme", minutes(100)),
    )
    await desk.opens(clinic, "77", "P2", desk.open_ago(clinic, minutes(100)), by="somebody@cedar-clinic.example")
    await desk.opens(clinic, "78", "P1", desk.open_ago(clinic, minutes(450)))
    await desk.happens("78", events.Acknowledged(by="dana"), desk.open_ago(clinic, minutes(440)))
    # Not current with its payments since an hour ago: support is suspended.
    await desk.opens("dune-air", "3001", "S2", now - minutes(150))
    await desk.happens("3001", events.Acknowledged(by="dana"), now - minutes(140))
    await desk.lapses("dune-air", now - minutes(60))
    # Three contract lines: one whose suspension waits for an approval, one that is suspended, one that is paid in advance.
    for ticket, product, ago in (("8001", "zengrc", 30), ("8002", "zengrc", 70), ("8003", "audit", 90)):
        await desk.opens("elm-estates", ticket, "S3", now - minutes(ago), product=product)
        await desk.happens(ticket, events.Acknowledged(by="eli"), now - minutes(ago - 10))
    await desk.lapses("elm-estates", now - minutes(4 * 1440), "INV-2031-77")
    # A word that nobody here understands is kept as a dead letter.
    handle = desk.client.get_workflow_handle(names.incident_id(SOURCE, "4712"))
    await handle.signal("ticket_merged", {"into": "4700"})
