"""How one run ends: the columns that say so. What is written down as failed did not happen; what cannot be told is unknown."""

from __future__ import annotations

import time
import traceback
from typing import Any

import structlog
from django.conf import settings

from hosts.hypervisor.errors import HypervisorError, NotFound, Unreachable
from hosts.hypervisor.sentences import say
from hosts.models import Operation
from hosts.operations.kind import Cancelled, Interrupted, Kind, Refused, Uncertain
from hosts.operations.task import Task
from hosts.work import DATABASE_AWAY

log = structlog.get_logger(__name__)

State = Operation.State


def attempt(kind: Kind | None, task: Task, recovering: bool) -> dict[str, Any]:
    """Run or recover; the columns that tell how it ended. Raises Interrupted, which leaves the row to whoever comes next."""
    if kind is None:
        return _ended(State.UNKNOWN, "Unknown", say("This version of kvmdash does not know this kind of operation."))
    try:
        result = _recover(kind, task) if recovering else _run(kind, task)
    except Interrupted:
        raise
    except Cancelled as error:
        return _ended(State.CANCELLED, "Cancelled", str(error))
    except Refused as error:
        return _ended(State.REFUSED, "Refused", str(error))
    except Uncertain as error:
        return _ended(State.UNKNOWN, "Uncertain", str(error))
    except HypervisorError as error:
        return {"state": State.FAILED, "error": error.as_dict() | {"host": task.operation.host_name}}
    except Exception as error:
        log.exception("an operation broke")
        task.log(traceback.format_exception_only(error)[-1].strip(), "error")
        text = say("kvmdash itself failed (%(error)s); look at the guest.", error=type(error).__name__)
        return _ended(State.UNKNOWN, "Broken", text)
    return {"state": State.SUCCEEDED, "result": result, "error": {}}


def _run(kind: Kind, task: Task) -> dict[str, Any]:
    """Run; when the host or the database is lost after libvirt was asked, look how it ended instead of guessing."""
    while True:
        try:
            return kind.run(task)
        except Unreachable as error:
            if not task.was_asked:
                raise
            task.log(say("Lost the host in the middle, and looking how this ended: %(text)s", text=error), "warning")
        except DATABASE_AWAY as error:
            log.warning("the database was lost in the middle of an operation", error=str(error), asked=task.was_asked)
            task.wait(1.0)
            if not task.was_asked:
                continue
        return observe(kind, task)


def _recover(kind: Kind, task: Task) -> dict[str, Any]:
    if task.was_asked:
        return observe(kind, task)
    if kind.changes:
        task.log(say("Taken over before anything was asked of the host; it begins now."))
    return _run(kind, task)


def observe(kind: Kind, task: Task) -> dict[str, Any]:
    """``recover()``, again and again while the host cannot be asked, but not for ever."""
    lost_at: float | None = None
    while True:
        began = time.monotonic()
        try:
            return kind.recover(task)
        except NotFound as error:
            raise Uncertain(
                say("%(text)s Whether this was done before the guest went cannot be told.", text=error)
            ) from error
        except Refused as error:
            # "Nothing was done" is not for recover() to say: it is called when something may have been.
            raise Uncertain(str(error)) from error
        except DATABASE_AWAY as error:
            log.warning("an operation waits for the database", error=str(error))
        except Unreachable as error:
            lost_at = _lost_since(lost_at, began)
            if time.monotonic() - lost_at > settings.LOST_SECONDS:
                raise Uncertain(
                    say(
                        "%(host)s was lost after it had been asked, and has not come back within %(seconds)s s. "
                        "Look at the guest before asking again.",
                        host=task.operation.host_name,
                        seconds=f"{settings.LOST_SECONDS:g}",
                    )
                ) from error
            task.progress(waiting_for=task.operation.host_name)
        task.wait(1.0)


def _lost_since(lost_at: float | None, began: float) -> float:
    """When the host was lost: anew, when it had been back for longer than one call can hang."""
    longest = settings.CONNECT_SECONDS + settings.CALL_SECONDS
    was_back = time.monotonic() - began > longest
    return time.monotonic() if lost_at is None or was_back else lost_at


def _ended(state: State, kind: str, message: str) -> dict[str, Any]:
    return {"state": state, "error": {"type": kind, "message": message}}
