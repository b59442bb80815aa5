"""A customer: its contract lines, who pays for them and where, and the contacts who may ask for support."""

from datetime import date
from typing import Annotated, Literal, Self

from pydantic import BaseModel, ConfigDict, StringConstraints, model_validator

from sla.roster import Recipient

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
Text = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]
Reference = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9_.:-]{1,200}$")]
WHOLE = "support"
"""The one line of a customer that names none."""
CustomerId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]


class Contact(BaseModel):
    """One person of the customer, and the way they prefer to be told (B14)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    email: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)]
    name: str = ""
    roles: tuple[str, ...] = ()
    prefers: Literal["email", "phone", "portal", "log"] = "email"


class BillingLink(BaseModel):
    """Where a customer's payments are kept: which billing account, and who the customer is there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    source: Literal["stripe"] = "stripe"
    account: Name = "main"
    """Which of our accounts with that source, as the hook's address and its settings name it."""
    customer: Reference
    """The customer's id there, such as `cus_9s6XKzkNRiz8i3`."""
    subscription: Reference | None = None
    """The one subscription that counts; left out: whichever of the customer's subscriptions are not over."""


class ContractLine(BaseModel):
    """One of the things that a customer has bought support for, paid for on its own."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: Name
    title: str = ""
    contract: str | None = None
    """The contract's name; left out: the customer's."""
    products: tuple[Text, ...] = ()
    """The products that it covers; left out: all that no other line names."""
    prepaid: bool = False
    """Paid in advance for good: no lapse of payment touches it."""
    prepaid_until: date | None = None
    """Paid in advance up to and with this day (of the contract's calendar): until then no lapse touches it."""
    billing: BillingLink | None = None
    """Left out: the customer's own."""


class Customer(BaseModel):
    """A company under a support contract."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    id: CustomerId
    name: str = ""
    contract: str | None = None
    """The contract's name; left out: the one that the installation gives to customers it does not know."""
    domains: tuple[str, ...] = ()
    """E-mail domains whose senders belong to this customer."""
    contacts: tuple[Contact, ...] = ()
    lines: tuple[ContractLine, ...] = ()
    """The contract lines; left out: one line, `support`, for everything."""
    billing: BillingLink | None = None

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        seen: dict[str, str] = {}
        for line in self.lines:
            for what in (f"the line {line.id!r}", *(f"the product {product!r}" for product in line.products)):
                if what in seen:
                    raise ValueError(f"lines names {what} twice; name it once")
                seen[what] = line.id
        return self

    @property
    def contract_lines(self) -> tuple[ContractLine, ...]:
        """Its lines, at least one."""
        return self.lines or (ContractLine(id=WHOLE),)

    def line(self, product: str | None) -> ContractLine:
        """The line that covers a product: the one that names it, else the first that names none, else the first."""
        lines = self.contract_lines
        named = next((line for line in lines if product is not None and product in line.products), None)
        return named or next((line for line in lines if not line.products), lines[0])

    def billed(self, line: ContractLine) -> BillingLink | None:
        """Where a line's payments are kept."""
        return line.billing or self.billing

    def payers(self) -> tuple[Recipient, ...]:
        """Whom to tell of payments: the contacts for billing and for support, else the first contact."""
        told = [c for c in self.contacts if {"billing", "support"} & set(c.roles)] or list(self.contacts[:1])
        return tuple(Recipient(c.email, c.prefers, c.email, c.name) for c in told)

    def contact(self, email: str | None) -> Contact | None:
        """The contact of that address, upper and lower case alike."""
        wanted = (email or "").casefold()
        return next((c for c in self.contacts if c.email.casefold() == wanted), None)

    def recipient(self, email: str | None) -> Recipient | None:
        """Whom to tell: the author of the request, else the support contact, else the first contact."""
        contact = self.contact(email)
        if contact is None and email:
            return Recipient(email, "email", email)
        if contact is None:
            contact = next((c for c in self.contacts if "support" in c.roles), next(iter(self.contacts), None))
        if contact is None:
            return None
        return Recipient(contact.email, contact.prefers, contact.email, contact.name)


DEFAULT_CUSTOMER = Customer(
    id="acme",
    name="Acme",
    contacts=(Contact(email="ann@acme.example", name="Ann", roles=("technical", "support")),),
)
"""The customer of a story that names none."""
