"""The shelf of policies: contracts, playbooks, teams, customers and sources in YAML files, read again when one changes."""

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import date
from pathlib import Path
from typing import Final, Generic, Literal, TypeVar

from pydantic import BaseModel, ValidationError

from records.policy_faults import Fault, faults, refused
from records.yaml_lines import Document, YamlError, read
from sla import names
from sla.calendar import BusinessCalendar
from sla.customer import Customer
from sla.errors import PolicyError
from sla.playbook import Playbook
from sla.policy import Contract, PinnedContract
from sla.roster import Team
from sla.source import Source

Kind = Literal["contract", "playbook", "team", "customer", "source"]
MODELS: Final[dict[Kind, type[BaseModel]]] = {
    "contract": Contract,
    "playbook": Playbook,
    "team": Team,
    "customer": Customer,
    "source": Source,
}
ROOT_VARIABLE: Final = "PACTKEEPER_POLICIES"
MAX_PINNED: Final = 64
"""Pinned contracts kept: compiling a calendar takes a millisecond, and many incidents open on one day."""
_ANY_DAY: Final = date(2031, 1, 1)
M = TypeVar("M", bound=BaseModel)
Stamp = tuple[tuple[str, int, int], ...]


class PolicyFileError(Exception):
    """Policy files that can't be used: one sentence for each thing that is wrong, with its file and line."""

    def __init__(self, found: tuple[Fault, ...]) -> None:
        super().__init__(found)
        self.faults = found

    @property
    def sentences(self) -> list[str]:
        """`file:line: what, and what is allowed`, each on its own."""
        return [str(fault) for fault in self.faults]

    def __str__(self) -> str:
        return "\n".join(self.sentences)


@dataclass(frozen=True, slots=True)
class Sheet(Generic[M]):
    """A policy file as it was read: what it says, where, and as people call the file."""

    model: M
    document: Document
    path: Path

    @property
    def file(self) -> str:
        return shown(self.path)


def default_root() -> Path:
    """`$PACTKEEPER_POLICIES`, or `policies/` of this checkout."""
    return Path(os.environ.get(ROOT_VARIABLE) or Path(__file__).resolve().parent.parent / "policies")


def shown(path: Path) -> str:
    """A path as people read it: from the working directory where it lies below it."""
    try:
        return str(path.resolve().relative_to(Path.cwd().resolve()))
    except (ValueError, OSError):
        return str(path)


