"""The words: what a reader at three in the morning needs, nothing that a customer must not see, no word too strong."""

import shlex
from datetime import UTC, datetime
from itertools import product
from pathlib import Path
from typing import get_args

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.message import UPDATE
from activities.template_files import TEMPLATES
from activities.wording import IncidentFacts, command, render_batch, words
from sla.entries import Notice
from sla.steps import Kind, Step

Facts = dict[str, str]
KINDS: tuple[str, ...] = tuple(kind for kind in get_args(Kind) if kind != UPDATE)
"""An update is shown where a message stands already, and told to nobody."""
OF_ACCOUNTS = ("reminder", "approval")
OF_INCIDENTS = tuple(kind for kind in KINDS if kind not in OF_ACCOUNTS)
AT = datetime(2031, 7, 11, 23, 30, tzinfo=UTC)
STAFF, CUSTOMER = "dana", "ann@acme.example"
CLOCK_FACTS = {
    "commitment": "target", "promise": "First response", "promise_clause": "T06", "target": "2 business hours",
    "left": "30 min", "due": "2031-07-11T17:00-07:00",
}  # fmt: skip
LATE = {"left": "-1 h 5 min", "declared_missed": "2031-07-11T17:00-07:00"}
ALL_FACTS = CLOCK_FACTS | {
    "missing": "what is affected\nsince when", "knowledge_base": "https://kb.tromzo.example", "from": "P3", "to": "P1",
    "why": "everybody is locked out.", "ground": "a third party's outage.", "since": "2031-07-11T20:00:00+00:00",
    "note": "asked for by phone", "language": "de", "disposition": "excluded",
    "used_percent": "75", "line_title": "Platform", "grace_until": "2031-07-18T20:00:00+00:00", "ends": "on payment.",
    "standing": "suspended", "incidents": "12", "would": "12 open incidents: 3 S1, 9 S2.", "by": "gwen",
    "approve": "pactkeeper approve acme --by YOU", "first_asked": "2031-07-10T20:00:00+00:00",
    "until": "2031-07-20T20:00:00+00:00", "paid": "2031-07-10T20:00:00+00:00",
}  # fmt: skip
INCIDENT = IncidentFacts(
    incident="incident/desk/4711", ticket="4711", source="desk", customer="acme", customer_name="Acme",
    contact=CUSTOMER, contact_name="Ann", priority="P1", priority_title="Critical", assignee="dana",
    assignee_name="Dana", provider="Tromzo", contract="Tromzo Support", offset_minutes=-420,
)  # fmt: skip


def item(
    kind: str, to: str = STAFF, rung: str = "75%", note: str | None = None, facts: Facts | None = None
) -> tuple[Step, Notice]:
    """A step and its notice to that person; `facts` are beside the clock's."""
    step = Step.model_validate(
        {"key": "k", "kind": kind, "at": AT, "clock": "response", "step": rung, "clause": "X01", "tells": ("lead",),
         "facts": CLOCK_FACTS | (facts or {})}
    )  # fmt: skip
    return step, Notice(at=AT, kind=kind, clock="response", step=rung, to=(to,), clause="X01", note=note)


def say(
    kind: str,
    to: str = STAFF,
    rung: str = "75%",
    note: str | None = None,
    facts: Facts | None = None,
    incident: IncidentFacts = INCIDENT,
) -> tuple[str, str]:
    """Subject and text of a notice of that kind to that person."""
    return words(*item(kind, to, rung, note, facts), incident)


def test_every_kind_has_a_template_and_no_template_is_without_a_kind() -> None:
    frames = {"frame_customer.txt.j2", "frame_staff.txt.j2", "mail.html.j2", "several.txt.j2"}
    assert {path.name for path in TEMPLATES.iterdir()} == frames | {f"{kind}.txt.j2" for kind in KINDS}


