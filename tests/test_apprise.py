"""Apprise: services with fixed hosts alone, secrets by name, and an end in time whatever a plugin does."""

import re
import threading
from pathlib import Path
from typing import Any

import apprise
import pytest

from activities.apprise import FIXED, AppriseSettings, address_fault, filled, send
from activities.courier import Courier
from activities.message import ChannelRefused, ChannelUnavailable
from activities.settings import CourierSettings
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


class Plugin:
    """What Apprise would make of a URL."""

    redirects = verify_certificate = None

    def __init__(self, taken: Any) -> None:
        self.taken, self.said = taken, list[dict[str, Any]]()

    def notify(self, **what: Any) -> Any:
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
                                             (raises, "tgram (Apprise) failed (RuntimeError)")])  # fmt: skip
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
