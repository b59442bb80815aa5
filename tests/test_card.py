"""What a person reads in the Temporal UI: the card of an incident in each phase and the summaries."""

from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from activities.attributes import attributes
from activities.policies import Policies
from records.shelf import Shelf
from sla import events
from sla.entries import Read
from sla.events import Delivery
from sla.incident import Incident, IncidentState
from sla.ledger import Granted, Interval, Ledger
from sla.steps import Step
from workflows.advice import standing_still
from workflows.card import MARKS, MAY, card, details, timer_summary
from workflows.operators import ACTIONS
from workflows.words import MAX_SUMMARY, plain, short

SHELF = Shelf(Path(__file__).resolve().parent.parent / "policies")
MONDAY = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
"""10:00 in Los Angeles, 11:00 in Denver: all three contracts are open."""
ANN = "ann@acme.example"


def made(
    contract: str, *happened: tuple[Any, timedelta], read: Read | None = None, suspended: bool = False
) -> Incident:
    """An incident of acme's under a shipped contract that heard these events, each so long after Monday 10:00."""
    incident = Incident(IncidentState(source="desk", ticket="4711", customer="acme"))
    incident.pin(Policies(SHELF).pin("acme", contract, None, MONDAY), MONDAY)
    incident.was_read(read or Read(language="en"), MONDAY)
    if suspended:
        since = MONDAY + timedelta(hours=1)
        ledger = Ledger(version=1, standing="suspended", since=since, suspended=(Interval(start=since),))
        incident.told_standing(ledger, since)
    for number, (event, after) in enumerate(happened):
        incident.hear(Delivery(key=f"k{number}", occurred_at=MONDAY + after, received_at=MONDAY + after, event=event))
    return incident


def shown(incident: Incident, after: timedelta) -> str:
    """The card, so long after Monday 10:00."""
    return card(incident.view(MONDAY + after), incident)


def opened(priority: str, **said: Any) -> tuple[Any, timedelta]:
    return events.Opened(priority=priority, by=ANN, **said), timedelta(0)


def at(event: Any, hours: float) -> tuple[Any, timedelta]:
    return event, timedelta(hours=hours)


HOUR = timedelta(hours=1)


def test_an_open_incident_says_all_of_it() -> None:
    """The whole card, as it stands: what is due, who has it, what to do, what comes next, what one may do."""
    incident = made("tromzo", opened("P1"), at(events.Acknowledged(by="dana"), 0.1))
    version = incident.pinned.version
    assert (
        shown(incident, HOUR)
        == f"""\
**Next due: response, Mon 07 Jul 2031 12:00 PDT (19:00 UTC).**
P1 (Critical) of acme. dana has it.
**To do:** answer the customer; then `pactkeeper reply desk/4711 --by YOU`

**Clocks**
▶ **response** due Mon 07 Jul 2031 12:00 PDT (19:00 UTC) (2 business hours, target, T06); stopped by reply, resolve or close
▶ **resolution** due Tue 08 Jul 2031 10:00 PDT (17:00 UTC) (1 business day, estimate, T07); stopped by resolve or close

**Next, unless something happens first**
• Mon 07 Jul 2031 11:30 PDT (18:30 UTC): 75% of response used: tells assignee (X01)
• Mon 07 Jul 2031 11:48 PDT (18:48 UTC): 90% of response used: tells assignee and lead (X01)
• Mon 07 Jul 2031 12:00 PDT (19:00 UTC): response missed: tells assignee, lead and manager (X01)
• Mon 07 Jul 2031 13:00 PDT (20:00 UTC): 1 business hour after response was missed: tells manager; the next tier takes it (X01)
• Tue 08 Jul 2031 07:00 PDT (14:00 UTC): 75% of resolution used: tells assignee (X01)
• and 3 more: `pactkeeper plan desk/4711`

**You may:** acknowledge, assign, reclassify, reply, plan_given, wait, resolve, dispose, close

open · Tromzo support service policy, version {version}
Times are those of America/Los_Angeles."""
    )


