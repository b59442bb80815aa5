"""The front door, put together: the hooks of the connected helpdesks with their log and spool, and who reads their APIs."""

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from functools import partial
from typing import Any

from fastapi import FastAPI
from temporalio.client import Client

from activities.ack_links import Links
from activities.dispatch import revise
from activities.helpdesks.client import Account, Helpdesk
from activities.helpdesks.kinds import helpdesk
from activities.sources import SourceActivities
from records.dead_letters import DeadLetterStore
from records.deliveries import DeliveryStore
from records.sources import SourceStore
from records.spool import Spool
from sla.source import Source
from starter.accounts import TemporalAccounts
from starter.ack_page import AckPages, TemporalTakers
from starter.bound import Bound, bind
from starter.customers_api import CustomersApi
from starter.deliveries_page import DeliveriesPage
from starter.delivery_log import DeliveryLog
from starter.dispatch import TemporalDispatch
from starter.hook_settings import IntakeSettings
from starter.kept import Kept
from starter.letter_office import LetterOffice
from starter.port import BillingRecords
from starter.source_hooks import SourceHooks
from starter.sources import KINDS, adapter
from starter.spooler import Spooler
from starter.standing_api import StandingApi
from starter.web import create_app
from worker.alarms import Alarms


@dataclass(frozen=True)
class Front:
    """The app of the web intake, and what runs beside it."""

    app: FastAPI
    hooks: SourceHooks
    log: DeliveryLog
    spooler: Spooler

    async def run(self) -> None:
        """Write the log of deliveries, and bring to Temporal what waits in the spool; until it is cancelled."""
        await asyncio.gather(self.log.run(), self.spooler.run())


def front(
    client: Client, kept: Kept, settings: IntakeSettings, links: Links | None, alarm: Callable[[str, str], None]
) -> Front:
    """The web intake with everything it needs; with `links`, the pages to which those of notices lead.

    `alarm` has somebody told of a subject, once a day.
    """
    letters = DeadLetterStore(kept.engine)
    dispatch = TemporalDispatch(client, policies=kept.policies)
    log = DeliveryLog(DeliveryStore(kept.engine), SourceStore(kept.engine))
    spooler = Spooler(Spool(kept.engine), dispatch)
    hooks = SourceHooks(dispatch, settings, kept.policies, letters, log, spooler, alarm=alarm)
    customers = CustomersApi(kept.customers, kept.policies, settings, partial(revise, client))
    standing = StandingApi(customers, dispatch, TemporalAccounts(client))
    billing = BillingRecords(kept.customers, letters)
    office = LetterOffice(letters, kept.customers, dispatch, hooks)
    deliveries = DeliveriesPage(kept.engine, settings, hooks.sources, office)
    takes = [] if links is None else [AckPages(links, TemporalTakers(client)).router()]
    app = create_app(
        dispatch, settings, billing=billing, customers=customers, standing=standing, sources=hooks,
        pages=[deliveries.router(), *takes],
    )  # fmt: skip
    return Front(app, hooks, log, spooler)


def readers(client: Client, kept: Kept, settings: IntakeSettings, alarms: Alarms) -> SourceActivities:
    """Who reads the connected helpdesks by their APIs."""
    return SourceActivities(
        kept.policies, client, partial(desk, settings), partial(hear, kept), SourceStore(kept.engine), alarms.tell
    )


def desk(settings: IntakeSettings, source: Source) -> Helpdesk | None:
    """The client of a source; None: it has no API, or none is set up here."""
    known = settings.sources.get(source.name)
    if source.url is None:
        return None
    account = Account(
        source.url.rstrip("/"), known.user if known else "", known.token if known else "", source.due_field,
        source.channels,
    )  # fmt: skip
    return helpdesk(source.kind, account)


def hear(kept: Kept, source: Source, ticket: dict[str, Any], received: datetime) -> Bound | None:
    """A ticket read by API as the hooks would bring it."""
    story = adapter(source.kind).story if source.kind in KINDS else None
    told = None if story is None else story(ticket, source, received)
    return None if told is None else bind(told, source, kept.policies, received)
