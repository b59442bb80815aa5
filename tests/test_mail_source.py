"""What e-mails mean: a thread as mail servers hand it over, what machines send, odd mails, and hostile ones."""

import random
from datetime import UTC, datetime
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from sla.events import Delivery
from sla.intake import Read, Told, Unusable, mail_reference
from sla.signing import BadSignature, Hook
from sla.source import Source
from starter.intake.mail import ADAPTER, MOST_LINES

DELIVERIES = Path(__file__).parent / "deliveries" / "mail"
HEARD = datetime(2031, 7, 9, 9, tzinfo=UTC)
TEAM = {"dana@vendor.example": "dana", "alex@vendor.example": "alex"}
SOURCE = Source(
    name="inbox", kind="mail", agents=TEAM, channels=("support@vendor.example",), ours=("pactkeeper@vendor.example",)
)
SAMPLES = sorted(path.stem for path in DELIVERIES.glob("*.eml"))
THREAD = ("opening", "agent-reply", "note", "customer-reply")
TICKET = "m0123456789abcdef"


def mail(name: str) -> bytes:
    return (DELIVERIES / f"{name}.eml").read_bytes()


def read(raw: bytes, source: Source = SOURCE, heard: datetime = HEARD) -> Read:
    found: Read = ADAPTER.read(raw, source, heard)
    return found


def told(raw: bytes, source: Source = SOURCE) -> Told:
    (one,) = read(raw, source).told
    return one


def plain(body: str = "Hello", **headers: str) -> bytes:
    """A mail of Ann's; a header that is empty is left out, and `_` stands for `-`."""
    given = {
        "From": "ann@acme.example",
        "To": "support@vendor.example",
        "Subject": "Help",
        "Message_ID": "<new@acme.example>",
    }
    lines = [f"{name.replace('_', '-')}: {value}" for name, value in (given | headers).items() if value]
    return ("\r\n".join(lines) + "\r\n\r\n" + body).encode("utf-8", "surrogateescape")


def test_a_new_thread_is_opened_by_the_customer_when_it_was_written():
    one = told(mail("opening"))
    (opening,) = one.words
    assert (opening.event.event, opening.event.by, one.requester) == ("opened", "ann@acme.example", "ann@acme.example")
    assert opening.occurred_at == datetime(2031, 7, 9, 7, 59, 58, tzinfo=UTC)
    assert (opening.event.subject, opening.event.priority) == ("Nothing loads – blank page", "P1")
    assert opening.event.body == "Since 9:50 every page is blank. Grüße, Ann"
    assert opening.event.channel == "email"
    assert opening.key == f"inbox:{one.ticket}:opened"


def test_the_answers_join_the_thread_by_its_first_message_and_say_who_spoke():
    ticket = told(mail("opening")).ticket
    answer, note, reply = (told(mail(name)) for name in THREAD[1:])
    assert {answer.ticket, note.ticket, reply.ticket} == {ticket}
    first, second, third = answer.words[0].event, note.words[0].event, reply.words[0].event
    assert (first.event, first.by, first.public, first.body) == (
        "agent_replied",
        "dana",
        True,
        "We are looking into it.",
    )
    assert (second.event, second.by, second.public) == ("agent_replied", "alex", False)
    assert (third.event, third.by, third.body) == ("customer_replied", "bob@acme.example", "Still blank. 5 > 4")
    assert answer.requester == "ann@acme.example"


def by_key(given: list[Told]) -> dict[str, Delivery]:
    kept: dict[str, Delivery] = {}
    for one in given:
        for word in one.words:
            kept.setdefault(word.key, word)
    return kept


def test_delivered_twice_to_two_mailboxes_and_shuffled_it_is_the_same_set_of_words():
    wanted = by_key([told(mail(name)) for name in THREAD])
    for seed in range(12):
        order = [*THREAD, *THREAD]
        random.Random(seed).shuffle(order)
        mixed = [told(b"X-Original-To: help@vendor.example\r\n" + mail(name)) for name in order]
        assert by_key(mixed) == wanted


def test_a_thread_first_seen_in_its_middle_is_opened_by_what_is_seen_of_it():
    one = told(mail("customer-reply"))
    assert [word.event.event for word in one.words] == ["customer_replied", "opened"]
    assert one.words[1].key != told(mail("opening")).words[0].key


