"""Every touch of the outside world: policies and rosters read, accounts enrolled with and told, notices sent.

Each activity has a fixed name and one model in and out; each outgoing effect has a key by which it happens once.
"""

from collections.abc import Callable, Sequence
from typing import Any

from temporalio.client import Client

from activities.accounts import AccountActivities
from activities.incidents import IncidentActivities
from activities.policies import Policies
from activities.steps import StepActivities, Teller


def all_activities(policies: Policies, client: Client, teller: Teller) -> Sequence[Callable[..., Any]]:
    """What the worker registers."""
    steps = StepActivities(policies, client, teller)
    incidents, accounts = IncidentActivities(policies, client, steps), AccountActivities(policies, client)
    return [
        incidents.open_incident,
        incidents.read_opening,
        incidents.pin,
        incidents.follow_up,
        steps.carry_out,
        accounts.open_account,
        accounts.tell_incidents,
        accounts.count_roll,
    ]
