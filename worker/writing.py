"""What is written back: a ticket follows its incident in the helpdesk that it is from."""

import hashlib
import logging
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime

from sqlalchemy.exc import SQLAlchemyError

from activities.calls import CarryOut
from activities.helpdesks.client import Helpdesk, HelpdeskRefused, HelpdeskUnavailable, Writing
from activities.message import ChannelUnavailable
from activities.policies import Policies
from activities.wording import for_customer, words
from records.sent import Sent, SentStore
from sla.roster import Outcome
from sla.source import Source
from sla.steps import Step
from worker.letters import Said

PATIENT_ATTEMPTS = 3
"""A helpdesk that is down is tried so often with one writing; the next turn writes how things stand then."""
NOTED = ("escalation", "reassignment", "withdrawal", "suspension", "resumption", "reclassification", "disposition")
"""Steps of which a note is left in the ticket."""

_HANDS = frozenset({"acknowledged", "assigned"})
_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Writer:
    """Needs the sources with their clients, and the record of what was done."""

    policies: Policies
    desk: Callable[[Source], Helpdesk | None]
    sent: SentStore | None = None

    async def write(
        self, asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], subjects: Sequence[str], attempt: int
    ) -> None:
        """Write into the ticket how it stands, and a note of what was told; once for these steps.

        Raises:
            ChannelUnavailable: the helpdesk is down; after some attempts it is let be.
        """
        source = self.policies.source(asked.state_source)
        if source is None or not source.writes or not chosen:
            return
        desk = self.desk(source)
        if desk is None:
            return
        writing = written(asked, chosen, subjects, source)
        if writing is None or await self._known(writing.key):
            return
        try:
            detail = await desk.write(asked.ticket, writing)
        except HelpdeskUnavailable as error:
            if attempt <= PATIENT_ATTEMPTS:
                raise ChannelUnavailable(str(error), error.retry_after) from None
            detail = f"given up: {error}"
            _log.error("nothing was written into the ticket of %s: %s", asked.incident, error)
        except HelpdeskRefused as error:
            detail = f"refused: {error}"
            _log.error("nothing was written into the ticket of %s: %s", asked.incident, error)
        await self._remember(asked, writing, detail)

    async def _known(self, key: str) -> bool:
        if self.sent is None:
            return False
        try:
            return await self.sent.get(key) is not None
        except (SQLAlchemyError, OSError):
            return False  # written again it changes nothing: the note carries its mark

    async def _remember(self, asked: CarryOut, writing: Writing, detail: str) -> None:
        if self.sent is None:
            return
        kept = Sent(
            key=writing.key, incident=asked.incident, kind="writing", clock=None, step=None, clause=None, channel="helpdesk",
            recipients=(asked.state_source,), via="helpdesk", sent_at=datetime.now(UTC), detail=detail[:500],
        )  # fmt: skip
        try:
            await self.sent.put(kept)
        except (SQLAlchemyError, OSError) as error:
            _log.warning("what was written into a helpdesk is not in the record (%s)", type(error).__name__)


def subjects_of(said: Iterable[Said]) -> list[str]:
    """What our own people were told, a line for each step, with whom."""
    lines: dict[str, tuple[str, list[str]]] = {}
    for recipient, item in said:
        if item[0].kind in NOTED and not for_customer(*item):
            lines.setdefault(item[0].key, (words(*item)[0], []))[1].append(recipient.name or recipient.id)
    return [f"{subject} (told: {', '.join(dict.fromkeys(names))})" for subject, names in lines.values()]


def written(
    asked: CarryOut, chosen: Sequence[tuple[Step, Outcome]], subjects: Sequence[str], source: Source
) -> Writing | None:
    """What is to stand in the ticket after these steps; None: nothing that this source is written.

    Who has it and how urgent it is are written only where that was decided here: the helpdesk's own word may be on its way.
    """
    key = f"{asked.incident}/{'+'.join(step.key for step, _ in chosen)[:500]}/helpdesk"
    assignee = next((o.assignee for _, o in reversed(chosen) if o.assignee), None) or asked.scene.assignee
    here = _decided_here(chosen, source)
    handed = bool(here & _HANDS) or any(outcome.assignee for _, outcome in chosen)
    missed = any("declared_missed" in step.facts for step, _ in chosen)
    noted = [step for step, _ in chosen if step.kind in NOTED]
    note = "\n".join(dict.fromkeys(subjects)) if noted and subjects and "notes" in source.writes else None
    made = Writing(
        key=key,
        note=note,
        mark=f"[pactkeeper:{hashlib.sha256(key.encode()).hexdigest()[:16]}]",
        assignee=_theirs(source.agents, assignee) if handed and "assignee" in source.writes else None,
        priority=_theirs(source.priorities, asked.priority)
        if "priority_changed" in here and "priority" in source.writes
        else None,
        due=asked.next_due if "due" in source.writes else None,
        tags=(("sla-missed",) if missed else ()) if "tags" in source.writes else (),
    )
    return made if any((made.note, made.assignee, made.priority, made.due, made.tags)) else None


def _decided_here(chosen: Sequence[tuple[Step, Outcome]], source: Source) -> set[str]:
    """What of the turns that an update follows did not come from the helpdesk itself."""
    turns = [line.split(" ", 1) for step, _ in chosen if step.kind == "update" for line in _turns(step)]
    return {event for event, *key in turns if not "".join(key).startswith(f"{source.name}:")}


def _turns(step: Step) -> list[str]:
    return step.facts.get("turns", "").split("\n") if step.facts.get("turns") else []


def _theirs(names: dict[str, str], ours: str | None) -> str | None:
    return next((theirs for theirs, one in names.items() if one == ours), None)