@pytest.mark.parametrize("name", ["out-of-office", "bounce"])
def test_what_a_machine_answers_is_nobodys_word(name: str):
    assert "automatic" in (read(mail(name)).ignored or "")


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "auto-generated (vacation)"},
        {"Precedence": "auto_reply"},
        {"X_Auto_Response_Suppress": "DR, OOF, AutoReply"},
        {"X_Autoreply": "yes"},
        {"Return_Path": "<>"},
        {"From": "<>"},
        {"From": "Postmaster <postmaster@acme.example>"},
        {"Content_Type": "multipart/report; report-type=disposition-notification; boundary=b"},
        {"Subject": "Abwesenheitsnotiz: Help", "References": "<a@b>"},
    ],
)
def test_every_sign_of_an_automatic_mail_is_seen(headers: dict[str, str]):
    assert (read(plain(**headers)).ignored or "").startswith("an automatic mail")


@pytest.mark.parametrize(
    "headers",
    [
        {"Auto_Submitted": "no"},
        {"Precedence": "list"},
        {"X_Auto_Response_Suppress": "DR, RN"},
        {"Subject": "Out of office: our calendar shows everybody as away"},
        {"Subject": "Automatic reply rules are broken", "References": "<a@b>"},
        {"Subject": "Automatic reply: it is broken", "References": "<a@b>", "Auto_Submitted": "no"},
    ],
)
def test_a_person_is_not_taken_for_a_machine(headers: dict[str, str]):
    assert read(plain(**headers)).told


def test_a_machine_that_counts_as_a_customer_is_heard():
    source = SOURCE.model_copy(update={"customers": frozenset({"ann@acme.example"})})
    assert told(plain(Auto_Submitted="auto-generated"), source).words


def test_our_own_mail_is_no_word_and_other_recipients_do_not_count():
    assert read(plain(From="Pactkeeper <pactkeeper@vendor.example>")).ignored == "our own mail"
    assert "recipients" in (read(plain(To="sales@vendor.example")).ignored or "")
    assert told(plain(To="support+x@vendor.example")).words


@pytest.mark.parametrize(
    "headers",
    [
        {"References": f"<a@b> {mail_reference('inbox', TICKET, 'vendor.example')} <notice@vendor.example>"},
        {"In_Reply_To": mail_reference("inbox", TICKET, "vendor.example")},
        {"Subject": f"Re: [#{TICKET}] Help"},
        {"To": f"support+{TICKET}@vendor.example"},
        {"Delivered_To": f"support+{TICKET}@vendor.example"},
    ],
)
def test_an_answer_to_our_own_mail_finds_its_ticket(headers: dict[str, str]):
    one = told(plain(**headers))
    assert (one.ticket, [word.event.event for word in one.words]) == (TICKET, ["customer_replied"])


def test_the_reference_of_another_source_names_no_ticket_here():
    assert told(plain(References=mail_reference("other", TICKET, "vendor.example"))).ticket != TICKET


def test_an_agent_who_writes_first_opens_it_for_the_customer_they_write_to():
    one = told(plain(From="dana@vendor.example", To="ann@acme.example", Cc="support@vendor.example"))
    assert (one.words[0].event.event, one.words[0].event.by, one.requester) == (
        "opened",
        "ann@acme.example",
        "ann@acme.example",
    )


@pytest.mark.parametrize(
    ("date", "received", "at"),
    [
        ("Wed, 9 Jul 2031 08:00:00 +0000", "", datetime(2031, 7, 9, 8, tzinfo=UTC)),
        ("Wed, 9 Jul 2031 08:00:00 -0000", "", datetime(2031, 7, 9, 8, tzinfo=UTC)),
        (
            "Mon, 7 Jul 2031 08:00:00 +0000",
            "by x; Wed, 9 Jul 2031 08:30:00 +0000",
            datetime(2031, 7, 9, 8, 30, tzinfo=UTC),
        ),
        ("Fri, 31 Feb 2031 08:00:00 +0000", "", HEARD),
        ("Wed, 9 Jul 9999 08:00:00 +0000", "", HEARD),
        ("yesterday", "by x; sometime", HEARD),
        ("", "", HEARD),
    ],
)
def test_a_date_that_cannot_be_is_when_the_mail_server_took_it_or_we_did(date: str, received: str, at: datetime):
    assert told(plain(Date=date, Received=received)).words[0].occurred_at == at


