"""A web intake with connected helpdesks and nobody behind it: what comes through its door is kept and can be looked at."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from activities.policies import Policies
from records.dead_letters import Letter
from records.deliveries import DeliveryRecord
from sla.customer import Contact, Customer
from sla.events import Delivery
from sla.source import Source
from starter.hook_settings import IntakeSettings, Secrets, SourceSecrets
from starter.port import Log, Spool, Unavailable
from starter.source_hooks import SourceHooks
from starter.web import create_app

NOW = datetime(2031, 7, 7, 17, 0, tzinfo=UTC)
SECRET = "a-secret-of-some-length-0001"
OLD = "an-older-secret-of-a-length-2"
ACME = Customer(id="acme", domains=("acme.example",), contacts=(Contact(email="ann@acme.example"),))
WAIT = 0.05


@dataclass
class Door:
    """Keeps what comes through, or says that Temporal is away."""

    away: bool = False
    words: list[tuple[str, str, str, Delivery]] = field(default_factory=list)
    """Source, ticket, customer, word."""
    existing_words: list[tuple[str, Delivery]] = field(default_factory=list)
    looks: list[tuple[str, str]] = field(default_factory=list)

    async def incident(self, source: str, ticket: str, customer: str, words: Sequence[Delivery]) -> str:
        await self.ready()
        self.words += [(source, ticket, customer, word) for word in words]
        return f"incident/{source}/{ticket}"

    async def existing(self, incident: str, words: Sequence[Delivery]) -> str:
        await self.ready()
        self.existing_words += [(incident, word) for word in words]
        return incident

    async def read_ticket(self, source: str, ticket: str) -> str:
        await self.ready()
        self.looks.append((source, ticket))
        return f"read/{source}/{ticket}"

    async def ready(self) -> None:
        await asyncio.sleep(0)
        if self.away:
            raise Unavailable("away")

    @property
    def touched(self) -> bool:
        """Whether anything came through."""
        return bool(self.words or self.existing_words or self.looks)

    def keys(self) -> set[str]:
        """The keys of all words: by them a word counts once."""
        return {word.key for *_, word in self.words}


@dataclass
class Letters:
    """Dead letters, in memory."""

    kept: dict[str, Letter] = field(default_factory=dict)
    down: bool = False

    async def put(self, letter: Letter) -> bool:
        if self.down:
            raise OSError("the disk is full")
        return self.kept.setdefault(letter.id, letter) is letter


@dataclass
class Notes:
    """The log of deliveries, in memory."""

    records: list[DeliveryRecord] = field(default_factory=list)

    def known(self, source: str, delivery: str, digest: str) -> str:
        done = ("accepted", "duplicate", "ignored", "spooled", "kept")
        same = [r for r in self.records if r.source == source and r.delivery == delivery and r.outcome in done]
        if not delivery:
            return "duplicate" if any(r.digest == digest for r in same) else "new"
        return "new" if not same else "duplicate" if any(r.digest == digest for r in same) else "other"

    def note(self, record: DeliveryRecord) -> None:
        self.records.append(record)

    @property
    def outcomes(self) -> list[str]:
        return [record.outcome for record in self.records]


@dataclass
class Waiting:
    """The spool, in memory."""

    down: bool = False
    kept: list[tuple[str, str, str, tuple[Any, ...], str | None]] = field(default_factory=list)

    async def put(
        self, source: str, ticket: str, customer: str, words: Sequence[Any], why: str, incident: str | None = None,
        delivery: str = "",
    ) -> None:  # fmt: skip
        if self.down:
            raise OSError("the disk is full")
        self.kept.append((source, ticket, customer, tuple(words), incident))


class Desk:
    """The app, what lies behind it, and a browser."""

    def __init__(
        self,
        *sources: Source,
        secrets: Sequence[str] = (SECRET, OLD),
        customers: Mapping[str, Customer] = {"acme": ACME},
        log: Log | None = None,
        spool: Spool | None = None,
        now: datetime = NOW,
    ) -> None:
        self.door, self.letters, self.notes, self.waiting = Door(), Letters(), Notes(), Waiting()
        known = {source.name: SourceSecrets(secrets=tuple(secrets)) for source in sources}
        settings = IntakeSettings(Secrets(sources=known), now=lambda: now)
        self.hooks = SourceHooks(
            self.door,  # type: ignore[arg-type]
            settings,
            Policies(only=customers, base=Path()),
            self.letters,
            log or self.notes,  # type: ignore[arg-type]
            spool or self.waiting,
            only={source.name: source for source in sources},
        )
        app = create_app(self.door, settings, sources=self.hooks)  # type: ignore[arg-type]
        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        self.http = httpx.AsyncClient(transport=transport, base_url="http://intake")

    async def post(self, path: str, raw: bytes, headers: Mapping[str, str] | None = None) -> httpx.Response:
        """The raw bytes with these headers."""
        return await self.http.post(path, content=raw, headers=dict(headers or {}))
