"""What an incident will show once it has opened, foreseen by whoever starts it: attributes set with the start cost nothing.

It is a guess, and spares the incident its first upsert where it comes true, which is nearly always. Where it does not
(support is suspended, the language is not served), the incident corrects it.
"""

from collections.abc import Sequence

from temporalio.common import SearchAttributePair, TypedSearchAttributes

from activities.attributes import at_start, attributes
from activities.policies import Policies
from records.shelf import PolicyFileError
from sla.entries import entry, record
from sla.evaluate import evaluate
from sla.events import Delivery
from sla.incident import IncidentState
from sla.perform import read


def foreseen(policies: Policies | None, state: IncidentState, words: Sequence[Delivery]) -> TypedSearchAttributes:
    """The attributes to start with: all of them, where the words open a ticket and its policies can be read."""
    opening = next((word for word in words if word.event.event == "opened"), None)
    if opening is None or policies is None:
        return at_start(state.customer, getattr(opening and opening.event, "priority", None))
    try:
        _, contract = policies.line(state.customer, state.contract, getattr(opening.event, "product", None))
        pinned = policies.pin(state.customer, contract, state.playbook, opening.occurred_at)
        known = policies.customer(state.customer)
    except PolicyFileError:
        return at_start(state.customer, getattr(opening.event, "priority", None))
    told = record("read", opening.received_at, read(pinned.contract, opening, known, (None, None)))
    view = evaluate(pinned, [told, *map(entry, words)], opening.received_at, steps=False)
    wanted = attributes(view, state.customer, pinned.version)
    return TypedSearchAttributes(
        [SearchAttributePair(key, value) for key, value in wanted.items() if value is not None]
    )
