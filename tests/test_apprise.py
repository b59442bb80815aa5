"""Apprise: services with fixed hosts alone, secrets by name, and an end in time whatever a plugin does."""

import json
import re
import threading
from html.parser import HTMLParser
from pathlib import Path
from typing import Any

import apprise
import pytest
from pytest_httpserver import HTTPServer

from activities.apprise import FIXED, AppriseSettings, address_fault, filled, harmless, send
from activities.courier import Courier
from activities.message import ChannelRefused, ChannelUnavailable
from activities.settings import CourierSettings
from starter import doctor_channels
from starter.home import Home
from tests.receivers import message

# Apprise 2.2 looks for a module that Python 3.13 has no more; nothing of ours asks for it.
pytestmark = pytest.mark.filterwarnings("ignore:'imghdr' is deprecated:DeprecationWarning")
TEAMS = "https://prod-1.westus.logic.azure.com".replace("https", "workflows") + "/WFID/SIGNATURE"
SETTINGS = AppriseSettings({"TEAMS": TEAMS.partition("://")[2], "EVIL": "a b", "HOST": "127.0.0.1/WFID/SIG"})


def test_every_service_that_is_allowed_is_one_that_apprise_has() -> None:
    known = {
        scheme for one in apprise.Apprise().details()["schemas"]
        for scheme in [*(one["protocols"] or []), *(one["secure_protocols"] or [])]
    }  # fmt: skip
    assert known >= FIXED


def test_no_service_that_is_allowed_takes_a_host_from_its_url_but_teams() -> None:
    for one in apprise.Apprise().details()["schemas"]:
        schemes = {*(one["protocols"] or []), *(one["secure_protocols"] or [])}
        if schemes & FIXED and "workflows" not in schemes:
            assert not [t for t in one["details"]["templates"] if "{host}" in t], schemes


def test_the_page_names_the_services_that_are_allowed() -> None:
    told = (
        (Path(__file__).parent.parent / "docs" / "notices.md")
        .read_text()
        .partition("nobody can choose are allowed:")[2]
    )
    assert set(re.findall(r"`([a-z0-9]+)`", told.partition(" with a\nhost")[0])) == FIXED


@pytest.mark.parametrize("address", ["json://10.0.0.1/", "xml://x", "form://x", "ntfys://ntfy.example/t", "mailto://x:y@z.example",
                                     "apprise://x/y", "syslog://", "file:///etc/passwd", "dbus://", "windows://"])  # fmt: skip
def test_a_service_whose_host_can_be_chosen_is_not_allowed_unless_somebody_says_so(address: str) -> None:
    with pytest.raises(ChannelRefused, match="the Apprise address"):
        filled(SETTINGS, address)


@pytest.mark.parametrize(
    "address",
    ["tgram://1/2, json://127.0.0.1", "tgram://1/2 json://x", "tgram", "", "TGRAM://x", "//x", "tgram://a\nb"],
)
def test_an_address_is_one_url(address: str) -> None:
    assert address_fault(address) is not None


def test_secrets_come_from_the_environment_by_name_and_nothing_else_of_it_does() -> None:
    settings = AppriseSettings.from_env(
        {
            "PACTKEEPER_APPRISE_TEAMS": "t0ken",
            "PACTKEEPER_WEBHOOK_SECRET": "whsec",
            "PACTKEEPER_APPRISE_SCHEMES": "ntfys, json",
        }
    )
    assert settings is not None
    assert settings.schemes == FIXED | {"ntfys", "json"}
    assert "t0ken" not in repr(settings)
    assert filled(settings, "pover://${TEAMS}@x") == "pover://t0ken@x"
    with pytest.raises(ChannelRefused, match=r"names \$\{WEBHOOK_SECRET\}; set PACTKEEPER_APPRISE_WEBHOOK_SECRET"):
        filled(settings, "pover://${WEBHOOK_SECRET}@x")


def test_a_list_of_services_that_cannot_be_read_is_one_sentence() -> None:
    with pytest.raises(ValueError, match=r"^PACTKEEPER_APPRISE_SCHEMES has 'json://'"):
        AppriseSettings.from_env({"PACTKEEPER_APPRISE_SCHEMES": "json://"})


