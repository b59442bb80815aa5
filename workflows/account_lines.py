"""What an operator asks of an account's lines beside how they stand: the terms, what is outstanding, what comes next."""

from collections.abc import Callable, Iterator, Mapping
from datetime import datetime
from typing import Any

from sla.account import Account, AccountView, LineView
from sla.account_events import SuspensionApproved, SuspensionDeclined
from sla.civil import from_us, to_us
from sla.standing import Due

LISTED = 50
"""So many incidents of a line are listed by their ids; of the others their number is told."""

Said = Mapping[str, Any]
When = Callable[[str], str]


def lines(account: Account, view: AccountView) -> dict[str, dict[str, Any]]:
    """By the line's id: title, contract, clause, `mode`, what is outstanding, how the question of an approval stands."""
    return {one.id: _line(account, view, one) for one in view.lines}


def of_line(account: Account, view: AccountView) -> dict[str, dict[str, Any]]:
    """The same, and how many incidents are enrolled, with the first of them."""
    about = lines(account, view)
    rolls = {id: account.of_line(id) for id in about}
    return {id: said | {"enrolled": len(rolls[id]), "incidents": rolls[id][:LISTED]} for id, said in about.items()}


def coming(line: Said, about: Said, when: When) -> str:
    """What comes next for a line, in a sentence: `line` as `report.account` has it, `about` as `lines` has it; no full stop."""
    ahead = line["suspends_at"]
    if line["standing"] == "current":
        return ""
    if line["standing"] in ("suspended", "terminated"):
        return "goes on when it is current again" if line["standing"] == "terminated" else "goes on when it is paid"
    if (exception := line["exception"]) is not None:
        same = ahead is not None and datetime.fromisoformat(ahead) == datetime.fromisoformat(exception["until"])
        begins = "; then suspended" if same else f"; suspended from {when(ahead)}" if ahead else ""
        then = f"{begins} unless it is paid" if begins else ""
        return f"exception by {exception['by']} until {when(exception['until'])}{then}"
    if ahead is not None:
        return f"suspended from {when(ahead)} unless it is paid"
    if line["awaits_approval"]:
        since = f", asked on {when(about['asked_at'])}" if about["asked_at"] else ""
        return f"waits for an approval{since}"
    if (answer := about["answer"]) is not None and not answer["approved"]:
        return f"support goes on: {answer['by'] or 'somebody'} declined the suspension on {when(answer['at'])}"
    if about["asks_at"] is not None:
        return f"an approval of the suspension is asked on {when(about['asks_at'])} unless it is paid"
    return "support goes on: the contract does not suspend it" if about["mode"] == "none" else "support goes on"


def _line(account: Account, view: AccountView, one: LineView) -> dict[str, Any]:
    terms = account.terms.line(one.id)
    assert terms is not None
    dues = [due for id, due in account.dues if id == one.id]
    answer = _answer(account, one.id, min((due.start for due in dues), default=None))
    asks = [due for due in dues if terms.mode == "approval" and not due.terminated and answer is None]
    ahead = [due.graced for due in asks if due.graced > to_us(view.now)]
    return {
        "title": terms.title,
        "contract": terms.contract,
        "clause": terms.clause,
        "mode": terms.mode,
        "grace": None if terms.grace is None else str(terms.grace),
        "prepaid": terms.prepaid,
        "prepaid_until": _when(terms.prepaid_until),
        "outstanding": [_due(due) for due in dues],
        "asks_at": from_us(min(ahead)).isoformat() if ahead else None,
        "asked_at": _when(max(_asked(account, one.id), default=None)) if one.awaits_approval else None,
        "answer": answer,
    }


def _due(due: Due) -> dict[str, Any]:
    since, graced = from_us(due.start).isoformat(), from_us(due.graced).isoformat()
    return {"reference": due.reference, "since": since, "grace_until": graced, "terminated": due.terminated}


def _asked(account: Account, line: str) -> Iterator[datetime]:
    """When an approval was asked for."""
    for entry in account.state.log:
        what = entry.event
        if what.event == "step_begun" and what.kind == "approval" and (what.step or "").partition(" ")[0] == line:
            yield entry.occurred_at


def _answer(account: Account, line: str, since: int | None) -> dict[str, Any] | None:
    """The last word on whether support is suspended for what is outstanding."""
    given = [
        (entry.happened, entry.event)
        for entry in account.state.log
        if isinstance(entry.event, SuspensionApproved | SuspensionDeclined)
        and entry.event.line in (None, line) and since is not None and to_us(entry.happened) >= since
    ]  # fmt: skip
    if not given:
        return None
    at, what = max(given, key=lambda one: one[0])
    approved = isinstance(what, SuspensionApproved)
    return {"approved": approved, "by": what.by, "why": what.why, "at": at.isoformat()}


def _when(at: datetime | None) -> str | None:
    return None if at is None else at.isoformat()
