"""What happens over weeks: thin, deterministic workflows that append events, evaluate, do what is owed and wait.

The thinking is in `sla`; every touch of the outside world is in `activities`.
"""

from workflows.account import AccountWorkflow
from workflows.incident import IncidentWorkflow

WORKFLOWS = [IncidentWorkflow, AccountWorkflow]
