"""The names that both ends of a wire must agree on: queue, workflow ids, messages, activities, search attributes."""

import hashlib
import re
import unicodedata
from typing import Final

TASK_QUEUE: Final = "pactkeeper"

ACCOUNTS: Final = "-accounts"
"""What the accounts' own queue is called after ours: incidents that wait for their account must never starve it."""

INCIDENT_WORKFLOW: Final = "IncidentWorkflow"
ACCOUNT_WORKFLOW: Final = "AccountWorkflow"
RECONCILE_WORKFLOW: Final = "ReconcileWorkflow"
SWEEP_WORKFLOW: Final = "SweepWorkflow"
SOURCE_WORKFLOW: Final = "SourceWorkflow"
"""One round of reading a connected helpdesk, by its API, for what its webhooks missed."""
TICKET_WORKFLOW: Final = "TicketWorkflow"
"""Reading one ticket of a connected helpdesk, whose webhook told too little."""

DELIVER: Final = "deliver"
"""The signal that carries one `Delivery` to an incident or one `AccountDelivery` to an account."""
STANDING_TOLD: Final = "standing_told"
"""The signal by which an account tells an incident its ledger."""
DELIVER_ALL: Final = "deliver_all"
"""The signal that carries several deliveries of one ticket, for sources whose every message tells the whole story."""
LOOK: Final = "look"
"""The signal that says: the customer's payments may have changed; read them where they are kept."""
REVISE: Final = "revise"
"""The signal that says: the customer's contract lines have changed; read them anew."""
ENROL: Final = "enrol"
"""The update by which an incident enrols with its account and reads the ledger, in one act."""

STATUS: Final = "status"
PLAN: Final = "plan"
PROOF: Final = "proof"
LOG: Final = "log"
LEDGER: Final = "ledger"
WAKE: Final = "wake"

OPEN_INCIDENT: Final = "open_incident"
PIN: Final = "pin"
READ_OPENING: Final = "read_opening"
CARRY_OUT: Final = "carry_out"
FOLLOW_UP: Final = "follow_up"
OPEN_ACCOUNT: Final = "open_account"
TELL_INCIDENTS: Final = "tell_incidents"
COUNT_ROLL: Final = "count_roll"
TELL_ACCOUNT: Final = "tell_account"
SWEEP_BUNDLES: Final = "sweep_bundles"
READ_BILLING: Final = "read_billing"
RECONCILE_BILLING: Final = "reconcile_billing"
RECONCILE_SOURCE: Final = "reconcile_source"
READ_TICKET: Final = "read_ticket"

CUSTOMER: Final = "SlaCustomer"
PRIORITY: Final = "SlaPriority"
PHASE: Final = "SlaPhase"
CLOCK_STATE: Final = "SlaClockState"
ASSIGNEE: Final = "SlaAssignee"
STANDING: Final = "SlaStanding"
POLICY_VERSION: Final = "SlaPolicyVersion"
NEXT_DUE: Final = "SlaNextDue"
TRIAGE: Final = "SlaTriage"
KEYWORD_ATTRIBUTES: Final = (CUSTOMER, PRIORITY, PHASE, CLOCK_STATE, ASSIGNEE, STANDING, POLICY_VERSION)
DATETIME_ATTRIBUTES: Final = (NEXT_DUE,)

MAX_ID: Final = 200
_PLAIN = re.compile(r"[A-Za-z0-9._@#:~+-]+")


def canonical(part: str) -> str:
    """One part of an id: NFC, trimmed, plain ASCII kept; anything else, or anything long, becomes `x-` and a hash of it."""
    text = unicodedata.normalize("NFC", part).strip()
    if len(text) <= 80 and _PLAIN.fullmatch(text):
        return text
    return "x-" + hashlib.sha256(text.encode("utf-8", "surrogatepass")).hexdigest()[:24]


def incident_id(source: str, ticket: str, follow_up: int = 1) -> str:
    """The workflow id of a ticket's incident, at most 200 characters; `follow_up` counts from 1, the first incident."""
    base = f"incident/{canonical(source)}/{canonical(ticket)}"
    return base if follow_up == 1 else f"{base}/{follow_up}"


def ticket_id(source: str, ticket: str) -> str:
    """The workflow id of reading one ticket by its helpdesk's API."""
    return f"read/{canonical(source)}/{canonical(ticket)}"


def accounts_queue(task_queue: str) -> str:
    """The queue of the accounts beside a queue."""
    return task_queue if task_queue.endswith(ACCOUNTS) else f"{task_queue}{ACCOUNTS}"


def account_id(customer: str) -> str:
    """The workflow id of a customer's account."""
    return f"account/{canonical(customer)}"
