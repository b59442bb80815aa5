"""Mails as real programs write them: lists and forms that send for others, forwards, clicks, bounces, charsets, quotes."""

import time
from pathlib import Path

import pytest

from sla.intake import Read, Told
from sla.source import Source
from tests.test_mail_source import HEARD, SOURCE, TICKET, mail, plain, read, told

FORM = SOURCE.model_copy(update={"channels": ("support@vendor.example", "no-reply@vendor.example")})
LISTED = {"From": "'Eve' via Support <support@vendor.example>", "List_Id": "<support.vendor.example>"}


def heard(one: Told) -> list[tuple[str, str | None]]:
    return [(word.event.event, getattr(word.event, "by", None)) for word in one.words]


def body(one: Told) -> str:
    found: str = one.words[0].event.body
    return found


@pytest.mark.parametrize(
    ("name", "by"),
    [
        ("group-opening", "nick@reject.example"),
        ("mailman-opening", "some.one@strict.example"),
        ("web-form", "ann@acme.example"),
    ],
)
def test_what_a_list_or_a_form_sends_for_somebody_is_opened_by_them(name: str, by: str):
    one = told(mail(name), FORM)
    assert (heard(one), one.requester) == ([("opened", by)], by)


def test_an_answer_through_a_group_is_the_customers_and_no_agents():
    one, opening = told(mail("group-reply")), told(mail("group-opening"))
    assert heard(one)[0] == ("customer_replied", "nick@reject.example")
    assert (one.requester, body(one), one.ticket) == ("nick@reject.example", "Still nobody can.", opening.ticket)


def test_a_mail_that_comes_through_the_group_and_straight_is_one_word_of_the_same_person():
    through = mail("group-reply")
    straight = through.replace(
        b"\"'Nick Weiss' via Support\" <support@vendor.example>", b"Nick Weiss <nick@reject.example>"
    )
    assert straight != through
    assert told(straight) == told(through)


@pytest.mark.parametrize(
    "headers",
    [
        {"From": "eve@evil.example", "X_Original_From": "dana@vendor.example", "Reply_To": "dana@vendor.example"},
        LISTED | {"X_Original_From": "dana@vendor.example", "X_Original_Sender": "eve@evil.example"},
        LISTED | {"X_Original_From": "support@vendor.example, eve@evil.example"},
        LISTED | {"X_MailFrom": "eve@evil.example", "Reply_To": "dana@vendor.example"},
    ],
)
def test_no_header_but_From_makes_anybody_one_of_the_team(headers: dict[str, str]):
    assert heard(told(plain(References="<a@b>", **headers)))[0] == ("customer_replied", "eve@evil.example")


@pytest.mark.parametrize(
    "headers",
    [
        {"From": "support@vendor.example", "To": "ann@acme.example", "Cc": "support@vendor.example"},
        {"From": "support@vendor.example", "To": "ann@acme.example", "Reply_To": "desk@tool.example"},
        {"From": "support@vendor.example", "To": "ann@acme.example", "Reply_To": f"support+{TICKET}@vendor.example"},
        {"From": "dana@vendor.example", "To": "ann@acme.example", "Reply_To": "dana@home.example"},
    ],
)
def test_the_team_that_answers_from_the_support_address_is_still_the_team(headers: dict[str, str]):
    source = Source(name="inbox", kind="mail", agents=SOURCE.agents, channels=SOURCE.channels)
    one = told(plain(Delivered_To="support@vendor.example", References="<a@b>", **headers), source)
    assert (one.words[0].event.event, one.words[0].event.public) == ("agent_replied", True)


@pytest.mark.parametrize(
    ("raw", "subject", "by"),
    [
        (mail("raw-koi8"), "Ничего не работает", "oleg@old.example"),
        (plain(From="Jörg <jörg@müller.example>", Subject="Störung ="), "Störung =", "jörg@müller.example"),
        (plain(Subject="Störung im Geschäft").decode().encode("latin-1"), "Störung im Geschäft", "ann@acme.example"),
        (plain(Subject="Хлеб =?utf-8?q?=D0=A0?=\r\n =?utf-8?q?=D1?= =?utf-8?q?=85_x?= Рх"), "Хлеб Рх x Рх", "ann@acme.example"),
    ],
)  # fmt: skip
def test_headers_that_are_neither_ascii_nor_encoded_are_read(raw: bytes, subject: str, by: str):
    one = told(raw)
    assert (one.words[0].event.subject, one.requester) == (subject, by)


def test_a_text_without_a_charset_is_utf8_or_else_that_of_windows():
    assert (
        body(told(plain("Grüße – Ann"))) == body(told(plain("Grüße – Ann").decode().encode("cp1252"))) == "Grüße – Ann"
    )
    assert body(told(mail("raw-koi8"))) == "Пустая страница."


