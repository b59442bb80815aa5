"""Record histories: `python tests/record_histories.py RELEASE [STORY…]`, once for a release; then they are kept for ever.

Each file is what a real incident left on a real server, under the tzdata and holidays of that day, with what it came to:
a replay alone does not see a moved deadline.
"""

import asyncio
import gzip
import json
import os
import sys
from collections.abc import Sequence
from datetime import datetime
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parents[1]
HERE = ROOT / "tests" / "histories"
sys.path.insert(0, str(ROOT))


async def record(release: str, stories: list[Path]) -> None:
    """Play each story on the real workflows; keep each incident's history and what it came to."""
    from activities.attributes import ALL_KEYS
    from sla import names
    from starter.engines import REPORTED, REPORTED_OF_ACCOUNT, play_temporal
    from starter.stories import load
    from starter.virtual_time import start_environment

    target = HERE / release
    target.mkdir(parents=True, exist_ok=True)
    env = await start_environment(ALL_KEYS)
    try:
        for path in stories:

            async def keep(handles: Sequence[Any], now: datetime, path: Path = path) -> None:
                for number, handle in enumerate(handles, 1):
                    told = await handle.query(names.STATUS, now.isoformat())
                    history = await handle.fetch_history()
                    kept = {
                        "story": str(path.relative_to(ROOT)),
                        "workflow": handle.id,
                        "asked_at": now.isoformat(),
                        "came_to": {
                            name: told[name] for name in (REPORTED if "phase" in told else REPORTED_OF_ACCOUNT)
                        },
                        "history": json.loads(history.to_json()),
                    }
                    packed = gzip.compress(json.dumps(kept, sort_keys=True).encode(), mtime=0)
                    (target / f"{path.stem}-{number}.json.gz").write_bytes(packed)
                    print(f"{path.stem}-{number}: {len(history.events)} events, {len(packed)} bytes")

            await play_temporal(load(path), env, keep=keep)
    finally:
        await env.shutdown()


if __name__ == "__main__":
    asked = [ROOT / arg for arg in sys.argv[2:]]
    every = sorted(
        path for path in (ROOT / "stories").rglob("*.yaml") if "happens:" in path.read_text(encoding="utf-8")
    )
    asyncio.run(record(sys.argv[1], asked or every))
    sys.stdout.flush()
    os._exit(0)
