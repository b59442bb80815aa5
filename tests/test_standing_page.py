"""docs/standing.md says only what is so: its commands are understood, its messages are those that go out, its contract can be read."""

import json
import re
import shlex
from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from activities.account_wording import Line, account_facts, letter
from activities.calls import Decision
from sla.policy import SuspensionTerms
from sla.roster import Recipient
from sla.steps import Step
from starter import cli
from starter.intake import generic

ROOT = Path(__file__).resolve().parent.parent
PAGE = (ROOT / "docs" / "standing.md").read_text(encoding="utf-8")
AT = datetime(2031, 7, 16, 19, tzinfo=UTC)
LAPSED, GRACED, PAID = "2031-07-09T19:00:00+00:00", "2031-07-16T19:00:00+00:00", "2031-07-15T16:00:00+00:00"
ANN = Recipient("ann@acme.example", "email", "ann@acme.example", "Ann")
GWEN = Recipient("gwen", "email", "gwen@desk.example", "Gwen")


def blocks(kind: str) -> list[str]:
    return re.findall(rf"```{kind}\n(.*?)```", PAGE, re.DOTALL)


def said(kind: str, to: Recipient, facts: dict[str, str], *lines: tuple[str, str, str]) -> str:
    """What an account says, as the page shows it."""
    about = account_facts("acme", "Acme", "Reciprocity service level agreement", -420)
    step = Step.model_validate(
        {"key": f"{kind}/-/support/1", "kind": kind, "at": AT, "step": "support", "clause": "R12",
         "tells": ("customer",) if to is ANN else ("manager",), "facts": {"line": "support", **facts}}
    )  # fmt: skip
    listed = [
        Line(kind=step.kind, at=AT, ticket=ticket, priority=priority, customer="acme", to_customer=True,
             offset_minutes=-420, facts={"left": left})
        for ticket, priority, left in lines
    ]  # fmt: skip
    subject, text = letter(step, to, about, listed, len(listed), to_customer=to is ANN)
    return f"{subject}\n\n{text.strip()}\n"


@pytest.mark.parametrize(
    "shown",
    [
        said("reminder", ANN, {"since": LAPSED, "why": "INV-7", "grace_until": GRACED}),
        said("suspension", ANN, {"since": GRACED, "why": "payment outstanding (INV-7)"},
             ("4711", "S3", "response: 9 h"), ("4712", "S2", "response: 3 h")),
        said("withdrawal", ANN, {"since": GRACED, "paid": PAID}, ("4711", "S3", "response: 9 h")),
        said("approval", GWEN, {"since": LAPSED, "why": "INV-7"}),
    ],
    ids=["reminder", "suspension", "withdrawal", "approval"],
)  # fmt: skip
def test_each_message_on_the_page_is_one_that_goes_out(shown: str) -> None:
    assert shown in blocks("text")


def test_every_command_on_the_page_is_understood() -> None:
    known = get_command(cli.app).commands  # type: ignore[attr-defined]
    lines = [line.partition("  #")[0] for block in blocks("sh") for line in block.splitlines()]
    assert len(lines) > 8
    for line in lines:
        program, name, *words = shlex.split(line)
        assert program == "pactkeeper"
        assert known[name].make_context(name, words)


def test_the_terms_and_bodies_on_the_page_can_be_read() -> None:
    (terms,) = blocks("yaml")
    read = SuspensionTerms.model_validate(yaml.safe_load(terms)["suspension"])
    assert (read.mode, str(read.grace), read.serves) == ("approval", "5 business days", ("S1",))
    decision, event = map(json.loads, blocks("json"))
    assert Decision.model_validate(decision).line == "hardware"
    word = generic.word({k: v for k, v in event.items() if k != "key"}, "acme", "k", AT)
    assert word.delivery.event.event == "payment_lapsed"
