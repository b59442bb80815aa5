"""The webhook channel against a real web server that verifies signatures."""

import asyncio
import json
import logging
import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from pathlib import Path

import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from standardwebhooks.webhooks import Webhook

from activities import http
from activities.courier import ChannelRefused, ChannelUnavailable, Courier
from activities.settings import CourierSettings
from activities.webhook import webhook_id
from tests.receivers import CERTIFICATE, SECRET, WebSink, message, web_sink

DOCS = Path(__file__).parent.parent / "docs" / "channels.md"


def courier(state: Path, web: WebSink, url: str | None = None, seconds: float = 10) -> Courier:
    """A courier whose only channel beside the log is the webhook."""
    settings = CourierSettings(
        state=state, webhook_url=url or web.url, webhook_secret=SECRET, connect_seconds=seconds, total_seconds=seconds
    )
    return Courier(settings, None)


async def test_a_webhook_is_signed_by_standard_webhooks_and_says_all(tmp_path: Path) -> None:
    with web_sink() as web:
        receipt = await courier(tmp_path, web).send(message("webhook"))
    [(headers, body)] = web.requests
    assert Webhook(SECRET).verify(body, headers) == {
        "type": "notice.escalation",
        "timestamp": "2031-07-11T23:30:00+00:00",
        "data": {
            "key": message().key,
            "incident": "incident/desk/4711",
            "kind": "escalation",
            "clock": "response",
            "step": "75%",
            "clause": "X01",
            "to": [{"id": "dana", "name": "Dana"}],
            "subject": message().subject,
            "text": message().text,
            "facts": {"target": "2 business hours"},
        },
    }
    assert headers["webhook-id"] == "incident/desk/4711/escalation/response/75%25/1/dana"
    assert headers["content-type"] == "application/json"
    assert headers["accept-encoding"] == "identity"
    assert receipt.detail == f"200 from {web.url.partition('/hook')[0]}"


async def test_the_receiver_in_the_docs_takes_our_webhook_and_no_forged_one(tmp_path: Path) -> None:
    [snippet] = re.findall(r"```python\n(.*?)```", DOCS.read_text(), re.DOTALL)
    names: dict[str, object] = {}
    exec(snippet, names)  # noqa: S102 (the documentation's own example)
    taken: list[object] = []
    names["page"] = taken.append
    receive = names["receive"]
    assert callable(receive)
    with web_sink() as web:
        await courier(tmp_path, web).send(message("webhook"))
        await courier(tmp_path, web).send(message("webhook"))
    (headers, body), (headers_again, body_again) = web.requests
    assert [receive(headers, body, SECRET), receive(headers_again, body_again, SECRET)] == [200, 200]
    assert taken == [json.loads(body)["data"]]
    assert receive({**headers, "webhook-id": "another"}, body, SECRET) == 401


@example("a.b", "a/b")
@given(st.text(min_size=1, max_size=60), st.text(min_size=1, max_size=60))
def test_an_id_is_plain_without_a_full_stop_and_no_two_keys_share_one(a: str, b: str) -> None:
    """The signature is over `id.timestamp.body`: a full stop in the id would let one be taken for another."""
    assert webhook_id(a).isascii()
    assert not set(webhook_id(a)) & set(". \r\n")
    assert (webhook_id(a) == webhook_id(b)) == (a == b)


@pytest.mark.parametrize("status", [408, 425, 429, 500, 502, 503, 504])
async def test_a_passing_fault_is_unavailable_and_the_next_attempt_goes_through(tmp_path: Path, status: int) -> None:
    with web_sink() as web:
        web.answers = [(status, {})]
        with pytest.raises(
            ChannelUnavailable, match=rf"^the webhook at http://127\.0\.0\.1:\d+ answered {status}$"
        ) as e:
            await courier(tmp_path, web).send(message("webhook"))
        assert e.value.retry_after is None
        assert not (await courier(tmp_path, web).send(message("webhook"))).repeated
    assert len(web.effects) == 1


@pytest.mark.parametrize("status", [300, 301, 302, 307, 308, 400, 401, 403, 404, 409, 410, 413, 422])
async def test_a_lasting_fault_is_refused(tmp_path: Path, status: int) -> None:
    with web_sink() as web:
        web.answers = [(status, {"location": web.url})]
        with pytest.raises(ChannelRefused, match=rf"answered {status}(, a redirect; set its final address)?$"):
            await courier(tmp_path, web).send(message("webhook"))
    assert len(web.requests) == 1, "a redirect is not followed"


