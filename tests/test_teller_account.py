"""What many incidents have to say to the same people reaches each of them in one message, once, whatever fails."""

import asyncio
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from sqlalchemy.exc import OperationalError
from sqlalchemy.ext.asyncio import AsyncEngine
from temporalio.exceptions import ApplicationError

from activities.calls import CarryOut, TellAccount
from activities.courier import Courier
from activities.message import Message, Receipt
from activities.policies import Policies
from activities.settings import CourierSettings
from records.bundles import BundleStore, Part, Pile
from records.sent import SentStore
from sla.customer import Contact, Customer
from sla.entries import Notice
from sla.perform import Scene
from sla.roster import Outcome, Recipient
from sla.steps import Step
from tests.receivers import SECRET, log_lines, web_sink
from worker.bundling import Patience, utc_now
from worker.teller import LiveTeller

AT = datetime(2031, 7, 9, 19, 30, tzinfo=UTC)
SINCE = "2031-07-09T19:00:00+00:00"
SHORT = f"support/suspension/{SINCE}"
BUNDLE = f"account/acme/{SHORT}"
ANN = Recipient("ann@acme.example", "log", "ann@acme.example", "Ann")
BEN = Recipient("ben@acme.example", "log", "ben@acme.example", "Ben")
DANA = Recipient("dana", "log", None, "Dana")
GWEN = Recipient("gwen", "log", None, "Gwen")
ACME = Customer(
    id="acme", name="Acme",
    contacts=(
        Contact(email="ann@acme.example", name="Ann", roles=("support",), prefers="log"),
        Contact(email="ben@acme.example", name="Ben", roles=("billing",), prefers="log"),
    ),
)  # fmt: skip
POLICIES = Policies(only={"acme": ACME})
SOON = Patience(quiet=0.05, at_most=5, look=0.01, beat=0.01)
FACTS = {"since": SINCE, "why": "payment outstanding (invoice 81)", "left": "response: 1 h 30 min; resolution: 7 h"}


def outcome(step: Step, *people: Recipient) -> Outcome:
    """Each is told by their channel."""
    told = {"at": step.at, "kind": step.kind, "clause": step.clause}
    return Outcome(tuple((Notice(**told, to=(p.id,), channel=p.channel), (p,)) for p in people))  # type: ignore[arg-type]


def step(key: str = "suspension/-/-/1", **more: Any) -> Step:
    """An incident's own step, for the customer and the assignee."""
    tells = ("customer", "assignee")
    told = {
        "key": key,
        "kind": "suspension",
        "at": AT,
        "clause": "R12",
        "tells": tells,
        "bundle": BUNDLE,
        "facts": FACTS,
    }
    return Step.model_validate(told | more)


def of_account(kind: str = "suspension", **more: Any) -> Step:
    """An account's own step, for the customer's payers."""
    facts = {"since": SINCE, "why": "payment outstanding (invoice 81)", "line": "support"}
    told = {
        "key": f"{kind}/-/support/1",
        "kind": kind,
        "at": AT,
        "clause": "R12",
        "tells": ("customer",),
        "facts": facts,
    }
    return Step.model_validate(told | more)


def teller(folder: Path, engine: AsyncEngine | None, url: str | None = None, **more: Any) -> LiveTeller:
    settings = CourierSettings(state=folder, webhook_url=url, webhook_secret=SECRET, connect_seconds=1, total_seconds=2)
    courier = more.pop("courier", None) or Courier(settings, None if engine is None else SentStore(engine))
    store = more.pop("store", None) or (None if engine is None else BundleStore(engine))
    return LiveTeller(POLICIES, courier, store, patience=SOON)


