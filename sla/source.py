"""One connected source, as its file says: whose its tickets are, and how its words map to ours."""

import ipaddress
import re
from collections.abc import Mapping
from typing import Annotated, Any, Literal

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, StringConstraints

from sla.customer import CustomerId, Name
from sla.roster import MemberId

State = Literal["open", "waiting", "resolved", "closed", "ignored"]
"""What a helpdesk's status means: worked on; waiting on the customer; relief was given; over; nothing to us."""
Part = Literal["notes", "assignee", "priority", "due", "tags"]
Short = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1, max_length=200)]


def _plain(value: Any) -> Any:
    """YAML reads `1` as a number; as a name of the helpdesk's it is a text."""
    if isinstance(value, Mapping):
        return {str(name): one for name, one in value.items()}
    return value


_ADDRESS = re.compile(
    r"https?://(?:\[([0-9a-f:.]+)\]|([0-9.]+)|[a-z0-9_](?:[a-z0-9_.-]*[a-z0-9_])?\.?)(?::0*([1-9][0-9]{0,4}))?(?:/[!\"$->@-\[\]-~]*)?",
    re.IGNORECASE,
)
"""Without a user, a query and a fragment, for a path is put behind it."""


def _address(told: str) -> str:
    found = _ADDRESS.fullmatch(told) if len(told) <= 2000 else None
    try:
        if found and (number := found[1] or found[2]):
            ipaddress.ip_address(number)
    except ValueError:
        found = None
    if found is None or int(found[3] or 443) > 65535:
        raise ValueError("url is no address of an API; write https://HOST, with :PORT and /PATH where it has them")
    return told


Words = Annotated[dict[str, Short], BeforeValidator(_plain)]


class Source(BaseModel):
    """One connected helpdesk account, `policies/sources/NAME.yaml`: what it is, and what its words mean here.

    Names of priorities, statuses and products are compared without regard to case. What an adapter knows of its kind of
    helpdesk holds where nothing is said here.
    """

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    """Part of the incidents' ids and of the hook's address: `/hooks/KIND/NAME`."""
    kind: Name
    """Which adapter reads it: zendesk, freshdesk, jira, …"""
    title: str = ""
    url: Annotated[str, AfterValidator(_address)] | None = None
    """Where its API is, such as https://acme.zendesk.com; left out: it is not read, nor written to."""
    customer: CustomerId | None = None
    """Whose a ticket is when nothing else tells; left out: nobody's, and it is put in the triage queue."""
    domains: dict[str, CustomerId] = {}
    """Customers by the requester's e-mail domain, before those of the customers' own records."""
    organisations: Annotated[dict[str, CustomerId], BeforeValidator(_plain)] = {}
    """Customers by the source's id or name of their organisation, before anything else."""
    priorities: Words = {}
    """Its priorities to ours."""
    statuses: Annotated[dict[str, State], BeforeValidator(_plain)] = {}
    products: Words = {}
    """Its products, request types or components to ours."""
    product_field: Short | None = None
    """The name of its field that tells the product, such as `customfield_10010`."""
    agents: Annotated[dict[str, MemberId], BeforeValidator(_plain)] = {}
    """Its agents, by id or e-mail address, to the members of our team."""
    customers: frozenset[str] = frozenset()
    """Ids or addresses of people who count as customers though the source takes them for agents."""
    ours: tuple[Short, ...] = ()
    """Ids or addresses of the user as which we write: what it does is our own echo."""
    channels: tuple[Short, ...] = ()
    """Which of its channels, queues, projects or groups count; left out: all."""
    writes: tuple[Part, ...] = ()
    """What is written back; left out: nothing."""
    due_field: Short | None = None
    """The name of its field for the next due time, where it has none of its own."""
    reconcile_minutes: Annotated[int, Field(ge=0, le=1440)] = 5
    """How often its API is asked for what its webhooks missed; 0: never."""
    quiet_hours: Annotated[int, Field(ge=0, le=8760)] = 24
    """After so many hours without a word from it somebody is told; 0: never."""

    def priority(self, told: str | None, known: Mapping[str, str] = {}) -> str | None:
        """Our name of a priority; one that nobody knows goes on as it is, and the incident counts it as the most urgent."""
        return (
            None if not told or not told.strip() else (_of(self.priorities, told) or _of(known, told) or told.strip())
        )

    def state(self, told: str | None, known: Mapping[str, State]) -> State | None:
        """What a status means; None: nobody knows."""
        found: State | None = _of(self.statuses, told) or _of(known, told)
        return found

    def product(self, told: str | None) -> str | None:
        """Our name of a product."""
        return None if not told or not told.strip() else (_of(self.products, told) or told.strip()[:200])

    def agent(self, *ids: str | None) -> str | None:
        """The member of our team that is one of these ids or addresses; else the first of them, as it is."""
        given = [id for id in ids if id]
        found = next((name for id in given if (name := _of(self.agents, id))), None)
        return found or (given[0][:320] if given else None)

    def is_customer(self, *ids: str | None) -> bool:
        """Whether somebody counts as a customer by our own word."""
        known = {one.casefold() for one in self.customers}
        return any(id and id.casefold() in known for id in ids)

    def is_ours(self, *ids: str | None) -> bool:
        """Whether it is we ourselves who did it."""
        known = {one.casefold() for one in self.ours}
        return any(id and id.casefold() in known for id in ids)

    def counts(self, *channels: str | None) -> bool:
        """Whether that channel, queue, project or group is one of those that count."""
        known = {one.casefold() for one in self.channels}
        return not known or any(one and one.casefold() in known for one in channels)


def _of(names: Mapping[str, Any], told: str | None) -> Any:
    wanted = (told or "").strip().casefold()
    return next((value for name, value in names.items() if name.casefold() == wanted), None)