@pytest.mark.parametrize(("importance", "priority"), [("high", "P1"), ("normal", None), ("low", None), ("", None)])
def test_importance_is_the_priority_and_low_only_where_the_source_says_so(importance: str, priority: str | None):
    assert told(plain(Importance=importance)).words[0].event.priority == priority
    source = SOURCE.model_copy(update={"priorities": {"low": "P3"}})
    assert told(plain(X_Priority="5"), source).words[0].event.priority == "P3"


def test_a_subject_can_end_no_header_and_a_text_holds_no_control_characters():
    one = told(
        plain(
            "a\x00b\x1b[31mred\udcff",
            Subject="=?utf-8?q?Hi=0D=0ABcc:_x@evil.example=00?=",
            Content_Type="text/plain; charset=utf-8",
        )
    )
    assert one.words[0].event.subject == "Hi Bcc: x@evil.example"
    assert one.words[0].event.body == "ab[31mred�"


@pytest.mark.parametrize("charset", ["x-nothing", "utf-16", "idna", "hex", "'", "=?"])
def test_a_charset_that_is_none_loses_no_mail(charset: str):
    one = told(plain("Hello", Content_Type=f"text/plain; charset={charset}"))
    assert one.words[0].event.event == "opened"


def test_a_reply_written_between_the_quoted_lines_is_kept_whole():
    body = "On Monday Dana wrote:\n> Which browser?\nFirefox.\n> Since when?\nNoon."
    assert told(plain(body, References="<a@b>")).words[0].event.body == body


def test_a_mail_without_an_id_is_the_same_each_time_and_without_a_sender_unusable():
    assert told(plain(Message_ID="")).ticket == told(b"Received: by x; \r\n" + plain(Message_ID="")).ticket
    assert told(plain(Message_ID="")).ticket != told(plain("Other", Message_ID="")).ticket
    for raw in (b"", b"\x00\xff", plain(From=""), plain(From="nobody")):
        with pytest.raises(Unusable, match="From"):
            read(raw)


def test_a_mail_made_to_be_slow_is_refused_or_read_at_once():
    with pytest.raises(Unusable, match="lines"):
        read(plain("\n" * (MOST_LINES + 1)))
    assert read(plain(Content_Type="text/plain" + "; a=b" * 200_000)).told
    assert read(plain("<a " * 300_000, Content_Type="text/html")).told
    nested = "".join(f"Content-Type: multipart/mixed; boundary=b{i}\r\n\r\n--b{i}\r\n" for i in range(3000))
    with pytest.raises(Unusable):
        read(nested.encode())


def test_it_is_authentic_by_the_token_alone():
    token = "a-token-of-at-least-twenty-characters"
    ADAPTER.verify(Hook({"authorization": f"Bearer {token}"}, mail("opening"), HEARD), ["the-other", token])
    with pytest.raises(BadSignature):
        ADAPTER.verify(Hook({}, mail("opening"), HEARD), [token])


@settings(max_examples=200, deadline=None)
@given(data=st.data())
def test_whatever_comes_is_read_or_unusable(data: st.DataObject):
    raw = bytearray(mail(data.draw(st.sampled_from(SAMPLES))))
    for _ in range(data.draw(st.integers(1, 8))):
        at = data.draw(st.integers(0, len(raw)))
        raw[at : at + data.draw(st.integers(0, 30))] = data.draw(
            st.binary(max_size=20) | st.sampled_from([b"\r\n", b"=?", b"<", b'"', b";"])
        )
    try:
        found = read(bytes(raw))
    except Unusable:
        return
    assert found.told or found.ignored
    assert all(one.words and len(one.ticket) <= 200 for one in found.told)


def test_the_answer_to_our_own_notice_finds_its_ticket() -> None:
    """What we send carries the ticket in its references; a mail program carries them on."""
    from activities.mail import compose, mailbox
    from activities.message import Address, Message

    to = Address(id="ann", address="ann@acme.example")
    notice = Message(
        key="k", incident=f"incident/inbox/{TICKET}/2", kind="acknowledgement", channel="email", to=(to,), subject="Taken",
        text="We have it.", at=HEARD,
    )  # fmt: skip
    box = mailbox(to)
    assert box is not None
    sent = compose(notice, (box,), "support@vendor.example", HEARD)
    references = f"{sent['References']} {sent['Message-ID']}"
    assert told(plain(References=references, In_Reply_To=str(sent["Message-ID"]))).ticket == TICKET
