"""The words about a suspension: why, since when, what it means, how it ends; and nobody of ours named to the customer."""

from datetime import UTC, datetime
from typing import Any

import pytest

from activities.account_wording import Line, account_facts, letter
from activities.phrases import clocks, with_moments
from activities.wording import IncidentFacts, words
from sla.entries import Notice
from sla.roster import Recipient
from sla.steps import Step

AT = datetime(2031, 7, 9, 19, 30, tzinfo=UTC)
ANN = Recipient("ann@acme.example", "email", "ann@acme.example", "Ann")
DANA = Recipient("dana", "log", None, "Dana")
SINCE = {"since": "2031-07-09T19:00:00+00:00", "why": "payment outstanding (invoice 81)", "line": "support"}
LEFT = SINCE | {"left": "response: 1 h 30 min; resolution: 7 h"}
DUE = SINCE | {"due": "response: 2031-07-16T20:30:00+00:00; resolution: 2031-07-17T22:00:00+00:00", "why": ""}
INCIDENT = IncidentFacts(
    incident="incident/desk/4711", ticket="4711", source="desk", reference="desk/4711", customer="acme",
    customer_name="Acme", contact=ANN.id, contact_name="Ann", priority="S2", assignee="dana", assignee_name="Dana",
    contract="Reciprocity", offset_minutes=-420,
)  # fmt: skip


def step(kind: str, facts: dict[str, str], **more: Any) -> Step:
    told = {"key": f"{kind}/-/-/1", "kind": kind, "at": AT, "clause": "R12", "tells": ("customer", "assignee")}
    return Step.model_validate({**told, "facts": facts, **more})


def say(kind: str, to: Recipient, facts: dict[str, str]) -> tuple[str, str]:
    """What an incident's notice says."""
    return words(step(kind, facts), Notice(at=AT, kind=kind, to=(to.id,), clause="R12"), INCIDENT)


def line(kind: str = "suspension", to: Recipient = ANN, **facts: str) -> Line:
    """An incident's part."""
    one = step(kind, facts or (LEFT if kind == "suspension" else DUE))
    return Line.of((one, Notice(at=AT, kind=kind, to=(to.id,), clause="R12"), INCIDENT))


def account(kind: str, to: Recipient, facts: dict[str, str], *lines: Line, parts: int = 0) -> tuple[str, str]:
    """What an account says."""
    about = account_facts("acme", "Acme", "Reciprocity", -420)
    return letter(step(kind, facts), to, about, lines, parts or len(lines), to_customer=to is ANN)


def test_R12_the_customer_reads_why_since_when_what_it_means_and_how_it_ends() -> None:
    subject, text = say("suspension", ANN, LEFT)
    assert subject == "Your request 4711: support is suspended"
    assert text == (
        "Hello Ann,\n"
        "\n"
        "Support for Acme has been suspended since Wed 9 Jul 2031 12:00 (UTC-7).\n"
        "\n"
        "Why: payment outstanding (invoice 81).\n"
        "How it ends: support goes on as soon as the payment has arrived; you need not write to us.\n"
        "\n"
        "Your request stays with us. Its time stands still meanwhile, and goes on with exactly what was left.\n"
        "- response: 1 h 30 min left\n"
        "- resolution: 7 h left\n"
        "\n"
        "If you think that this is a mistake, please speak to whoever looks after your contract with us.\n"
        "\n"
        "Your support team\n"
        "(Request 4711; Reciprocity, R12. Sent automatically.)"
    )


def test_R12_our_people_read_the_same_in_their_words() -> None:
    subject, text = say("suspension", DANA, LEFT | {"ends": "when invoice 81 is paid."})
    assert subject == "Support suspended: Acme, 4711 (S2)"
    assert "Why:      payment outstanding (invoice 81)\nEnds:     when invoice 81 is paid\n" in text
    assert "You need not work on it.\n- response: 1 h 30 min left\n- resolution: 7 h left\n" in text


def test_R12_a_new_ticket_is_told_that_it_is_taken_in_and_when_its_time_begins() -> None:
    subject, text = say("suspension", ANN, LEFT | {"taken_in": "yes"})
    assert subject == "Your request 4711: we have taken it in; support is suspended"
    assert "its time has not begun yet: it begins, in full, when support goes on." in text
    assert "goes on with exactly what was left" not in text
    _, ours = say("suspension", DANA, LEFT | {"taken_in": "yes"})
    assert "Its clocks have not begun: they begin, in full, when support goes on." in ours


