"""docs/operators.md says nothing that is not so: its actions, its JSON, its attributes, its commands, its pictures."""

import json
import re
from pathlib import Path

from activities.attributes import ALL_KEYS
from sla import names
from sla.events import Delivery
from starter.cli import COMMANDS
from workflows.card import MAY
from workflows.operators import ACTIONS

DOCS = Path(__file__).resolve().parent.parent / "docs"
PAGE = (DOCS / "operators.md").read_text(encoding="utf-8")
ROW = re.compile(r"^\| `(\w+)` \| `pactkeeper ([\w-]+) TICKET[^`]*` \| `(\{.*\})` \|$", re.MULTILINE)


def delivery(event: dict[str, str]) -> Delivery:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    return Delivery.model_validate(json.loads(block) | {"event": event})


def test_every_action_is_there_with_a_command_and_an_event_that_are_so() -> None:
    """What is copied from the page into the UI is taken by the incident."""
    rows = ROW.findall(PAGE)
    assert {action for action, *_ in rows} == set(ACTIONS)
    commands = {command for _, group in COMMANDS for command in group}
    for action, command, event in rows:
        assert command in commands
        assert delivery(json.loads(event)).event.event == ACTIONS[action]


def test_the_example_of_a_delivery_is_one() -> None:
    (block,) = re.findall(r"```json\n(.*?)```", PAGE, re.DOTALL)
    assert Delivery.model_validate_json(block).event.event == "acknowledged"


def test_every_attribute_and_phase_is_explained_and_none_that_is_not() -> None:
    described = re.findall(r"^\| `(Sla\w+)` \|", PAGE, re.MULTILINE)
    assert set(described) == {key.name for key in ALL_KEYS}
    assert set(re.findall(r"\bSla[A-Z]\w+", PAGE)) == set(described)
    (phases,) = re.findall(rf"^\| `{names.PHASE}` \| (.*) \|$", PAGE, re.MULTILINE)
    assert set(re.findall(r"`(\w+)`", phases)) == set(MAY)


def test_every_command_on_the_page_exists() -> None:
    commands = {command for _, group in COMMANDS for command in group} | {"policy"}
    assert set(re.findall(r"pactkeeper ([a-z][a-z-]+)", PAGE)) <= commands


def test_every_picture_is_there_and_small_and_none_is_left_over() -> None:
    shown = {DOCS / path for path in re.findall(r"\]\((images/[^)]+)\)", PAGE)}
    assert shown == set((DOCS / "images").glob("ui-*.png"))
    for picture in shown:
        data = picture.read_bytes()
        assert data.startswith(b"\x89PNG\r\n")
        assert len(data) < 200_000, picture