@pytest.mark.parametrize(
    ("name", "by", "events", "ends"),
    [
        ("agent-forwards-gmail", "ann@acme.example", ["agent_replied", "opened"], "The labels stay blank."),
        ("agent-forwards-outlook", "bea@acme.example", ["opened"], "Die Etiketten bleiben leer."),
    ],
)
def test_what_an_agent_sends_on_to_us_is_opened_by_who_wrote_it(name: str, by: str, events: list[str], ends: str):
    one = told(mail(name))
    assert ([word.event.event for word in one.words], one.requester) == (events, by)
    opening = one.words[-1]
    assert (opening.event.by, opening.event.body.endswith(ends)) == (by, True)
    assert opening.occurred_at.isoformat() == "2031-07-09T13:10:00+02:00"
    assert all(word.event.public is False for word in one.words[:-1]), "nobody outside was answered"


@pytest.mark.parametrize(
    ("headers", "text"),
    [
        ({"Subject": f"Fwd: [#{TICKET}] Help"}, "From: Ann <ann@acme.example>\nDate: today"),
        ({"Subject": "Re: Fwd: Help"}, "---- Forwarded message ----\nFrom: Ann <ann@acme.example>"),
        ({"Subject": "Fwd: Help"}, "---- Forwarded message ----\nFrom: Alex <alex@vendor.example>"),
        ({"Subject": "Fwd: Help"}, "From: nobody"),
        (
            {"Subject": "Fwd: Help", "To": "bo@acme.example", "Delivered_To": "support@vendor.example"},
            "---- Forwarded message ----\nFrom: <ann@acme.example>",
        ),
    ],
)
def test_what_an_agent_sends_on_of_a_known_ticket_or_of_the_teams_opens_nothing(headers: dict[str, str], text: str):
    one = told(plain(text, From="dana@vendor.example", References="<a@b>", **headers))
    assert heard(one) == [("agent_replied", "dana")]


def test_a_customers_forward_loses_nothing():
    assert body(told(mail("customer-forwards-apple"))).endswith("> Checkout gives error 500.")
    gmail = "See below.\n\n-------- Weitergeleitete Nachricht --------\nVon: Bo <bo@acme.example>\nDatum: heute\n\nError 500."
    outlook = "Look.\n\nFrom: Bo <bo@acme.example>\nSent: today\nTo: Ann\n\nError 500."
    assert body(told(plain(gmail, Subject="Help", References="<a@b>"))) == gmail
    assert body(told(plain(outlook, Subject="[Shop] FW: Help", References="<a@b>"))) == outlook


def test_a_forward_within_what_is_quoted_goes_with_it():
    text = "Fixed.\n\nOn 9 Jul 2031 at 9:59 Dana wrote:\n> Begin forwarded message:\n> From: Ann <ann@acme.example>"
    assert body(told(plain(text, References="<a@b>"))) == "Fixed."


def ignored(found: Read) -> tuple[str | None, str]:
    return found.ignored, found.kind


@pytest.mark.parametrize(
    "raw",
    [
        mail("sendmail-bounce"),
        mail("postfix-bounce-nameless"),
        plain(From="MAILER-DAEMON"),
        plain(From="", Content_Type="multipart/report; report-type=delivery-status; boundary=b"),
        plain(Return_Path="<MAILER-DAEMON>"),
        plain(Subject=f"Automatic reply: [#{TICKET}] Help"),
        plain(Subject="Out of Office: Help", To=f"support+{TICKET}@vendor.example"),
    ],
)
def test_a_bounce_without_a_sender_and_an_absence_known_by_our_mark_are_automatic(raw: bytes):
    assert read(raw).kind == "automatic"


def test_a_click_is_no_answer():
    assert ignored(read(mail("calendar-reply"))) == ("an answer to an invitation", "calendar")
    assert ignored(read(mail("gmail-reaction"))) == ("a reaction with an emoji", "reaction")
    without = mail("calendar-reply").replace(b"; method=REPLY", b"")
    assert read(without).kind == "calendar"
    assert told(without.replace(b"METHOD:REPLY", b"METHOD:REQUEST")).words, "an invitation is somebody's word"
    attached = mail("calendar-reply").replace(b"method=REPLY", b"method=REPLY\r\nContent-Disposition: attachment")
    assert told(attached).words, "who attaches one writes of it"


def test_alternatives_are_chosen_from_and_other_parts_are_joined():
    text = body(told(mail("mailman-opening")))
    assert text.startswith("The export hangs at 40 %.")
    assert "Support mailing list" in text