@pytest.mark.parametrize("address", ["workflows://${EVIL}", "workflows://${HOST}", "workflows://evil.example/a/b",
                                     "workflows://x.logic.azure.com.evil.example/a/b"])  # fmt: skip
def test_teams_is_reached_at_teams_hosts_alone(address: str) -> None:
    with pytest.raises(ChannelRefused) as refused:
        filled(SETTINGS, address)
    assert "SIG" not in str(refused.value)


class Plugin(apprise.NotifyBase):
    """What Apprise would make of a URL."""

    service_name = "plugged"

    def __init__(self, taken: Any) -> None:
        super().__init__(asset=apprise.AppriseAsset(service_timeout=0))
        self.taken, self.said = taken, list[dict[str, Any]]()

    def send(self, **what: Any) -> Any:
        self.said.append(what)
        return self.taken() if callable(self.taken) else self.taken


def plugged(monkeypatch: pytest.MonkeyPatch, taken: Any) -> tuple[Plugin, list[tuple[str, Any]]]:
    made, urls = Plugin(taken), list[tuple[str, Any]]()

    def instantiate(url: str, **how: Any) -> Plugin:
        urls.append((url, how["asset"]))
        return made

    monkeypatch.setattr(apprise.Apprise, "instantiate", staticmethod(instantiate))
    return made, urls


async def test_a_message_goes_by_the_url_with_its_link_and_follows_no_redirect(monkeypatch: pytest.MonkeyPatch) -> None:
    plugin, urls = plugged(monkeypatch, True)
    said = message("apprise", links={"acknowledge": "https://support.example/ack/x"})
    assert await send(SETTINGS, said, "workflows://${TEAMS}") == "taken by workflows (Apprise)"
    [(url, asset)] = urls
    assert url == TEAMS
    assert asset.http_redirects is False
    assert (plugin.redirects, plugin.verify_certificate) == (False, True)
    [what] = plugin.said
    assert what["title"] == said.subject
    assert what["body"].startswith(said.text)
    assert what["body"].endswith("https://support.example/ack/x")


def raises() -> bool:
    raise RuntimeError("with a t0ken in it")


@pytest.mark.parametrize(("taken", "told"), [(False, "tgram (Apprise) did not take it"), (None, "did not take it"),
                                             (raises, "tgram (Apprise) did not take it")])  # fmt: skip
async def test_what_is_not_taken_may_go_through_later(monkeypatch: pytest.MonkeyPatch, taken: Any, told: str) -> None:
    plugged(monkeypatch, taken)
    with pytest.raises(ChannelUnavailable) as caught:
        await send(SETTINGS, message("apprise"), "tgram://1/2")
    assert told in str(caught.value)
    assert "t0ken" not in str(caught.value)


async def test_a_service_that_hangs_is_given_up_in_time(monkeypatch: pytest.MonkeyPatch) -> None:
    released = threading.Event()
    plugged(monkeypatch, lambda: released.wait(10))
    with pytest.raises(ChannelUnavailable, match=r"did not answer within 0\.1 s"):
        await send(AppriseSettings(seconds=0.1), message("apprise"), "tgram://1/2")
    released.set()


async def test_what_apprise_cannot_read_is_refused() -> None:
    with pytest.raises(ChannelRefused, match=r"^Apprise cannot read the tgram:// address"):
        await send(SETTINGS, message("apprise"), "tgram://not-a-token/")


async def test_the_courier_sends_by_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    plugged(monkeypatch, True)
    to = message("apprise").to[0].model_copy(update={"address": "workflows://${TEAMS}"})
    receipt = await Courier(CourierSettings(state=tmp_path, apprise=SETTINGS), None).send(message("apprise", to=(to,)))
    assert (receipt.via, receipt.detail) == ("apprise", "taken by workflows (Apprise)")


TICKET = "@everyone <!channel> <@U1> [here](http://evil.example) <a href='http://evil.example'>login</a> &lt;b>"
TOKEN = "123456789:abcdefg_hijklmnop"
ADDRESSES = {
    "discord": "discord://4174216298/JHMHI8qBe7bk2ZwO5U711o3dV_js",
    "gchat": "gchat://workspace/key/token",
    "pover": "pover://" + "u" * 30 + "@" + "t" * 30,
    "tgram": f"tgram://{TOKEN}/12315544/",
    "workflows": "workflows://prod-1.westus.logic.azure.com/WFID/SIGNATURE",
    "wxteams": "wxteams://" + "a" * 80,
}


