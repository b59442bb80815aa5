"""What a log says, put in order of what happened: the order and number of deliveries leave no trace here (X04)."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from datetime import datetime
from fnmatch import fnmatchcase

from sla.civil import to_us
from sla.entries import Entry, Read, StepBegun, StepDone
from sla.events import RANK
from sla.ledger import Ledger
from sla.policy import Contract
from sla.stretches import FAR, Stretch, without


@dataclass(frozen=True, slots=True)
class Done:
    """A step that was begun, and what came of it so far."""

    begun: Entry
    what: StepBegun
    done: StepDone | None

    @property
    def at(self) -> int:
        return to_us(self.begun.occurred_at)


@dataclass(slots=True)
class Facts:
    """The ticket's story. Instants are microseconds since the epoch."""

    entries: list[Entry] = field(default_factory=list)
    opened: Entry | None = None
    opened_at: int | None = None
    heard: int = 0
    """When the last word from outside reached us."""
    priorities: list[tuple[int, str]] = field(default_factory=list)
    revisions: list[tuple[Entry, str, str]] = field(default_factory=list)
    """Priority changes made by us: the entry, from, to."""
    stops: dict[str, list[int]] = field(default_factory=dict)
    words: dict[str, list[int]] = field(default_factory=dict)
    waits: list[Stretch] = field(default_factory=list)
    suspended: list[Stretch] = field(default_factory=list)
    reopened: list[int] = field(default_factory=list)
    resolved_by: str | None = None
    resolved: bool = False
    closed_at: int | None = None
    acknowledged_at: int | None = None
    acknowledged_by: str | None = None
    """Who of ours acted first."""
    assignee: str | None = None
    tried: tuple[str, ...] = ()
    disposition: Entry | None = None
    void_from: int | None = None
    restored: Entry | None = None
    held: bool = False
    declined: bool = False
    starts_at: int | None = None
    discarded: bool = False
    language: str | None = None
    read: Read = field(default_factory=Read)
    ledger: Ledger = field(default_factory=Ledger)
    enrolled_with: bool = False
    """Whether the ledger is as it was read on enrolling: nobody has told us of a change since."""
    told_at: int = 0
    """When the ledger was read or told."""
    line_suspended: set[datetime] = field(default_factory=set)
    """When suspensions of the whole contract line began, by all that its account ever told."""
    steps: list[Done] = field(default_factory=list)
    attention: list[str] = field(default_factory=list)
    doubts: dict[str, None] = field(default_factory=dict)
    """What nobody here knows of the ticket, until somebody has looked or reclassified it."""
    unknown_priority: str | None = None

    @property
    def priority(self) -> str:
        return self.priorities[-1][1]

    @property
    def waiting(self) -> bool:
        return bool(self.waits) and self.waits[-1][1] is None

    @property
    def open_suspension(self) -> int | None:
        """Since when support is suspended, if it is."""
        return self.suspended[-1][0] if self.suspended and self.suspended[-1][1] is None else None

    def begun(self, kind: str, of: str | None = None) -> Done | None:
        """The last step of that kind (that answers `of`)."""
        return next((s for s in reversed(self.steps) if s.what.kind == kind and (of is None or s.what.of == of)), None)


def distinct(log: Iterable[Entry]) -> list[Entry]:
    """One entry a key, the one received first: a second delivery of the same changes nothing."""
    first: dict[str, Entry] = {}
    for line in log:
        known = first.get(line.key)
        if known is None or (line.received_at, line.model_dump_json()) < (known.received_at, known.model_dump_json()):
            first[line.key] = line
    return list(first.values())


def _news(lines: Iterable[Entry]) -> Iterator[Entry]:
    """Without what only says again how the priority stands at its source, so that what was revised here stands (T05, R07)."""
    said: str | None = None
    for line in lines:
        what = line.event
        if what.event == "opened":
            said = what.priority
        elif what.event == "priority_changed" and what.stands:
            if what.to == said:
                continue
            said = what.to
        yield line


