"""Where nothing is sent: every way to write, to name and to embed an inner address, refused at the moment of connecting."""

import asyncio
import socket
from ipaddress import ip_address
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from activities import guard, http
from activities.courier import ChannelRefused, Courier
from activities.guard import ALLOW_HOSTS, Allowed, Forbidden, check, denied, own
from activities.settings import CourierSettings
from tests.receivers import SECRET, message, web_sink

INNER = [
    ("0.0.0.0", "this network"),  # noqa: S104 - an address that is refused
    ("0.1.2.3", "this network"),
    ("10.0.0.1", "a private network"),
    ("10.255.255.255", "a private network"),
    ("100.64.0.1", "a carrier's private network"),
    ("100.127.255.255", "a carrier's private network"),
    ("127.0.0.1", "this machine"),
    ("127.255.0.9", "this machine"),
    ("169.254.169.254", "a link-local address"),
    ("172.16.0.1", "a private network"),
    ("172.31.255.255", "a private network"),
    ("192.0.0.192", "a reserved network"),
    ("192.0.2.7", "a network for documentation"),
    ("192.88.99.1", "a 6to4 relay"),
    ("192.168.1.1", "a private network"),
    ("198.18.0.1", "a network for benchmarks"),
    ("198.19.255.255", "a network for benchmarks"),
    ("198.51.100.9", "a network for documentation"),
    ("203.0.113.200", "a network for documentation"),
    ("224.0.0.1", "a multicast address"),
    ("239.255.255.250", "a multicast address"),
    ("240.0.0.1", "a reserved network"),
    ("255.255.255.255", "a reserved network"),
    ("::", "a reserved network"),
    ("::1", "this machine"),
    ("::7f00:1", "a reserved network"),
    ("::ffff:127.0.0.1", "an embedded IPv4 address"),
    ("::ffff:8.8.8.8", "an embedded IPv4 address"),
    ("64:ff9b::a9fe:a9fe", "an embedded IPv4 address (NAT64)"),
    ("64:ff9b:1::1", "an embedded IPv4 address (NAT64)"),
    ("100::1", "a reserved network"),
    ("2001::1", "an embedded IPv4 address (Teredo)"),
    ("2001:0:4136:e378:8000:63bf:3fff:fdd2", "an embedded IPv4 address (Teredo)"),
    ("2001:20::1", "a reserved network"),
    ("2001:db8::1", "a network for documentation"),
    ("2002:a9fe:a9fe::", "an embedded IPv4 address (6to4)"),
    ("2a00:1450::5efe:a00:1", "an embedded IPv4 address (ISATAP)"),
    ("2a00:1450::200:5efe:a00:1", "an embedded IPv4 address (ISATAP)"),
    ("3fff::1", "a network for documentation"),
    ("fc00::1", "a private network"),
    ("fd12:3456::1", "a private network"),
    ("fe80::1", "a link-local address"),
    ("fe80::1%1", "a link-local address"),
    ("fec0::1", "a reserved network"),
    ("ff02::1", "a multicast address"),
]
OUTER = ["1.1.1.1", "8.8.8.8", "100.63.255.255", "100.128.0.1", "172.15.0.1", "172.32.0.1", "192.0.1.1", "198.17.0.1",
         "223.255.255.255", "2606:4700::1111", "2a00:1450:4001::200e", "2001:4860:4860::8888"]  # fmt: skip


@pytest.mark.parametrize(("address", "what"), INNER)
def test_an_inner_address_is_refused_and_said_to_be_what_it_is(address: str, what: str) -> None:
    assert denied(ip_address(address)) == what
    with pytest.raises(Forbidden, match=r"where nothing is sent"):
        check("desk.example", [ip_address("8.8.8.8"), ip_address(address)], Allowed(), inside=True)


@pytest.mark.parametrize("address", OUTER)
def test_a_public_address_is_not(address: str) -> None:
    assert denied(ip_address(address)) is None
    check("desk.example", [ip_address(address)], Allowed(), inside=False)


@given(st.ip_addresses())
def test_what_is_public_here_is_global_to_python_too(address: Any) -> None:
    """Our list only ever refuses more."""
    if denied(address) is None:
        assert address.is_global
        assert not address.is_multicast


@pytest.mark.parametrize("url", ["http://0x7f000001:{}/", "http://2130706433:{}/", "http://0177.0.0.1:{}/", "http://127.1:{}/",
                                 "http://[::ffff:127.0.0.1]:{}/"])  # fmt: skip
async def test_this_machine_by_another_spelling_gets_nothing(url: str) -> None:
    with web_sink() as web:
        port = web.url.split(":")[2].partition("/")[0]
        with pytest.raises(http.NoAnswer):
            await http.post(url.format(port), b"{}", {}, connect=2, total=2)
    assert not web.requests


def names(monkeypatch: pytest.MonkeyPatch, **addresses: list[str]) -> list[str]:
    """A resolver that knows these names alone; gives the list of what it was asked."""
    asked: list[str] = []

    async def resolve(host: str, port: int, **how: Any) -> list[Any]:
        asked.append(host)
        found = addresses.get(host.replace(".", "_").replace("-", "_"))
        if found is None:
            raise socket.gaierror("no such name")
        return [(0, 0, 0, "", (address, port)) for address in found]

    monkeypatch.setattr(asyncio.get_running_loop(), "getaddrinfo", resolve)
    return asked


