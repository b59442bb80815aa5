"""Two clocks compared: how far apart they may be before somebody has to do something."""

from datetime import timedelta

from sla.signing import WINDOW
from starter.findings import Finding, State

NEAR = timedelta(seconds=5)
FAR = WINDOW / 5
"""Signed deliveries are refused beyond the window; well before that somebody should know."""


def compared(about: str, whose: str, ahead: timedelta, within: timedelta) -> Finding:
    """What a difference means. `ahead` is how far the other's clock is ahead of ours, give or take `within`."""
    apart = abs(ahead) - within
    state: State = "ok" if apart <= NEAR else "warning" if apart <= FAR else "failure"
    side = "ahead of" if ahead > timedelta() else "behind"
    if state == "ok":
        return Finding(about, "clock", state, f"{whose} and this machine agree within {_seconds(NEAR)} s")
    do = "have both machines set their clocks by NTP; deliveries signed more than 5 minutes off are refused"
    return Finding(about, "clock", state, f"{whose} is {_seconds(abs(ahead))} s {side} this machine", do)


def _seconds(amount: timedelta) -> str:
    return f"{amount.total_seconds():.0f}"
