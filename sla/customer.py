"""A customer: its contract and the contacts who may ask for support."""

from typing import Annotated, Literal

from pydantic import BaseModel, ConfigDict, StringConstraints

from sla.roster import Recipient

CustomerId = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=120)]


class Contact(BaseModel):
    """One person of the customer, and the way they prefer to be told (B14)."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    email: Annotated[str, StringConstraints(strip_whitespace=True, pattern=r"^[^@\s]+@[^@\s]+$", max_length=320)]
    name: str = ""
    roles: tuple[str, ...] = ()
    prefers: Literal["email", "phone", "portal", "log"] = "email"


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
