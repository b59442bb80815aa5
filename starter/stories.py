"""Reading a story file, with every fault told by file and line, and what both engines need of the world to play it."""

from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from activities.incidents import language_of
from activities.policies import Policies
from records.policy_faults import Fault, faults
from records.shelf import PolicyFileError, Shelf, shown
from records.yaml_lines import Document, YamlError, read
from sla.events import Delivery
from sla.horizon import window
from sla.policy import Contract, PinnedContract
from sla.roster import Roster
from sla.standing import AccountTerms
from sla.story import Script, Story, StoryError, days, script
from sla.timetable import Timetable


class StoryFileError(Exception):
    """A story that cannot be read: sentences, each with file and line."""

    def __init__(self, sentences: list[str]) -> None:
        super().__init__("\n".join(sentences))
        self.sentences = sentences


@dataclass(frozen=True)
class Loaded:
    """A story ready to be played: its script, its contract and calendar, and the policies it is played under."""

    path: Path
    script: Script
    contract: Contract
    table: Timetable
    policies: Policies
    expect: dict[str, Any]

    # What the pure player asks of the world

    def pin(self, contract: str, playbook: str | None, at: datetime) -> PinnedContract:
        """The contract, pinned about a moment."""
        return self.policies.pin("", contract, playbook, at)

    def terms(self, customer: str, at: datetime) -> AccountTerms:
        """What the contracts of a customer's lines say of payments."""
        return self.policies.terms(customer, self.script.story.contract, at)

    def line(self, customer: str, product: str | None) -> tuple[str, str]:
        """The contract line that covers a product, and its contract."""
        line, contract = self.policies.line(customer, self.script.story.contract, product)
        return line.id, contract or self.script.story.contract

    def roster(self, at: datetime) -> Roster:
        """The story's team."""
        return Roster.around(self.policies.team(), at)

    def language(self, contract: Contract, opening: Delivery) -> tuple[str | None, str | None]:
        """The language of an opening."""
        return language_of(contract, opening)


def load(path: Path, shelf: Shelf | None = None) -> Loaded:
    """Read a story file and all that it names.

    Raises:
        StoryFileError: it cannot be read; each sentence says file, line, what, and what is allowed.
    """
    try:
        document = read(path.read_text(encoding="utf-8-sig"))
    except OSError as error:
        raise StoryFileError([f"{path}: the story can't be read ({error.strerror}); check the path"]) from None
    except UnicodeDecodeError:
        raise StoryFileError([f"{shown(path)}:1: the file is not in UTF-8; save it as UTF-8"]) from None
    except YamlError as error:
        raise StoryFileError([f"{shown(path)}:{error.line}: {error}"]) from None
    return _made(path, document, shelf or Shelf())


def _made(path: Path, document: Document, shelf: Shelf) -> Loaded:
    file = shown(path)
    if not isinstance(document.value, dict):
        raise StoryFileError([f"{file}:1: the file holds no story; a story has: title, contract, happens"])
    try:
        story = Story.model_validate(document.value)
    except ValidationError as error:
        raise StoryFileError([str(fault) for fault in faults(file, document, Story, error)]) from None
    try:
        policies = Policies(shelf, team_name=story.team, only={c.id: c for c in story.customers}, base=path.parent)
        contract = shelf.contract(story.contract, path.parent)
        shelf.team(story.team, path.parent)
        if story.playbook is not None:
            shelf.playbook(story.playbook, path.parent)
        first, last = days(story)
        noon = datetime.combine(first, datetime.min.time())
        begin, end = window(noon, contract.horizon_days + (last - first).days + 30)
        table = shelf.pin(story.contract, story.playbook, begin, end, path.parent).calendar.timetable()
        made = script(story, contract, table)
    except PolicyFileError as error:
        where = next(
            (
                k
                for k in ("contract", "playbook", "team")
                if story.model_dump()[k] and f"{story.model_dump()[k]}" in str(error)
            ),
            "contract",
        )
        raise StoryFileError(
            [f"{file}:{document.line((where,))}: {sentence}" for sentence in error.sentences]
        ) from None
    except StoryError as error:
        raise StoryFileError([str(Fault(file, document.line(error.path), str(error)))]) from None
    return Loaded(path, made, contract, table, policies, story.expect)


def renamed(loaded: Loaded, tag: str) -> Policies:
    """The story's policies with its customers under ids of their own, so that many stories can share one server."""
    only = {
        f"{tag}.{id}": customer.model_copy(update={"id": f"{tag}.{id}"})
        for id, customer in (loaded.policies.only or {}).items()
    }
    return replace(loaded.policies, only=only)