def test_who_has_not_acknowledged_is_told_to() -> None:
    """The first thing to do with a ticket that nobody took is to take it."""
    text = shown(made("tromzo", opened("P1")), HOUR / 2)
    assert "P1 (Critical) of acme. Nobody has it yet." in text
    assert "**To do:** `pactkeeper ack desk/4711 --by YOU`, and look into it" in text
    given = shown(made("tromzo", opened("P1"), at(events.Assigned(to="eli", by="dana"), 0.1)), HOUR / 2)
    assert "eli has it, but has not acknowledged it." in given


def test_R08_what_stops_the_clock_is_the_contract_s_own_answer() -> None:
    """Reciprocity's response wants a plan; a mere reply does not stop it."""
    text = shown(made("reciprocity", opened("S2"), at(events.AgentReplied(by="dana"), 0.1)), HOUR)
    assert "**To do:** give the customer a plan; then `pactkeeper plan-given desk/4711 --by YOU`" in text
    assert "(8 elapsed hours, target, R09); stopped by plan_given, resolve or close" in text
    assert "✔ **reply** met Mon 07 Jul 2031 10:06 PDT (17:06 UTC)" in text


def test_T08_a_missed_clock_comes_first_and_is_no_breach() -> None:
    """A miss is the headline, with what is still owed; the word breach is for guarantees alone."""
    incident = made("tromzo", opened("P1"), at(events.Acknowledged(by="dana"), 0.1))
    text = shown(incident, 3 * HOUR)
    assert text.startswith("**Missed target: response, due Mon 07 Jul 2031 12:00 PDT (19:00 UTC), still owed.**")
    assert "✖ **response** was due Mon 07 Jul 2031 12:00 PDT (19:00 UTC), still owed" in text
    assert "**To do:** answer the customer" in text
    assert "breach" not in text.lower()
    answered = MONDAY + timedelta(hours=2.5)
    word = Delivery(key="late", occurred_at=answered, received_at=answered, event=events.AgentReplied(by="dana"))
    incident.hear(word)
    later = shown(incident, 3 * HOUR)
    assert later.startswith("**Next due: resolution,")
    assert "was due Mon 07 Jul 2031 12:00 PDT (19:00 UTC), done Mon 07 Jul 2031 12:30 PDT (19:30 UTC)" in later


def test_a_missed_guarantee_is_a_breach() -> None:
    incident = made("tromzo", opened("P1"))
    pinned = incident.pinned
    clocks = {
        name: clock.model_copy(update={"commitment": "guarantee"}) for name, clock in pinned.contract.clocks.items()
    }
    incident.pin(
        pinned.model_copy(update={"contract": pinned.contract.model_copy(update={"clocks": clocks})}), MONDAY, "g"
    )
    assert shown(incident, 3 * HOUR).startswith("**Breached: response, due")


def test_T11_waiting_says_what_is_paused_and_with_how_much_left() -> None:
    """Tromzo's resolution pauses while we wait for the customer."""
    incident = made(
        "tromzo", opened("P1"), at(events.AgentReplied(by="dana"), 1), at(events.WaitingOnCustomer(by="dana"), 2),
        read=Read(language="en", missing=("logs", "start_time")),
    )  # fmt: skip
    text = shown(incident, 5 * HOUR)
    assert text.startswith("**We wait for the customer.**")
    assert "‖ **resolution** paused, 10 h left (1 business day, estimate, T07)" in text
    assert "**Why the clocks stand still:** we wait for the customer's answer, which pauses resolution" in text
    assert "**To do:** nothing, until the customer answers; the answer starts the clocks again" in text
    assert "**Missing from the customer (T11):** logs, start time" in text


def test_waiting_pauses_nothing_where_the_contract_has_no_pause() -> None:
    """BugZero's response runs on while an agent waits, and the card says so."""
    incident = made("bugzero", opened("P1"), at(events.WaitingOnCustomer(by="dana"), 1))
    text = shown(incident, 2 * HOUR)
    assert text.startswith("**Next due: response,")
    assert "they do not: under this contract waiting pauses none of them, and response runs on" in text


