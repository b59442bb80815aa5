"""What operators decide about a customer's support: updates with validators, so that a refusal reaches them as a sentence."""

from datetime import datetime, timedelta
from typing import Any

from temporalio import workflow
from temporalio.exceptions import ApplicationError

with workflow.unsafe.imports_passed_through():
    from activities.calls import Decision
    from sla import report
    from sla.account import Account
    from sla.account_events import (
        AccountDelivery,
        AnyAccountEvent,
        ExceptionEnded,
        ExceptionGranted,
        SuspensionApproved,
        SuspensionDeclined,
    )

REACH = timedelta(days=400)
"""A decision may be told of so late, and an exception may last so long."""


class Deciders:
    """The updates of an account; each takes a Decision and answers with the account as it then stands."""

    account: Account

    def hear(self, word: AccountDelivery) -> None:
        raise AssertionError("the workflow hears")

    @workflow.update(description='Suspend support while this lapse lasts. Argument: {"by": "YOU", "why": "…"}')
    def approve_suspension(self, said: Decision) -> dict[str, Any]:
        """An operator says that support is suspended."""
        return self._take(said, SuspensionApproved(by=said.by, why=said.why, line=said.line))

    @approve_suspension.validator
    def _may_approve(self, said: Decision) -> None:
        if self._heard_before():
            return
        self._line(said)
        if not any(line.standing in ("lapsed", "suspended") for line in self._concerned(said)):
            raise _refusal("nothing is outstanding, so there is no suspension to approve")

    @workflow.update(description='Go on with support in spite of this lapse. Argument: {"by": "YOU", "why": "…"}')
    def decline_suspension(self, said: Decision) -> dict[str, Any]:
        """An operator says that support goes on."""
        return self._take(said, SuspensionDeclined(by=said.by, why=said.why, line=said.line))

    @decline_suspension.validator
    def _may_decline(self, said: Decision) -> None:
        if self._heard_before():
            return
        self._line(said)
        if not any(line.standing in ("lapsed", "suspended") for line in self._concerned(said)):
            raise _refusal("nothing is outstanding, so there is no suspension to decline")
        asked = [terms.mode for terms in self.account.terms.all if said.line in (None, terms.id)]
        if "approval" not in asked:
            raise _refusal("the contract suspends by itself; grant an exception with a date instead")

    @workflow.update(
        description='Give support in spite of a suspension, until a moment. Argument: {"by": "YOU", "why": "…", "until": "ISO 8601"}'
    )
    def grant_exception(self, said: Decision) -> dict[str, Any]:
        """Break glass: support is given, for a while, on somebody's word."""
        assert said.until is not None
        assert said.why is not None
        return self._take(said, ExceptionGranted(by=said.by, why=said.why, until=said.until, line=said.line))

    @grant_exception.validator
    def _may_grant(self, said: Decision) -> None:
        if self._heard_before():
            return
        self._line(said)
        if not said.why:
            raise _refusal("an exception is on the record: say why")
        if said.until is None or said.until <= (said.at or workflow.now()):
            raise _refusal("an exception ends by itself: say until when, a time after it begins")
        if said.until > workflow.now() + REACH:
            raise _refusal(
                f"an exception lasts {REACH.days} days at most: say an earlier end, and grant another one then"
            )

    @workflow.update(description='End an exception before its time. Argument: {"by": "YOU"}')
    def end_exception(self, said: Decision) -> dict[str, Any]:
        """The glass is mended."""
        return self._take(said, ExceptionEnded(by=said.by, why=said.why, line=said.line))

    @end_exception.validator
    def _may_end(self, said: Decision) -> None:
        if self._heard_before():
            return
        self._line(said)
        if not any(line.exception is not None for line in self._concerned(said)):
            raise _refusal("no exception is in force")

    def _take(self, said: Decision, event: AnyAccountEvent) -> dict[str, Any]:
        now, key = workflow.now(), _key()
        at: datetime = said.at or now
        self.hear(AccountDelivery(key=key, occurred_at=min(at, now), received_at=now, event=event))
        return report.account(self.account.view(now), self.account.state.log)

    def _heard_before(self) -> bool:
        """Whether this very update was carried out, before a renewal: asked again, it changes nothing."""
        return self.account.knows(_key())

    def _line(self, said: Decision) -> None:
        if self.account.state.terms is None:
            raise _refusal("the account is being opened; try again in a moment")
        if said.at is not None and said.at < workflow.now() - REACH:
            raise _refusal(f"it was decided more than {REACH.days} days ago: say a later time, or none for now")
        known = [line.id for line in self.account.terms.all]
        if said.line is not None and said.line not in known:
            raise _refusal(f"there is no contract line {said.line!r}; there are: {', '.join(known)}")

    def _concerned(self, said: Decision) -> list[Any]:
        view = self.account.view(workflow.now())
        return [line for line in view.lines if said.line in (None, line.id)]


def _key() -> str:
    info = workflow.current_update_info()
    return f"decided:{info.id if info is not None else workflow.now().isoformat()}"


def _refusal(sentence: str) -> ApplicationError:
    return ApplicationError(sentence, type="Refused", non_retryable=True)