@pytest.mark.parametrize(
    "said",
    [
        {"why": "contract ended"},
        {"why": "the contract has ended"},
        {"why": "", "standing": "terminated"},
    ],
)
def test_where_the_contract_has_ended_no_payment_is_asked_for(said: dict[str, str]) -> None:
    subject, text = account("suspension", ANN, SINCE | said)
    assert subject == "Support for Acme has ended"
    assert "Support for Acme ended on Wed 9 Jul 2031 12:00 (UTC-7).\n" in text
    assert "How it ends: support goes on when there is a contract for it again." in text
    assert "payment" not in text


def test_R12_on_resumption_each_clock_says_when_it_is_due_now() -> None:
    subject, text = say("resumption", ANN, DUE)
    assert subject == "Your request 4711: support goes on"
    assert "goes on, as of Wed 9 Jul 2031 12:00 (UTC-7). We take up your request where we left it" in text
    assert "- response: due Wed 16 Jul 2031 13:30 (UTC-7)\n- resolution: due Thu 17 Jul 2031 15:00 (UTC-7)\n" in text


def test_an_exception_is_told_with_its_end_and_only_to_our_people_on_whose_word() -> None:
    facts = DUE | {"until": "2031-07-12T19:00:00+00:00", "by": "gwen", "why": "their launch"}
    _, text = account("resumption", ANN, facts)
    assert "By way of exception, support for Acme goes on as of" in text
    assert "until Sat 12 Jul 2031 12:00 (UTC-7)." in text
    assert "gwen" not in text
    assert "launch" not in text
    _, ours = account("resumption", DANA, facts)
    assert "It is an exception until Sat 12 Jul 2031 12:00 (UTC-7), on the word of gwen (their launch)" in ours


def test_X04_a_correction_says_that_support_was_never_suspended_and_nothing_is_lost() -> None:
    facts = DUE | {"of": "suspension", "paid": "2031-07-09T18:00:00+00:00"}
    subject, text = account("withdrawal", ANN, facts, line("withdrawal"))
    assert subject == "A correction: support for Acme was not suspended"
    assert (
        "we are sorry: the payment had been made on Wed 9 Jul 2031 11:00 (UTC-7). Support was never suspended." in text
    )
    assert "Nothing is lost: your requests have counted all along" in text
    assert "- 4711 (S2): response: due Wed 16 Jul 2031 13:30 (UTC-7); resolution: due Thu 17 Jul" in text
    _, ours = say("withdrawal", DANA, facts)
    assert ours.startswith("The payment had been made on Wed 9 Jul 2031 11:00 (UTC-7), so support for Acme was never")
    _, unknown = account("withdrawal", ANN, SINCE)
    assert "and we are sorry. Support was never suspended." in unknown, "why it was wrong is not made up"


def test_a_reminder_says_until_when_support_goes_on_and_blames_nobody() -> None:
    facts = SINCE | {"why": "invoice 81", "grace_until": "2031-07-16T19:00:00+00:00"}
    subject, text = account("reminder", ANN, facts)
    assert subject == "A payment for the support of Acme is outstanding"
    assert "of Acme (invoice 81) has been outstanding since Wed 9 Jul 2031 12:00 (UTC-7).\n" in text
    assert "If the payment has not arrived by Wed 16 Jul 2031 12:00 (UTC-7), support is suspended from then on" in text
    assert "If the payment is on its way, you need do nothing." in text


def test_an_approval_says_what_it_would_do_and_how_to_answer_and_again_that_nobody_did() -> None:
    facts = SINCE | {
        "would": "stop the clocks of 12 open incidents", "approve": "pactkeeper approve acme --by YOU",
        "decline": "pactkeeper approve acme --no --by YOU", "line_title": "Platform",
    }  # fmt: skip
    subject, text = account("approval", DANA, facts)
    assert subject == "Approve or decline: suspend support for Acme (Platform)?"
    assert (
        "It would:  stop the clocks of 12 open incidents\n"
        "Approve:   pactkeeper approve acme --by YOU\n"
        "Decline:   pactkeeper approve acme --no --by YOU\n"
    ) in text
    again, text = account("approval", DANA, facts | {"first_asked": "2031-07-09T19:30:00+00:00"})
    assert again == "Still unanswered: suspend support for Acme (Platform)?"
    assert "This was first asked on Wed 9 Jul 2031 12:30 (UTC-7), and nobody has answered." in text