def test_R12_a_suspended_incident_says_since_when_why_and_what_is_left() -> None:
    incident = made("reciprocity", opened("S2"), at(events.Acknowledged(by="dana"), 0.1), suspended=True)
    text = shown(incident, 5 * HOUR)
    assert text.startswith("**Support is suspended since Mon 07 Jul 2031 11:00 PDT (18:00 UTC) (R12); no clock runs.**")
    assert "■ **response** suspended, 7 h left" in text
    assert "the customer is not current with its payments; each goes on with exactly what was left" in text
    assert "then `pactkeeper resume acme`" in text


def test_R12_a_ticket_taken_in_during_the_suspension_has_clocks_that_have_not_begun() -> None:
    incident = made("reciprocity", at(events.Opened(priority="S2", by=ANN), 2), suspended=True)
    assert "■ **response** starts when support goes on (8 elapsed hours, target, R09)" in shown(incident, 5 * HOUR)


def with_ledger(contract: str, ledger: Ledger, *happened: tuple[Any, timedelta]) -> Incident:
    incident = made(contract, *happened)
    incident.told_standing(ledger, MONDAY)
    return incident


def test_X03_within_the_grace_the_card_says_when_support_will_be_suspended() -> None:
    ledger = Ledger(version=1, standing="lapsed", since=MONDAY, suspended=(Interval(start=MONDAY + 2 * HOUR),))
    incident = with_ledger("reciprocity", ledger, opened("S4"))
    said = "payment outstanding since Mon 07 Jul 2031 10:00 PDT (17:00 UTC); support will be suspended from Mon 07 Jul"
    assert f"**Payments:** {said} 2031 12:00 PDT (19:00 UTC) unless it is paid" in shown(incident, HOUR)
    assert shown(incident, 3 * HOUR).startswith("**Support is suspended since Mon 07 Jul 2031 12:00 PDT")


def test_R13_the_end_of_the_contract_is_said_as_such() -> None:
    ledger = Ledger(version=1, standing="terminated", since=MONDAY, suspended=(Interval(start=MONDAY),))
    text = shown(with_ledger("reciprocity", ledger, opened("S2")), HOUR)
    assert text.startswith("**Support has ended with the contract since Mon 07 Jul 2031 10:00 PDT")
    assert "**Why the clocks stand still:** the contract has ended" in text
    assert "nothing, until there is a contract again; then `pactkeeper resume acme`" in text


def test_the_safety_valve_says_that_it_serves_in_spite_of_the_suspension() -> None:
    incident = made("reciprocity", opened("S1"))
    contract = incident.pinned.contract
    assert contract.suspension is not None
    terms = contract.suspension.model_copy(update={"serves": ("S1",)})
    changed = contract.model_copy(update={"suspension": terms})
    incident.pin(incident.pinned.model_copy(update={"contract": changed}), MONDAY)
    incident.told_standing(
        Ledger(version=1, standing="suspended", since=MONDAY, suspended=(Interval(start=MONDAY),)), MONDAY
    )
    text = shown(incident, HOUR)
    assert "**Payments:** served in spite of the suspension (contract: S1)" in text
    assert "▶ **response** due" in text


def test_an_exception_says_on_whose_word_why_and_until_when() -> None:
    until = MONDAY + timedelta(days=1)
    granted = Granted(start=MONDAY, end=until, by="gwen@desk.example", why="their [launch](http://x)")
    ledger = Ledger(
        version=1, standing="suspended", since=MONDAY, suspended=(Interval(start=until),), exceptions=(granted,)
    )
    text = shown(with_ledger("reciprocity", ledger, opened("S4")), HOUR)
    said = "served by an exception of gwen until Tue 08 Jul 2031 10:00 PDT (17:00 UTC): `their [launch](http://x)`"
    assert f"**Payments:** {said}" in text


