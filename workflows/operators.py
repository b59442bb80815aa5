"""What operators do: updates with validators, so that a refusal reaches the person as a sentence."""

from collections.abc import Sequence
from typing import Any

from temporalio import workflow
from temporalio.common import RawValue
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from sla import report
    from sla.events import Delivery
    from sla.incident import Incident

ACTIONS: dict[str, str] = {
    "acknowledge": "acknowledged",
    "assign": "assigned",
    "reclassify": "priority_changed",
    "reply": "agent_replied",
    "plan_given": "plan_provided",
    "wait": "waiting_on_customer",
    "resolve": "resolved",
    "reopen": "reopened",
    "close": "closed",
    "dispose": "dispositioned",
    "restore": "restored",
    "authorize": "authorized",
    "decline": "declined",
    "revise_calendar": "calendar_revised",
    "move_policy": "policy_moved",
    "settle": "settled",
}
"""Each update's name and the event that it carries."""


class Operators:
    """The updates of an incident, one an action; all take a delivery and answer with the incident as it then stands."""

    incident: Incident

    def hear(self, word: Delivery) -> None:
        raise AssertionError("the workflow hears")

    @workflow.update(
        dynamic=True, description=f"One of: {', '.join(ACTIONS)}. Argument: a delivery with the matching event."
    )
    def operate(self, name: str, args: Sequence[RawValue]) -> dict[str, Any]:
        """Carry out an operator's action."""
        word = self._word(name, args)
        self.hear(word)
        if self.incident.state.pinned is None:
            return {"phase": "opening"}
        view = self.incident.view(workflow.now())
        return report.incident(view, self.incident.state.log, self.incident.pinned.calendar.timetable())

    @operate.validator
    def _refuse(self, name: str, args: Sequence[RawValue]) -> None:
        word = self._word(name, args)
        what = word.event
        if self.incident.state.pinned is None:
            return
        contract = self.incident.pinned.contract
        view = self.incident.view(workflow.now())
        if view.closed and what.event != "reopened":
            raise _refusal(f"the incident is closed; reopen it before you {name.replace('_', ' ')}")
        if what.event == "priority_changed" and what.to not in contract.priorities:
            raise _refusal(
                f"priority {what.to!r} is none of {contract.name}'s; write one of: {', '.join(contract.priorities)}"
            )
        if what.event == "dispositioned":
            terms = contract.dispositions.get(what.disposition)
            if terms is None:
                raise _refusal(
                    f"{contract.name} knows no disposition {what.disposition!r}; it knows: {', '.join(contract.dispositions)}"
                )
            if what.ground is not None and terms.grounds and what.ground not in terms.grounds:
                raise _refusal(
                    f"ground {what.ground!r} is none of {terms.clause}'s; write one of: {', '.join(terms.grounds)}"
                )
        if what.event == "restored" and view.disposition is None and view.phase != "discarded":
            raise _refusal("there is nothing to restore: the incident has no disposition and was not discarded")
        if what.event in ("authorized", "declined") and view.phase != "held":
            raise _refusal(f"the incident is {view.phase}, not held; only a held request is authorized or declined")
        if what.event == "reopened" and view.phase not in ("resolved", "closed"):
            raise _refusal(f"the incident is {view.phase}; only a resolved or closed one is reopened")

    def _word(self, name: str, args: Sequence[RawValue]) -> Delivery:
        if name not in ACTIONS:
            raise _refusal(f"no action is called {name!r}; there are: {', '.join(ACTIONS)}")
        if len(args) != 1:
            raise _refusal(f"{name} carries one delivery, got {len(args)} arguments")
        try:
            word: Delivery = workflow.payload_converter().from_payload(args[0].payload, Delivery)
        except Exception as error:  # noqa: BLE001 whatever was sent, the answer is a sentence
            raise _refusal(f"{name} carries a delivery: {str(error).splitlines()[0]}") from None
        if word.event.event != ACTIONS[name]:
            raise _refusal(f"{name} carries the event {ACTIONS[name]!r}, got {word.event.event!r}")
        return word


def _refusal(sentence: str) -> ApplicationError:
    return ApplicationError(sentence, type="Refused", non_retryable=True)
