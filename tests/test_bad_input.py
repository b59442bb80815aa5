"""Bad input × source: every row of the matrix has its documented answer at every hook, never a fault of ours, and no effect.

| input | answer |
|---|---|
| no, wrong, truncated, foreign signature; a secret in capitals; a body that was written anew | 401, always in the same words |
| a timestamp that is stale, ahead, missing or absurd (sources that sign one) | 401 |
| a body that is too large, that never ends, that is compressed | 413, 408, 415 |
| the same delivery again; another body under its id | 200 as a duplicate; 409 |
| no JSON, too deep, a key twice, NaN, half a character, not UTF-8 | 200, kept as a dead letter |
| a field that is something else than it should be | 2xx: taken without it, ignored, or kept as a dead letter |
"""

import asyncio
import copy
import json
from collections.abc import AsyncIterator, Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from sla.intake import AHEAD, PAST
from sla.source import Source
from starter import hook_bodies
from starter.sample_signing import SIGNERS
from starter.samples import Sample, sample
from starter.sources import KINDS, adapter
from tests.front_desk import NOW, SECRET, Desk
from tests.mutations import places

SIGNED = [kind for kind in KINDS if not adapter(kind).secret_in_path]
OVER_BODY = ("zendesk", "jira", "zammad", "escalated-django", "request-tracker", "slack", "pagerduty")
"""Those whose signature is over the bytes of the body."""
JSON = [kind for kind in KINDS if adapter(kind).body != "mail"]
REFUSED = {"error": "the delivery is not signed with a secret of this hook; see docs/intake.md"}
NASTY: tuple[Any, ...] = (
    None, True, 0, -1, 10**19, 1e308, "", " ", "x" * 5000, "\x00\x1b[2J", "a\r\nBcc: eve@evil.example", "<!channel> <@U1>",
    "<script>alert(1)</script>", "{{7*7}} ${jndi:x} %n {0.__class__}", "\u202egnp.exe", "2031-02-30T00:00:00Z",
    "0001-01-01T00:00:00Z", "9999-12-31T23:59:60Z", "24:00", [], [None], {}, {"id": None},
)  # fmt: skip


def told(kind: str) -> Source:
    """A connected source of that kind, which lets everything in."""
    return Source(name="desk", kind=kind, customer="acme", channels=("C0123",) if kind == "slack" else ())


@pytest.fixture
def desk(request: pytest.FixtureRequest) -> Desk:
    return Desk(told(request.getfixturevalue("kind")))


def signed(kind: str, raw: bytes, secret: str = SECRET, **shift: float) -> dict[str, str]:
    """The headers by which the source itself would have sent these bytes."""
    kept = sample(told(kind), secret, NOW).headers
    return {**kept, **SIGNERS[kind](secret, raw, NOW + timedelta(**shift))}


def place(kind: str) -> str:
    return f"/hooks/{kind}/{SECRET if adapter(kind).secret_in_path else 'desk'}"


def good(kind: str) -> Sample:
    return sample(told(kind), SECRET, NOW)


async def post(desk: Desk, kind: str, raw: bytes, headers: dict[str, str] | None = None) -> httpx.Response:
    return await desk.post(place(kind), raw, signed(kind, raw) if headers is None else headers)


def untouched(desk: Desk) -> bool:
    return not desk.door.touched and not desk.letters.kept and not desk.waiting.kept


@pytest.mark.parametrize("kind", KINDS)
async def test_the_sample_itself_is_taken(kind: str, desk: Desk) -> None:
    """Else the whole matrix would prove nothing."""
    answer = await post(desk, kind, good(kind).raw)
    assert answer.status_code in (200, 202), answer.text
    assert desk.door.touched or answer.json().get("ignored"), answer.text


