"""The typed search attributes: what an operator filters by. Nothing personal is in them."""

from datetime import datetime
from typing import Any

from temporalio.common import SearchAttributeKey, SearchAttributePair, SearchAttributeUpdate, TypedSearchAttributes

from sla import names
from sla.evaluate import View

KEYWORDS = {name: SearchAttributeKey.for_keyword(name) for name in names.KEYWORD_ATTRIBUTES}
NEXT_DUE = SearchAttributeKey.for_datetime(names.NEXT_DUE)
TRIAGE = SearchAttributeKey.for_bool(names.TRIAGE)
ALL_KEYS: list[SearchAttributeKey[Any]] = [*KEYWORDS.values(), NEXT_DUE, TRIAGE]


def attributes(view: View, customer: str, version: str) -> dict[SearchAttributeKey[Any], Any]:
    """What the attributes should be."""
    wanted: dict[str, str | None] = {
        names.CUSTOMER: names.canonical(customer),
        names.PRIORITY: view.priority,
        names.PHASE: view.phase,
        names.CLOCK_STATE: clock_state(view),
        names.ASSIGNEE: view.assignee and names.canonical(view.assignee),
        names.STANDING: view.standing,
        names.POLICY_VERSION: version,
    }
    due = None if view.next_due is None else view.next_due.replace(microsecond=view.next_due.microsecond // 1000 * 1000)
    return {**{KEYWORDS[name]: value for name, value in wanted.items()}, NEXT_DUE: due, TRIAGE: view.triage}


def clock_state(view: View) -> str:
    """The clocks in one word: `missed` before all, then what the promises still to be kept are doing, else `kept`."""
    states = {clock.state for clock in view.clocks}
    if any(clock.state == "missed" and clock.stopped is None for clock in view.clocks):
        return "missed"
    live = next((s for s in ("running", "suspended", "paused", "not_started") if s in states), None)
    if live is not None:
        return live
    return "void" if states <= {"void"} else "kept" if "missed" not in states else "missed"


def at_start(customer: str, priority: str | None) -> TypedSearchAttributes:
    """What is known without a look at any policy."""
    known = {names.CUSTOMER: names.canonical(customer), names.PRIORITY: priority, names.PHASE: "open",
             names.CLOCK_STATE: "running", names.STANDING: "current"}  # fmt: skip
    pairs: list[SearchAttributePair[Any]] = [
        SearchAttributePair(KEYWORDS[name], value) for name, value in known.items() if value is not None
    ]
    return TypedSearchAttributes([*pairs, SearchAttributePair(TRIAGE, False)])


def changes(
    shown: TypedSearchAttributes, wanted: dict[SearchAttributeKey[Any], Any]
) -> list[SearchAttributeUpdate[Any]]:
    """The updates that bring what is shown to what is wanted; none: nothing to pay for."""
    updates = []
    for key, value in wanted.items():
        now = shown.get(key)
        if key is TRIAGE and now is None:
            continue  # an incident of before the triage queue: its history has no such attribute
        if isinstance(now, datetime) and isinstance(value, datetime) and abs((now - value).total_seconds()) < 0.002:
            continue
        if now != value:
            updates.append(key.value_unset() if value is None else key.value_set(value))
    return updates
