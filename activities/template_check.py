"""Whether a team's own templates can be used: each is made once for our people and once for a customer, with and without facts."""

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final, get_args

from jinja2 import TemplateNotFound

from activities import template_files
from activities.mail_page import TEMPLATE as MAIL
from activities.message import UPDATE
from activities.template_files import TEMPLATES, Line, fault, made_by
from activities.wording import IncidentFacts, sample_view
from sla.entries import Notice
from sla.steps import Kind, Step

_AT: Final = datetime(2031, 7, 11, 23, 30, tzinfo=UTC)
_FACTS: Final = {
    "left": "response: 30 min", "due": "2031-07-11T18:00-07:00", "target": "2 business hours", "commitment": "guarantee",
    "promise_clause": "T06", "since": "2031-07-09T12:00-07:00", "why": "a payment is outstanding", "missing": "the logs\nthe version",
}  # fmt: skip


def check_templates(folder: Path) -> list[str]:
    """What is wrong with a team's templates: one sentence a fault, with the file; empty where all can be used."""
    if not folder.is_dir():
        return [f"{folder} is no folder; {template_files.OURS} names the one that holds your templates"]
    known = {path.name for path in TEMPLATES.iterdir()}
    found: list[str] = []
    for path in sorted(folder.iterdir()):
        if path.name.endswith(".j2") and path.name not in known:
            found.append(f"{path} replaces nothing; a template is called one of: {', '.join(sorted(known))}")
        elif path.name in known:
            found += _tried(folder, path)
    return found


def _tried(folder: Path, path: Path) -> Iterator[str]:
    for values in _samples(path.name):
        try:
            made_by(str(folder), path.name, values)
        except TemplateNotFound as error:
            yield f"{path} takes in {error}, which is not beside it; copy that file too"
            return
        except Exception as error:  # noqa: BLE001 - a template may raise anything; here it is what was asked for
            yield f"{path}: {fault(error)}; until it is mended, our own is used"
            return


def _samples(name: str) -> Iterator[dict[str, Any]]:
    if name == MAIL:
        for link in (Line(), Line("https://support.example/ack/x")):
            yield {
                "subject": "4711", "paragraphs": [[Line("4711")]], "acknowledge": link, "incident": link, "to_customer": False
            }  # fmt: skip
        return
    if name == "several.txt.j2":
        one = {"subject": "4711", "clause": "X01", "assignee": "Dana", "link": Line("https://x.example"), "look": "x"}
        yield {
            "listed": [one, one | {"clause": "", "assignee": "", "link": Line()}],
            "more": 3,
            "waited": True,
            "count": 5,
        }
        return
    kind = name.removesuffix(".txt.j2")
    for facts in ({}, _FACTS, _FACTS | {"declared_missed": "2031-07-11T18:00-07:00"}):
        for to in ("dana", "ann@acme.example"):
            view = _view(kind if kind in get_args(Kind) and kind != UPDATE else "escalation", to, facts)
            section = {**view, "subject": "4711", "lines": [Line("4711")]}
            yield (
                {**view, "sections": [section, section], "listed": [Line("4711")], "more": 2}
                if kind.startswith("frame")
                else view
            )


def _view(kind: str, to: str, facts: dict[str, str]) -> dict[str, Any]:
    step = Step.model_validate(
        {"key": "k", "kind": kind, "at": _AT, "clock": "response", "step": "75%", "clause": "X01", "facts": facts}
    )
    incident = IncidentFacts(
        incident="incident/desk/4711", ticket="4711", source="desk", customer="acme", customer_name="Acme",
        contact="ann@acme.example", contact_name="Ann", priority="P1", assignee="dana", assignee_name="Dana",
    )  # fmt: skip
    return sample_view(step, Notice(at=_AT, kind=kind, clock="response", step="75%", to=(to,), clause="X01"), incident)
