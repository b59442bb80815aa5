"""`pactkeeper policy check`: what is wrong and what is suspicious in policy files, with file and line."""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any, Final, Literal, TypeVar

from pydantic import BaseModel

from records.policy_faults import Fault
from records.shelf import MODELS, Kind, PolicyFileError, Sheet, Shelf, claims, shown
from records.yaml_lines import YamlError, read
from sla.check import Doubt, contract_doubts, customer_doubts, ladder_doubts, source_doubts
from sla.coverage import Coverage
from sla.customer import Customer
from sla.playbook import Playbook
from sla.policy import Contract
from sla.roster import Team
from sla.source import Source
from sla.staffing import disposition_doubts, staffing_doubts, team_doubts
from starter.connecting import SETUPS
from starter.sources import KINDS

M = TypeVar("M", bound=BaseModel)
TOLD_BY: Final[dict[str, Kind]] = {
    "clocks": "contract",
    "steps": "playbook",
    "tiers": "team",
    "members": "team",
    "kind": "source",
}
"""A field that only files of this kind have."""


@dataclass(frozen=True, slots=True, order=True)
class Finding:
    """One thing that is wrong (error) or suspicious (warning); `line` counts from 1."""

    file: str
    line: int
    severity: Literal["error", "warning"]
    message: str

    def __str__(self) -> str:
        mark = "" if self.severity == "error" else "warning: "
        return f"{self.file}:{self.line}: {mark}{self.message}"


def check_files(paths: Sequence[Path], shelf: Shelf, today: date | None = None) -> list[Finding]:
    """What is wrong or suspicious in these files, and in what they lead to; no paths: the whole shelf.

    A folder stands for the YAML files below it. Contracts, playbooks and teams among the files win over the shelf's of
    the same name, so that a set of new files can be checked together. Reports everything; raises nothing.
    """
    return sorted(set(_Check(shelf, today or datetime.now(UTC).date()).run(_files(paths, shelf))))


def exit_status(findings: Iterable[Finding], *, strict: bool = False) -> int:
    """1 when something is wrong (`strict`: or suspicious), else 0."""
    return int(any(strict or finding.severity == "error" for finding in findings))


def kind_of(path: Path) -> Kind | None:
    """What a file is, by its folder, else by what stands in it; None: it can't be told, or can't be read."""
    kind: Any = path.resolve().parent.name.removesuffix("s")
    if kind in MODELS:
        return kind  # type: ignore[no-any-return]
    try:
        value = read(path.read_text(encoding="utf-8-sig")).value
    except (OSError, UnicodeDecodeError, YamlError):
        return None
    if not isinstance(value, dict):
        return None
    return next((kind for name, kind in TOLD_BY.items() if name in value), "customer" if "id" in value else None)


def beside(path: Path, kind: Kind, name: str) -> Path:
    """Where a file of that kind and name lies on the shelf that a file stands on, be it ours or another."""
    return path.resolve().parent.parent / f"{kind}s" / f"{name}.yaml"


def _files(paths: Sequence[Path], shelf: Shelf) -> list[Path]:
    if not paths:
        return [path for kind in MODELS for path in shelf.paths(kind)]
    found: list[Path] = []
    for path in paths:
        found += sorted([*path.rglob("*.yaml"), *path.rglob("*.yml")]) if path.is_dir() else [path]
    return list(dict.fromkeys(found))


