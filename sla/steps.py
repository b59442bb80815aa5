"""What the engine owes somebody: one step, with the key by which it happens once."""

from typing import Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict

Kind = Literal[
    "acknowledgement",
    "escalation",
    "reassignment",
    "suspension",
    "resumption",
    "withdrawal",
    "reclassification",
    "information_request",
    "disposition",
    "reminder",
    "approval",
    "update",
]


class Step(BaseModel):
    """One thing owed at `at`: whom it tells, whether it reassigns, the clause it acts on, and the facts its words need."""

    model_config = ConfigDict(frozen=True)

    key: str
    """`<what>/<clock>/<step>/<generation>`, unique within the incident; with the incident's id before it, everywhere."""
    kind: Kind
    at: AwareDatetime
    clock: str | None = None
    step: str | None = None
    priority: str | None = None
    clause: str | None = None
    tells: tuple[str, ...] = ()
    """Audiences: `customer`, `assignee`, `on_duty`, or a role of the team."""
    recipients: tuple[str, ...] = ()
    """Named people, instead of audiences: a withdrawal goes to those who got what it withdraws."""
    reassign: Literal["next", "next_tier"] | None = None
    of: str | None = None
    speaks_when_suspended: bool = False
    """True for what is said about the suspension itself; everything else asks the account's ledger before it speaks."""
    bundle: str | None = None
    """Steps of one bundle, whichever incidents owe them, reach each person in one message."""
    quiet_until: AwareDatetime | None = None
    """Said outside the hours of what is promised, so that it wakes nobody before this moment."""
    facts: dict[str, str] = {}


class Planned(BaseModel):
    """A step that will fire unless something happens first."""

    model_config = ConfigDict(frozen=True)

    at: AwareDatetime
    clock: str
    step: str
    tells: tuple[str, ...]
    reassign: str | None = None
    clause: str