async def test_a_name_that_leads_inside_is_refused_though_another_of_its_addresses_is_public(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names(monkeypatch, rebind_example=["8.8.8.8", "169.254.169.254"])
    with pytest.raises(
        http.Forbidden, match=r"^leads to a link-local address, where nothing is sent; PACTKEEPER_ALLOW_"
    ):
        await http.get("https://rebind.example/latest/meta-data", {}, connect=1, total=1)


async def test_the_name_is_asked_once_and_the_address_that_was_looked_at_is_connected_to(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A name server that answers otherwise the second time is not asked a second time."""
    with web_sink() as web:
        port = web.url.split(":")[2].partition("/")[0]
        monkeypatch.setenv(ALLOW_HOSTS, "helpdesk.lan")
        asked = names(monkeypatch, helpdesk_lan=["127.0.0.1"])
        answer = await http.post(f"http://helpdesk.lan:{port}/x?y=1", b"{}", {}, connect=2, total=5)
    assert asked[0] == "helpdesk.lan"
    assert "helpdesk.lan" not in asked[1:]
    assert answer.status == 401
    [(headers, _)] = web.requests
    assert headers["host"] == f"helpdesk.lan:{port}"


async def test_where_one_address_does_not_answer_the_next_is_tried(monkeypatch: pytest.MonkeyPatch) -> None:
    with web_sink() as web:
        port = web.url.split(":")[2].partition("/")[0]
        monkeypatch.setenv(ALLOW_HOSTS, "127.0.0.0/8")
        names(monkeypatch, helpdesk_lan=["127.0.0.9", "127.0.0.1"])
        answer = await http.post(f"http://helpdesk.lan:{port}/", b"{}", {}, connect=2, total=5)
    assert answer.status == 401
    assert len(web.requests) == 1


async def test_an_address_that_somebody_else_named_is_never_this_machine() -> None:
    with web_sink() as web:
        with pytest.raises(http.Forbidden, match="leads to this machine"):
            await http.post(web.url, b"{}", {}, connect=2, total=2, inside=False)
        assert (await http.post(web.url, b"{}", {}, connect=2, total=5)).status == 401
    assert len(web.requests) == 1


async def test_a_webhook_that_leads_inside_is_refused_for_good(tmp_path: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    names(monkeypatch, hooks_example=["10.0.0.7"])
    settings = CourierSettings(state=tmp_path, webhook_url="https://hooks.example/x", webhook_secret=SECRET)
    with pytest.raises(ChannelRefused, match=r"^the webhook at https://hooks\.example leads to a private network"):
        await Courier(settings, None).send(message("webhook"))


@pytest.mark.parametrize("url", ["ftp://127.0.0.1/", "file:///etc/passwd", "gopher://x", "https://", "x", ""])
async def test_what_is_no_web_address_is_no_answer(url: str) -> None:
    with pytest.raises(http.NoAnswer):
        await http.get(url, {}, connect=1, total=1)


def test_what_an_operator_allows_is_allowed_and_nothing_beside_it() -> None:
    allowed = Allowed.parse(" helpdesk.lan, 10.1.0.0/16,192.168.1.7 , [fd00::5] ")
    check("HELPDESK.lan.", [ip_address("10.9.9.9")], allowed, inside=False)
    check("other.lan", [ip_address("10.1.2.3"), ip_address("192.168.1.7")], allowed, inside=False)
    check("other.lan", [ip_address("fd00::5")], allowed, inside=False)
    for address in ("10.2.0.1", "192.168.1.8", "fd00::6", "127.0.0.1"):
        with pytest.raises(Forbidden):
            check("other.lan", [ip_address(address)], allowed, inside=True)


@pytest.mark.parametrize(
    "text", ["10.1.0.0/33", "10.1.0.1/16", "https://helpdesk.lan", "a b", "desk:8080", "1.2.3", "ä.lan", "x@y"]
)
def test_a_setting_that_cannot_be_read_is_one_sentence(text: str) -> None:
    with pytest.raises(ValueError, match=rf"^{ALLOW_HOSTS} has .*; write names of hosts and networks"):
        CourierSettings.from_env({ALLOW_HOSTS: f"good.lan,{text}"})


async def test_a_setting_that_breaks_while_we_run_opens_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(ALLOW_HOSTS, "10.1.0.0/99")
    with pytest.raises(http.Forbidden, match="is not connected to"):
        await http.get("http://127.0.0.1:9/", {}, connect=1, total=1)


@pytest.mark.parametrize(("host", "is_own"), [("localhost", True), ("LOCALHOST.", True), ("127.0.0.1", True), ("127.9.9.9", True),
                                              ("::1", True), ("[::1]", True), ("localhost.example", False), ("127.1", False),
                                              ("::ffff:127.0.0.1", False), ("10.0.0.1", False), ("", False)])  # fmt: skip
def test_only_what_calls_itself_this_machines_is(host: str, is_own: bool) -> None:
    assert own(host) is is_own


async def test_a_name_that_is_called_localhost_and_leads_elsewhere_is_not_this_machine(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    names(monkeypatch, localhost=["10.0.0.1"])
    with pytest.raises(guard.Forbidden, match="a private network"):
        await guard.resolved("localhost", 80, inside=True, allow="")
