"""What an operator sees of an account in the Temporal UI: how each line stands, what is asked of them, what comes next.

The UI draws tables without borders and keeps line breaks, so a line of the contract is a line of the card. What others
wrote is told in a way that the UI cannot take for markup, and nothing personal is on it.
"""

from collections.abc import Iterator, Mapping
from datetime import datetime
from typing import Any

from sla import names, report
from sla.account import Account, AccountView
from sla.timetable import Timetable
from workflows.account_lines import coming, lines
from workflows.words import plain, short, soon, when

LISTED = 20
"""So many lines are on the card."""
MARKS = {"current": "✔", "lapsed": "◔", "suspended": "■", "terminated": "∅"}


def account_card(view: AccountView, account: Account) -> str:
    """The card *Current Details*, in Markdown: the headline, what is asked, each line, what may be done."""
    told, about = report.account(view, ())["lines"], lines(account, view)
    customer, many = names.canonical(account.state.customer), len(account.state.enrolled)
    enrolled = "1 incident" if many == 1 else f"{many} incidents"
    shown = [f"**{_headline(view, told)}**", f"Account of {plain(customer)}; {enrolled} enrolled."]
    asked = [id for id, line in told.items() if line["awaits_approval"]]
    tables = {one.id: account.terms.line(one.id) for one in view.lines}
    table = next((terms.table for terms in tables.values() if terms is not None and terms.table is not None), None)
    if asked:
        shown += ["", *_question(asked[:LISTED], account, about, customer)]
    shown += ["", "**Contract lines**"]
    for id in list(told)[:LISTED]:
        shown += _line(id, told[id], about[id], table)
    if len(told) > LISTED:
        shown.append(f"and {len(told) - LISTED} more")
    if letters := account.state.dead_letters:
        shown += ["", f"**Dead letters: {len(letters)}.** The last: {plain(letters[-1].why)}.",
                  f"`pactkeeper standing {customer} --json` shows them; what they say may not have been taken in"]  # fmt: skip
    shown += ["", f"**You may:** {', '.join(_may(told, about))}", f"`pactkeeper standing {customer}` tells all of it.", "",
              "Times are those of " + (table.calendar.timezone if table is not None else "UTC") + "."]  # fmt: skip
    return "\n".join(shown)


def account_timer(view: AccountView) -> str:
    """A timer's summary that a person understands."""
    at = view.look_again_at
    ahead = [one for one in view.lines if one.suspends_at is not None and one.suspends_at == at]
    local = "" if at is None else f", {soon(at)}"
    return short(f"suspend support: {ahead[0].title}{local}" if ahead else f"ask for an approval, or again{local}")


def _headline(view: AccountView, told: Mapping[str, Mapping[str, Any]]) -> str:
    if any(line["awaits_approval"] for line in told.values()):
        return "Somebody is asked: suspend support while the payment is outstanding?"
    if any(line["exception"] for line in told.values()):
        return "Support goes on by an exception that ends by itself."
    match view.standing:
        case "current":
            return "Current: nothing is outstanding that we know of."
        case "terminated":
            return "The contract has ended; no clock runs."
        case "suspended" if len(told) > 1 and any(one["standing"] in ("current", "lapsed") for one in told.values()):
            return "Support is suspended in part; the other lines are served."
        case "suspended":
            return "Support is suspended; no clock runs but those of priorities that are served even so."
    return "A payment is outstanding; support is given."


def _question(asked: list[str], account: Account, about: Mapping[str, Any], customer: str) -> Iterator[str]:
    for id in asked:
        # Counted only where it is asked: a card is written at each enrolment, and there may be thousands.
        many = len(account.of_line(id)) if account.state.lines else len(account.state.enrolled)
        stand = "1 enrolled incident stands" if many == 1 else f"{many} enrolled incidents stand"
        yield f"**To do:** decide whether support of {plain(about[id]['title'] or id)} is suspended. By approving, {stand} still."
        line = f" --line {id}" if len(about) > 1 else ""
        yield f"`pactkeeper approve {customer}{line} --by YOU` or `pactkeeper decline-suspension {customer}{line} --by YOU`"


def _line(id: str, line: Mapping[str, Any], about: Mapping[str, Any], table: Timetable | None) -> Iterator[str]:
    def at(moment: str) -> str:
        return _when(table, moment)

    title = f"{plain(about['title'])} (`{id}`)" if about["title"] else f"`{id}`"
    since = f" since {at(line['since'])}" if line["since"] else ""
    yield f"{MARKS[line['standing']]} **{title}** {line['standing']}{since}{_paid(about)}"
    if line["why"]:
        yield f"• why: {plain(line['why'])}"
    if next_ := coming(
        {**line, "exception": None if line["exception"] is None else _named(line["exception"])}, about, at
    ):
        yield f"• next: {next_}"
    if line["exception"] is not None and line["standing"] == "lapsed":
        yield f"• the exception's reason: {plain(line['exception']['why'])}"
    if about["contract"]:
        clause = f" ({about['clause']})" if about["clause"] else ""
        yield f"• contract: {plain(about['contract'])}{clause}"


def _named(exception: Mapping[str, Any]) -> dict[str, Any]:
    """The same, with a name that the UI cannot take for markup; an address is not told."""
    by = str(exception["by"])
    return {**exception, "by": plain(by.partition("@")[0])}


def _paid(about: Mapping[str, Any]) -> str:
    if about["prepaid"]:
        return ", paid in advance"
    return f", paid in advance until {about['prepaid_until'][:10]}" if about["prepaid_until"] else ""


def _may(told: Mapping[str, Any], about: Mapping[str, Any]) -> Iterator[str]:
    standing = [line["standing"] for line in told.values()]
    unpaid = any(one in ("lapsed", "suspended") for one in standing)
    if unpaid and any(one["mode"] == "approval" for one in about.values()):
        yield "approve_suspension"
        yield "decline_suspension"
    yield "grant_exception"
    if any(line["exception"] for line in told.values()):
        yield "end_exception"


def _when(table: Timetable | None, moment: str) -> str:
    at = datetime.fromisoformat(moment)
    return f"{at:%Y-%m-%d %H:%M}Z" if table is None else when(table, at)
