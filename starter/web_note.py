"""Where the web intake of an installation listens: a note in the state folder, for the commands beside it."""

import contextlib
import json
from pathlib import Path

from starter.connecting import LOCAL
from starter.home import Home


def note_of(state: Path) -> Path:
    """The note's file."""
    return state / "web.json"


def leave(home: Home, url: str) -> None:
    """Leave word, where the folder can be written. What listens everywhere is reached at this machine's own address."""
    here = url.replace("//0.0.0.0:", "//127.0.0.1:").replace("//[::]:", "//[::1]:")
    fresh = note_of(home.state).with_suffix(".new")
    with contextlib.suppress(OSError):
        home.state.mkdir(parents=True, exist_ok=True)
        fresh.write_text(json.dumps({"url": here}) + "\n", encoding="utf-8")
        fresh.replace(note_of(home.state))


def found(home: Home) -> str:
    """Where it was last; where nobody left word, its usual place."""
    try:
        url = json.loads(note_of(home.state).read_text(encoding="utf-8"))["url"]
    except (OSError, ValueError, KeyError, TypeError):
        return LOCAL
    return url if isinstance(url, str) and url.startswith("http") else LOCAL
