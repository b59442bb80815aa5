"""What went wrong, in sentences for the person at the terminal."""

import logging
import os
import sys
import traceback
from datetime import UTC, datetime

from starter.home import DEBUG_VARIABLE, Home, SettingError

WORKER = "`pactkeeper up` (or `pactkeeper worker`) runs one"


class RefusalError(Exception):
    """Something asked for can't be done: one sentence that says what, where and what is allowed.

    `code` is the exit status: 1, or 2 for what can't be read.
    """

    def __init__(self, sentence: str, code: int = 1) -> None:
        super().__init__(sentence)
        self.code = code


def told(error: Exception) -> int:
    """Tell an error on standard error, known or not; the exit status."""
    if os.environ.get(DEBUG_VARIABLE):
        traceback.print_exception(error)
    found = sentences(error)
    if found is None:
        found = [_unexpected(error)]
    for sentence in found:
        print(sentence, file=sys.stderr)
    return error.code if isinstance(error, RefusalError) else 1


def sentences(error: Exception) -> list[str] | None:
    """What a known error says; None: nobody foresaw it."""
    from records.customers import CustomerRefused
    from records.shelf import PolicyFileError
    from sla.errors import PolicyError, QuestionError
    from starter.connect import UnreachableError
    from starter.state_dir import ServerError

    known = (RefusalError, SettingError, UnreachableError, ServerError, PolicyError, QuestionError, CustomerRefused)
    if isinstance(error, known):
        return [str(error)]
    if isinstance(error, PolicyFileError):
        return error.sentences
    return _of_temporal(error) or _of_records(error)


def _of_temporal(error: Exception) -> list[str] | None:
    from temporalio.client import WorkflowQueryFailedError, WorkflowUpdateFailedError
    from temporalio.service import RPCError, RPCStatusCode

    from activities.dispatch import TooManyLinks
    from activities.message import one_line

    if isinstance(error, TooManyLinks):
        return [str(error)]
    if isinstance(error, WorkflowUpdateFailedError):
        return [one_line(str(getattr(error.cause, "message", error.cause)))]
    if isinstance(error, WorkflowQueryFailedError):
        return [f"the incident can't answer: {one_line(str(error))}"]
    if not isinstance(error, RPCError):
        return None
    said = one_line(error.message, 200)
    match error.status:
        case RPCStatusCode.UNAVAILABLE | RPCStatusCode.CANCELLED:
            return ["the Temporal server stopped answering; try again, or look at `pactkeeper up`"]
        case RPCStatusCode.DEADLINE_EXCEEDED:
            return [f"Temporal gave no answer in time; most likely no worker is running: {WORKER}"]
        case RPCStatusCode.FAILED_PRECONDITION if "poller" in said:
            return [f"no worker is there to answer; {WORKER}"]
        case RPCStatusCode.PERMISSION_DENIED | RPCStatusCode.UNAUTHENTICATED:
            return [f"the Temporal server refuses us ({said}); check TEMPORAL_API_KEY and the namespace's rights"]
        case RPCStatusCode.INVALID_ARGUMENT if "earch attribute" in said or "Sla" in said:
            return [f"the Temporal server does not know our search attributes ({said}); run `pactkeeper setup` once"]
        case RPCStatusCode.NOT_FOUND if "amespace" in said:
            return [f"the Temporal server says: {said}; set TEMPORAL_NAMESPACE to one that it has"]
    return [f"the Temporal server says: {said}"]


def _of_records(error: Exception) -> list[str] | None:
    from sqlalchemy.exc import SQLAlchemyError

    if isinstance(error, SQLAlchemyError):
        return [f"the database of records can't be used ({type(error).__name__}); check PACTKEEPER_DATABASE"]
    return None


def _unexpected(error: Exception) -> str:
    said = f"something unexpected went wrong ({type(error).__name__}: {str(error)[:200]})"
    log = Home.here().log
    try:
        log.parent.mkdir(parents=True, exist_ok=True)
        with log.open("a", encoding="utf-8") as file:
            now = datetime.now(UTC).isoformat(timespec="seconds")
            file.write(f"{now} {' '.join(sys.argv[:2])}\n{''.join(traceback.format_exception(error))}")
    except OSError:
        logging.getLogger(__name__).debug("the log can't be written", exc_info=True)
        return f"{said}; set {DEBUG_VARIABLE}=1 to see where"
    return f"{said}; where, is in {log}"
