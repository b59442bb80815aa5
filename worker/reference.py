"""How people at a terminal call an incident."""

from typing import Final

from sla import names

OWN_SOURCE: Final = "cli"
"""The source of the tickets that are opened on the command line, which names them by their ticket alone."""


def reference(source: str, ticket: str) -> str:
    """How the command line names an incident: `4711` for a ticket of its own, `acme/4711` for another source's."""
    if "/" in source:
        return names.incident_id(source, ticket)
    return ticket if source == OWN_SOURCE and "/" not in ticket else f"{source}/{ticket}"
