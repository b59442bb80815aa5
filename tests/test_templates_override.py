"""A team's own words: taken where they work, ours where they do not, sandboxed; and the page beside a mail's text."""

from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities.mail_page import page
from activities.template_check import check_templates
from activities.template_files import TEMPLATES
from tests.receivers import message
from tests.test_wording import STAFF, say


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A team's folder of templates, still empty."""
    made = tmp_path / "ours"
    made.mkdir()
    monkeypatch.setenv("PACTKEEPER_TEMPLATES", str(made))
    return made


def test_an_empty_folder_changes_nothing(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    theirs = say("escalation", STAFF)
    monkeypatch.delenv("PACTKEEPER_TEMPLATES")
    assert say("escalation", STAFF) == theirs
    assert check_templates(folder) == []


def test_a_teams_own_file_is_taken_and_the_others_stay_ours(folder: Path) -> None:
    (folder / "escalation.txt.j2").write_text("Hurry: {{ ticket }}\n\nGo and look at {{ customer }}.\n")
    subject, text = say("escalation", STAFF)
    assert subject == "Hurry: 4711"
    assert "Go and look at " in text
    assert "Has it:" in text, "the frame is ours"
    assert check_templates(folder) == []
    (folder / "escalation.txt.j2").write_text("Hurry up: {{ ticket }}\n\nGo.\n")
    assert say("escalation", STAFF)[0] == "Hurry up: 4711", "a change is seen without a restart"


BROKEN = {
    "syntax": "Hurry: {% if %}\n",
    "a fact that there is none of": "Hurry: {{ pasword }}\n",
    "nothing": "{# all gone #}\n",
    "arithmetic": "Hurry: {{ 1 / 0 }}\n",
    "a way out": "{{ ''.__class__.__mro__[1].__subclasses__() }}\n",
    "a change of what is shared": "{{ notes.append(1) }}\n",
    "another file": "{% include 'other.txt.j2' %}\n",
    "bytes": "\udcff",
}


@pytest.mark.parametrize("what", BROKEN)
def test_a_file_that_fails_says_so_and_ours_is_taken(
    folder: Path, what: str, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    (folder / "escalation.txt.j2").write_text(BROKEN[what], errors="surrogateescape")
    theirs = say("escalation", STAFF)
    [record, *_] = caplog.records
    assert "escalation.txt.j2 can't be used, and our own is: " in record.getMessage()
    [fault] = check_templates(folder)
    assert fault.startswith(f"{folder / 'escalation.txt.j2'}")
    assert "\n" not in fault
    monkeypatch.delenv("PACTKEEPER_TEMPLATES")
    assert theirs == say("escalation", STAFF)


def test_a_file_that_replaces_nothing_and_a_folder_that_is_not_there_are_said(folder: Path, tmp_path: Path) -> None:
    (folder / "escalatoin.txt.j2").write_text("x\n")
    (folder / "README").write_text("not a template")
    [fault] = check_templates(folder)
    assert "escalatoin.txt.j2 replaces nothing" in fault
    assert "escalation.txt.j2" in fault
    [fault] = check_templates(tmp_path / "nowhere")
    assert "is no folder; PACTKEEPER_TEMPLATES names" in fault


def test_our_own_pass_the_check() -> None:
    assert check_templates(TEMPLATES) == []


def test_the_page_says_what_the_text_says_and_carries_the_link_once() -> None:
    link = "https://support.example/ack/abc?x=1&y=2"
    made = page(message(text=f"75% is used.\nNow.\n\n     or:  {link}\n", links={"acknowledge": link}))
    assert "75% is used.<br>" in made
    assert made.count("https://support.example/ack/abc?x=1&amp;y=2") == 1
    assert "Take it</a>" in made
    assert "<img" not in made
    assert "src=" not in made
    assert "Take it</a>" not in page(message())


@given(st.text(max_size=60))
def test_nothing_that_a_stranger_wrote_becomes_markup(text: str) -> None:
    evil = f"<script>alert(1)</script><a href='x'>{text}"
    made = page(message(subject=evil, text=f"{evil}\n\n{evil}", links={"acknowledge": "javascript:alert(1)"}))
    assert "<script" not in made
    assert "<a " not in made


def test_a_team_may_have_its_own_page(folder: Path) -> None:
    (folder / "mail.html.j2").write_text("<p>{{ subject }}</p>\n")
    assert page(message(subject="a < b")) == "<p>a &lt; b</p>"
    (folder / "mail.html.j2").write_text("<p>{{ nothing }}</p>\n")
    assert page(message(subject="a < b")).startswith("<!doctype html>")
