"""Links that acknowledge: who holds one may take one incident, as one person, for seven days.

`BASE/ack/PAYLOAD.SIGNATURE`, both base64url without padding: the payload is the JSON list `[1, incident, person, seconds]`,
the signature its HMAC-SHA256. There is one way to write a link; a token that is written otherwise is not ours.
"""

import base64
import binascii
import contextlib
import hmac
import json
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Final, Self

from activities.settings import base_url, secret_of

LINK_SECRET: Final = "PACTKEEPER_LINK_SECRET"  # noqa: S105 (the name of a setting)
FILE: Final = "ack-secret"
"""In the state folder, made at first use; only its owner may read it."""
GOOD_FOR: Final = timedelta(days=7)
_AHEAD: Final = timedelta(hours=1)
"""Clocks of two machines differ by so much at most."""
_FORM: Final = 1
_LONGEST: Final = 2000
_LEAST: Final = 24


class BadLink(ValueError):
    """A link that acknowledges nothing; one sentence for whoever opened it."""


@dataclass(frozen=True, slots=True)
class Links:
    """What is needed to write links, and to read them."""

    base: str
    """The address of the web intake as people reach it, without a slash at the end."""
    secret: bytes = field(repr=False)

    @classmethod
    def here(cls, environ: Mapping[str, str], state: Path) -> Self | None:
        """As this installation has it; None: `PACTKEEPER_URL` is not set.

        Raises:
            ValueError: a setting, or the file of the secret, can't be used.
        """
        base = base_url(environ)
        return None if base is None else cls(base, secret_here(environ, state))

    def to(self, incident: str, person: str, at: datetime, now: datetime) -> str:
        """The link of a notice that fell due at `at`. The same at every attempt of one day, and good for a week from then."""
        today = now.astimezone(UTC).replace(hour=0, minute=0, second=0, microsecond=0)
        return link(self.base, self.secret, incident, person, at if today <= at <= now else today)

    def handed_on(self, text: str, person: str, at: datetime, now: datetime) -> str:
        """The text with every link of ours in it made out to another person; what is no link of ours stays as it is."""

        def theirs(found: re.Match[str]) -> str:
            try:
                incident, _ = read(self.secret, found[1], now)
            except BadLink:
                return found[0]
            return self.to(incident, person, at, now)

        return re.sub(rf"{re.escape(self.base)}/ack/([A-Za-z0-9_-]+\.[A-Za-z0-9_-]+)", theirs, text)


def link(base_url: str, secret: bytes, incident: str, person: str, at: datetime) -> str:
    """The web address that acknowledges an incident (a workflow's id) as a person, for seven days from `at`."""
    return f"{base_url}/ack/{_token(secret, incident, person, int(at.timestamp()))}"


def read(secret: bytes, token: str, now: datetime) -> tuple[str, str]:
    """The incident and the person that a link's last part names.

    Raises:
        BadLink: it was not made with this secret, was changed, or is older than seven days.
    """
    payload, dot, _ = token.partition(".")
    if not dot or len(token) > _LONGEST or not token.isascii():
        raise BadLink(_NOT_OURS)
    try:
        told = json.loads(_bytes(payload))
    except (ValueError, RecursionError):
        raise BadLink(_NOT_OURS) from None
    match told:
        case [int(form), str(incident), str(person), int(since)] if form == _FORM and not isinstance(since, bool):
            pass
        case _:
            raise BadLink(_NOT_OURS)
    try:
        ours = _token(secret, incident, person, since)
    except UnicodeEncodeError:
        raise BadLink(_NOT_OURS) from None
    if not hmac.compare_digest(ours, token):
        raise BadLink(_NOT_OURS)
    age = now.timestamp() - since
    if age > GOOD_FOR.total_seconds():
        raise BadLink("this link is older than seven days; take the ticket on the command line, or by a newer notice")
    if -age > _AHEAD.total_seconds():
        raise BadLink("this link is from the future; look at the clocks of the machines that wrote and read it")
    return incident, person


def secret_here(environ: Mapping[str, str], state: Path) -> bytes:
    """The secret that signs links: `PACTKEEPER_LINK_SECRET` (or `…_FILE`), else the state folder's own.

    Raises:
        ValueError: it is too short, or its file cannot be read or made.
    """
    named = secret_of(environ, LINK_SECRET)
    if named:
        if len(named) < _LEAST:
            raise ValueError(f"{LINK_SECRET} is shorter than {_LEAST} characters; write a random one")
        return named.encode()
    path = state / FILE
    try:
        with contextlib.suppress(FileNotFoundError):
            return _kept(path)
        state.mkdir(parents=True, exist_ok=True)
        # Written whole before it has its name: another process that makes one meanwhile must see all of it, or none.
        draft = state / f"{FILE}.{os.getpid()}.{secrets.token_hex(4)}"
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
            file.write(secrets.token_urlsafe(32) + "\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            os.link(draft, path)
        except FileExistsError:
            pass
        finally:
            draft.unlink()
        return _kept(path)
    except OSError as error:
        raise ValueError(f"{path} cannot be read or made: {error.strerror or error}") from None


def _kept(path: Path) -> bytes:
    content = path.read_bytes().strip()
    if len(content) < _LEAST:
        raise ValueError(f"{path} holds no secret; delete it, and a new one is made (older links end with it)")
    return content


_NOT_OURS: Final = "this link is not one of ours, or was not copied whole"


def _token(secret: bytes, incident: str, person: str, since: int) -> str:
    said = json.dumps([_FORM, incident, person, since], ensure_ascii=False, separators=(",", ":")).encode()
    payload = _text(said)
    return f"{payload}.{_text(hmac.digest(secret, payload.encode(), 'sha256'))}"


def _text(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).decode().rstrip("=")


def _bytes(text: str) -> bytes:
    try:
        return base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
    except binascii.Error:
        raise ValueError("not base64url") from None
