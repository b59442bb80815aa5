"""A customer's standing, folded from effective-dated payment events just as an incident is from its own.

What counts is when a payment lapsed or was made, not when we heard of it (X03); the order of delivery changes nothing.
"""

from collections.abc import Iterable

from sla.events import AccountDelivery, Interval, Ledger


def fold(log: Iterable[AccountDelivery], *, suspends: bool, version: int = 0) -> Ledger:
    """The ledger of a customer: its standing now, since when, and every stretch in which support is suspended.

    `suspends` tells whether the contract suspends support at once when a payment lapses (R12: automatic). At one and
    the same instant a payment counts after a lapse, in the customer's favour.
    """
    once = {word.key: word for word in sorted(log, key=lambda w: (w.received_at, w.key), reverse=True)}
    lapsed: list[Interval] = []
    standing_since = None
    for word in sorted(once.values(), key=lambda w: (w.happened, w.event.event != "payment_lapsed", w.key)):
        open_lapse = bool(lapsed) and lapsed[-1].end is None
        if word.event.event == "payment_lapsed" and not open_lapse:
            lapsed.append(Interval(start=word.happened))
            standing_since = word.happened
        elif word.event.event == "payment_current" and open_lapse:
            lapsed[-1] = Interval(start=lapsed[-1].start, end=word.happened)
            standing_since = word.happened
    not_current = "suspended" if suspends else "lapsed"
    standing = not_current if lapsed and lapsed[-1].end is None else "current"
    stretches = tuple(i for i in lapsed if i.end is None or i.end > i.start)
    return Ledger.model_validate(
        {"version": version, "standing": standing, "since": standing_since, "suspended": stretches if suspends else ()}
    )
