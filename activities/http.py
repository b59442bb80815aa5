"""The one module that speaks HTTP to others: a bounded POST or GET that follows nobody and trusts no proxy."""

import asyncio
import contextlib
import logging
import ssl
from collections.abc import AsyncGenerator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from functools import lru_cache
from typing import cast

import httpx

MAX_ANSWER = 64 * 1024
MAX_PAGE = 8 * 1024 * 1024
MAX_WAIT = 3600.0

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


async def post(url: str, body: bytes, headers: Mapping[str, str], *, connect: float, total: float) -> Answer:
    """POST `body`; `connect` and `total` are seconds. Redirects are not followed, compressed answers not asked for.

    Once the status has come, a body that is cut short or hangs changes nothing: the status counts.

    Raises:
        NoAnswer: nothing came back in time; whether the other side got the request is unknown.
    """
    return await _exchange("POST", url, body, headers, connect, total, MAX_ANSWER)


async def get(url: str, headers: Mapping[str, str], *, connect: float, total: float, most: int = MAX_PAGE) -> Answer:
    """GET, within the same bounds; here the body is what counts, so one that did not come whole is no answer.

    Raises:
        NoAnswer: nothing came back in time, or less than all of it, or more than `most` bytes.
    """
    answer = await _exchange("GET", url, None, headers, connect, total, most)
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
) -> Answer:
    """Any other method, within the same bounds; `whole` tells whether all of the answer came.

    Raises:
        NoAnswer: nothing came back in time; whether the other side got the request is unknown.
    """  # fmt: skip
    return await _exchange(method, url, body, headers, connect, total, most)


async def _exchange(
    method: str, url: str, body: bytes | None, headers: Mapping[str, str], connect: float, total: float, most: int
) -> Answer:
    status: int | None = None
    content = bytearray()
    wait: float | None = None
    whole = False
    try:
        async with (
            asyncio.timeout(total),
            httpx.AsyncClient(
                trust_env=False, verify=_trust(), timeout=httpx.Timeout(total, connect=connect)
            ) as client,
            client.stream(method, url, content=body, headers={**headers, "accept-encoding": "identity"}) as response,
        ):
            status = response.status_code
            wait = _wait(response.headers.get("retry-after"))
            async with contextlib.aclosing(cast("AsyncGenerator[bytes]", response.aiter_raw(8192))) as chunks:
                async for chunk in chunks:
                    content += chunk[: most - len(content)]
                    if len(content) >= most:
                        break
                else:
                    whole = True
    except (TimeoutError, httpx.TimeoutException):
        if status is None:
            raise NoAnswer(f"did not answer within {total:g} s") from None
    except (httpx.TransportError, httpx.InvalidURL) as error:
        if status is None:
            raise NoAnswer(_reason(error)) from None
    assert status is not None
    return Answer(status, bytes(content), wait, whole)


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
    return "cannot be reached" if isinstance(error, httpx.ConnectError) else "broke off"


def _wait(value: str | None) -> float | None:
    if value is None:
        return None
    text = value.strip()
    if text.isascii() and text.isdigit():
        return min(float(text[:9]), MAX_WAIT)
    try:
        until = parsedate_to_datetime(text)
    except (ValueError, OverflowError):
        return None
    if until.utcoffset() is None:
        until = until.replace(tzinfo=UTC)
    return min(max((until - datetime.now(UTC)).total_seconds(), 0.0), MAX_WAIT)
