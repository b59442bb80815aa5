"""Real payloads bent out of shape: for adapters, which must answer whatever comes with `Read` or `Unusable`."""

import copy
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from hypothesis import strategies as st

DELIVERIES = Path(__file__).parent / "deliveries"
ODD: tuple[Any, ...] = (
    None, True, False, 0, -1, 10**30, 1e308, float("nan"), "", " ", "x" * 5000, "\x00\x1b[2J", "a\r\nBcc: b", "<!channel>",
    "2031-02-30T99:99:99Z", "0001-01-01T00:00:00", "incident/", "incident/\n", [], [None], [[]], {}, {"id": None}, {"a": {}},
)  # fmt: skip
_GONE = object()


def payloads(kind: str) -> dict[str, Any]:
    """The payloads of a kind of source, by name."""
    return {path.stem: json.loads(path.read_text()) for path in sorted((DELIVERIES / kind).glob("*.json"))}


def places(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    """Every path into a payload, that of the whole included."""
    yield path
    inner = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, one in inner:
        yield from places(one, (*path, name))


@st.composite
def bent(draw: st.DrawFn, kind: str) -> Any:
    """A payload of the kind in which up to four things are others, or gone."""
    body = copy.deepcopy(draw(st.sampled_from(list(payloads(kind).values()))))
    for _ in range(draw(st.integers(1, 4))):
        path = draw(st.sampled_from(list(places(body))))
        other = draw(st.one_of(st.sampled_from((*ODD, _GONE)), st.text(max_size=40), st.integers(), st.floats()))
        if not path:
            return None if other is _GONE else copy.deepcopy(other)
        holder = body
        for name in path[:-1]:
            holder = holder[name]
        if other is _GONE:
            del holder[path[-1]]
        else:
            holder[path[-1]] = copy.deepcopy(other)
    return body
