"""The roles as programs: inventory and operations, inside the server or alone."""

from __future__ import annotations

import fcntl
import os
from typing import IO, Any

import structlog
from django.conf import settings
from django.db.models.functions import Now

from hosts import leases, notify
from hosts.hypervisor.connection import start_event_loop
from hosts.models import Lease, Operation
from hosts.operations.runner import Runner
from hosts.supervisor import Supervisor
from hosts.work import database_work
from kvmdash import memory, readiness, stopping

log = structlog.get_logger(__name__)


class AlreadyRunning(Exception):
    """Another embedded kvmdash works on this data folder."""


def hold_data_folder() -> IO[str]:
    """Lock the data folder for one embedded program; raises AlreadyRunning. Keep the file open."""
    handle = (settings.DATA_DIR / "up.lock").open("w")
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        handle.close()
        raise AlreadyRunning(f"kvmdash is already running on {settings.DATA_DIR}.") from error
    handle.write(str(os.getpid()))
    handle.flush()
    return handle


def start_embedded() -> list[Any]:
    """Start both roles in this process, which is alone on its data folder: what an earlier one left is taken over at once."""
    start_event_loop()
    with database_work():
        for role in Lease.Role:
            leases.clear(role)
        Operation.objects.filter(state=Operation.State.RUNNING).exclude(until=None).update(until=Now())
    roles: list[Any] = [Supervisor(), Runner()]
    for role in roles:
        role.start()
    return roles


def run_alone(role: Supervisor | Runner) -> None:
    """Run one role as a process of its own until SIGTERM or SIGINT."""
    memory.use_few_arenas()
    start_event_loop()
    told = stopping.Told()
    notify.bus.start_thread()
    role.start()
    memory.look_for_garbage_when_it_grows()
    log.info("role started", role=type(role).__name__, owner=role.owner)
    readiness.tell()
    told.wait()
    role.stop()
