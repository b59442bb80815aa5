"""Customers as YAML files: brought into the records, all or none, and written out again."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import yaml

from records.customer_unfit import unfit
from records.customers import CustomerRefused, CustomerStore
from records.policy_faults import Fault
from records.shelf import PolicyFileError, Sheet, Shelf, claims, shown
from sla import names
from sla.customer import Customer

WIDE: Final = 1_000_000
"""No line is folded: a value stands on one."""


@dataclass(frozen=True, slots=True)
class Seeded:
    """What the files brought: ids that are new, files that say something else than the records, what is wrong in
    files, and why others could not be taken."""

    added: tuple[str, ...] = ()
    differ: tuple[str, ...] = ()
    broken: tuple[str, ...] = ()
    refused: tuple[str, ...] = ()


def written(customer: Customer) -> str:
    """A customer as its file says it: what is as usual is left out."""
    said = {"id": customer.id, **customer.model_dump(exclude_defaults=True)}
    return yaml.dump(said, Dumper=_Writer, sort_keys=False, allow_unicode=True, default_flow_style=False, width=WIDE)


def file_name(customer: str) -> str:
    """What the file of a customer is called."""
    return f"{names.canonical(customer)}.yaml"


def sheets(paths: Iterable[Path], shelf: Shelf) -> list[Sheet[Customer]]:
    """The customers of files, and of all `.yaml` files in folders; what is wrong in one is told of all.

    Raises:
        PolicyFileError: each thing that is wrong, with its file and line.
    """
    found, wrong = list[Sheet[Customer]](), list[Fault]()
    for path in dict.fromkeys(_files(paths)):
        try:
            sheet = shelf.sheet(Customer, "customer", path)
        except PolicyFileError as error:
            wrong += error.faults
            continue
        found.append(sheet)
        if fault := unfit(sheet.model) or unknown_contract(sheet.model, shelf):
            wrong.append(_fault(sheet, *fault))
    wrong += _twice(found)
    if wrong:
        raise PolicyFileError(tuple(sorted(wrong)))
    return found


async def bring(store: CustomerStore, found: Sequence[Sheet[Customer]]) -> list[str]:
    """Keep the customers of the files, all or none; the ids of those that this changed.

    Raises:
        PolicyFileError: one of them has what belongs to another customer, with file and line.
    """
    try:
        return await store.put_all([sheet.model for sheet in found])
    except CustomerRefused as error:
        sheet = next((sheet for sheet in found if sheet.model.id == error.customer), None)
        if sheet is None:
            raise
        raise PolicyFileError((_fault(sheet, error.path, str(error)),)) from None


async def seed(store: CustomerStore, shelf: Shelf) -> Seeded:
    """Keep the shelf's customers that the records do not know yet; what the records know, they know better."""
    found, broken = list[Sheet[Customer]](), list[str]()
    for path in shelf.paths("customer"):
        try:
            found.append(shelf.sheet(Customer, "customer", path))
        except PolicyFileError as error:
            broken += error.sentences
    known = await store.all()
    differ = tuple(s.file for s in found if s.model.id in known and known[s.model.id] != s.model)
    fresh = [s for s in found if s.model.id not in known]
    if not fresh:
        return Seeded((), differ, tuple(broken))
    added, errors = await store.add(s.model for s in fresh)
    by_id = {s.model.id: s for s in fresh}
    refused = tuple(str(_fault(by_id[error.customer], error.path, str(error))) for error in errors)
    return Seeded(tuple(added), differ, tuple(broken), refused)


def unknown_contract(customer: Customer, shelf: Shelf) -> tuple[tuple[str | int, ...], str] | None:
    """The first contract that a customer names and nobody has written: where, and one sentence."""
    known = [path.stem for path in shelf.paths("contract")]
    named = [
        (("contract",), customer.contract),
        *((("lines", i, "contract"), x.contract) for i, x in enumerate(customer.lines)),
    ]
    for path, name in named:
        if name is not None and name not in known:
            allowed = ", ".join(known) or f"none yet; put one into {shown(shelf.root / 'contracts')}"
            return path, f"{'.'.join(map(str, path))} is {name!r}; write one of: {allowed}"
    return None


def _files(paths: Iterable[Path]) -> Iterable[Path]:
    for path in paths:
        if path.is_dir():
            below = sorted(path.glob("*.yaml"))
            if not below:
                raise PolicyFileError((Fault(shown(path), 1, "the folder holds no .yaml file; name another"),))
            yield from below
        else:
            yield path


def _twice(found: Sequence[Sheet[Customer]]) -> Iterable[Fault]:
    """What two of the files claim."""
    owner: dict[str, Sheet[Customer]] = {}
    for sheet in found:
        for path, claim, what in claims(sheet.model):
            first = owner.setdefault(claim, sheet)
            if first is not sheet:
                said = f"{what} belongs to the customer {first.model.id!r} too, in {first.file}; take one out"
                yield _fault(sheet, path, said)


def _fault(sheet: Sheet[Customer], path: tuple[str | int, ...], sentence: str) -> Fault:
    return Fault(sheet.file, sheet.document.line(path), sentence)


class _Writer(yaml.SafeDumper):
    """Lists stand indented below what they belong to."""

    def increase_indent(self, flow: bool = False, indentless: bool = False) -> Any:
        """Indent lists, too."""
        return super().increase_indent(flow, False)

    def ignore_aliases(self, data: Any) -> bool:
        """Write out what stands twice."""
        return True


def _text(writer: _Writer, text: str) -> yaml.Node:
    """A text on one line: breaks are escaped, for a reader may take one for another."""
    style = '"' if any(c in "\n\r\x85\u2028\u2029" for c in text) else None
    return writer.represent_scalar("tag:yaml.org,2002:str", text, style=style)


_Writer.add_representer(str, _text)
