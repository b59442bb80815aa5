"""Where a helpdesk's API is: an address that can't be is said when the file is read, and ends no round in silence."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from activities import http
from activities.helpdesks.client import Account, HelpdeskUnavailable, Json
from activities.sources import TOLD_AT
from records.shelf import Shelf
from sla.source import Source
from starter.policy_check import check_files
from tests.test_sources_reading import DESK, NOW, Kept, opened

ODD = (
    "https://desk.example:80a", "https://desk.example:99999", "https://desk.example:0", "https://[::1", "https://[::zz]", "https://",
    "https:///api", "desk.example", "//desk.example", "ftp://desk.example", "mailto:desk@desk.example", "https://desk .example",
    "https://desk.example\n", "https://999.1.1.1", "https://1.2.3", "https://desk\x00.example", "https://dêsk.example",
    "https://desk.example?a=b", "https://desk.example/#tickets", "https://dana:pw@desk.example", "https://desk.example\\api",
    "https://-.example", f"https://{'x' * 2000}.example", "",
)  # fmt: skip
RIGHT = (
    "https://desk.example", "https://desk.example/", "HTTPS://Desk.Example:8443/help/desk", "http://127.0.0.1:8080", "http://[::1]:8080/api",
    "http://help_desk.internal", "https://desk.example.", "http://zammad", "https://xn--dsk-hma.example/a@b", "https://desk.example:443/~it",
)  # fmt: skip


@pytest.mark.parametrize("url", ODD)
def test_an_address_that_cannot_be_is_refused_without_being_shown(url: str) -> None:
    with pytest.raises(ValidationError, match="url is no address of an API; write https://HOST") as caught:
        Source(name="desk", kind="zendesk", url=url)
    assert len(caught.value.errors()) == 1
    assert caught.value.errors()[0]["msg"].count("pw@") == 0


@pytest.mark.parametrize("url", RIGHT)
def test_an_address_that_can_be_stays_as_it_is_written(url: str) -> None:
    assert Source(name="desk", kind="zendesk", url=url).url == url
    http.ahead(url)


@pytest.mark.parametrize("url", ["https://desk.example:80a", "desk.example"])
def test_the_check_of_policies_says_it_in_one_sentence_with_its_line(tmp_path: Path, url: str) -> None:
    file = tmp_path / "sources" / "desk.yaml"
    file.parent.mkdir()
    file.write_text(f"name: desk\nkind: zendesk\nurl: {url}\n", encoding="utf-8")
    found, *others = (one for one in check_files([file], Shelf(tmp_path), NOW.date()) if one.file.endswith(file.name))
    assert others == []
    assert (found.line, found.severity) == (3, "error")
    assert found.message == "url is no address of an API; write https://HOST, with :PORT and /PATH where it has them"


@pytest.mark.parametrize("url", ODD)
def test_the_time_at_no_address_is_ours(url: str) -> None:
    assert http.ahead(url) == timedelta(0)


async def test_a_round_at_an_address_that_cannot_be_breaks_off_and_somebody_is_told(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Should one come by another way than a file that was checked."""
    ahead, bad = http.ahead, "https://desk.example:80a"
    office = opened(Kept(NOW - timedelta(hours=1)), monkeypatch)
    monkeypatch.setattr(http, "ahead", ahead)
    json = Json(Account(bad), {})
    with pytest.raises(HelpdeskUnavailable, match="is no web address") as caught:
        await json.get("/x")
    office.desk.away = caught.value
    rules = office.reading.policies
    monkeypatch.setattr(rules, "source", lambda name: DESK.model_copy(update={"url": bad}))
    await office.breaks_off(TOLD_AT)
    assert office.keys == ["source/desk/away/2031-07-07"]