def gather(contract: Contract, log: Iterable[Entry], now: int = FAR) -> Facts:
    """Read a log into facts, as they stand at `now`: a suspension that lies ahead is none yet.

    Raises nothing: what makes no sense to the contract is put under `attention`.
    """
    facts = Facts()
    outside: list[tuple[datetime, int, str, Entry]] = []
    records: list[Entry] = []
    for line in distinct(log):
        if line.event.event in RANK:
            outside.append((line.happened, RANK[line.event.event], line.key, line))
        else:
            records.append(line)
    outside.sort(key=lambda item: item[:3])
    facts.entries = list(_news(line for *_, line in outside))
    facts.heard = max((to_us(line.received_at) for line in facts.entries), default=0)
    _records(facts, records)
    _opening(facts, contract)
    for line in facts.entries:
        _take(facts, contract, line)
    if facts.unknown_priority is not None:
        facts.doubts[facts.unknown_priority] = None
    facts.attention += facts.doubts
    _suspensions(facts, contract, now)
    _assignee(facts, records)
    if facts.read.authorized_contact is False and contract.contacts is not None and contract.contacts.only_authorized:
        facts.held = facts.starts_at is None and not facts.declined
    else:
        facts.starts_at = facts.opened_at
    accepted = contract.language.accepted if contract.language else None
    spoken = facts.language or facts.read.language
    foreign = accepted is not None and spoken is not None and spoken not in accepted
    facts.discarded = facts.declined or (foreign and facts.restored is None)
    return facts


def _records(facts: Facts, records: list[Entry]) -> None:
    begun: list[tuple[Entry, StepBegun]] = []
    done: dict[str, StepDone] = {}
    for line in records:
        what = line.event
        if what.event == "step_begun":
            begun.append((line, what))
        elif what.event == "step_done":
            done[what.step_key] = what
        elif what.event == "read":
            facts.read = what
        elif what.event == "standing_told":
            facts.heard = max(facts.heard, to_us(line.received_at))
            facts.line_suspended |= {stretch.start for stretch in what.ledger.suspended}
            if what.ledger.version >= facts.ledger.version:
                facts.ledger, facts.enrolled_with, facts.told_at = what.ledger, what.enrolled, to_us(line.received_at)
    begun.sort(key=lambda one: (one[0].occurred_at, one[0].key))
    facts.steps = [Done(line, what, done.get(what.step_key)) for line, what in begun]
    for step in facts.steps:
        if step.what.kind == "reclassification" and step.done is not None and not step.done.held_back:
            facts.stops.setdefault("reclassification_told", []).append(step.at)
        if step.done is not None and step.done.tried:
            facts.tried = step.done.tried


def _suspensions(facts: Facts, contract: Contract, now: int) -> None:
    """The stretches of suspension that have begun, without those in which the priority is served even so."""
    if contract.suspension is None or not contract.suspends:
        return
    begun = [(to_us(i.start), None if i.end is None else to_us(i.end)) for i in facts.ledger.suspended]
    ends = [*(at for at, _ in facts.priorities[1:]), None]
    served = [(at, end) for (at, p), end in zip(facts.priorities, ends, strict=True) if p in contract.suspension.serves]
    facts.suspended = [(a, None if b is None or b > now else b) for a, b in without(begun, served) if a <= now]


def _opening(facts: Facts, contract: Contract) -> None:
    facts.opened = next((line for line in facts.entries if line.event.event == "opened"), None)
    if facts.opened is None:
        facts.attention.append("the opening message has not reached us yet; counted from the first word that did")
    first = facts.opened or (facts.entries[0] if facts.entries else None)
    facts.opened_at = None if first is None else to_us(first.happened)
    asked = getattr(facts.opened.event, "priority", None) if facts.opened else None
    facts.priorities.append((-FAR, _priority(facts, contract, asked)))
    if facts.opened is not None and facts.opened.event.event == "opened":
        opening = facts.opened.event
        facts.language = opening.language
        if contract.scope and opening.category and opening.category not in contract.scope.categories:
            facts.attention.append(
                f"category {opening.category!r} is none that {contract.scope.clause} covers; disposition it or correct it"
            )
        _version(facts, contract, opening.product, opening.product_version)


def _version(facts: Facts, contract: Contract, product: str | None, version: str | None) -> None:
    terms = contract.products.get(product or "")
    if terms and terms.supported and version and not any(fnmatchcase(version, known) for known in terms.supported):
        excluded = contract.dispositions.get("excluded")
        clause = f" ({excluded.clause})" if excluded else ""
        facts.attention.append(
            f"{product} {version} is not among the supported versions {', '.join(terms.supported)}{clause}"
        )


