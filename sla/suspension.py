"""What is to be said of suspensions, by an incident and by its account alike, so that both say it in one bundle."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sla.civil import from_us
from sla.stretches import Stretch


@dataclass(frozen=True, slots=True)
class Saying:
    """What is owed, and the instant that it is about (µs): the beginning of the suspension, its end, or what was told."""

    kind: Literal["suspension", "resumption", "withdrawal"]
    about: int

    def bundle(self, line: str) -> str:
        """The name under which an account and its incidents say it together."""
        return f"{line}/{self.kind}/{from_us(self.about).isoformat()}"


def saying(suspended: Sequence[Stretch], told: int | None) -> Saying | None:
    """What is owed, when `told` is the beginning of the suspension that was told last and not ended since.

    `suspended` holds what has begun by now. A suspension that never was is withdrawn (X04), one that is over is resumed from.
    """
    now = suspended[-1][0] if suspended and suspended[-1][1] is None else None
    if told is None:
        return None if now is None else Saying("suspension", now)
    if now is not None:
        return None
    ends = [end for _, end in suspended if end is not None and end > told]
    return Saying("resumption", max(ends)) if ends else Saying("withdrawal", told)