class Shelf:
    """The policy files below a root, each kind in its own folder: `contracts/tromzo.yaml` is the contract `tromzo`.

    Where a method takes a name, it also takes a path (with a `/`, or ending in `.yaml`) relative to `base`. Without a
    `base` only names are taken, for then the name may come from outside. Every method raises PolicyFileError.
    """

    def __init__(self, root: Path | None = None) -> None:
        self.root = root or default_root()
        self._read: dict[tuple[Kind, Path], tuple[tuple[int, int], Sheet[BaseModel] | PolicyFileError]] = {}
        self._customers: tuple[Stamp | None, dict[str, Customer]] | None = None
        self._sources: tuple[Stamp | None, dict[str, Source]] | None = None
        self._usable: tuple[Stamp | None, dict[str, Source], dict[str, PolicyFileError]] | None = None
        self._pinned: dict[tuple[str, str | None, Path | None, date, date], PinnedContract] = {}

    def contract(self, name: str, base: Path | None = None) -> Contract:
        """The contract of that name."""
        return self.contract_sheet(name, base).model

    def playbook(self, name: str, base: Path | None = None) -> Playbook:
        """The playbook of that name."""
        return self.playbook_sheet(name, base).model

    def team(self, name: str, base: Path | None = None) -> Team:
        """The team of that name."""
        return self.team_sheet(name, base).model

    def customers(self) -> dict[str, Customer]:
        """Every customer by its id; no id, domain or contact belongs to two."""
        stamp = self._stamp("customer")
        if stamp is None or self._customers is None or self._customers[0] != stamp:
            self._customers = stamp, {sheet.model.id: sheet.model for sheet in self.customer_sheets()}
        return self._customers[1]

    def customer(self, customer_id: str) -> Customer | None:
        """The customer of that id, or None."""
        return self.customers().get(customer_id)

    def customer_of(self, email: str) -> str | None:
        """The id of the customer whose contact it is, else of the one whose domain it is, else None."""
        return customer_of(self.customers().values(), email)

    def sources(self) -> dict[str, Source]:
        """Every connected source by its name."""
        stamp = self._stamp("source")
        if stamp is None or self._sources is None or self._sources[0] != stamp:
            sheets = [self.sheet(Source, "source", path) for path in self.paths("source")]
            self._sources = stamp, {sheet.model.name: sheet.model for sheet in sheets}
        return self._sources[1]

    def usable_sources(self) -> tuple[dict[str, Source], dict[str, PolicyFileError]]:
        """Every connected source, one whose file is broken just now as it was last read; and those that were never read."""
        stamp = self._stamp("source")
        # A folder that can't be looked into is not one that is empty; and where something is wrong, it is looked at anew.
        if self._usable is None or stamp not in (None, self._usable[0]):
            before = {} if self._usable is None else self._usable[1]
            there: dict[str, Source] = {}
            broken: dict[str, PolicyFileError] = {}
            wrong = False
            for path in self.paths("source"):
                try:
                    there[path.stem] = self.sheet(Source, "source", path).model
                except PolicyFileError as error:
                    wrong = True
                    if path.stem in before:
                        there[path.stem] = before[path.stem]
                    else:
                        broken[path.stem] = error
            self._usable = None if wrong else stamp, there, broken
        return self._usable[1], self._usable[2]

    def pin(
        self, contract: str, playbook: str | None, first: date, last: date, base: Path | None = None
    ) -> PinnedContract:
        """A contract with its calendar over those days, and the playbook (None: the contract's own), wholly as data."""
        terms = self.contract(contract, base)
        ladder = self.playbook(terms.playbook) if playbook is None else self.playbook(playbook, base)
        asked = (contract, playbook, base, first, last)
        kept = self._pinned.get(asked)
        if kept is None or kept.contract is not terms or kept.playbook is not ladder:
            kept = PinnedContract(
                contract=terms, version=terms.version, calendar=terms.hours.pin(first, last), playbook=ladder
            )
            if len(self._pinned) >= MAX_PINNED:
                self._pinned.clear()
            self._pinned[asked] = kept
        return kept

    def contract_sheet(self, name: str, base: Path | None = None) -> Sheet[Contract]:
        """The contract of that name with the lines of its file."""
        return self.sheet(Contract, "contract", self._path("contract", name, base))

    def playbook_sheet(self, name: str, base: Path | None = None) -> Sheet[Playbook]:
        """The playbook of that name with the lines of its file."""
        return self.sheet(Playbook, "playbook", self._path("playbook", name, base))

    def team_sheet(self, name: str, base: Path | None = None) -> Sheet[Team]:
        """The team of that name with the lines of its file."""
        return self.sheet(Team, "team", self._path("team", name, base))

    def customer_sheets(self) -> list[Sheet[Customer]]:
        """Every customer's file."""
        sheets = [self.sheet(Customer, "customer", path) for path in self.paths("customer")]
        owner: dict[str, Sheet[Customer]] = {}
        for sheet in sheets:
            for path, claimed, what in claims(sheet.model):
                first = owner.setdefault(claimed, sheet)
                if first is not sheet:
                    sentence = (
                        f"{what} belongs to the customer {first.model.id!r} already, in {first.file}; take one out"
                    )
                    raise PolicyFileError((Fault(sheet.file, sheet.document.line(path), sentence),))
        return sheets

    def paths(self, kind: Kind) -> list[Path]:
        """The files of a kind, by name."""
        return sorted((self.root / f"{kind}s").glob("*.yaml"))

    def sheet(self, model: type[M], kind: Kind, path: Path) -> Sheet[M]:
        """One file, wherever it lies; read again when it has changed."""
        try:
            stat = path.stat()
        except (OSError, ValueError):
            raise self._absent(kind, path) from None
        stamp = (stat.st_mtime_ns, stat.st_size)
        kept = self._read.get((kind, path))
        if kept is None or kept[0] != stamp:
            try:
                kept = (stamp, _load(model, kind, path, named=path.parent == self.root / f"{kind}s"))
            except OSError as error:  # it may be gone in a moment, so it is not kept
                why = f"the file can't be read ({error.strerror}); check its rights"
                raise PolicyFileError((Fault(shown(path), 1, why),)) from None
            self._read[kind, path] = kept
        found = kept[1]
        if isinstance(found, PolicyFileError):
            raise PolicyFileError(found.faults)
        assert isinstance(found.model, model)
        return Sheet(found.model, found.document, found.path)

    def _stamp(self, kind: Kind) -> Stamp | None:
        """What changes when a file of a kind comes, goes or changes; None where that can't be told."""
        try:
            with os.scandir(f"{self.root}/{kind}s") as entries:
                files = [(one.name, one.stat()) for one in entries if one.name.endswith(".yaml")]
        except OSError:
            return None
        return tuple(sorted((name, stat.st_mtime_ns, stat.st_size) for name, stat in files))

    def _path(self, kind: Kind, name: str, base: Path | None) -> Path:
        if "/" not in name and not name.endswith((".yaml", ".yml")):
            return self.root / f"{kind}s" / f"{name}.yaml"
        if base is None:
            names = ", ".join(path.stem for path in self.paths(kind)) or f"none yet; put one into {kind}s/"
            place = shown(self.root / f"{kind}s")
            raise PolicyFileError((Fault(place, 1, f"{name!r} is a path; write the name of a {kind}: {names}"),))
        return base / name

    def _absent(self, kind: Kind, path: Path) -> PolicyFileError:
        if path.parent != self.root / f"{kind}s":
            return PolicyFileError(
                (Fault(shown(path), 1, f"there is no such file; write the path of a {kind}'s file"),)
            )
        names = ", ".join(p.stem for p in self.paths(kind))
        allowed = f"write one of: {names}" if names else f"no {kind} is there yet"
        return PolicyFileError((Fault(shown(path), 1, f"there is no {kind} {path.stem!r}; {allowed}"),))