def _priority(facts: Facts, contract: Contract, asked: str | None) -> str:
    facts.unknown_priority = None
    if asked is None:
        return contract.default_priority
    if asked in contract.priorities:
        return asked
    known, urgent = ", ".join(contract.priorities), contract.most_urgent
    facts.unknown_priority = f"priority {asked!r} is none of {known}; taken as {urgent} until somebody reclassifies"
    return contract.most_urgent


def _take(facts: Facts, contract: Contract, line: Entry) -> None:
    what, at = line.event, to_us(line.happened)
    customers_own = facts.opened is not None and what.by is not None and what.by == facts.opened.event.by  # type: ignore[union-attr]
    facts.words.setdefault(what.event, []).append(at)
    match what.event:
        case "priority_changed":
            before, to = facts.priority, _priority(facts, contract, what.to)
            if to != before:
                facts.priorities.append((at, to))
                if not customers_own:
                    facts.revisions.append((line, before, to))
        case "customer_replied":
            _end_wait(facts, at)
        case "agent_replied":
            if what.public:
                facts.stops.setdefault("agent_replied", []).append(at)
        case "plan_provided":
            facts.stops.setdefault("plan_provided", []).append(at)
        case "waiting_on_customer":
            if not facts.waiting:
                facts.waits.append((at, None))
        case "resolved":
            _end_wait(facts, at)
            facts.resolved, facts.resolved_by = True, what.kind
            facts.stops.setdefault("resolved", []).append(at)
        case "closed":
            _end_wait(facts, at)
            facts.closed_at = at if facts.closed_at is None else facts.closed_at
            facts.stops.setdefault("closed", []).append(at)
        case "reopened":
            _end_wait(facts, at)
            facts.resolved, facts.resolved_by, facts.closed_at = False, None, None
            facts.reopened.append(at)
        case "dispositioned":
            facts.disposition, facts.restored = line, None
            terms = contract.dispositions.get(what.disposition)
            if (terms is None or terms.voids) and facts.void_from is None:
                facts.void_from = at
            if terms is None:
                facts.attention.append(
                    f"disposition {what.disposition!r} is none that {contract.title} knows; the clocks are void"
                )
            elif what.ground is not None and terms.grounds and what.ground not in terms.grounds:
                known = ", ".join(terms.grounds)
                facts.attention.append(f"ground {what.ground!r} is none that {terms.clause} gives; it gives: {known}")
        case "doubted":
            facts.doubts[what.what] = None
        case "settled":
            facts.doubts.clear()
        case "restored":
            facts.disposition, facts.void_from, facts.restored, facts.declined = None, None, line, False
        case "authorized" | "declined" if not _may_decide(facts, what.by):
            facts.attention.append(
                f"a held request is {what.event} by a contact of the company (B13), not by {what.by!r}"
            )
        case "authorized":
            facts.starts_at = at if facts.starts_at is None else facts.starts_at
            facts.declined = False
        case "declined":
            facts.declined = facts.starts_at is None


def _may_decide(facts: Facts, by: str | None) -> bool:
    """Whether somebody may authorize or decline a held request: a contact, where the contacts are known."""
    return by is None or not facts.read.contacts or by.casefold() in facts.read.contacts


def _end_wait(facts: Facts, at: int) -> None:
    if facts.waiting:
        facts.waits[-1] = (facts.waits[-1][0], at)


def _assignee(facts: Facts, records: list[Entry]) -> None:
    """Who has the ticket: who took it, was given it, or, while nobody has it, the first of ours who acts."""
    own = None if facts.opened is None else facts.opened.event.by  # type: ignore[union-attr]
    handed = [
        (to_us(r.occurred_at), 99, r.event.assignee)
        for r in records
        if r.event.event == "step_done" and r.event.assignee
    ]
    moves: list[tuple[int, int, str, str]] = [(at, rank, "assigned", who) for at, rank, who in handed if who]
    for line in facts.entries:
        what = line.event
        who = what.to if what.event == "assigned" else what.by  # type: ignore[union-attr]
        ours = ("acknowledged", "assigned", "agent_replied", "plan_provided", "waiting_on_customer", "resolved")
        if what.event in ours and who and (who != own or what.event == "assigned"):
            moves.append((to_us(line.happened), RANK[what.event], what.event, who))
            if what.event != "assigned" and facts.acknowledged_at is None:
                facts.acknowledged_at, facts.acknowledged_by = to_us(line.happened), who
    for _, _, move, who in sorted(moves):
        if move in ("acknowledged", "assigned") or facts.assignee is None:
            facts.assignee = who