@pytest.mark.parametrize(("kind", "to"), list(product(KINDS, (STAFF, CUSTOMER))))
@pytest.mark.parametrize("facts", [{}, ALL_FACTS, ALL_FACTS | LATE, ALL_FACTS | {"taken_in": "yes"}])
def test_every_kind_has_words_for_both_sides_whatever_facts_there_are(
    kind: str, to: str, facts: dict[str, str]
) -> None:
    step, notice = item(kind, to)
    step = step.model_copy(update={"facts": facts})
    bare = IncidentFacts(incident="incident/desk/4711", ticket="4711", customer="acme", contact=CUSTOMER)
    for incident in (INCIDENT, bare):
        subject, text = words(step, notice, incident)
        assert ("4711" if kind in OF_INCIDENTS else "Acme") in subject or incident is bare
        assert len(subject) <= 200
        assert "X01" in text
        for mark in ("{", "}", "None", "..", " .", " ,", " :", "()", "  (", "\n\n\n"):
            assert mark not in subject + text, (kind, to, mark, text)
        assert text == text.strip()


def test_an_escalation_says_what_whose_which_clause_how_long_who_has_it_and_what_to_do() -> None:
    subject, text = say("escalation", note="erin is off duty")
    assert subject == "30 min left for response on 4711 (Acme, P1)"
    assert text == (
        "75% of the response target of 2 business hours (T06) is used. "
        "It is due Fri 11 Jul 2031 17:00 (UTC-7); 30 min left.\n"
        "Note: erin is off duty.\n"
        "Clause: X01 (Tromzo Support)\n"
        "\n"
        "Ticket:   4711 in desk, Acme, P1 (Critical)\n"
        "Has it:   Dana\n"
        "Take it:  pactkeeper ack 4711 --by dana\n"
        "Look:     pactkeeper status 4711"
    )


@pytest.mark.parametrize("rung", ["100%", "miss + 1 business hour", "75%"])
@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("commitment", ["estimate", "target"])
def test_T08_B09_what_is_no_guarantee_is_missed_and_never_breached(rung: str, kind: str, commitment: str) -> None:
    for to in (STAFF, CUSTOMER):
        said = "\n".join(say(kind, to, rung, facts=LATE | {"commitment": commitment})).lower()
        assert "breach" not in said
        assert "guarantee" not in said
        assert "promise" not in said
    subject, text = say("escalation", STAFF, rung, facts=LATE | {"commitment": commitment})
    assert subject.startswith("Missed target: response on 4711")
    assert ("an estimate" in text) == (commitment == "estimate")


def test_T08_only_a_guarantee_is_breached() -> None:
    subject, text = say("escalation", STAFF, "100%", facts=LATE | {"commitment": "guarantee"})
    assert subject == "Breach: response on 4711 (Acme, P1)"
    assert "The response guarantee of 2 business hours (T06) was missed" in text


def test_T08_a_late_response_is_worded_otherwise_to_the_customer_where_it_was_guaranteed() -> None:
    aimed = say("escalation", CUSTOMER, "100%", facts=LATE | {"commitment": "estimate"})
    promised = say("escalation", CUSTOMER, "100%", facts=LATE | {"commitment": "guarantee"})
    assert "missed our target" in aimed[0]
    assert "We aimed to" in aimed[1]
    assert "We promised to" in promised[1]


@pytest.mark.parametrize("kind", [kind for kind in KINDS if kind != "approval"])
@pytest.mark.parametrize("rung", ["75%", "100%", "unacknowledged 50%"])
def test_a_customer_reads_no_name_command_or_note_of_ours(kind: str, rung: str) -> None:
    note = "erin is off duty"
    incident = INCIDENT.model_copy(update={"previous": "erin", "previous_name": "Erin"})
    said = "\n".join(say(kind, CUSTOMER, rung, note, incident=incident))
    for word in ("dana", "Dana", "erin", "Erin", "pactkeeper", "desk", "off duty"):
        assert word not in said
    assert "Hello Ann," in said


def test_a_notice_to_both_sides_is_worded_for_the_customer() -> None:
    step, notice = item("suspension")
    _, text = words(step, notice.model_copy(update={"to": (STAFF, CUSTOMER)}), INCIDENT)
    assert text.startswith("Hello Ann,")
    assert "Dana" not in text


