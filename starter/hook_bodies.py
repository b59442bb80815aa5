"""Reading a webhook's body: bounded, raw, and strictly JSON, so that nothing a sender can write breaks a later reader."""

import asyncio
import json
from typing import Any

from starlette.requests import ClientDisconnect, Request

SLOW = 10.0
"""Seconds in which a body must be here."""


class Refused(Exception):
    """A request that is not taken: the status, and one sentence that says what, where and what is allowed."""

    def __init__(self, status: int, sentence: str, path: str | None = None) -> None:
        super().__init__(sentence)
        self.status, self.sentence, self.path = status, sentence, path


async def raw_body(request: Request, limit: int) -> bytes:
    """The bytes of the body, at most `limit`; refused as soon as it is known to be more.

    Raises:
        Refused: 413, 415 for an encoded body, 400 for a lying length, 408 for one that trickles in.
    """
    if request.headers.get("content-encoding", "identity").lower() not in ("", "identity"):
        raise Refused(415, "the body is compressed; send it as it is, for its bytes are signed")
    length = request.headers.get("content-length")
    if length is not None and not (length.isascii() and length.isdigit()):
        raise Refused(400, "content-length is no number")
    size, known_size = 0, int(length[:18] or 0) if length else 0
    parts = list[bytes]()
    try:
        async with asyncio.timeout(SLOW):
            async for part in request.stream():
                size += len(part)
                # A little too much is read to its end, so that its sender gets to hear the answer.
                if size > 2 * limit or known_size > 2 * limit:
                    break
                if max(size, known_size) <= limit:
                    parts.append(part)
    except TimeoutError:
        raise Refused(408, f"the body took longer than {SLOW:g} seconds to come; send it at once") from None
    except ClientDisconnect:
        raise Refused(400, "the connection ended before the body did") from None
    if max(size, known_size) > limit:
        raise Refused(413, f"the body is larger than {limit // 1024} KiB; send less")
    return b"".join(parts)


def parse(raw: bytes) -> dict[str, Any]:
    """The JSON object of a body.

    Raises:
        Refused: 400 for what is no JSON object, holds a key twice, NaN or Infinity, half a character, or is too deep.
    """
    try:
        value = json.loads(
            raw.decode("utf-8"),
            object_pairs_hook=_once,
            parse_constant=_no_constant,
            parse_int=_int,
            parse_float=_float,
        )
        json.dumps(value, ensure_ascii=False).encode("utf-8")
    except UnicodeDecodeError:
        raise Refused(400, "the body is not UTF-8") from None
    except UnicodeEncodeError:
        raise Refused(400, "the body holds half a character (a lone surrogate)") from None
    except RecursionError:
        raise Refused(400, "the body is nested too deeply") from None
    except json.JSONDecodeError as error:
        raise Refused(400, f"the body is no JSON: {error.msg} at line {error.lineno}, column {error.colno}") from None
    except ValueError as error:
        raise Refused(400, f"the body is no JSON that we take: {error}") from None
    if not isinstance(value, dict):
        raise Refused(400, "the body is no JSON object; send one event as {…}")
    return value


def _once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    made = dict(pairs)
    if len(made) != len(pairs):
        raise ValueError("an object holds a key twice")
    return made


def _no_constant(name: str) -> Any:
    raise ValueError(f"{name} is no number of JSON")


def _int(text: str) -> int:
    if len(text) > 20:
        raise ValueError("a number has more than 20 digits")
    return int(text)


def _float(text: str) -> float:
    number = float(text)
    if number in (float("inf"), float("-inf")):
        raise ValueError("a number is too large")
    return number
