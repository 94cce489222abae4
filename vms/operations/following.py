"""Calls that last as long as what they do: shown while they run, and aborted when that is asked for."""

from __future__ import annotations

from concurrent.futures import Future
from typing import TYPE_CHECKING, Any

from hosts.hypervisor.errors import HypervisorError
from hosts.operations.task import Task

if TYPE_CHECKING:
    from hosts.hypervisor.guest import Guest

POLL_SECONDS = 0.3


def follow(task: Task, guest: Guest, future: Future[Any]) -> bool:
    """Wait for the call; its result or error is then to be had from the connection. True when it was aborted by request."""
    aborted = False
    task.wake_when(future)
    while not future.done():
        if task.cancel_requested() and not aborted:
            aborted = abort(task, guest)
        show(task, guest)
        task.wait(POLL_SECONDS)
    return aborted


def abort(task: Task, guest: Guest) -> bool:
    """Ask libvirt to abort the guest's job."""
    try:
        guest.abort_job()
    except HypervisorError as error:
        task.log(f"Stopping was not possible: {error}", "warning")
        return False
    task.log("Asked libvirt to stop.")
    return True


def show(task: Task, guest: Guest) -> None:
    """Record how far the guest's job is."""
    try:
        job = guest.job()
    except HypervisorError:
        return  # Between the end of the job and the end of the call there is none.
    if job.type not in ("none", "completed"):
        task.progress(percent=job.percent, remaining=job.remaining, total=job.total, rate=job.rate)
