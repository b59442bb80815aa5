"""Reading what was sent: a word that this code knows, or the reason why not, with what came as text."""

from collections.abc import Mapping, Sequence
from typing import Any

from pydantic import ValidationError
from temporalio.common import RawValue
from temporalio.converter import PayloadConverter

from activities.calls import Look, Revise, StandingWord, Words
from sla import names
from sla.account_events import AccountDelivery
from sla.events import Delivery

KINDS: dict[str, type] = {
    names.DELIVER: Delivery,
    names.DELIVER_ALL: Words,
    names.STANDING_TOLD: StandingWord,
}


def read_signal(
    name: str, args: Sequence[RawValue], converter: PayloadConverter, kinds: Mapping[str, type] | None = None
) -> tuple[Delivery | Words | AccountDelivery | StandingWord | Look | Revise | None, str, str]:
    """The word, or None with one sentence why and the payload as text (capped). Raises nothing."""
    text = " ".join(raw.payload.data[:1000].decode("utf-8", "replace") for raw in args)[:2000]
    known: Mapping[str, type] = kinds or KINDS
    kind = known.get(name)
    if kind is None:
        return None, f"no signal is called {name[:80]!r}; there are: {', '.join(known)}", text
    if len(args) != 1:
        return None, f"{name} carries one argument, got {len(args)}", text
    try:
        word: Any = converter.from_payload(args[0].payload, kind)
        if isinstance(word, kind):
            return word, "", text  # type: ignore[return-value]
        return None, f"{name} carries a {kind.__name__}, got {type(word).__name__}", text
    except ValidationError as error:
        first = error.errors()[0]
        return None, f"{'.'.join(str(p) for p in first['loc']) or name}: {first['msg']}", text
    except Exception as error:  # noqa: BLE001 whatever a foreign sender's bytes provoke, the incident must go on
        return None, f"{type(error).__name__}: {error}", text