QUOTED = {
    "ru gmail": "ср, 9 июл. 2031 г. в 09:59, Dana <dana@vendor.example>:\n> hi",
    "ru thunderbird": "09.07.2031 09:59, Dana пишет:\n> hi",
    "ru gmail, broken": "30 окт. 2031 г. 19:37 пользователь Dana <\ndana@vendor.example> написал:\n> hi",
    "ru outlook": "От: Dana <dana@vendor.example>\nОтправлено: среда\nКому: Ann\n\nhi",
    "pl gmail": "śr., 9 lip 2031 o 09:59 Dana <dana@vendor.example> napisał(a):\n\n> hi",
    "pl gmail, broken": "śr., 9 lip 2031 o 09:59 Dana Very Long Name <\ndana@vendor.example> napisał(a):\n\n> hi",
    "pl outlook": "Od: Dana <dana@vendor.example>\nWysłano: środa\nDo: Ann\n\nhi",
    "pt gmail": "Em qua., 9 de jul. de 2031 às 09:59, Dana <dana@vendor.example> escreveu:\n> hi",
    "pt outlook": "De: Dana <dana@vendor.example>\nEnviada em: quarta\nPara: Ann\n\nhi",
    "sv gmail": "Den ons 9 juli 2031 kl 09:59 skrev Dana <dana@vendor.example>:\n> hi",
    "da outlook": "Fra: Dana <dana@vendor.example>\nSendt: onsdag\nTil: Ann\n\nhi",
    "no gmail": "ons. 9. jul. 2031 kl. 09:59 skrev Dana <dana@vendor.example>:\n> hi",
    "fi": "ke 9.7.2031 klo 9.59 Dana (dana@vendor.example) kirjoitti:\n> hi",
    "nl gmail": "Op wo 9 jul 2031 om 09:59 schreef Dana <dana@vendor.example>:\n> hi",
    "nl thunderbird": "Op 09-07-2031 om 09:59 heeft Dana het volgende geschreven:\n> hi",
    "nl outlook": "Van: Dana <dana@vendor.example>\nVerzonden: woensdag\nAan: Ann\n\nhi",
    "it gmail": "Il giorno mer 9 lug 2031 alle ore 09:59 Dana <dana@vendor.example>\nha scritto:\n> hi",
    "it outlook": "-----Messaggio originale-----\nDa: Dana\nhi",
    "de gmail": "Am Mi., 9. Juli 2031 um 09:59 Uhr schrieb Dana <dana@vendor.example>:\n> hi",
    "fr outlook": "De : Dana <dana@vendor.example>\nEnvoyé : mercredi\nÀ : Ann\n\nhi",
    "en outlook, bold": "*From:* Dana <dana@vendor.example>\n*Sent:* Wednesday\n*To:* Ann\n\nhi",
}


@pytest.mark.parametrize("quoted", QUOTED.values(), ids=QUOTED.keys())
def test_a_quoted_mail_is_known_in_many_languages(quoted: str):
    assert body(told(plain(f"Still broken.\n\n{quoted}", References="<a@b>"))) == "Still broken."


@pytest.mark.parametrize(
    "text",
    [
        "I tried at 09:59:\n> a\nand then:\n> b\nIt fails.",
        "The log says at 09:59:\n> error 500",
        "From: the start\nDate: unknown\nit fails",
    ],
)
def test_what_is_no_quoted_mail_is_kept(text: str):
    assert body(told(plain(text, References="<a@b>"))).startswith(text.partition("\n")[0])


def test_a_line_of_the_senders_above_who_wrote_is_kept():
    text = "On Chrome it fails.\nOn Monday Dana wrote:\n> Which browser?"
    assert body(told(plain(text, References="<a@b>"))) == "On Chrome it fails."


def test_no_mail_is_slow_whatever_stands_in_it():
    """Five megabytes at most come in; each of these took a fraction of a second where it was written."""
    lines = ["On 9:59 wrote:\n> a\nb\n" * 40_000, "From: a@b.example\nx\n" * 60_000, "On 9:59 wrote\n" * 60_000]
    lines += [
        " " * 2_000_000 + ":",
        "-- :" * 500_000,
        "de: " + "a@" * 800_000,
        "---- Forwarded message ----\nfrom: a\n" * 60_000,
    ]
    headers = [
        {"Subject": "=?q?" * 2000},
        {"Subject": "[" * 8000},
        {"X_Original_From": "<" * 4000, "Reply_To": ", " * 4000},
    ]
    part = "--b\r\nContent-Type: text/calendar\r\n\r\n" + "METHOD:REPLY " * 10_000 + "\r\n"
    mails = [
        plain(one, Subject=subject, References="<a@b>", From="dana@vendor.example")
        for one in lines
        for subject in ("Fwd: x", "x")
    ]
    mails += [plain("x", **LISTED | one) for one in headers]
    mails.append(plain(part * 30, Content_Type="multipart/mixed; boundary=b"))
    for one in mails:
        began = time.perf_counter()
        assert read(one, SOURCE, HEARD)
        assert time.perf_counter() - began < 5, one[:300]


def test_every_sample_is_told_or_ignored():
    for path in sorted((Path(__file__).parent / "deliveries" / "mail").glob("*.eml")):
        found = read(path.read_bytes())
        assert bool(found.told) != bool(found.ignored), path.name
