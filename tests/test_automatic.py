"""Automatic answers are known by whole phrases alone; whoever writes of them, or is away and writes all the same, is heard."""

import time
from datetime import UTC, datetime

import pytest

from sla.automatic import automatic, automatic_subject
from sla.source import Source
from starter.sources import adapter
from tests.test_long_texts import STORIES

NOW = datetime(2031, 7, 14, 12, 0, tzinfo=UTC)

ABSENT = [
    "I am out of the office until Monday.\nFor urgent matters please contact Bob.\nKind regards\nAnn Ortiz\nFinance, Acme Inc.",
    "I am out of the office until Monday.\n\nAnn Ortiz",
    "I am out of the office until Monday. " + "Please contact Bob Jones at bob@acme.example or by phone. " * 20,
    # Exchange and Outlook
    "I am out of the office until Monday.",
    "I'm out of office until Monday.",
    "Thank you for your mail. I am out of the office until Monday.",
    "I am currently out of the office with limited access to e-mail. For urgent matters contact eve@acme.example.",
    "Dear Sir or Madam,\n\nThank you for your message.\n\nI am out of the office from 7 July until and including 14 July 2031.\n\nAnn Ortiz",
    "I will be out of the office on Friday, 11 July, returning on Monday 14 July. I will reply when I return.",
    "Automatic reply: I am away until Monday.",
    "Automatic reply: away",
    "Out of office: back on Monday.",
    "[Auto-Reply] I am away.",
    # Gmail, and what people write there
    "Hi Ann,\nI'm on vacation through July 18th. If your message is urgent, please call Eve.",
    "Thanks for your email! I'm currently on annual leave and will be back on 21/07/2031.",
    # Notes
    "I am out of the office until 14/07/2031.\n\nNote: This is an automated response to your message \"Nothing loads\".",
    "This is an automated response.",
    # German
    "Ich bin bis zum 14.10. nicht im Büro.",
    "Guten Tag, ich bin bis zum 20.09. nicht im Büro.",
    "Sehr geehrte Damen und Herren,\n\nvielen Dank für Ihre Nachricht. Ich bin vom 7. bis einschließlich 14. Juli 2031 im Urlaub.\nIhr Team",
    "Ich bin bis zum 9. Oktober nicht im Büro und habe keinen Zugriff auf meine E-Mails.",
    "Hallo zusammen,\nich bin am Montag, den 14. Juli, wieder erreichbar und derzeit abwesend.",
    "Abwesenheitsnotiz: Ich bin im Urlaub.",
    "Automatische Antwort",
    # French
    "Bonjour,\n\nJe suis actuellement absent(e) du bureau jusqu'au 14 juillet inclus. En cas d’urgence, contactez Eve.",
    "Merci pour votre message. Je suis en congés jusqu’au lundi 14 juillet.",
    "Réponse automatique : je suis absente du bureau.",
    # Spanish
    "Hola:\nGracias por su mensaje. Estoy fuera de la oficina hasta el lunes 14 de julio. Para asuntos urgentes contacte con Eve.",
    "Buenos días, en este momento me encuentro fuera de la oficina.",
    "Respuesta automática: estoy de vacaciones hasta el 14 de julio.",
]  # fmt: skip
HEARD = [
    "Auto-reply is broken since this morning",
    "Automatic reply is on again",
    "Auto-reply: still broken",
    "Automatic reply rules are gone. We need them by noon.",
    "[Auto-Reply] goes out twice",
    "Out of office replies are sent twice since the update.",
    "Out of office: our calendar shows everybody as away",
    "I'm out of the office but the checkout is still down.",
    "I am out of the office until Monday. The checkout is still down!",
    "I am away, and nothing loads for anybody here.",
    "I was out of office. Here is the log.",
    "I am out of the office.\n\nBut the server is down, please help!",
    "Ich bin im Urlaub.\nDer Server steht immer noch seit heute Morgen.",
    "I'm on vacation until Monday.\nIn urgent cases please contact Bob.\nProduction is still down since this morning.",
    "In urgent need of help: the shop is down. I am out of the office today.",
    "In case of large orders it fails. I am away today.",
    "Thank you for nothing. I am away today.",
    "Thank you for your reply, it still fails.",
    "Thank you for the auto-reply fix. It works.",
    "Hi, auto-reply is broken",
    "This is an automatic reply problem.",
    "The text runs away from the margin.",
    "away",
    "Derzeit nicht erreichbar.",
    "Der Server ist seit heute nicht erreichbar.",
    "Unsere Abwesenheitsnotiz geht nicht mehr.",
    "Abwesenheitsnotizen werden doppelt verschickt",
    "Automatische Antwort kommt nicht an",
    "Ich bin im Urlaub, aber der Shop steht immer noch.",
    "La réponse automatique ne marche plus.",
    "Je suis absent, mais le site ne charge toujours pas.",
    "La respuesta automática no funciona.",
    "Estoy de vacaciones y el pago sigue sin funcionar.",
    "",
    None,
]


@pytest.mark.parametrize("text", ABSENT)
def test_what_an_absent_persons_mail_system_writes_is_known(text: str) -> None:
    assert automatic(text)
    assert automatic("\n\n  " + text.replace("\n", "\r\n"))


@pytest.mark.parametrize("text", HEARD)
def test_who_speaks_of_automatic_answers_or_of_being_away_is_heard(text: str | None) -> None:
    assert not automatic(text)


@pytest.mark.parametrize("kind", ["zendesk", "freshdesk", "jira", "escalated-django", "zammad"])
@pytest.mark.parametrize("text", ["Auto-reply is broken since this morning", "I am away, and nothing loads here."])
def test_no_adapter_loses_such_a_customers_reply(kind: str, text: str) -> None:
    story = adapter(kind).story
    assert story is not None
    told = story(STORIES[kind](text), Source(name="desk", kind=kind), NOW)
    assert told is not None
    assert "customer_replied" in [word.event.event for word in told.words]


@pytest.mark.parametrize(
    "subject",
    [
        "Automatic reply: Nothing loads", "Out of Office: Nothing loads", "Out of Office AutoReply: Nothing loads", "Auto-Reply: Nothing loads",
        "Out of office", "AUTO: Ann Ortiz is out of the office (returning 07/14/2031)", "Abwesenheitsnotiz: Nothing loads",
        "Automatische Antwort: AW: Nothing loads", "Réponse automatique : Nothing loads", "Absence du bureau : Nothing loads",
        "Respuesta automática: Nothing loads", "Fuera de la oficina: Nothing loads", "Risposta automatica: Nothing loads",
    ],
)  # fmt: skip
def test_a_subject_that_begins_with_a_label_and_its_colon_is_known(subject: str) -> None:
    assert automatic_subject(subject)


@pytest.mark.parametrize(
    "subject",
    [
        "Automatic reply rules are broken", "Auto-reply is broken: help", "Re: Automatic reply: Nothing loads", "AUTO: the door is open",
        "Our Abwesenheitsnotiz: broken", "Out of office replies: all twice", "", None,
    ],
)  # fmt: skip
def test_a_subject_that_speaks_of_one_is_not(subject: str | None) -> None:
    assert not automatic_subject(subject)


@pytest.mark.parametrize(
    "piece", ["hi,", "hi ", "thank you for a. ", "I am out of office ", ". ", "[", ": ", "\n", "\u00a0.\n", "away "]
)
def test_it_takes_the_time_that_reading_takes(piece: str) -> None:
    begun = time.process_time()
    automatic(piece * 200_000)
    automatic_subject(piece * 200_000)
    assert time.process_time() - begun < 0.3