@pytest.mark.parametrize(("line", "named"), [("support", ""), ("zen", " --line zen"), ("a b", " --line 'a b'")])
def test_an_approval_can_be_answered_though_its_step_names_no_command(line: str, named: str) -> None:
    _, text = account("approval", DANA, SINCE | {"line": line})
    assert f"Approve:   pactkeeper approve acme{named} --by YOU\n" in text
    assert f"Decline:   pactkeeper decline-suspension acme{named} --by YOU\n" in text
    assert "Look:     pactkeeper standing acme" in text


def test_an_approval_is_never_worded_for_the_customer() -> None:
    _, text = account("approval", ANN, SINCE)
    assert not text.startswith("Hello")


@pytest.mark.parametrize("kind", ["suspension", "resumption", "withdrawal", "reminder"])
def test_no_word_to_the_customer_accuses_or_names_one_of_ours(kind: str) -> None:
    said = "\n".join([*account(kind, ANN, LEFT, line()), *(say(kind, ANN, LEFT) if kind != "reminder" else ())]).lower()
    for word in ("fail", "refus", "you owe", "overdue", "must", "breach", "dana", "pactkeeper", "escalat"):
        assert word not in said


def test_a_line_tells_our_people_how_the_command_line_calls_it_and_whose_it_is() -> None:
    ours = line(to=DANA)
    assert ours.says("dana") == "desk/4711 (S2): response: 1 h 30 min left; resolution: 7 h left"
    assert ours.says("gwen") == "desk/4711 (S2), with Dana: response: 1 h 30 min left; resolution: 7 h left"
    assert line().says(ANN.id) == "4711 (S2): response: 1 h 30 min left; resolution: 7 h left"
    assert line(taken_in="yes").says(ANN.id) == "4711 (S2): taken in; its time begins when support goes on"
    assert line(since="2031-07-09").says(ANN.id) == "4711 (S2)"


def test_a_line_comes_back_from_the_records_as_it_went_in() -> None:
    for one in (line(), line("resumption", DANA)):
        assert Line.model_validate(one.kept()) == one


def test_the_highest_priority_comes_first_and_then_what_is_due_first() -> None:
    def rank(priority: str | None, due: str) -> str:
        incident = INCIDENT.model_copy(update={"priority": priority})
        facts = {"due": due} if due else {}
        one = Line.of((step("suspension", facts), Notice(at=AT, kind="suspension", to=("dana",)), incident))
        return str(one.kept()["rank"])

    order = [
        ("S1", ""),
        ("S2", "response: 2031-07-01T00:00"),
        ("S2", "response: 2031-07-02T00:00"),
        ("S2", ""),
        (None, ""),
    ]
    mixed = [order[i] for i in (3, 0, 4, 2, 1)]
    assert sorted(mixed, key=lambda pair: rank(*pair)) == order


def test_more_incidents_than_are_listed_are_counted() -> None:
    _, ours = account("suspension", DANA, SINCE, line(to=DANA), parts=151)
    assert "and 150 more: pactkeeper status --customer acme" in ours
    _, theirs = account("suspension", ANN, SINCE, line(), parts=151)
    assert "and 150 more.\n" in theirs


@pytest.mark.parametrize(
    ("left", "due", "said"),
    [
        ("response: 1 h", "", ["response: 1 h left"]),
        ("response: -5 min", "", ["response: over by 5 min"]),
        ("advice#2: 1 h", "advice#2: 2031-07-09T19:00Z", ["advice no. 2: 1 h left, due Wed 9 Jul 2031 12:00 (UTC-7)"]),
        (
            "response: 1 h",
            "reply: 2031-07-09T19:00Z",
            ["response: 1 h left", "reply: due Wed 9 Jul 2031 12:00 (UTC-7)"],
        ),
        ("30 min", "", ["30 min left"]),
        ("", "", []),
        (" ; ;", "", []),
    ],
)
def test_each_clock_is_said_with_what_is_left_and_when_it_is_due(left: str, due: str, said: list[str]) -> None:
    assert clocks(left, due, -420, stand_still=False) == said


def test_a_clock_that_stands_still_was_due() -> None:
    assert clocks("", "response: 2031-07-09T19:00Z", -420, stand_still=True) == [
        "response: was due Wed 9 Jul 2031 12:00 (UTC-7)"
    ]


def test_a_time_within_a_sentence_is_written_as_people_write_it() -> None:
    assert with_moments("paid 2031-07-09T19:00:00+00:00, by card", -420) == "paid Wed 9 Jul 2031 12:00 (UTC-7), by card"
