"""The one module that speaks HTTP to others: a bounded POST or GET that follows nobody and trusts no proxy.

The name is resolved here, every address looked at (`activities.guard`), and the one that was looked at connected to.
`inside`: an address that calls itself this machine's (`localhost`, `127.0.0.1`, `::1`) is fine, for an operator has set it
up so; False for an address that somebody else has named.
"""

import asyncio
import contextlib
import logging
import os
import ssl
from collections.abc import AsyncGenerator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import Final, cast

import httpx

from activities import guard

MAX_ANSWER = 64 * 1024
MAX_PAGE = 8 * 1024 * 1024
MAX_WAIT = 3600.0
MOST_CLOCKS = 1000
ABSURD = timedelta(hours=24)
"""A clock that is further off than this is none."""
PATIENT = 60.0
"""So many seconds in all one request waits where it is told when to come again (`patient`)."""

# At INFO httpx writes whole URLs into the log, and a URL may hold a token.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


@dataclass(frozen=True, slots=True)
class Answer:
    """The other side's answer: its status, a bounded body, and how many seconds it asked us to wait (≤ 1 h)."""

    status: int
    body: bytes
    retry_after: float | None
    whole: bool = True
    """False where the body was too long, cut short or hung."""


class NoAnswer(Exception):
    """No status line came back: the network, the name, the certificate or the time. The text is half a sentence."""


class Silence(NoAnswer):
    """It was reached, and then said nothing in time, or broke off: whatever else it is asked for it may well answer."""


class Forbidden(NoAnswer):
    """The address leads where nothing may be sent; trying again is of no use until somebody changes a setting."""


_ahead: Final[dict[str, timedelta]] = {}


def ahead(url: str) -> timedelta:
    """How far the clock of whoever answers there is ahead of ours, by the `Date` of their last answer; zero where they told none.

    What is no address, nobody answers at. A `Date` counts that the helpdesk itself tells, just now: not that of an error,
    which may be a proxy's, nor of a copy that lay somewhere (`Age`), nor one more than 24 hours off.
    """
    return _ahead.get(_place(url), timedelta(0))


Sleep = Callable[[float], Awaitable[object]]
_sleep: Final[ContextVar[Sleep | None]] = ContextVar("sleep", default=None)


@contextlib.contextmanager
def patient(sleep: Sleep) -> Iterator[None]:
    """Within this, a `request` that is to come again (429 or 503, with a `Retry-After`) waits as long and is made again."""
    before = _sleep.set(sleep)
    try:
        yield
    finally:
        _sleep.reset(before)


async def post(
    url: str, body: bytes, headers: Mapping[str, str], *, connect: float, total: float, inside: bool = True
) -> Answer:
    """POST `body`; `connect` and `total` are seconds. Redirects are not followed, compressed answers not asked for.

    Once the status has come, a body that is cut short or hangs changes nothing: the status counts.

    Raises:
        NoAnswer: nothing came back in time; whether the other side got the request is unknown.
        Forbidden: nothing was sent, and nothing will be.
    """
    return await _exchange("POST", url, body, headers, connect, total, MAX_ANSWER, inside)


async def get(
    url: str, headers: Mapping[str, str], *, connect: float, total: float, most: int = MAX_PAGE, inside: bool = True
) -> Answer:
    """GET, within the same bounds; here the body is what counts, so one that did not come whole is no answer.

    Raises:
        NoAnswer: nothing came back in time, or less than all of it, or more than `most` bytes.
    """
    answer = await _exchange("GET", url, None, headers, connect, total, most, inside)
    if not answer.whole and answer.status < 300:
        raise NoAnswer("broke off, or answered with more than we take")
    return answer


async def request(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    *,
    connect: float,
    total: float,
    most: int = MAX_PAGE,
    inside: bool = True,
) -> Answer:
    """Any other method, within the same bounds; `whole` tells whether all of the answer came. May wait, if `patient`.

    Raises:
        NoAnswer: nothing came back in time; whether the other side got the request is unknown.
    """  # fmt: skip
    sleep, left = _sleep.get(), PATIENT
    while True:
        answer = await _exchange(method, url, body, headers, connect, total, most, inside)
        wait = max(answer.retry_after or 0.0, 1.0)
        if sleep is None or answer.retry_after is None or answer.status not in (429, 503) or wait > left:
            return answer
        left -= wait
        await sleep(wait)


