"""Dead letters in the records: the first of an id is kept, whole up to a limit, until somebody has seen to it, once."""

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from sqlalchemy.ext.asyncio import AsyncEngine

from records.dead_letters import AS_BYTES, LISTED, MAX_BODY, DeadLetterStore, Letter, body_of

AT = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
LETTER = Letter(
    id="stripe/main/evt_1", source="stripe/main", received_at=AT, why="no customer is linked to cus_1",
    kind="invoice.paid", subject="cus_1", body='{"id": "evt_1", "name": "Žofie 🙂"}',
)  # fmt: skip


@pytest.fixture
def letters(engine: AsyncEngine) -> DeadLetterStore:
    return DeadLetterStore(engine)


async def test_what_is_put_is_got_and_the_first_of_an_id_stays(letters: DeadLetterStore) -> None:
    assert await letters.put(LETTER)
    assert not await letters.put(replace(LETTER, subject="cus_2"))
    assert await letters.get(LETTER.id) == LETTER
    assert await letters.get("nothing") is None


async def test_two_deliveries_at_once_keep_one(letters: DeadLetterStore) -> None:
    assert sorted(await asyncio.gather(*(letters.put(LETTER) for _ in range(8)))) == [False] * 7 + [True]


async def test_a_long_body_is_cut_and_no_character_is_too_odd(letters: DeadLetterStore) -> None:
    odd = replace(LETTER, body="x\x00\u202e" + "y" * (2 * MAX_BODY), why="\x00")
    assert await letters.put(odd)
    kept = await letters.get(LETTER.id)
    assert kept is not None
    assert (len(kept.body), kept.body[:3], kept.why) == (MAX_BODY, "x\ufffd\u202e", "\ufffd")


@given(st.one_of(st.binary(), st.text().map(str.encode)))
@example(AS_BYTES.encode())
@example(b"\x00")
@example("\u2400 \x00".encode())
@example(bytes(range(256)))
def test_a_body_comes_out_of_its_letter_to_the_byte_and_no_database_finds_fault_with_it(raw: bytes) -> None:
    kept = replace(LETTER, body=body_of(raw))
    assert kept.raw == raw
    assert "\x00" not in kept.body
    kept.body.encode()  # without halves of characters


async def test_a_mail_in_eight_bits_is_kept_by_its_bytes_and_can_still_be_read(letters: DeadLetterStore) -> None:
    """Mails are no UTF-8 by nature: one of Latin-1 says so in a header, and its text is in its bytes."""
    mail = "Content-Type: text/plain; charset=iso-8859-1\r\n\r\nZu groß, bitte prüfen.\0\r\n".encode("latin-1")
    long = mail + b"\xff" * (5 * 1024 * 1024 - len(mail))
    for raw in (mail, long):
        await letters.put(replace(LETTER, id=f"mail/desk/{len(raw)}", body=body_of(raw)))
        kept = await letters.get(f"mail/desk/{len(raw)}")
        assert kept is not None
        assert kept.raw == raw
        assert "Zu groß, bitte prüfen.\u2400" in kept.body
        assert kept.body.startswith(AS_BYTES)


async def test_a_letter_is_kept_whole_so_that_it_can_be_taken_again_and_lists_hold_its_beginning(
    letters: DeadLetterStore,
) -> None:
    """A helpdesk that tells a ticket's whole story sends megabytes of it."""
    long = replace(LETTER, body="\u00e9" * (4 * 1024 * 1024))
    await letters.put(long)
    assert await letters.get(LETTER.id) == long
    assert [len(one.body) for one in await letters.list()] == [LISTED]


async def test_the_newest_come_first_and_those_seen_to_are_shown_only_when_asked_for(letters: DeadLetterStore) -> None:
    for i in range(5):
        await letters.put(replace(LETTER, id=f"s/{i}", received_at=AT + timedelta(minutes=i)))
    assert await letters.handle("s/3", AT, "replayed")
    assert [one.id for one in await letters.list()] == ["s/4", "s/2", "s/1", "s/0"]
    assert [one.id for one in await letters.list(2, handled=True)] == ["s/4", "s/3"]
    assert await letters.waiting() == 4


async def test_those_that_wait_are_told_by_their_source(letters: DeadLetterStore) -> None:
    for source in ("zendesk/desk", "spool/desk", "mail/help_desk"):
        for i in range(2):
            await letters.put(replace(LETTER, id=f"{source}/{i}", source=source))
    await letters.handle("spool/desk/0", AT, "replayed")
    assert await letters.by_source() == {"zendesk/desk": 2, "spool/desk": 1, "mail/help_desk": 2}
    assert [one.id for one in await letters.list(source="desk")] == ["spool/desk/1", "zendesk/desk/0", "zendesk/desk/1"]
    assert [one.id for one in await letters.list(source="zendesk/desk")] == ["zendesk/desk/0", "zendesk/desk/1"]
    assert await letters.list(source="sk") == []


async def test_a_letter_is_seen_to_once_whoever_comes_at_the_same_time(letters: DeadLetterStore) -> None:
    await letters.put(LETTER)
    came = await asyncio.gather(*(letters.handle(LETTER.id, AT, f"by {i}") for i in range(6)))
    assert sorted(came) == [False] * 5 + [True]
    kept = await letters.get(LETTER.id)
    assert kept is not None
    assert (kept.handled_at, kept.handled_how) == (AT, f"by {came.index(True)}")
    assert not await letters.handle("nothing", AT, "x")
