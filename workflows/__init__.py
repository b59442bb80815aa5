"""What happens over weeks: thin, deterministic workflows that append events, evaluate, do what is owed and wait.

The thinking is in `sla`; every touch of the outside world is in `activities`.
"""

from temporalio.workflow import unsafe

WORKFLOWS: list[type] = []
# A workflow's own sandbox runs its module anew; it needs no other workflow's.
if not unsafe.in_sandbox():
    from workflows.account import AccountWorkflow
    from workflows.incident import IncidentWorkflow
    from workflows.reconcile import ReconcileWorkflow
    from workflows.sources import SourceWorkflow, TicketWorkflow
    from workflows.sweep import SweepWorkflow

    WORKFLOWS += [IncidentWorkflow, AccountWorkflow, ReconcileWorkflow, SourceWorkflow, TicketWorkflow, SweepWorkflow]
