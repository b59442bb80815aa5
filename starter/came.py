"""One request of a source as it goes through, and the line of the log that it leaves."""

import time
import uuid
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime

from records.deliveries import DeliveryRecord
from starter.hook_bodies import Refused
from starter.port import Log, NotKept, Unavailable


@dataclass
class Came:
    """What is known of a request as it goes through."""

    source: str
    received: datetime
    delivery: str = ""
    digest: str = ""
    kind: str = ""
    outcome: str = "refused"
    detail: str = "a fault of ours"
    tickets: tuple[str, ...] = ()
    words: int = 0
    silent: bool = False
    id: str = field(default_factory=lambda: uuid.uuid4().hex)

    def ends(self, outcome: str, detail: str) -> None:
        """What becomes of it."""
        self.outcome, self.detail = outcome, detail

    def record(self, took_ms: int) -> DeliveryRecord:
        """A line of the log."""
        return DeliveryRecord(
            id=self.id, source=self.source, received_at=self.received, delivery=self.delivery, digest=self.digest,
            kind=self.kind, outcome=self.outcome, detail=self.detail, tickets=self.tickets, words=self.words, took_ms=took_ms,
        )  # fmt: skip

    @contextmanager
    def noted(self, log: Log | None) -> Iterator[None]:
        """Whatever becomes of it, it leaves a line in the log."""
        begun = time.perf_counter()
        try:
            yield
        except Refused as refused:
            self.ends("refused", f"{refused.status}: {refused.sentence}")
            raise
        except (NotKept, Unavailable) as error:
            self.ends("refused", f"503: {error}")
            raise
        finally:
            if log is not None and not self.silent:
                log.note(self.record(round((time.perf_counter() - begun) * 1000)))
