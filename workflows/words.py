"""Words that the card and the summaries share: moments, steps, and what others wrote, safe to show."""

import re
from collections.abc import Sequence
from datetime import UTC, datetime

from sla.evaluate import ClockView
from sla.steps import Planned
from sla.timetable import Timetable

STOPS = {
    "agent_replied": "reply",
    "plan_provided": "plan_given",
    "resolved": "resolve",
    "closed": "close",
    "reclassification_told": "the notice to the customer, which goes out by itself",
}
"""What an operator does to stop a clock, by the event that stops it."""
MAX_SUMMARY = 190
"""Bytes; Temporal takes 200."""
_MARKUP = re.compile(r"[\[\]<>*`|#\\&~]|://|www\.|(?<![A-Za-z0-9])_|_(?![A-Za-z0-9])", re.IGNORECASE)


def when(


def short(


def plain(


def moment(


def tells(


def listed(


def due_of(
