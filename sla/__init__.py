"""What a contract means. Pure: no I/O, no clock, no randomness and no Temporal import; time comes in as an argument.

Here live durations and calendars, the arithmetic of open time, contracts and playbooks, the events of an incident and
the fold that turns its log into clocks, steps and deadlines. Only `calendar.py` reads time zones and holidays, to pin
them; everything else counts on plain, pinned data, so that the same question gets the same answer for ever.
"""