def test_what_only_the_customer_is_told_is_worded_for_them_even_if_their_contact_is_not_known_here() -> None:
    step, notice = item("acknowledgement", "stranger@acme.example")
    step = step.model_copy(update={"tells": ("customer",)})
    _, text = words(step, notice, INCIDENT.model_copy(update={"contact": None, "contact_name": ""}))
    assert text.startswith("Hello,\n")


def test_T09_T11_the_acknowledgement_says_what_the_customer_must_still_do() -> None:
    _, text = say("acknowledgement", CUSTOMER, facts={"missing": "what is affected\nsince when"})
    assert "please reply with:\n- what is affected\n- since when\n" in text


def test_R01_the_acknowledgement_links_the_knowledge_base() -> None:
    _, text = say("acknowledgement", CUSTOMER, facts={"knowledge_base": "https://kb.tromzo.example"})
    assert "https://kb.tromzo.example" in text


def test_R07_a_revised_priority_is_told_with_before_after_and_reason() -> None:
    subject, text = say(
        "reclassification", CUSTOMER, facts={"from": "P3", "to": "P1", "why": "everybody is locked out."}
    )
    assert subject == "Your request 4711 now has the priority P1"
    assert "from P3 to P1. The reason: everybody is locked out.\n" in text


def test_X02_the_taker_and_the_one_relieved_each_read_their_own_news() -> None:
    incident = INCIDENT.model_copy(update={"previous": "erin", "previous_name": "Erin"})
    taken, text = say("reassignment", "dana", "unacknowledged 50%", incident=incident)
    assert taken == "4711 is yours now (Acme, P1): 30 min left for response"
    assert text.startswith("You have it now, after Erin. Nobody had acknowledged it. ")
    assert "Take it:  pactkeeper ack 4711 --by dana" in text
    given_up, text = say("reassignment", "erin", "unacknowledged 50%", incident=incident)
    assert given_up == "4711 goes to Dana (Acme, P1): 30 min left for response"
    assert "Take it" not in text


def test_X04_a_withdrawal_names_what_it_withdraws() -> None:
    subject, text = say("withdrawal", rung="75%")
    assert subject == "Withdrawn: 75% of response on 4711 (Acme, P1)"
    assert "Take it as not sent" in text


def test_X04_an_escalation_that_is_told_late_says_when_it_fell_due() -> None:
    _, text = say("escalation", facts={"fell_due": "2031-07-11T15:30-07:00"})
    assert "This notice fell due Fri 11 Jul 2031 15:30 (UTC-7)" in text


@pytest.mark.parametrize(
    ("since", "offset", "shown"),
    [
        ("2031-07-11T20:00:00+00:00", -420, "Fri 11 Jul 2031 13:00 (UTC-7)"),
        ("2031-07-11T20:00:00Z", None, "Fri 11 Jul 2031 20:00 (UTC)"),
        ("2031-07-11T20:00+05:45", -420, "Fri 11 Jul 2031 20:00 (UTC+5:45)"),
        ("2031-07-01T00:00:00+00:00", -210, "Mon 30 Jun 2031 20:30 (UTC-3:30)"),
        ("last Friday", None, "last Friday"),
        ("2031-99-99T20:00+00:00", None, "2031-99-99T20:00+00:00"),
    ],
)
def test_times_are_shown_as_people_write_them_in_the_contracts_offset(
    since: str, offset: int | None, shown: str
) -> None:
    incident = INCIDENT.model_copy(update={"offset_minutes": offset})
    _, text = say("suspension", facts={"since": since}, incident=incident)
    assert f"since {shown}." in text


