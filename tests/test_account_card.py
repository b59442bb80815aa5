"""What a person reads of an account in the Temporal UI, and what `standing` says comes next."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

from activities.policies import Policies
from records.shelf import Shelf
from sla.account import Account, AccountState, AccountView
from sla.account_events import (
    AccountDelivery,
    ContractTerminated,
    ExceptionGranted,
    PaymentCurrent,
    PaymentLapsed,
    SuspensionApproved,
    SuspensionDeclined,
)
from sla.customer import ContractLine, Customer
from workflows.account_card import account_card, account_timer
from workflows.account_lines import of_line

ROOT = Path(__file__).resolve().parent.parent
NOON = datetime(2031, 7, 9, 19, tzinfo=UTC)
"""Wednesday 12:00 in Los Angeles."""
ASKING, PATIENT = "../stories/policies/asking.yaml", "../stories/policies/patient.yaml"
ROAR = ContractLine(id="roar", title="ROAR", products=("roar",), contract="tromzo", prepaid=True)


class Book:
    """An account under a contract of the stories, with three incidents of its first line."""

    def __init__(self, contract: str, *lines: ContractLine) -> None:
        acme = Customer(id="acme", contract=contract, lines=lines)
        policies = Policies(Shelf(ROOT / "policies"), only={"acme": acme}, base=ROOT / "policies")
        self.account = Account(AccountState(customer="acme"))
        self.account.take_terms(policies.terms("acme", None, NOON), NOON)
        for number in range(3):
            self.account.enrol(f"incident/cli/{number}", None, False)

    def hear(self, event: Any, days: float = 0) -> None:
        at, key = NOON + timedelta(days=days), f"k{len(self.account.state.log)}"
        self.account.hear(AccountDelivery(key=key, occurred_at=at, received_at=at, event=event))

    def view(self, days: float = 0) -> AccountView:
        return self.account.view(NOON + timedelta(days=days))

    def card(self, days: float = 0) -> str:
        return account_card(self.view(days), self.account)


def test_who_is_current_has_nothing_to_do() -> None:
    book = Book(PATIENT)
    assert (
        book.card()
        == """\
**Current: nothing is outstanding that we know of.**
Account of acme; 3 incidents enrolled.

**Contract lines**
✔ **`support`** current
• contract: patient (R12)

**You may:** grant_exception
`pactkeeper standing acme` tells all of it.

Times are those of America/Los_Angeles."""
    )


def test_X03_within_the_grace_it_says_when_support_is_suspended_and_the_timer_too() -> None:
    book = Book(PATIENT)
    book.hear(PaymentLapsed(reference="INV-7"))
    card = book.card(1)
    assert card.startswith("**A payment is outstanding; support is given.**")
    assert "• why: payment outstanding (INV-7)" in card
    assert "• next: suspended from Wed 16 Jul 2031 12:00 PDT (19:00 UTC) unless it is paid" in card
    assert account_timer(book.view(1)) == "suspend support: support, Wed 16 Jul 19:00 UTC"
    assert "approve_suspension" not in card


def test_an_approval_is_asked_with_what_it_would_do_and_how_it_is_given() -> None:
    book = Book(ASKING, ContractLine(id="grc", title="ZenGRC"), ROAR)
    book.hear(PaymentLapsed(reference="INV-7"))
    assert "an approval of the suspension is asked on Sat 12 Jul 2031 12:00 PDT" in book.card(1)
    assert account_timer(book.view(1)).startswith("ask for an approval")
    book.account.begin(book.view(4).owed)
    card = book.card(4)
    assert card.startswith("**Somebody is asked: suspend support while the payment is outstanding?**")
    assert "decide whether support of ZenGRC is suspended. By approving, 3 enrolled incidents stand still." in card
    assert "`pactkeeper approve acme --line grc --by YOU` or `pactkeeper decline-suspension acme --line grc" in card
    assert "• next: waits for an approval, asked on Sun 13 Jul 2031 12:00 PDT" in card or "asked on Sat 12 Jul" in card
    assert "✔ **ROAR (`roar`)** current, paid in advance" in card
    book.hear(SuspensionApproved(by="gwen"), 5)
    assert book.card(5).startswith("**Support is suspended in part; the other lines are served.**")
    assert of_line(book.account, book.view(5))["grc"]["incidents"] == [f"incident/cli/{n}" for n in range(3)]


def test_a_declined_suspension_says_by_whom() -> None:
    book = Book(ASKING)
    book.hear(PaymentLapsed())
    book.hear(SuspensionDeclined(by="gwen"), 4)
    card = book.card(5)
    assert "support goes on: gwen declined the suspension on Sun 13 Jul 2031 12:00 PDT" in card
    book.hear(PaymentCurrent(), 6)
    book.hear(PaymentLapsed(), 7)
    assert "declined" not in book.card(7.5), "an answer holds for the lapse that it was given for"


def test_an_exception_says_who_why_and_until_when_and_is_no_markup() -> None:
    book = Book(PATIENT)
    book.hear(PaymentLapsed())
    book.hear(ExceptionGranted(by="gwen", why="their [launch](http://x)", until=NOON + timedelta(days=9)), 8)
    card = book.card(8)
    assert card.startswith("**Support goes on by an exception that ends by itself.**")
    until = "Fri 18 Jul 2031 12:00 PDT (19:00 UTC)"
    assert f"• next: exception by gwen until {until}; then suspended unless it is paid" in card
    assert "• the exception's reason: `their [launch](http://x)`" in card
    assert "end_exception" in card


def test_the_end_of_the_contract_and_a_dead_letter_are_on_the_card() -> None:
    book = Book(PATIENT)
    book.hear(ContractTerminated(reference="sub_1"))
    book.hear(PaymentLapsed(line="nowhere"))
    card = book.card()
    assert card.startswith("**The contract has ended; no clock runs.**")
    assert "∅ **`support`** terminated since Wed 09 Jul 2031 12:00 PDT" in card
    assert "**Dead letters: 1.** The last: there is no contract line" in card


def test_a_customer_with_a_hundred_lines_has_a_card_that_can_be_read() -> None:
    book = Book(PATIENT, *(ContractLine(id=f"line{n}") for n in range(100)))
    book.hear(PaymentLapsed())
    assert "and 80 more" in book.card(1)