@pytest.mark.parametrize("kind", SIGNED)
async def test_without_a_right_signature_it_is_401_in_the_same_words_and_without_effect(kind: str, desk: Desk) -> None:
    raw = good(kind).raw
    right = signed(kind, raw)
    own = {name for name in right if right[name] != sample(told(kind), "x" * 30, NOW).headers.get(name)}
    tries = [
        {name: value for name, value in right.items() if name not in own},
        {name: value[:-4] if name in own else value for name, value in right.items()},
        {name: value[:-4] + "AAAA" if name in own else value for name, value in right.items()},
        signed(kind, raw, secret="another-hook's-secret-of-a-length"),
        signed(kind, raw, secret=SECRET.upper()),
        {**right, **dict.fromkeys(own, "")},
        {**right, **dict.fromkeys(own, "v1=" + "0" * 64)},
        {**right, **dict.fromkeys(own, ",".join(["v1=" + "0" * 64] * 100))},
    ]
    for headers in tries:
        answer = await post(desk, kind, raw, headers)
        assert (answer.status_code, answer.json()) == (401, REFUSED), headers
    assert untouched(desk)


@pytest.mark.parametrize("kind", OVER_BODY)
async def test_a_body_that_was_written_anew_is_not_what_was_signed(kind: str, desk: Desk) -> None:
    raw = good(kind).raw
    for other in (json.dumps(json.loads(raw), indent=1).encode(), raw + b"\n", b"\xef\xbb\xbf" + raw, b""):
        answer = await post(desk, kind, other, signed(kind, raw))
        assert (answer.status_code, answer.json()) == (401, REFUSED)
    assert untouched(desk)


@pytest.mark.parametrize("kind", [kind for kind in KINDS if adapter(kind).window and kind != "escalated-django"])
@pytest.mark.parametrize("seconds", [-301, 301, -86_400, 10**9, -(10**9)])
async def test_a_signature_of_another_time_is_401(kind: str, desk: Desk, seconds: int) -> None:
    raw = good(kind).raw
    answer = await post(desk, kind, raw, signed(kind, raw, seconds=seconds))
    assert (answer.status_code, answer.json()) == (401, REFUSED)
    assert untouched(desk)
    assert (await post(desk, kind, raw, signed(kind, raw, seconds=-299))).status_code in (200, 202)


@pytest.mark.parametrize("kind", KINDS)
async def test_what_is_too_large_is_413_and_what_is_compressed_415(kind: str, desk: Desk) -> None:
    size = min(adapter(kind).limit, 5 * 1024 * 1024)
    assert (await post(desk, kind, b" " * (size + 1), {})).status_code == 413
    raw = good(kind).raw
    answer = await post(desk, kind, raw, signed(kind, raw) | {"content-encoding": "gzip"})
    assert answer.status_code == 415
    assert untouched(desk)


