"""What an account owes before anything is suspended: a reminder to those who pay, the asking of those who may approve."""

from collections.abc import Sequence

from sla.civil import from_us
from sla.facts import Done
from sla.standing import Due, LineStanding, LineTerms, later
from sla.steps import Kind, Step
from sla.suspension import Saying


def asks(line: LineStanding, due: Due) -> bool:
    """Whether an approval is still wanted for it."""
    return due.mode == "approval" and not due.terminated and line.answer(due) is None


def reminders(line: LineStanding, mine: Sequence[Done], now: int, heard: int) -> list[Step]:
    """A payment lapsed, and support will be suspended unless it arrives: told once to those who pay.

    Not while support is suspended for another: what it says of support would not be true.
    """
    if any(a <= now and (b is None or now < b) for a, b in line.suspended):
        return []
    told = {step.what.of for step in mine if step.what.kind == "reminder"}
    owed: list[Step] = []
    for due in line.outstanding:
        waits = due.graced > now or asks(line, due)
        if due.terminated or due.mode == "none" or not due.start <= now or not waits or _name(due) in told:
            continue
        said = {"since": from_us(due.start).isoformat(), "why": due.reference or ""}
        if due.graced > due.start:
            said["grace_until"] = from_us(due.graced).isoformat()
        owed.append(
            step_of(
                "reminder",
                line.terms,
                max(due.start, heard),
                len(told) + len(owed) + 1,
                _name(due),
                ("customer",),
                said,
            )
        )
    return owed


def approvals(line: LineStanding, mine: Sequence[Done], now: int, heard: int) -> tuple[list[Step], list[int]]:
    """Whoever may is asked to approve a suspension, and others when nobody answers; and when the next asking is due."""
    owed: list[Step] = []
    looks: list[int] = []
    for due in line.outstanding:
        if not asks(line, due):
            continue
        name = _name(due)
        asked = [step for step in mine if step.what.kind == "approval" and step.what.of == name]
        said = {"since": from_us(due.start).isoformat(), "why": due.reference or ""}
        if not asked:
            at = max(due.graced, heard)
            if due.graced > now:
                looks.append(due.graced)
            else:
                owed.append(
                    step_of(
                        "approval",
                        line.terms,
                        at,
                        _count(mine, "approval") + len(owed) + 1,
                        name,
                        line.terms.asks,
                        said,
                    )
                )
            continue
        first = asked[0].at
        for i, rung in enumerate(line.terms.unanswered):
            label = f"{line.terms.id} unanswered + {rung.after}"
            if any(step.what.step == label for step in asked):
                continue
            at = later(line.terms.table, rung.after, first)
            if at > now:
                looks.append(at)
                continue
            number = _count(mine, "approval") + len(owed) + 1
            more = said | {"first_asked": from_us(first).isoformat()}
            step = step_of("approval", line.terms, at, number, name, rung.asks, more)
            owed.append(step.model_copy(update={"step": label, "key": f"{step.key}.{i + 1}"}))
    return owed, looks


def _name(due: Due) -> str:
    return f"{due.reference or '-'}@{from_us(due.start).isoformat()}"


def _count(mine: Sequence[Done], kind: Kind) -> int:
    return sum(step.what.kind == kind for step in mine)


def step_of(
    kind: Kind,
    line: LineTerms,
    at: int,
    number: int,
    of: str | None,
    tells: tuple[str, ...],
    said: dict[str, str],
    owed: Saying | None = None,
) -> Step:
    """A step of a contract line that falls due at `at` (microseconds); `said` are its facts, empty ones left out."""
    facts = {"line": line.id, "line_title": line.title, **said}
    return Step(
        key=f"{kind}/-/{line.id}/{number}", kind=kind, at=from_us(at), step=line.id, of=of, tells=tells, speaks_when_suspended=True,
        clause="X04" if kind == "withdrawal" else line.clause, bundle=None if owed is None else owed.bundle(line.id),
        facts={name: value for name, value in facts.items() if value},
    )  # fmt: skip
