"""The figures of the fan-out benchmark, and the table of them."""

from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

AIM, MOST_EVENTS = 0.8, 200


@dataclass
class Change:
    """One change of standing, from the payment's word until every incident shows it."""

    what: str
    at: datetime
    known: datetime
    """When the server had acknowledged the word."""
    settled_s: float = 0.0
    worker_cpu_s: float = 0.0
    server_cpu_s: float = 0.0
    worker_peak_mib: float = 0.0
    told_s: float = 0.0
    account_events: int = 0
    killed_in_the_middle: bool = False
    due: int = 0
    """Steps of ladders that fell due while incidents were being told of a suspension."""


@dataclass
class Result:
    """All figures of a run."""

    machine: str
    incidents: int
    opened_s: float = 0.0
    worker_before_mib: float = 0.0
    changes: list[Change] = field(default_factory=list)
    listed_s: float = 0.0
    signalled_s: float = 0.0
    signals_drained_s: float = 0.0
    batch_s: float = 0.0
    batch_drained_s: float = 0.0
    found: dict[str, Any] = field(default_factory=dict)

    @property
    def rates(self) -> dict[str, float]:
        """Incidents reached a second. The telling is that of the suspension, in which nobody killed the worker."""
        return {
            "telling": self.incidents / self.changes[0].told_s,
            "list and signal": self.incidents / (self.listed_s + self.signalled_s),
            "signals alone": self.incidents / self.signalled_s,
            "batch operation": self.incidents / self.batch_s,
        }

    @property
    def events(self) -> int:
        """History events of the account for the suspension and the resumption, a batch told anew after the kill included."""
        return sum(change.account_events for change in self.changes)


def report(r: Result) -> None:
    print(
        f"{r.machine}\n\n{r.incidents} incidents, opened in {r.opened_s:.0f} s; the worker has {r.worker_before_mib:.0f} MiB\n"
    )
    print(
        f"{'':26}{'seconds':>8}{'a second':>10}{'until all have taken it':>26}{'account events':>16}{'worker MiB':>12}"
    )
    for c in r.changes:
        print(f"{c.what:26}{c.told_s:8.1f}{r.incidents / c.told_s:10.0f}{c.settled_s:26.1f}{c.account_events:16}"
              f"{c.worker_peak_mib:12.0f}")  # fmt: skip
    for what, seconds, drained in (
        ("list and signal", r.listed_s + r.signalled_s, r.signals_drained_s),
        ("batch operation", r.batch_s, r.batch_drained_s),
    ):
        print(f"{what:26}{seconds:8.1f}{r.incidents / seconds:10.0f}{drained:26.1f}")
    rates, found, middle = r.rates, r.found, "yes" if r.changes[1].killed_in_the_middle else "NO"
    print(f"""
rate, telling / list and signal    {rates["telling"] / rates["list and signal"]:6.2f}    aim: at least {AIM}
rate, telling / signals alone      {rates["telling"] / rates["signals alone"]:6.2f}    without the listing
rate, telling / batch operation    {rates["telling"] / rates["batch operation"]:6.2f}    aim: at least {AIM}
events of the account              {r.events:6}    aim: under {MOST_EVENTS}
escalations told wrongly           {found["wrong"]:6}    aim: 0; {r.changes[0].due} fell due meanwhile, {found["held_back"]} held back
escalations lost, doubled          {found["escalations_lost"]:6} {found["escalations_doubled"]}  aim: 0 0; of {found["escalations"]}
words lost, doubled                {found["words_lost"]:6} {found["words_doubled"]}  aim: 0 0; the worker was killed in the middle: {middle}
notices of incidents lost, doubled {found["parts_lost"]:6} {found["parts_doubled"]}  aim: 0 0; sent in {found["messages"]} messages""")