class _Check:
    def __init__(self, shelf: Shelf, today: date) -> None:
        self.shelf = shelf
        self.today = today
        self.found: list[Finding] = []
        self.contracts: dict[str, Sheet[Contract]] = {}
        self.playbooks: dict[str, Sheet[Playbook]] = {}
        self.teams: dict[str, Sheet[Team]] = {}
        self.customers: list[Sheet[Customer]] = []
        self.sources: list[Sheet[Source]] = []
        self.whole = True
        """False once a contract can't be read: whether a step ever fires can't be told then."""

    def run(self, files: Sequence[Path]) -> list[Finding]:
        for path in files:
            self._take(path)
        teams = self.teams or self._named(self.shelf.team_sheet, ["default"])
        coverages = [(sheet, Coverage(sheet.model, self.today)) for sheet in teams.values()]
        for sheet, coverage in coverages:
            if sheet.model.name in self.teams:
                self._doubts(sheet, team_doubts(sheet.model, coverage))
        for contract in self.contracts.values():
            self._doubts(contract, contract_doubts(contract.model, self.today))
            for team in teams.values():
                self._doubts(contract, disposition_doubts(contract.model, team.model))
        for ladder, users in self._ladders():
            if self.whole:
                self._doubts(ladder, ladder_doubts(users, ladder.model, self.today))
            for _, coverage in coverages:
                self._doubts(ladder, staffing_doubts(users, ladder.model, coverage))
        for customer in self.customers:
            self._customer(customer)
        for source in self.sources:
            self._source(source)
        return self.found

    def _source(self, sheet: Sheet[Source]) -> None:
        source, kinds = sheet.model, ", ".join(KINDS)
        if source.kind not in KINDS:
            self._fault(
                Fault(sheet.file, sheet.document.line(("kind",)), f'kind is "{source.kind}"; write one of: {kinds}')
            )
        elif source.writes and ((api := SETUPS[source.kind].api) is None or not api.writes):
            said = f"writes names what to write back, and nothing is written into {SETUPS[source.kind].title}; take writes out"
            self._fault(Fault(sheet.file, sheet.document.line(("writes",)), said))
        elif source.url is None and source.writes:
            said = "writes names what to write back, and there is no url to write to; add `url:`, or take writes out"
            self._fault(Fault(sheet.file, sheet.document.line(("writes",)), said))
        self._doubts(sheet, source_doubts(source, self._members(), {p for c in self._known() for p in c.priorities}))

    def _known(self) -> list[Contract]:
        """Every contract of the shelf, and of the files."""
        return [sheet.model for sheet in {**self._shelved(), **self.contracts}.values()]

    def _members(self) -> set[str]:
        """The members of every team."""
        teams = {**self._named(self.shelf.team_sheet, self._names("team")), **self.teams}
        return {member for sheet in teams.values() for member in sheet.model.members}

    def _take(self, path: Path) -> None:
        if not path.is_file():
            self._fault(Fault(shown(path), 1, "there is no such file; write the path of a policy's file"))
            return
        kind = kind_of(path)
        match kind:
            case "contract":
                self._keep(self.contracts, Contract, kind, path)
            case "playbook":
                self._keep(self.playbooks, Playbook, kind, path)
            case "team":
                self._keep(self.teams, Team, kind, path)
            case "customer":
                if sheet := self._sheet(Customer, kind, path):
                    self.customers.append(sheet)
            case "source":
                if connected := self._sheet(Source, kind, path):
                    self.sources.append(connected)
            case None:
                self._unknown(path)

    def _unknown(self, path: Path) -> None:
        try:
            read(path.read_text(encoding="utf-8-sig"))
        except YamlError as error:
            self._fault(Fault(shown(path), error.line, str(error)))
        except (OSError, UnicodeDecodeError):
            self._fault(Fault(shown(path), 1, "the file can't be read as UTF-8; save it as UTF-8 and check its rights"))
        else:
            said = "this is no policy; a contract has `clocks:`, a playbook `steps:`, a team `tiers:`, a customer `id:`, a source `kind:`"
            self._fault(Fault(shown(path), 1, said))

    def _keep(self, kept: dict[str, Sheet[M]], model: type[M], kind: Kind, path: Path) -> None:
        if sheet := self._sheet(model, kind, path):
            name = str(getattr(sheet.model, "name", ""))
            first = kept.setdefault(name, sheet)
            if first is not sheet:
                said = f'name is "{name}", as in {first.file}; give one of them another name'
                self._fault(Fault(sheet.file, sheet.document.line(("name",)), said))

    def _sheet(self, model: type[M], kind: Kind, path: Path) -> Sheet[M] | None:
        try:
            return self.shelf.sheet(model, kind, path)
        except PolicyFileError as error:
            for fault in error.faults:
                self._fault(fault)
            return None

    def _named(self, look: Callable[[str], Sheet[M]], names: Iterable[str]) -> dict[str, Sheet[M]]:
        made: dict[str, Sheet[M]] = {}
        for name in names:
            try:
                made[name] = look(name)
            except PolicyFileError as error:
                for fault in error.faults:
                    self._fault(fault)
        return made

    def _ladders(self) -> Iterator[tuple[Sheet[Playbook], list[Contract]]]:
        """Each playbook that is to be checked, with every contract that uses it."""
        known = {name: sheet.model for name, sheet in {**self._shelved(), **self.contracts}.items()}
        wanted = dict(self.playbooks)
        for user in self.contracts.values():
            name = user.model.playbook
            if name in wanted:
                continue
            if (near := beside(user.path, "playbook", name)).is_file():
                if sheet := self._sheet(Playbook, "playbook", near):
                    wanted[name] = sheet
                continue
            if name in self._names("playbook"):
                wanted.update(self._named(self.shelf.playbook_sheet, [name]))
                continue
            self._absent(user, "playbook", name)
        if self.teams:
            others = {c.playbook for c in known.values()} - wanted.keys()
            wanted.update(self._named(self.shelf.playbook_sheet, sorted(others & set(self._names("playbook")))))
        for ladder in wanted.values():
            users = [c for c in known.values() if c.playbook == ladder.model.name]
            yield ladder, users or list(known.values())

    def _names(self, kind: Kind) -> list[str]:
        return [path.stem for path in self.shelf.paths(kind)]

    def _shelved(self) -> dict[str, Sheet[Contract]]:
        """The shelf's contracts that can be read; what is wrong with the others is told when they are checked."""
        made: dict[str, Sheet[Contract]] = {}
        for path in self.shelf.paths("contract"):
            try:
                made[path.stem] = self.shelf.sheet(Contract, "contract", path)
            except PolicyFileError:
                self.whole = False
        return made

    def _customer(self, sheet: Sheet[Customer]) -> None:
        customer, contract = sheet.model, None
        if customer.contract is not None:
            name = customer.contract
            near = beside(sheet.path, "contract", name)
            if name in self.contracts:
                contract = self.contracts[name].model
            elif near.is_file() or name in self._names("contract"):
                path = near if near.is_file() else self.shelf.root / "contracts" / f"{name}.yaml"
                found = self._sheet(Contract, "contract", path)
                contract = found.model if found else None
            else:
                self._absent(sheet, "contract", name)
        self._doubts(sheet, customer_doubts(customer, contract))
        others = [*self.customers, *(s for s in self._other_customers() if s.path.resolve() != sheet.path.resolve())]
        for place, claimed, what in claims(customer):
            owner = next((o for o in others if o is not sheet and claimed in (c for _, c, _ in claims(o.model))), None)
            if owner is not None:
                said = f"{what} belongs to the customer {owner.model.id!r} too, in {owner.file}; take one out"
                self._fault(Fault(sheet.file, sheet.document.line(place), said))

    def _other_customers(self) -> Iterator[Sheet[Customer]]:
        for path in self.shelf.paths("customer"):
            try:
                yield self.shelf.sheet(Customer, "customer", path)
            except PolicyFileError:
                continue

    def _doubts(self, sheet: Sheet[Any], doubts: Iterable[Doubt]) -> None:
        for doubt in doubts:
            line = sheet.document.line(doubt.path)
            self.found.append(Finding(sheet.file, line, doubt.severity, doubt.sentence))

    def _absent(self, sheet: Sheet[Any], kind: Kind, name: str) -> None:
        said = f'{kind} is "{name}", which is not on the shelf; write one of: {", ".join(self._names(kind))}'
        self._fault(Fault(sheet.file, sheet.document.line((kind,)), said))

    def _fault(self, fault: Fault) -> None:
        self.found.append(Finding(fault.file, fault.line, "error", fault.sentence))