@pytest.fixture
def posted(httpserver: HTTPServer, monkeypatch: pytest.MonkeyPatch) -> HTTPServer:
    """A server on this machine to which every request of Apprise goes, whatever its URL: below Apprise, and below its plugins."""
    from importlib import import_module

    adapter = import_module("requests.adapters").HTTPAdapter
    real = adapter.send

    def send_here(self: Any, request: Any, **how: Any) -> Any:
        request.url = httpserver.url_for("/any")
        return real(self, request, **how)

    monkeypatch.setattr(adapter, "send", send_here)
    httpserver.expect_request("/any").respond_with_json({"ok": True, "status": 1})
    return httpserver


def texts(found: Any) -> list[str]:
    """Every text within a body."""
    if isinstance(found, dict | list):
        return [text for one in (found.values() if isinstance(found, dict) else found) for text in texts(one)]
    return [found] if isinstance(found, str) else []


class Tags(HTMLParser):
    """What a program that shows HTML makes of it."""

    def __init__(self) -> None:
        super().__init__()
        self.tags, self.shown = set[str](), ""

    def handle_starttag(self, tag: str, attrs: Any) -> None:
        self.tags.add(tag)

    def handle_data(self, data: str) -> None:
        self.shown += data


@pytest.mark.parametrize("kind", ADDRESSES)
async def test_a_customers_words_are_shown_and_are_never_markup_or_a_mention(posted: HTTPServer, kind: str) -> None:
    """The bytes that go out: no service makes a tag, a link under other words or a call to everybody of a ticket's name."""
    said = message(
        "apprise", subject=f"Missed target on {TICKET}", text=f"It was missed.\n\nTicket:   {TICKET}, of acme"
    )
    assert await send(SETTINGS, said, ADDRESSES[kind]) == f"taken by {kind} (Apprise)"
    ((request, _),) = posted.log
    raw = request.get_data(as_text=True)
    sent = "\n".join(texts(json.loads(raw)) if raw.startswith("{") else request.form.values())
    assert sent.count("everyone") == 2
    if kind == "tgram":  # it shows HTML
        page = Tags()
        page.feed(sent)
        assert page.tags == {"b"}
        sent = page.shown
    assert not re.search(r"@(everyone|here|channel|all|U1)", sent)
    assert not re.search(r"<[^\s\u2060]|\]\(|\]\[", sent)
    plain = re.sub(r"[\u2060\\]", "", sent).replace("&gt;", ">").replace("\xa0", " ")
    assert plain.count("<a href='http://evil.example'>login</a>") == 2


@pytest.mark.parametrize(
    "text", [TICKET, "ann@acme.example writes: a < b, [1] and (2)", "<@&1> <https://a|b> @Dana @HERE x@here", ""]
)
def test_what_is_made_harmless_reads_the_same(text: str) -> None:
    assert harmless(text).replace("\u2060", "") == text
    assert "ann@acme.example" in harmless("ann@acme.example")
    assert harmless("a < b, [1] and (2)") == "a < b, [1] and (2)"


async def test_a_url_can_not_make_a_failure_a_success_nor_try_by_itself(posted: HTTPServer) -> None:
    posted.clear()
    posted.expect_request("/any").respond_with_data("no", 500)
    with pytest.raises(ChannelUnavailable, match="did not take it"):
        await send(SETTINGS, message("apprise"), f"{ADDRESSES['discord']}?optional=yes&retry=3&wait=0")
    assert len(posted.log) == 1


async def test_doctor_names_apprise_among_the_channels_that_it_does_not_try(
    posted: HTTPServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PACTKEEPER_APPRISE_TEAMS", "t0ken")
    (line,) = [one for one in await doctor_channels.channels(Home(tmp_path)) if one.what == "Apprise"]
    assert line.state == "ok"
    assert line.says.startswith("TEAMS may stand in addresses; no service is asked")
    assert posted.log == []
    monkeypatch.delenv("PACTKEEPER_APPRISE_TEAMS")
    assert "Apprise" not in [one.what for one in await doctor_channels.channels(Home(tmp_path))]
