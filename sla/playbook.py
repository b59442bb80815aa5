"""The escalation ladder: steps at a share of a target, after a miss, or on no acknowledgement; whom, how, whether to reassign."""

import re
from dataclasses import dataclass
from typing import Annotated, Any, Literal, Self

from pydantic import BaseModel, ConfigDict, GetPydanticSchema, StringConstraints, model_validator
from pydantic_core import core_schema

from sla.duration import Duration

Name = Annotated[str, StringConstraints(pattern=r"^[A-Za-z0-9][A-Za-z0-9_.-]{0,63}$")]
_SHARE = re.compile(r"(unacknowledged\s+)?(\d{1,3})\s*%")
_AFTER = re.compile(r"miss\s*\+\s*(.+)")
_ALLOWED = "`75%`, `100%`, `unacknowledged 50%`, or `miss + 1 business hour`"


@dataclass(frozen=True, slots=True)
class Moment:
    """When a step fires: at `percent` of the target used (100: when the miss is declared), or `after` a declared miss."""

    percent: int | None = None
    unacknowledged: bool = False
    after: Duration | None = None

    @classmethod
    def parse(cls, text: str) -> "Moment":
        """`75%`, `unacknowledged 50%`, `miss + 1 business hour`; raises ValueError in one sentence."""
        stripped = " ".join(str(text).split())
        if match := _SHARE.fullmatch(stripped):
            percent = int(match[2])
            if not 1 <= percent <= 100:
                raise ValueError(
                    f"{stripped!r} is no share of a target; write 1% to 100%, or `miss + 1 business hour` for later"
                )
            return cls(percent=percent, unacknowledged=bool(match[1]))
        if match := _AFTER.fullmatch(stripped):
            return cls(after=Duration.parse(match[1]))
        raise ValueError(f"{stripped!r} is no moment of a ladder; write {_ALLOWED}")

    def __str__(self) -> str:
        if self.after is not None:
            return f"miss + {self.after}"
        return f"{'unacknowledged ' if self.unacknowledged else ''}{self.percent}%"

    @property
    def needs_miss(self) -> bool:
        """Whether the step waits for a declared miss."""
        return self.after is not None or (self.percent == 100 and not self.unacknowledged)


def _schema(_source: Any, _handler: Any) -> core_schema.CoreSchema:
    return core_schema.no_info_plain_validator_function(
        lambda value: value if isinstance(value, Moment) else Moment.parse(value),
        serialization=core_schema.plain_serializer_function_ser_schema(str, return_schema=core_schema.str_schema()),
        json_schema_input_schema=core_schema.str_schema(
            pattern=r"^(unacknowledged\s+)?\d{1,3}\s*%$|^miss\s*\+\s*\S.*$", metadata={}
        ),
    )


MomentField = Annotated[Moment, GetPydanticSchema(_schema)]


class LadderStep(BaseModel):
    """One rung: when, on which clocks and priorities, whom it tells, and whether it reassigns."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    at: MomentField
    clocks: tuple[Name, ...] | None = None
    """None: every clock of the contract."""
    priorities: tuple[Name, ...] | None = None
    """None: every priority."""
    tells: tuple[Name, ...] = ("assignee",)
    """`assignee` (nobody assigned: who is on duty), `on_duty`, or a role of the team such as `lead`."""
    reassign: Literal["next", "next_tier"] | None = None
    """`next`: the next person on duty, then the next tier. `next_tier`: straight to the next tier."""
    clause: str = "X01"

    def applies(self, clock: str, priority: str) -> bool:
        """Whether the rung belongs to this clock's ladder under this priority."""
        return (self.clocks is None or clock in self.clocks) and (
            self.priorities is None or priority in self.priorities
        )


class Playbook(BaseModel):
    """A ladder of steps; two steps of one clock and priority never share a moment."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    name: Name
    title: str = ""
    steps: tuple[LadderStep, ...]

    @model_validator(mode="after")
    def _distinct(self) -> Self:
        for i, step in enumerate(self.steps):
            for other in self.steps[:i]:
                if (
                    str(step.at) == str(other.at)
                    and _meet(step.clocks, other.clocks)
                    and _meet(step.priorities, other.priorities)
                ):
                    raise ValueError(
                        f"steps: two of them stand at {str(step.at)!r} of the same clock; make them one, or change one's moment"
                    )
        return self


def _meet(a: tuple[str, ...] | None, b: tuple[str, ...] | None) -> bool:
    return a is None or b is None or bool(set(a) & set(b))
