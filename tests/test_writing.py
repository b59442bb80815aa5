"""What is written back into the helpdesk: what was decided here, once, and never over the helpdesk's own word."""

from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from activities.calls import CarryOut
from activities.helpdesks.client import HelpdeskRefused, HelpdeskUnavailable, Writing
from activities.message import ChannelUnavailable
from activities.policies import Policies
from records.sent import SentStore
from sla.intake import MARK
from sla.perform import Scene
from sla.roster import Outcome
from sla.source import Source
from sla.steps import Step
from worker.writing import PATIENT_ATTEMPTS, Writer, written

NOW = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
ALL = Source(
    name="desk", kind="zendesk", url="https://acme.zendesk.com", agents={"114": "dana", "115": "eli"},
    priorities={"urgent": "P1", "high": "P2"}, writes=("notes", "assignee", "priority", "due", "tags"),
)  # fmt: skip


def step(kind: str = "escalation", of: str | None = None, **facts: str) -> Step:
    return Step(key=f"{kind}/response/75%/1", kind=kind, at=NOW, of=of, facts=facts)  # type: ignore[arg-type]


def asked(*steps: Step, **other: Any) -> CarryOut:
    return CarryOut(
        incident="incident/desk/4711", state_source="desk", ticket="4711", steps=steps, scene=Scene(assignee="dana"),
        priority="P1", contract="tromzo", contract_title="Tromzo", next_due=NOW, **other,
    )  # fmt: skip


def writing(*chosen: tuple[Step, Outcome], source: Source = ALL) -> Writing | None:
    return written(asked(*(one for one, _ in chosen)), chosen, ["4711: 75% of response used"], source)


def test_an_escalation_leaves_a_note_with_its_mark_the_new_assignee_the_due_time_and_a_tag_for_a_miss() -> None:
    made = writing((step(declared_missed="2031-07-07T09:00-07:00"), Outcome((), "eli")))
    assert made is not None
    assert (made.note, made.assignee, made.due, made.tags) == (
        "4711: 75% of response used",
        "115",
        NOW,
        ("sla-missed",),
    )
    assert MARK.fullmatch(made.mark)
    assert made.priority is None


def test_what_was_decided_here_is_written_and_what_the_helpdesk_said_itself_is_not() -> None:
    turns = "acknowledged operator:1\npriority_changed operator:2"
    here = writing((step("update", of="operator:1#2", turns=turns), Outcome(())))
    assert here is not None
    assert (here.assignee, here.priority, here.note) == ("114", "urgent", None)
    theirs = writing(
        (
            step("update", of="desk:4711:priority:urgent#1", turns="priority_changed desk:4711:priority:urgent"),
            Outcome(()),
        )
    )
    assert theirs is not None
    assert (theirs.assignee, theirs.priority, theirs.due) == (None, None, NOW)


def test_only_what_the_source_names_is_written() -> None:
    assert writing((step(), Outcome((), "eli")), source=ALL.model_copy(update={"writes": ()})) is None
    made = writing((step(), Outcome((), "eli")), source=ALL.model_copy(update={"writes": ("notes",)}))
    assert made is not None
    assert (made.assignee, made.due, made.tags) == (None, None, ())
    unmapped = writing((step(), Outcome((), "farid")), source=ALL.model_copy(update={"writes": ("assignee",)}))
    assert unmapped is None


@dataclass
class Ticket:
    """A helpdesk that keeps what is written, or fails."""

    fails: list[Exception] = field(default_factory=list)
    kept: list[tuple[str, Writing]] = field(default_factory=list)

    async def write(self, id: str, said: Writing) -> str:
        if self.fails:
            raise self.fails.pop(0)
        self.kept.append((id, said))
        return "a note"


@pytest.fixture
def office(engine: Any, tmp_path: Path) -> tuple[Writer, Ticket]:
    from records.shelf import Shelf

    (tmp_path / "sources").mkdir()
    (tmp_path / "sources" / "desk.yaml").write_text(ALL.model_dump_json(exclude_defaults=True))
    ticket = Ticket()
    return Writer(Policies(Shelf(tmp_path)), lambda source: ticket, SentStore(engine)), ticket  # type: ignore[arg-type, return-value]


async def test_the_same_steps_are_written_once(office: tuple[Writer, Ticket]) -> None:
    writer, ticket = office
    one = step()
    for attempt in (1, 2):
        await writer.write(asked(one), [(one, Outcome(()))], ["said"], attempt)
    assert [id for id, _ in ticket.kept] == ["4711"]


async def test_a_helpdesk_that_is_down_is_tried_again_and_then_let_be(office: tuple[Writer, Ticket]) -> None:
    writer, ticket = office
    one = step()
    ticket.fails = [HelpdeskUnavailable("it is away", 7), HelpdeskUnavailable("it is away")]
    with pytest.raises(ChannelUnavailable) as put_off:
        await writer.write(asked(one), [(one, Outcome(()))], ["said"], 1)
    assert put_off.value.retry_after == 7
    await writer.write(asked(one), [(one, Outcome(()))], ["said"], PATIENT_ATTEMPTS + 1)
    assert ticket.kept == []


async def test_what_is_refused_keeps_nobody_from_being_told(office: tuple[Writer, Ticket]) -> None:
    writer, ticket = office
    one = step()
    ticket.fails = [HelpdeskRefused("no such field", 422)]
    await writer.write(asked(one), [(one, Outcome(()))], ["said"], 1)
    await writer.write(asked(one), [(one, Outcome(()))], ["said"], 2)
    assert ticket.kept == []