async def suspends(
    by: LiveTeller, number: int, *people: Recipient, attempt: int = 1, said: Step | None = None, **scene: Any
) -> None:
    """One incident owes what is to be said of a suspension."""
    one = said or step()
    who: dict[str, Any] = {"assignee": "dana", "customer": "acme", "requester": "ann@acme.example", **scene}
    asked = CarryOut(
        incident=f"incident/desk/{number}", state_source="desk", ticket=str(number), steps=(one,), scene=Scene(**who),
        priority="S2", contract="reciprocity", contract_title="Reciprocity", offset_minutes=-420,
    )  # fmt: skip
    await by.tell(asked, [(one, outcome(one, *(people or (ANN, DANA))))], attempt)


async def speaks(
    by: LiveTeller,
    *chosen: tuple[Step, Sequence[Recipient]],
    attempt: int = 1,
    waits_for: int = 0,
    beats: list[int] | None = None,
) -> None:
    """The account says its own steps."""
    told = chosen or ((of_account(bundle=SHORT), (ANN, BEN)),)
    asked = TellAccount(
        customer="acme", steps=tuple(s for s, _ in told), waits_for=waits_for, contract="reciprocity",
        contract_title="Reciprocity", offset_minutes=-420,
    )  # fmt: skip
    seen = [] if beats is None else beats
    await by.tell_account(asked, [(s, outcome(s, *people)) for s, people in told], attempt, lambda: seen.append(1))


def told(folder: Path) -> dict[str, list[dict[str, Any]]]:
    """What stands in the log, by who reads it."""
    found: dict[str, list[dict[str, Any]]] = {}
    for line in log_lines(folder) if (folder / "notices.jsonl").exists() else []:
        found.setdefault(line["to"][0]["id"], []).append(line)
    return found


async def test_each_person_is_told_once_for_all_incidents(tmp_path: Path, engine: AsyncEngine) -> None:
    by = teller(tmp_path, engine)
    await suspends(by, 1, ANN, DANA)
    await suspends(by, 2, ANN, GWEN, assignee="gwen")
    assert told(tmp_path) == {}
    await speaks(by, waits_for=2)
    heard = told(tmp_path)
    assert {who: len(lines) for who, lines in heard.items()} == {
        "ann@acme.example": 1, "ben@acme.example": 1, "dana": 1, "gwen": 1,
    }  # fmt: skip
    (ann,), (ben,), (dana,), (gwen,) = (heard[who] for who in ("ann@acme.example", "ben@acme.example", "dana", "gwen"))
    assert ann["key"] == f"{BUNDLE}/log-ann@acme.example"
    assert ann["subject"] == "Support for Acme is suspended"
    assert ann["text"].startswith("Hello Ann,\n")
    line = "- {} (S2): response: 1 h 30 min left; resolution: 7 h left\n"
    assert line.format(1) + line.format(2) in ann["text"]
    assert "Your open requests" not in ben["text"]
    assert dana["subject"] == gwen["subject"] == "Support suspended: Acme"
    assert line.format("desk/1") in dana["text"]
    assert "desk/2" not in dana["text"]
    assert line.format("desk/2") in gwen["text"]
    assert (ann["kind"], ann["clause"], ann["incident"]) == ("suspension", "R12", "account/acme")
    assert ann["data"]["tickets"] == "1, 2"