@pytest.mark.parametrize("kind", ["zendesk", "mail", "django-helpdesk"])
async def test_a_body_that_never_ends_is_408(kind: str, desk: Desk, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(hook_bodies, "SLOW", 0.1)

    async def trickle() -> AsyncIterator[bytes]:
        yield b"{"
        await asyncio.Event().wait()

    assert (await desk.http.post(place(kind), content=trickle())).status_code == 408
    assert untouched(desk)


@pytest.mark.parametrize("kind", KINDS)
async def test_the_same_delivery_again_has_no_second_effect(kind: str, desk: Desk) -> None:
    raw = good(kind).raw
    await post(desk, kind, raw)
    before = len(desk.door.words), len(desk.door.existing_words)
    again = await post(desk, kind, raw, signed(kind, raw, seconds=10))
    assert (again.status_code, again.json().get("duplicate")) == (200, True)
    assert (len(desk.door.words), len(desk.door.existing_words)) == before


@pytest.mark.parametrize(("kind", "header"), [("jira", "x-atlassian-webhook-identifier")])
async def test_another_body_under_the_id_of_one_that_came_is_409(kind: str, header: str, desk: Desk) -> None:
    raw = good(kind).raw
    assert (await post(desk, kind, raw, signed(kind, raw) | {header: "d-1"})).status_code == 202
    before = len(desk.door.words)
    other = json.dumps(json.loads(raw) | {"added": 1}).encode()
    assert (await post(desk, kind, other, signed(kind, other) | {header: "d-1"})).status_code == 409
    assert len(desk.door.words) == before


BROKEN = {
    "no JSON": b"{'a': 1}", "nothing": b"", "a list": b"[]", "a number": b"5", "too deep": b"[" * 100_000,
    "a key twice": b'{"ticket": 1, "ticket": 2}', "NaN": b'{"id": NaN}', "Infinity": b'{"id": 1e999}',
    "half a character": b'{"id": "\\ud800"}', "not UTF-8": b'{"id": "\xff"}', "a number without end": b'{"id": ' + b"9" * 5000 + b"}",
    "an empty object": b"{}",
}  # fmt: skip


@pytest.mark.parametrize("kind", JSON)
@pytest.mark.parametrize("name", BROKEN)
async def test_what_is_rightly_signed_and_no_delivery_is_kept_and_tells_nothing(
    kind: str, name: str, desk: Desk
) -> None:
    answer = await post(desk, kind, BROKEN[name])
    assert answer.status_code == 200, answer.text
    assert not desk.door.touched
    assert answer.json()["accepted"] is False
    if "dead_letter" in answer.json():
        assert list(desk.letters.kept) == [answer.json()["dead_letter"]]
    else:  # Some kinds know `{}` for a type of event that does not matter.
        assert name == "an empty object", answer.text


def bent(raw: bytes) -> Iterator[bytes]:
    """The sample, with one thing after the other replaced by each of the nasty ones."""
    body = json.loads(raw)
    for path in list(places(body))[1:]:
        for other in NASTY:
            changed = copy.deepcopy(body)
            holder = changed
            for step in path[:-1]:
                holder = holder[step]
            holder[path[-1]] = other
            yield json.dumps(changed).encode()


@pytest.mark.parametrize("kind", JSON)
async def test_whatever_stands_in_a_field_it_is_taken_without_it_or_ignored_or_kept(kind: str, desk: Desk) -> None:
    """Wrong types, impossible dates, control characters, header and markup injection: no fault, and no absurd moment."""
    count = 0
    for raw in bent(good(kind).raw):
        desk.notes.records.clear()  # each stands for itself, whatever came under the same id before
        answer = await post(desk, kind, raw)
        # This one's signed timestamp stands in the body.
        stale = kind == "escalated-django" and answer.status_code == 401 and b'"timestamp": "' in raw
        assert stale or answer.status_code in (200, 202), (raw[-300:], answer.text)
        count += 1
    assert count > 100
    for _, ticket, _, word in desk.door.words:
        assert NOW - PAST <= word.occurred_at <= NOW + AHEAD
        assert 1 <= len(ticket) <= 200
        word.model_dump_json().encode()


MAILS = {
    "nothing": b"", "no headers": b"hello", "NUL": b"\x00" * 100,
    "not ASCII": b"Subject: \xff\xfe\r\n\r\n\xff",
    "a header without end": b"Subject: " + b"x" * 100_000,
    "parts within parts": b"Content-Type: multipart/mixed; boundary=a\r\n\r\n"
    + b"--a\r\n" * 1000,
    "a charset nobody knows": b"From: a@acme.example\r\nContent-Type: text/plain; charset=klingon\r\n\r\n\xff\xfe",
    "a broken date": b"From: a@acme.example\r\nDate: never\r\nMessage-ID: <1@a>\r\n\r\nhi",
    "no sender": b"Subject: x\r\nMessage-ID: <2@a>\r\n\r\nhi",
    "base64 that is none": b"From: a@a.example\r\nContent-Transfer-Encoding: base64\r\n\r\n!!!",
}  # fmt: skip


@pytest.mark.parametrize("name", MAILS)
async def test_no_mail_ends_in_a_fault(name: str) -> None:
    desk = Desk(told("mail"))
    answer = await post(desk, "mail", MAILS[name])
    assert answer.status_code in (200, 202), answer.text
    for *_, word in desk.door.words:
        assert NOW - PAST <= word.occurred_at <= NOW + AHEAD
        word.model_dump_json().encode()
