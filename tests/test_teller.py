"""The live teller: one message for each person and channel, by real channels, and the log where a channel fails."""

import json
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from temporalio.exceptions import ApplicationError

from activities.calls import CarryOut
from activities.courier import Courier
from activities.policies import Policies
from activities.settings import CourierSettings
from records.shelf import Shelf
from sla.customer import DEFAULT_CUSTOMER
from sla.entries import Notice
from sla.perform import Scene
from sla.roster import Outcome, Recipient, Roster
from sla.steps import Step
from tests.receivers import SECRET, log_lines, web_sink
from worker.letters import messages
from worker.teller import LiveTeller

AT = datetime(2031, 7, 14, 16, 0, tzinfo=UTC)
DANA = Recipient("dana", "webhook", None, "Dana")
GWEN = Recipient("gwen", "log", None, "Gwen")
ANN = Recipient("ann@acme.example", "log", "ann@acme.example", "Ann")
POLICIES = Policies(only={"acme": DEFAULT_CUSTOMER})


def step(kind: str = "escalation", label: str | None = "75%", number: int = 1, **more: object) -> Step:
    clock = "response" if kind == "escalation" else None
    key = f"{kind}/{clock or '-'}/{label or '-'}/{number}"
    facts = {"left": "30 min", "target": "2 business hours", "due": "2031-07-14T09:30-07:00"} if clock else {}
    told = {"key": key, "kind": kind, "at": AT, "clock": clock, "step": label, "clause": "X01", "tells": ("assignee",)}
    return Step.model_validate({**told, "facts": facts, **more})


def outcome(of: Step, *people: Recipient, assignee: str | None = None) -> Outcome:
    notices = [
        (
            Notice(
                at=of.at, kind=of.kind, clock=of.clock, step=of.step, to=(p.id,), channel=p.channel, clause=of.clause
            ),
            (p,),
        )
        for p in people
    ]
    return Outcome(tuple(notices), assignee)


def asked(*steps: Step, **more: object) -> CarryOut:
    scene = Scene(assignee="dana", customer="acme", requester="ann@acme.example")
    said = {"incident": "incident/generic/4711", "state_source": "generic", "ticket": "4711", "steps": steps}
    under = {"priority": "P1", "contract": "tromzo", "contract_title": "Tromzo support", "offset_minutes": -420}
    return CarryOut.model_validate({**said, **under, "scene": scene, **more})


def teller(folder: Path, url: str | None = None) -> LiveTeller:
    settings = CourierSettings(state=folder, webhook_url=url, webhook_secret=SECRET, connect_seconds=1, total_seconds=2)
    return LiveTeller(POLICIES, Courier(settings, None))


async def tell(by: LiveTeller, chosen: Sequence[tuple[Step, Outcome]], attempt: int = 1, **more: object) -> None:
    await by.tell(asked(*(s for s, _ in chosen), **more), chosen, attempt)


async def test_what_several_steps_say_to_one_person_is_one_message(tmp_path: Path) -> None:
    first, second = step(label="75%"), step(label="90%")
    chosen = [(first, outcome(first, GWEN)), (second, outcome(second, GWEN, ANN))]
    await tell(teller(tmp_path), chosen)
    told = log_lines(tmp_path)
    assert [line["to"][0]["id"] for line in told] == ["gwen", "ann@acme.example"]
    assert told[0]["key"] == "incident/generic/4711/escalation/response/75%/1+escalation/response/90%/1/gwen"
    assert told[0]["data"]["steps"] == "escalation/response/75%/1, escalation/response/90%/1"
    assert told[1]["key"] == "incident/generic/4711/escalation/response/90%/1/ann@acme.example"


async def test_the_same_steps_told_again_have_no_second_effect(tmp_path: Path) -> None:
    one = step()
    by = teller(tmp_path)
    await tell(by, [(one, outcome(one, GWEN))])
    await tell(by, [(one, outcome(one, GWEN))], attempt=2)
    assert len(log_lines(tmp_path)) == 1


async def test_a_message_is_about_the_weightiest_of_its_notices(tmp_path: Path) -> None:
    received, lacking = step("acknowledgement", None), step("information_request", None, facts={"missing": "the logs"})
    chosen = [(received, outcome(received, ANN)), (lacking, outcome(lacking, ANN))]
    await tell(teller(tmp_path), chosen)
    (line,) = log_lines(tmp_path)
    assert line["kind"] == "information_request"
    assert "we need something from you" in line["subject"]


async def test_staff_are_told_how_the_command_line_calls_the_ticket(tmp_path: Path) -> None:
    one = step()
    await tell(teller(tmp_path), [(one, outcome(one, GWEN))])
    (line,) = log_lines(tmp_path)
    assert "pactkeeper ack generic/4711 --by gwen" in line["text"]
    assert "P1 (Critical)" in line["text"]
    assert "Has it:   Dana" in line["text"]