@pytest.mark.parametrize(
    ("header", "seconds"),
    [("0", 0), ("7", 7), (" 120 ", 120), ("99999999999999999999", 3600), ("soon", None), ("-5", None), ("1.5", None),
     ("٣", None), ("Wed, 21 Oct 2015 07:28:00 GMT", 0), ("Fri, 31 Dec 9999 23:59:59 GMT", 3600), ("Fri, 99 Foo", None)],
)  # fmt: skip
async def test_retry_after_is_seconds_or_a_date_and_at_most_an_hour(
    tmp_path: Path, header: str, seconds: float | None
) -> None:
    with web_sink() as web:
        web.answers = [(429, {"retry-after": header.encode().decode("latin-1")})]
        with pytest.raises(ChannelUnavailable) as caught:
            await courier(tmp_path, web).send(message("webhook"))
    assert caught.value.retry_after == seconds


async def test_retry_after_a_date_counts_from_now(tmp_path: Path) -> None:
    with web_sink() as web:
        web.answers = [(503, {"retry-after": format_datetime(datetime.now(UTC) + timedelta(minutes=10), usegmt=True)})]
        with pytest.raises(ChannelUnavailable) as caught:
            await courier(tmp_path, web).send(message("webhook"))
    assert caught.value.retry_after == pytest.approx(600, abs=30)


async def test_a_receiver_that_says_nothing_is_given_up_in_time(tmp_path: Path) -> None:
    with web_sink() as web:
        web.hang = "silent"
        with pytest.raises(ChannelUnavailable, match=r"did not answer within 0\.2 s$"):
            await courier(tmp_path, web, seconds=0.2).send(message("webhook"))


async def test_an_answer_whose_body_never_ends_is_an_answer(tmp_path: Path) -> None:
    with web_sink() as web:
        web.hang = "body"
        receipt = await courier(tmp_path, web, seconds=0.3).send(message("webhook"))
    assert receipt.detail.startswith("200 ")


async def test_no_more_than_64_kib_of_an_answer_is_read() -> None:
    """What lies beyond never comes here, and is not waited for."""
    with web_sink() as web:
        web.body, web.hang, web.answers = b"x" * 70_000, "body", [(500, {})]
        async with asyncio.timeout(8):
            answer = await http.post(web.url, b"", {}, connect=60, total=60)
    assert (answer.status, answer.body) == (500, b"x" * 65_536)


async def test_nobody_listening_and_no_such_host_are_unavailable(tmp_path: Path) -> None:
    with web_sink() as web:
        pass
    with pytest.raises(ChannelUnavailable, match=r"^the webhook at http://127\.0\.0\.1:\d+ cannot be reached$"):
        await courier(tmp_path, web).send(message("webhook"))


async def test_a_certificate_that_is_not_trusted_is_said_to_be(tmp_path: Path) -> None:
    with web_sink(tls=True) as web, pytest.raises(ChannelUnavailable, match=r"has a certificate that is not trusted$"):
        await courier(tmp_path, web).send(message("webhook"))
    assert not web.requests


async def test_an_authority_of_ones_own_is_trusted(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SSL_CERT_FILE", str(CERTIFICATE))
    http._trust.cache_clear()
    try:
        with web_sink(tls=True) as web:
            receipt = await courier(tmp_path, web).send(message("webhook"))
    finally:
        http._trust.cache_clear()
    assert receipt.detail.startswith("200 from https://localhost:")


async def test_a_proxy_of_the_environment_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:1")
    monkeypatch.delenv("NO_PROXY", raising=False)
    monkeypatch.delenv("no_proxy", raising=False)
    with web_sink() as web:
        await courier(tmp_path, web).send(message("webhook"))
    assert len(web.effects) == 1


async def test_neither_the_secret_nor_the_query_is_in_an_error_or_a_log(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, capsys: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.DEBUG)
    with web_sink() as web:
        web.answers = [(500, {}), (404, {}), (302, {"location": "/elsewhere?token=t0p"})]
        said = ""
        for _ in range(3):
            with pytest.raises((ChannelUnavailable, ChannelRefused)) as caught:
                await courier(tmp_path, web).send(message("webhook"))
            said += f"{caught.value!r} {caught.value.__cause__!r}"
        said += (await courier(tmp_path, web).send(message("webhook"))).detail
    printed = capsys.readouterr()
    for text in (said, caplog.text, printed.out, printed.err):
        assert "t0p" not in text
        assert SECRET.removeprefix("whsec_") not in text
