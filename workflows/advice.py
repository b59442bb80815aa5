"""What an incident comes to for a person, in sentences: what matters most, who has it, what to do, why clocks stand still."""

from datetime import UTC, datetime

from sla import names
from sla.evaluate import View
from sla.incident import Incident
from sla.policy import Contract
from workflows.words import STOPS, due_of, plain, when

DOES = {
    "agent_replied": "answer the customer",
    "plan_provided": "give the customer a plan",
    "resolved": "give relief (a fix, a workaround or another)",
}
OURS = ("acknowledged", "agent_replied", "plan_provided", "waiting_on_customer", "resolved")


def headline(


def declined(


def standing_still(


def _language(


def who(


def _taken(


def to_do(