async def test_the_customer_is_told_in_other_words_than_our_people(tmp_path: Path) -> None:
    one = step(tells=("assignee", "customer"))
    await tell(teller(tmp_path), [(one, outcome(one, GWEN, ANN))])
    staff, customer = log_lines(tmp_path)
    assert customer["text"].startswith("Hello Ann")
    assert "pactkeeper" not in customer["text"]
    assert "pactkeeper" in staff["text"]


async def test_who_takes_it_over_is_told_after_whom(tmp_path: Path) -> None:
    one = step(reassign="next")
    notice = Notice(at=AT, kind="reassignment", clock="response", step="75%", to=("eli",), channel="log", clause="X02")
    handed = Outcome(((notice, (Recipient("eli", "log", None, "Eli"),)),), assignee="eli")
    await tell(teller(tmp_path), [(one, handed)])
    (line,) = log_lines(tmp_path)
    assert "You have it now, after Dana." in line["text"]
    assert line["data"]["assignee"] == "eli"


async def test_a_signed_webhook_takes_a_message_for_each_person(tmp_path: Path) -> None:
    one = step()
    with web_sink() as sink:
        await tell(teller(tmp_path, sink.url), [(one, outcome(one, DANA, GWEN))])
        (effect,) = sink.effects.values()
    assert effect["data"]["to"] == [{"id": "dana", "name": "Dana"}]
    assert len(log_lines(tmp_path)) == 1


async def test_a_channel_that_is_down_is_tried_again_and_keeps_no_other_message_back(tmp_path: Path) -> None:
    one = step()
    with web_sink() as sink:
        sink.answers = [(503, {"retry-after": "7"})]
        by = teller(tmp_path, sink.url)
        with pytest.raises(ApplicationError, match="answered 503") as raised:
            await tell(by, [(one, outcome(one, DANA, GWEN))])
        assert raised.value.next_retry_delay is not None
        assert raised.value.next_retry_delay.total_seconds() == 7
        assert [line["to"][0]["id"] for line in log_lines(tmp_path)] == ["gwen"]
        await tell(by, [(one, outcome(one, DANA, GWEN))], attempt=2)
        assert len(sink.effects) == 1
        assert len(log_lines(tmp_path)) == 1


@pytest.mark.parametrize("attempt", [4, 5])
async def test_after_three_attempts_the_notice_goes_to_the_log_with_the_reason(tmp_path: Path, attempt: int) -> None:
    one = step()
    with web_sink() as sink:
        sink.answers = [(503, {})]
        await tell(teller(tmp_path, sink.url), [(one, outcome(one, DANA))], attempt=attempt)
    (line,) = log_lines(tmp_path)
    assert line["to"] == [{"id": "dana", "name": "Dana"}]
    assert "answered 503" in line["detail"]


async def test_what_a_channel_refuses_goes_to_the_log_at_once(tmp_path: Path) -> None:
    one = step()
    with web_sink() as sink:
        sink.answers = [(400, {})]
        await tell(teller(tmp_path, sink.url), [(one, outcome(one, DANA))])
    (line,) = log_lines(tmp_path)
    assert "answered 400" in line["detail"]


def test_whatever_a_person_is_called_the_key_stays_plain_and_short() -> None:
    steps = [step(label=f"{n}%", number=n) for n in range(1, 60)]
    odd = Recipient("ann\u0000\n" + "x" * 300, "log", None, "")
    (one,) = messages(asked(*steps), [(s, outcome(s, odd)) for s in steps], POLICIES, DEFAULT_CUSTOMER)
    assert len(one.key) <= 900
    assert one.key.isprintable()
    (other,) = messages(asked(*steps[:-1]), [(s, outcome(s, odd)) for s in steps[:-1]], POLICIES, DEFAULT_CUSTOMER)
    assert other.key != one.key


async def test_a_policy_file_that_is_broken_just_now_takes_away_no_notice(tmp_path: Path) -> None:
    broken = tmp_path / "policies"
    for kind in ("contracts", "teams"):
        (broken / kind).mkdir(parents=True)
    (broken / "contracts" / "tromzo.yaml").write_text("name: [")
    (broken / "teams" / "default.yaml").write_text("name: [")
    policies = Policies(Shelf(broken), only={"acme": DEFAULT_CUSTOMER})
    one = step()
    await tell(LiveTeller(policies, Courier(CourierSettings(state=tmp_path), None)), [(one, outcome(one, GWEN))])
    (line,) = log_lines(tmp_path)
    assert "Has it:   dana" in line["text"]


async def test_all_that_the_default_team_says_can_be_told(tmp_path: Path) -> None:
    roster = Roster.around(POLICIES.team(), AT)
    late = step(label="100%", tells=("assignee", "lead", "manager", "customer"))
    came = roster.carry_out(late, "dana", (), DEFAULT_CUSTOMER.recipient("ann@acme.example"))
    await tell(teller(tmp_path), [(late, came)])
    told = log_lines(tmp_path)
    assert {line["to"][0]["id"] for line in told} == {"dana", "farid", "gwen", "ann@acme.example"}
    assert all(json.dumps(line) for line in told)
