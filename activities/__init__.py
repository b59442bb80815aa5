"""Every touch of the outside world: policies and rosters read, accounts enrolled with and told, notices sent.

Each activity has a fixed name and one model in and out; each outgoing effect has a key by which it happens once.
"""

from collections.abc import Callable, Sequence
from typing import Any

from temporalio.client import Client

from activities.accounts import AccountActivities
from activities.billing import BillingActivities
from activities.incidents import IncidentActivities
from activities.policies import Policies
from activities.sources import SourceActivities
from activities.steps import StepActivities, Teller
from activities.telling import TellingActivities


def all_activities(
    policies: Policies,
    client: Client,
    teller: Teller,
    billing: BillingActivities | None = None,
    sources: SourceActivities | None = None,
) -> Sequence[Callable[..., Any]]:
    """What the worker registers. Without `billing`, no billing account is set up, and a link to one says so."""
    steps = StepActivities(policies, client, teller)
    incidents, accounts = IncidentActivities(policies, client, steps), AccountActivities(policies, teller)
    telling = TellingActivities(client)
    money = billing or BillingActivities(policies, client)
    desks: list[Callable[..., Any]] = [] if sources is None else [sources.reconcile_source, sources.read_ticket]
    return [
        *desks,
        incidents.open_incident,
        incidents.read_opening,
        incidents.pin,
        incidents.follow_up,
        steps.carry_out,
        accounts.open_account,
        accounts.tell_account,
        accounts.sweep_bundles,
        telling.tell_incidents,
        telling.count_roll,
        money.read_billing,
        money.reconcile_billing,
    ]
