"""What tests share: one time-skipping server a session, on which every story that is asked for has been played."""

from collections.abc import AsyncIterator
from typing import Any

import pytest

from activities.attributes import ALL_KEYS
from starter import engines
from starter.virtual_time import start_environment
from tests.clauses import Acts, Recorder, Told
from tests.databases import engine, postgresql, url  # noqa: F401 - fixtures
from tests.stage import Stage, of_clause, unmet, wanted


@pytest.fixture(scope="session")
async def stage(request: pytest.FixtureRequest) -> AsyncIterator[Stage]:
    """The stage. All that the collected tests want is played here and now, so that nothing runs beside other tests."""
    env = await start_environment(ALL_KEYS)
    try:
        playing = Stage(env)
        if not hasattr(request.config, "workerinput"):  # a worker of pytest-xdist has only some of the tests
            await playing.play(wanted(request.session.items))
        yield playing
    finally:
        await env.shutdown()


@pytest.fixture
def acts(request: pytest.FixtureRequest, stage: Stage) -> Acts:
    """For a test named after a clause: play the clause's stories on the real workflows, hold what they expect, give their incidents.

    `await acts("response-targets")` gives the incidents of one story, `T06-response-targets`; `await acts()` those of the only one.
    """
    clause = request.node.name.split("_")[1]

    async def play(story: str | None = None) -> dict[str, Any]:
        results = {name: await stage.result(name) for name in of_clause(clause)}
        faults = [fault for name, result in results.items() for fault in unmet(name, result)]
        assert not faults, "\n".join(faults)
        if story is None:
            (result,) = results.values()
        else:
            result = results[f"{clause}-{story}"]
        return dict(result["incidents"])

    return play


@pytest.fixture
def told(monkeypatch: pytest.MonkeyPatch) -> Told:
    """What people read while a story plays."""
    heard: Told = []
    monkeypatch.setattr(engines, "Silent", lambda: Recorder(heard))
    return heard