def test_B13_a_held_incident_says_who_can_let_it_in() -> None:
    held = Read(language="en", authorized_contact=False)
    text = shown(made("bugzero", opened("P1"), read=held), HOUR)
    assert text.startswith("**Held: who asks is no authorized contact (B13).**")
    assert "`pactkeeper authorize desk/4711 --by CONTACT`, or `decline`" in text
    assert "… **response** has not started" in text
    assert "none starts before a contact of the company authorizes the request" in text
    assert "**You may:** authorize, decline" in text


def test_B13_a_declined_request_is_not_said_to_be_in_another_language() -> None:
    held = Read(language="en", authorized_contact=False)
    text = shown(made("bugzero", opened("P1"), at(events.Declined(by=ANN), 1), read=held), 2 * HOUR)
    assert text.startswith("**Declined by a contact of the company.**")
    assert "a contact of the company declined the request" in text
    assert "language" not in text


def test_R15_a_discarded_incident_says_that_the_customer_heard_nothing() -> None:
    text = shown(made("reciprocity", opened("S3"), read=Read(language="de")), HOUR)
    assert text.startswith("**Discarded: not in a language that is served (R15).**")
    assert "a request in another language is kept, and no message went to the customer" in text
    assert "`pactkeeper restore desk/4711 --by YOU`" in text


def test_T04_a_dispositioned_incident_says_as_what() -> None:
    aside = events.Dispositioned.model_validate({"as": "feature_request", "by": "dana"})
    text = shown(made("tromzo", opened("P4"), at(aside, 1)), 2 * HOUR)
    assert text.startswith("**No covered incident: feature request.**")
    assert "∅ **response** does not count" in text
    assert "it was dispositioned as feature request, so no promise is met or missed" in text
    assert "**You may:** restore, close" in text


def test_R06_a_cause_that_cannot_be_found_leaves_the_clocks_running_and_is_told() -> None:
    aside = events.Dispositioned.model_validate({"as": "cause_not_found", "by": "dana"})
    text = shown(made("reciprocity", opened("S2"), at(aside, 1)), 2 * HOUR)
    assert text.startswith("**Next due: response,")
    assert "**Dispositioned as cause not found;** the clocks go on all the same" in text


def test_T10_a_workaround_is_told_with_what_is_still_open() -> None:
    incident = made("tromzo", opened("P1"), at(events.Resolved(by="dana", kind="workaround"), 1))
    text = shown(incident, 2 * HOUR)
    assert text.startswith("**Resolved by a workaround.**")
    assert "**A workaround is in place;** the long-term fix is still open, without a clock" in text
    assert "✔ **resolution** met Mon 07 Jul 2031 11:00 PDT (18:00 UTC)" in text
    assert "**You may:** reopen, close" in text


def test_a_closed_incident_says_that_nothing_is_left() -> None:
    incident = made("tromzo", opened("P1"), at(events.Resolved(by="dana"), 1), at(events.Closed(by="dana"), 2))
    text = shown(incident, 3 * HOUR)
    assert text.startswith("**Closed Mon 07 Jul 2031 12:00 PDT (19:00 UTC); nothing is left to do.**")
    assert "`pactkeeper reopen desk/4711 --by YOU`" in text


def test_B07_where_every_promise_is_kept_the_card_says_so() -> None:
    """BugZero promises no resolution: once answered, nothing is due, and the ticket is still open."""
    text = shown(made("bugzero", opened("P1"), at(events.AgentReplied(by="dana"), 1)), 2 * HOUR)
    assert text.startswith("**Every promise is kept so far; the ticket is still open.**")
    assert "`pactkeeper resolve desk/4711 --by YOU`" in text


def test_a_dead_letter_is_shown_with_its_reason_and_where_to_read_it() -> None:
    incident = made("tromzo", opened("P1"))
    incident.put_aside(MONDAY, "merged", "no signal is called 'merged'; there are: deliver", "{}")
    text = shown(incident, HOUR)
    assert "**Dead letters: 1.** The last: no signal is called 'merged'; there are: deliver." in text
    assert "`pactkeeper status desk/4711 --json` shows them" in text


