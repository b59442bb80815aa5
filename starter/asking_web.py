"""One small request over HTTP, for what an examination needs beside the answer: its headers, and how long it took."""

import asyncio
import http.client
import ssl
import time
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from urllib.parse import urlsplit

PATIENCE = 10.0
"""Seconds that connecting, and each part of the answer, may take."""
MOST = 256 * 1024


class Silent(Exception):
    """No answer came; half a sentence on why."""


@dataclass(frozen=True, slots=True)
class Reply:
    """An answer; redirects are not followed."""

    status: int
    body: bytes
    seconds: float
    ahead: timedelta | None
    """How far the other side's clock is ahead of ours, to a second or so; None: it does not tell the time."""


async def ask(
    method: str, url: str, body: bytes | None = None, headers: Mapping[str, str] = {}, patience: float = PATIENCE
) -> Reply:
    """Send one request.

    Raises:
        Silent: nothing came back.
    """
    return await asyncio.to_thread(_ask, method, url, body, headers, patience)


def _ask(method: str, url: str, body: bytes | None, headers: Mapping[str, str], patience: float) -> Reply:
    parts = urlsplit(url)
    place, path = parts.netloc.rpartition("@")[2], parts.path or "/"
    began, clock = datetime.now(UTC), time.monotonic()
    made: http.client.HTTPConnection
    if parts.scheme == "https":
        made = http.client.HTTPSConnection(place, timeout=patience, context=ssl.create_default_context())
    else:
        made = http.client.HTTPConnection(place, timeout=patience)
    try:
        made.request(method, f"{path}?{parts.query}" if parts.query else path, body, dict(headers))
        answer = made.getresponse()
        took = time.monotonic() - clock
        said = answer.getheader("date")
        return Reply(answer.status, answer.read(MOST), took, _ahead(said, began + timedelta(seconds=took / 2)))
    except ssl.SSLCertVerificationError:
        raise Silent("has a certificate that is not trusted") from None
    except TimeoutError:
        raise Silent(f"did not answer within {patience:g} s") from None
    except (OSError, http.client.HTTPException, ValueError):
        raise Silent("cannot be reached") from None
    finally:
        made.close()


def _ahead(said: str | None, here: datetime) -> timedelta | None:
    try:
        there = parsedate_to_datetime(said or "")
    except (ValueError, OverflowError, TypeError):
        return None
    if there.utcoffset() is None:
        there = there.replace(tzinfo=UTC)
    return there + timedelta(seconds=0.5) - here  # The header is cut to whole seconds.