def customer_of(customers: Iterable[Customer], email: str) -> str | None:
    """The id of the customer whose contact it is, else of the one whose domain it is, else None."""
    address = email.strip().casefold()
    domain, some = address.rpartition("@")[2], list(customers)
    for customer in some:
        if customer.contact(address):
            return customer.id
    return next((c.id for c in some if domain in map(str.casefold, c.domains)), None)


def claims(customer: Customer) -> list[tuple[tuple[str | int, ...], str, str]]:
    """What belongs to one customer alone: where it stands, what it is compared by, and how it is called.

    An id is compared as the customer's account is called by it, so that no two share an account.
    """
    made: list[tuple[tuple[str | int, ...], str, str]] = [
        (("id",), f"id {names.canonical(customer.id)}", f"the id {customer.id!r}")
    ]
    for i, domain in enumerate(customer.domains):
        made.append((("domains", i), f"domain {domain.casefold()}", f"the domain {domain!r}"))
    for i, contact in enumerate(customer.contacts):
        made.append((("contacts", i), f"contact {contact.email.casefold()}", f"the contact {contact.email!r}"))
    links = [
        (("billing",), customer.billing),
        *((("lines", i, "billing"), x.billing) for i, x in enumerate(customer.lines)),
    ]
    for path, link in links:
        if link is not None:
            called = "/".join(filter(None, (link.source, link.account, link.customer, link.subscription)))
            made.append((path, f"billing {called}", f"the link to {called}"))
    return made


def _load(model: type[M], kind: Kind, path: Path, *, named: bool) -> "Sheet[M] | PolicyFileError":
    file = shown(path)
    try:
        document = read(path.read_text(encoding="utf-8-sig"))
    except YamlError as error:
        return PolicyFileError((Fault(file, error.line, str(error)),))
    except UnicodeDecodeError as error:
        line = error.object.count(b"\n", 0, error.start) + 1
        return PolicyFileError((Fault(file, line, "the file is not in UTF-8; save it as UTF-8"),))
    if not isinstance(document.value, dict):
        what = "is empty" if document.value is None else "holds no `name: value` lines"
        fields = ", ".join(name for name, field in model.model_fields.items() if field.is_required())
        return PolicyFileError((Fault(file, 1, f"the file {what}; a {kind} has: {fields}"),))
    try:
        made = model.model_validate(document.value)
    except ValidationError as error:
        return PolicyFileError(faults(file, document, model, error))
    unknown = [refused(file, document, path, error) for path, error in _unknown_names(made)]
    called = getattr(made, "name", None)
    if named and kind != "customer" and called != path.stem:
        sentence = f'name is "{called}"; write {path.stem}, as the file is called'
        unknown.append(Fault(file, document.line(("name",)), sentence))
    return PolicyFileError(tuple(sorted(unknown))) if unknown else Sheet(made, document, path)


def _unknown_names(model: BaseModel) -> Iterator[tuple[tuple[str | int, ...], PolicyError]]:
    """Zones and countries that nobody knows: a calendar looks them up only when it is pinned."""
    calendars: list[tuple[tuple[str | int, ...], BusinessCalendar | None]] = []
    if isinstance(model, Contract | Team):
        calendars.append((("hours",), model.hours))
    if isinstance(model, Team):
        calendars += [(("members", name, "hours"), member.hours) for name, member in model.members.items()]
    for path, calendar in calendars:
        try:
            if calendar is not None:
                calendar.pin(_ANY_DAY, _ANY_DAY)
        except PolicyError as error:
            yield path, error
