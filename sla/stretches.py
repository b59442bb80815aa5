"""Stretches of time `[start, end)` in integer microseconds, the end None while it lasts: what is left of some without others."""

from collections.abc import Iterable, Sequence

Stretch = tuple[int, int | None]
FAR = 1 << 62
"""Later than any instant."""


def without(runs: Sequence[Stretch], holes: Iterable[Stretch]) -> list[Stretch]:
    """The parts of `runs` that lie in no hole."""
    left = list(runs)
    for hole_start, hole_end in holes:
        end_of_hole = FAR if hole_end is None else hole_end
        kept: list[Stretch] = []
        for a, b in left:
            end = FAR if b is None else b
            if end_of_hole <= a or end <= hole_start:
                kept.append((a, b))
                continue
            if a < hole_start:
                kept.append((a, hole_start))
            if end_of_hole < end:
                kept.append((end_of_hole, b))
        left = kept
    return [(a, b) for a, b in left if b is None or a < b]


def joined(stretches: Iterable[Stretch]) -> list[Stretch]:
    """The same instants as stretches that neither overlap nor touch, in order."""
    made: list[Stretch] = []
    for a, b in sorted(stretches, key=lambda s: s[0]):
        if made and (made[-1][1] is None or a <= made[-1][1]):
            before, end = made[-1]
            made[-1] = (before, None if end is None or b is None else max(end, b))
        else:
            made.append((a, b))
    return made