HOSTILE = "x](https://evil.example) <img src=//evil.example/a.png> | `code` **bold** www.evil.example\n\n# Head"


def test_what_others_wrote_is_no_link_no_picture_and_no_heading() -> None:
    """A ticket's category comes from outside; on the card it is text within a code span, on one line."""
    incident = made("tromzo", opened("P1", category=HOSTILE))
    incident.put_aside(MONDAY, "x", HOSTILE, HOSTILE)
    text = shown(incident, HOUR)
    seen = [line for line in text.splitlines() if "evil.example" in line]
    assert len(seen) == 2
    for line in seen:
        before, span, after = line.split("`")
        assert "evil" in span
        assert "evil" not in before + after
    assert "# Head" not in text.splitlines()


@pytest.mark.parametrize(("said", "safe"), [
    ("dana", "dana"), ("start_time", "start_time"), ("_dana_", "`_dana_`"), ("a`b", "`a'b`"), ("  a\n b ", "a b"),
])  # fmt: skip
def test_plain_text_stays_plain(said: str, safe: str) -> None:
    assert plain(said) == safe


def test_no_address_of_the_customer_is_on_the_card_or_in_an_attribute() -> None:
    """Nothing personal in what the UI shows to everybody: the requester's address stays in the log."""
    incident = made(
        "tromzo", opened("P1", subject="Ann's laptop", body="call +1 555 0100"), at(events.CustomerReplied(by=ANN), 1)
    )
    view = incident.view(MONDAY + 2 * HOUR)
    told = [*map(str, attributes(view, "acme", incident.pinned.version).values()), card(view, incident)]
    assert not [text for text in told for word in ("ann", "laptop", "0100") if word in text.lower()]
    assert ANN in str([line.event for line in incident.state.log])


def test_a_timer_says_what_it_waits_for() -> None:
    incident = made("tromzo", opened("P1"), at(events.Acknowledged(by="dana"), 0.1))
    table = incident.pinned.calendar.timetable()
    assert timer_summary(incident.view(MONDAY + HOUR), table) == "75% of response used → assignee, Mon 07 Jul 11:30 PDT"
    assert timer_summary(incident.view(MONDAY + 2 * HOUR + HOUR / 2), table) == (
        "1 business hour after response was missed → manager, passes it on, Mon 07 Jul 13:00 PDT"
    )
    done = made("bugzero", opened("P1"), at(events.AgentReplied(by="dana"), 1))
    view = done.view(MONDAY + 2 * HOUR)
    assert timer_summary(view, done.pinned.calendar.timetable()).startswith("more of the calendar must be pinned, ")


def test_an_activity_says_what_it_does() -> None:
    steps = [
        Step(key="a", kind="acknowledgement", at=MONDAY),
        Step(key="b", kind="escalation", at=MONDAY, clock="response", step="unacknowledged 50%"),
        Step(key="c", kind="escalation", at=MONDAY, clock="response", step="100%"),
    ]
    assert details(steps) == "acknowledge receipt; 50% of response used and nobody took it; response missed"


def test_no_summary_is_longer_than_temporal_takes() -> None:
    """Temporal takes 200 bytes, and a policy's names may be long: cut at a letter, never within one."""
    many = [Step(key=f"{i}", kind="escalation", at=MONDAY, clock="→" * 20 + str(i), step="75%") for i in range(9)]
    assert MAX_SUMMARY - 6 < len(details(many).encode()) <= MAX_SUMMARY
    assert details(many).endswith("…")
    assert short("brief") == "brief"


def test_every_phase_and_state_has_its_words() -> None:
    """What one may do is said in the names of the updates that do it."""
    assert set(MARKS) == {"running", "paused", "suspended", "met", "missed", "void", "not_started"}
    for phase, may in MAY.items():
        assert {word.split(";")[0] for word in may.split(", ")} <= set(ACTIONS), phase
    assert standing_still(made("tromzo", opened("P1")).view(MONDAY + HOUR), made("tromzo", opened("P1"))) is None