async def _exchange(
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    connect: float,
    total: float,
    most: int,
    inside: bool,
) -> Answer:
    status: int | None = None
    content = bytearray()
    wait: float | None = None
    whole = False
    try:
        async with asyncio.timeout(total), AsyncExitStack() as held:
            response = await _reached(held, method, url, body, headers, connect, total, inside)
            status = response.status_code
            _note(url, response)
            wait = _wait(response.headers.get("retry-after"))
            async with contextlib.aclosing(cast("AsyncGenerator[bytes]", response.aiter_raw(8192))) as chunks:
                async for chunk in chunks:
                    content += chunk[: most - len(content)]
                    if len(content) >= most:
                        break
                else:
                    whole = True
    except (TimeoutError, httpx.TimeoutException) as error:
        if status is None:
            unreached = isinstance(error, httpx.ConnectTimeout)
            raise (NoAnswer if unreached else Silence)(f"did not answer within {total:g} s") from None
    except (httpx.TransportError, httpx.InvalidURL) as error:
        if status is None:
            broke = isinstance(error, (httpx.NetworkError, httpx.RemoteProtocolError))
            broke = broke and not isinstance(error, httpx.ConnectError)
            raise (Silence if broke else NoAnswer)(_reason(error)) from None
    assert status is not None
    return Answer(status, bytes(content), wait, whole)


async def _reached(
    held: AsyncExitStack,
    method: str,
    url: str,
    body: bytes | None,
    headers: Mapping[str, str],
    connect: float,
    total: float,
    inside: bool,
) -> httpx.Response:
    """The answer's beginning, from the first address that can be connected to; the request goes out once at most."""
    asked = httpx.URL(url)
    if asked.scheme not in ("http", "https") or not asked.host:
        raise NoAnswer("is no web address")
    addresses = await _addresses(asked, connect, inside)
    named = {**headers, "accept-encoding": "identity", "host": asked.netloc.decode("ascii")}
    extensions = {"sni_hostname": asked.raw_host.decode("ascii").strip("[]")}
    client = await held.enter_async_context(
        httpx.AsyncClient(trust_env=False, verify=_trust(), timeout=httpx.Timeout(total, connect=connect))
    )
    for last, address in ((address == addresses[-1], address) for address in addresses):
        request = client.build_request(
            method, asked.copy_with(host=address), content=body, headers=named, extensions=extensions
        )
        try:
            response = await client.send(request, stream=True)
        except (httpx.ConnectError, httpx.ConnectTimeout):
            if last:
                raise
            continue
        held.push_async_callback(response.aclose)
        return response
    raise NoAnswer("cannot be reached")


async def _addresses(asked: httpx.URL, connect: float, inside: bool) -> list[str]:
    allow = os.environ.get(guard.ALLOW_HOSTS, "")
    port = asked.port or (443 if asked.scheme == "https" else 80)
    try:
        async with asyncio.timeout(connect):
            return await guard.resolved(asked.raw_host.decode("ascii"), port, inside=inside, allow=allow)
    except guard.Forbidden as error:
        raise Forbidden(str(error)) from None
    except TimeoutError:
        raise NoAnswer(f"has a name that was not resolved within {connect:g} s") from None
    except (OSError, UnicodeError):
        raise NoAnswer("cannot be reached") from None


@lru_cache(maxsize=1)
def _trust() -> ssl.SSLContext:
    """The machine's own certificate authorities; `SSL_CERT_FILE` replaces them, as everywhere."""
    return ssl.create_default_context()


def _reason(error: Exception) -> str:
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLCertVerificationError):
            return "has a certificate that is not trusted"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.InvalidURL):
        return "is no web address"
    return "cannot be reached" if isinstance(error, httpx.ConnectError) else "broke off"


def _wait(value: str | None) -> float | None:
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_WAIT)
    until = _moment(text)
    return None if until is None else min(max((until - datetime.now(UTC)).total_seconds(), 0.0), MAX_WAIT)


def _note(url: str, answer: httpx.Response) -> None:
    """Keep what time it is there, if that is to be believed."""
    there = _moment(answer.headers.get("date", ""))
    if there is None or not answer.is_success or "age" in answer.headers:
        return
    off = there - datetime.now(UTC)
    if abs(off) <= ABSURD:
        if len(_ahead) >= MOST_CLOCKS:
            _ahead.clear()
        _ahead[_place(url)] = off


def _place(url: str) -> str:
    try:
        return httpx.URL(url).netloc.decode("ascii")
    except httpx.InvalidURL:
        return ""


def _moment(text: str) -> datetime | None:
    try:
        at = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    return at.replace(tzinfo=UTC) if at.utcoffset() is None else at