def test_several_notices_to_one_person_are_one_message_with_the_most_important_first() -> None:
    items = [
        (*item("withdrawal"), INCIDENT),
        (*item("escalation", rung="75%"), INCIDENT),
        (*item("escalation", rung="90%", facts={"left": "10 min"}), INCIDENT),
        (*item("escalation", rung="100%", facts=LATE), INCIDENT),
    ]
    subject, text = render_batch(items)
    assert subject == "Missed target: response on 4711 (Acme, P1) (and 3 more)"
    headlines = [line for line in text.splitlines() if line[:2] in {f"{n}." for n in range(1, 5)}]
    assert headlines == [
        "1. Missed target: response on 4711 (Acme, P1)",
        "2. 10 min left for response on 4711 (Acme, P1)",
        "3. 30 min left for response on 4711 (Acme, P1)",
        "4. Withdrawn: 75% of response on 4711 (Acme, P1)",
    ]
    assert text.count("Ticket:   4711") == 1
    assert render_batch(items) == render_batch(items[::-1])


def test_a_breach_comes_before_every_missed_target() -> None:
    soft = (*item("escalation", rung="100%", facts=LATE | {"commitment": "estimate"}), INCIDENT)
    hard = (*item("escalation", rung="miss + 1 business hour", facts=LATE | {"commitment": "guarantee"}), INCIDENT)
    assert render_batch([soft, hard])[0].startswith("Breach: ")


def test_one_message_to_a_customer_greets_once() -> None:
    items = [(*item(kind, CUSTOMER), INCIDENT) for kind in ("acknowledgement", "information_request")]
    _, text = render_batch(items)
    assert text.count("Hello Ann,") == 1
    assert text.count("Sent automatically") == 1


def test_a_message_about_two_incidents_tells_each_ones_ticket() -> None:
    other = INCIDENT.model_copy(update={"incident": "incident/desk/4712", "ticket": "4712"})
    _, text = render_batch([(*item("escalation"), INCIDENT), (*item("escalation"), other)])
    assert "pactkeeper ack 4711" in text
    assert "pactkeeper ack 4712" in text


def test_nothing_to_say_and_an_unknown_kind_are_errors() -> None:
    with pytest.raises(ValueError, match="needs at least one notice"):
        render_batch([])
    step, notice = item("escalation")
    with pytest.raises(
        ValueError, match="no words for a notice of kind 'call'; there are for: reassignment, escalation"
    ):
        words(step, notice.model_copy(update={"kind": "call"}), INCIDENT)


@given(st.text(max_size=40), st.text(max_size=600), st.sampled_from(KINDS), st.sampled_from((STAFF, CUSTOMER)))
def test_nothing_that_a_stranger_wrote_is_run_breaks_a_line_or_moves_the_cursor(
    ticket: str, free: str, kind: str, to: str
) -> None:
    evil = f"{free}{{{{ 7*7 }}}}\x1b[2J\r\nBcc: x\u202e"
    incident = INCIDENT.model_copy(update={"ticket": ticket + evil, "customer_name": evil, "contact_name": evil})
    subject, text = say(kind, to, note=evil, facts=dict.fromkeys(ALL_FACTS, evil), incident=incident)
    assert subject.isprintable()
    assert all(line.isprintable() for line in text.split("\n"))
    assert not any(line.startswith("Bcc:") for line in text.split("\n"))


@given(st.text(min_size=1, max_size=40))
def test_a_command_may_be_pasted_into_a_shell_whatever_the_ticket_is_called(ticket: str) -> None:
    incident = INCIDENT.model_copy(update={"ticket": f"{ticket}; rm -rf $(HOME) `x`"})
    line = command("ack", incident, "--by", "dana")
    assert len(shlex.split(line)) == 5
    assert shlex.split(line)[1:2] + shlex.split(line)[3:] == ["ack", "--by", "dana"]


def test_the_command_names_the_incident_as_the_installation_does() -> None:
    assert command("status", INCIDENT.model_copy(update={"reference": "desk/4711"})) == "pactkeeper status desk/4711"


def test_the_words_come_from_files_that_anyone_can_read() -> None:
    for path in TEMPLATES.iterdir():
        assert isinstance(path, Path)
        assert "|safe" not in path.read_text().replace(" ", "")