async def test_of_two_hundred_incidents_fifty_are_listed_and_the_others_counted(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    by = teller(tmp_path, engine)
    await asyncio.gather(*(suspends(by, number) for number in range(200)))
    await speaks(by, waits_for=200)
    heard = told(tmp_path)
    assert {who: len(lines) for who, lines in heard.items()} == {
        "ann@acme.example": 1,
        "ben@acme.example": 1,
        "dana": 1,
    }
    for who, more in (
        ("ann@acme.example", "and 150 more."),
        ("dana", "and 150 more: pactkeeper status --customer acme"),
    ):
        lines = heard[who][0]["text"].splitlines()
        assert sum(line.startswith("- ") for line in lines) == 50
        assert more in lines


async def test_attempts_in_any_number_say_everything_once(tmp_path: Path, engine: AsyncEngine) -> None:
    for attempt in (1, 2):
        for by in (teller(tmp_path, engine), teller(tmp_path, engine)):
            await suspends(by, 1, attempt=attempt)
    for attempt in (1, 2):
        await speaks(teller(tmp_path, engine), waits_for=1, attempt=attempt)
    await suspends(teller(tmp_path, engine), 1, attempt=3)
    assert {who: len(lines) for who, lines in told(tmp_path).items()} == {
        "ann@acme.example": 1, "ben@acme.example": 1, "dana": 1,
    }  # fmt: skip


async def test_what_comes_after_its_bundle_went_out_goes_out_at_once_by_itself(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    by = teller(tmp_path, engine)
    await suspends(by, 1)
    await speaks(by, waits_for=1)
    for attempt in (1, 2):
        await suspends(teller(tmp_path, engine), 2, attempt=attempt)
    first, late = told(tmp_path)["ann@acme.example"]
    assert first["key"] == f"{BUNDLE}/log-ann@acme.example"
    assert late["key"] == "incident/desk/2/suspension/-/-/1/ann@acme.example"
    assert late["subject"] == "Your request 2: support is suspended"


async def test_after_a_kill_between_the_closing_and_the_sending_all_is_said(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    await suspends(teller(tmp_path, engine), 1)
    await BundleStore(engine).close(BUNDLE, "acme", utc_now())
    await speaks(teller(tmp_path, engine), waits_for=1, attempt=2)
    heard = told(tmp_path)
    assert {who: len(lines) for who, lines in heard.items()} == {
        "ann@acme.example": 1,
        "ben@acme.example": 1,
        "dana": 1,
    }
    assert "- 1 (S2)" in heard["ann@acme.example"][0]["text"]


class Forgets(BundleStore):
    """Dies after the sending, before it is written down."""

    async def sent(self, piles: Sequence[Pile], at: datetime) -> None:
        raise OperationalError("UPDATE", {}, Exception("the server closed the connection"))


async def test_after_a_kill_between_the_sending_and_its_record_nothing_is_said_twice(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    with web_sink() as sink:
        dana = Recipient("dana", "webhook", None, "Dana")
        await suspends(teller(tmp_path, engine, sink.url), 1, ANN, dana)
        with pytest.raises(OperationalError):
            await speaks(teller(tmp_path, engine, sink.url, store=Forgets(engine)), waits_for=1)
        await speaks(teller(tmp_path, engine, sink.url), waits_for=1, attempt=2)
        assert len(sink.requests) == 1
    assert {who: len(lines) for who, lines in told(tmp_path).items()} == {"ann@acme.example": 1, "ben@acme.example": 1}


async def test_a_channel_that_is_down_keeps_no_other_message_back_and_is_tried_again(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    dana = Recipient("dana", "webhook", None, "Dana")
    with web_sink() as sink:
        sink.answers = [(503, {"retry-after": "7"})]
        by = teller(tmp_path, engine, sink.url)
        await suspends(by, 1, ANN, dana)
        with pytest.raises(ApplicationError, match="answered 503") as raised:
            await speaks(by, waits_for=1)
        assert raised.value.next_retry_delay == timedelta(seconds=7)
        assert {who: len(lines) for who, lines in told(tmp_path).items()} == {
            "ann@acme.example": 1, "ben@acme.example": 1,
        }  # fmt: skip
        await speaks(by, waits_for=1, attempt=2)
        (effect,) = sink.effects.values()
        assert "- desk/1 (S2)" in effect["data"]["text"]
    assert {who: len(lines) for who, lines in told(tmp_path).items()} == {"ann@acme.example": 1, "ben@acme.example": 1}


async def test_who_pays_and_has_a_request_too_is_sent_one_message(tmp_path: Path, engine: AsyncEngine) -> None:
    ann = Recipient("ann@acme.example", "webhook", None, "Ann")
    with web_sink() as sink:
        settings = CourierSettings(state=tmp_path, webhook_url=sink.url, webhook_secret=SECRET)
        by = teller(tmp_path, engine, courier=Courier(settings, None))
        await suspends(by, 1, ann)
        await speaks(by, (of_account(bundle=SHORT), (ann,)), waits_for=1)
        assert len(sink.requests) == 1
        assert "- 1 (S2)" in next(iter(sink.effects.values()))["data"]["text"]


class Away(BundleStore):
    """A database that is away as long as it is told."""

    away = True

    async def put(self, parts: Sequence[Part], at: datetime) -> list[bool]:
        if self.away:
            raise OperationalError("BEGIN", {}, Exception("could not connect"))
        return await super().put(parts, at)


async def test_what_the_database_cannot_take_goes_out_at_once_and_is_not_said_again_when_it_is_back(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    store = Away(engine)
    by = teller(tmp_path, engine, store=store)
    await suspends(by, 1)
    await suspends(by, 1, attempt=2)
    store.away = False
    await suspends(by, 1, attempt=3)
    await suspends(by, 2, ANN)
    store.away = True
    await suspends(by, 2, ANN, attempt=2)
    store.away = False
    await speaks(by, (of_account(bundle=SHORT), (BEN,)), waits_for=1)
    heard = told(tmp_path)
    assert {who: [line["key"].rpartition("/")[0] for line in lines] for who, lines in heard.items()} == {
        "ann@acme.example": ["incident/desk/1/suspension/-/-/1", BUNDLE],
        "dana": ["incident/desk/1/suspension/-/-/1"],
        "ben@acme.example": [BUNDLE],
    }
    assert "desk/1" not in heard["ann@acme.example"][1]["text"]


async def test_without_records_every_notice_goes_out_by_itself(tmp_path: Path) -> None:
    by = teller(tmp_path, None)
    await suspends(by, 1)
    await speaks(by)
    heard = told(tmp_path)
    assert {who: len(lines) for who, lines in heard.items()} == {
        "ann@acme.example": 2,
        "dana": 1,
        "ben@acme.example": 1,
    }


class Picky(Courier):
    """Cannot bring anything to some."""

    def __init__(self, courier: Courier, but: str) -> None:
        self.courier, self.but = courier, but

    async def bring(self, message: Message, **how: Any) -> Receipt:
        if message.to[0].id == self.but:
            raise RuntimeError("the process is killed")
        return await self.courier.bring(message, **how)


async def test_what_an_earlier_bundle_left_unsaid_is_said_before_the_next(tmp_path: Path, engine: AsyncEngine) -> None:
    """A process was killed long ago between two of its messages, and nobody tried again."""
    by, store = teller(tmp_path, engine), BundleStore(engine)
    settings = CourierSettings(state=tmp_path)
    await suspends(by, 1)
    with pytest.raises(RuntimeError, match="killed"):
        await speaks(teller(tmp_path, engine, courier=Picky(Courier(settings, SentStore(engine)), "dana")), waits_for=1)
    assert "dana" not in told(tmp_path)
    await _make_old(engine)
    resumed = f"support/resumption/{SINCE}"
    again = {"key": "resumption/-/-/1", "kind": "resumption", "bundle": f"account/acme/{resumed}"}
    await suspends(by, 1, said=step(**again, facts={"due": "response: 2031-07-16T19:00:00+00:00"}))
    await speaks(by, (of_account("resumption", bundle=resumed), (ANN, BEN)), waits_for=1)
    assert [line["subject"] for line in told(tmp_path)["dana"]] == ["Support suspended: Acme", "Support goes on: Acme"]
    assert [line["kind"] for line in told(tmp_path)["ann@acme.example"]] == ["suspension", "resumption"]
    assert "response: due Wed 16 Jul 2031 12:00 (UTC-7)" in told(tmp_path)["dana"][1]["text"]
    assert await store.forgotten(utc_now() + timedelta(days=1)) == []


async def _make_old(engine: AsyncEngine) -> None:
    async with engine.begin() as connection:
        await connection.exec_driver_sql("UPDATE notice_parts SET put_at = '2026-01-01 00:00:00.000000+00:00'")


async def test_parts_that_no_account_comes_for_are_swept_up(tmp_path: Path, engine: AsyncEngine) -> None:
    by = teller(tmp_path, engine)
    await suspends(by, 1)
    await suspends(by, 2)
    assert await by.sweep_bundles() == 0
    assert told(tmp_path) == {}
    await _make_old(engine)
    assert await by.sweep_bundles() == 1
    assert await by.sweep_bundles() == 0
    heard = told(tmp_path)
    assert {who: len(lines) for who, lines in heard.items()} == {"ann@acme.example": 1, "dana": 1}
    ann = heard["ann@acme.example"][0]
    assert ann["subject"] == "Support for Acme is suspended"
    assert "since Wed 9 Jul 2031 12:00 (UTC-7)" in ann["text"]
    assert "Why: payment outstanding (invoice 81)." in ann["text"]
    assert "- 2 (S2): response: 1 h 30 min left" in ann["text"]
    await speaks(teller(tmp_path, engine), waits_for=2)
    assert {who: len(lines) for who, lines in told(tmp_path).items()} == {
        "ann@acme.example": 1, "dana": 1, "ben@acme.example": 1,
    }  # fmt: skip


async def test_what_an_account_says_alone_waits_for_nothing(tmp_path: Path) -> None:
    by = teller(tmp_path, None)
    until = {"grace_until": "2031-07-16T19:00:00+00:00", "since": SINCE, "why": "invoice 81"}
    asks = of_account(
        "approval", tells=("on_duty",), facts={"since": SINCE, "approve": "pactkeeper approve acme --by YOU"}
    )
    for attempt in (1, 2):
        await speaks(by, (of_account("reminder", facts=until), (ANN, BEN)), (asks, (GWEN,)), attempt=attempt)
    heard = told(tmp_path)
    assert {who: [line["key"] for line in lines] for who, lines in heard.items()} == {
        "ann@acme.example": ["account/acme/reminder/-/support/1/ann@acme.example"],
        "ben@acme.example": ["account/acme/reminder/-/support/1/ben@acme.example"],
        "gwen": ["account/acme/approval/-/support/1/gwen"],
    }
    assert "If the payment has not arrived by Wed 16 Jul 2031 12:00 (UTC-7)" in heard["ben@acme.example"][0]["text"]
    assert "Approve:   pactkeeper approve acme --by YOU" in heard["gwen"][0]["text"]


async def test_a_sign_of_life_is_given_while_an_account_waits(tmp_path: Path, engine: AsyncEngine) -> None:
    beats: list[int] = []
    await speaks(teller(tmp_path, engine), waits_for=3, beats=beats)
    assert len(beats) >= 3


async def test_one_of_our_people_reads_our_words_though_the_account_tells_the_customer(
    tmp_path: Path, engine: AsyncEngine
) -> None:
    by = teller(tmp_path, engine)
    await suspends(by, 1, DANA)
    await suspends(by, 2, Recipient("stranger@else.example", "log", None), requester="stranger@else.example")
    await speaks(by, waits_for=2)
    heard = told(tmp_path)
    assert "pactkeeper standing acme" in heard["dana"][0]["text"]
    assert heard["stranger@else.example"][0]["text"].startswith("Hello,\n")


async def test_whatever_a_helpdesk_calls_its_tickets_the_part_can_be_kept(tmp_path: Path, engine: AsyncEngine) -> None:
    by = teller(tmp_path, engine)
    odd = Recipient("ann\u0000\ud800@acme.example", "log", "ann@acme.example", "Ann\u0000")
    await suspends(by, 1, odd, said=step(facts=FACTS | {"why": "a\u0000b\nc\u202e"}), requester=odd.id)
    await speaks(by, waits_for=1)
    (line,) = (line for line in log_lines(tmp_path) if "- 1 (S2)" in line["text"])
    assert line["text"].startswith("Hello Ann,")
