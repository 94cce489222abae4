"""Save the guest's memory to its host's disk and stop it; the next start goes on from there."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _
from django.utils.translation import pgettext_lazy

from hosts.hypervisor.errors import Conflict, HypervisorError, Unreachable, Unsupported
from hosts.operations.kind import Cancelled, Refused, Subject, Uncertain
from hosts.operations.task import Task
from vms.operations.base import GuestKind, PowerState, until_seen, virsh


class ManagedSave(GuestKind):
    """virDomainManagedSave, followed and abortable."""

    name = "managed-save"
    label = pgettext_lazy("operation", "Save")
    verb = "vm.managed_save"
    defines = False
    needs = (PowerState.RUNNING, PowerState.PAUSED)
    cancellable = True
    own_connection = True

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        if not subject.row.persistent:
            raise Refused(_("A transient guest cannot be saved: its host forgets it when it stops."))

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("managedsave", subject)

    def run(self, task: Task) -> dict[str, Any]:
        self.require_state(task, self.needs)
        guest = self.guest(task)
        connection = guest.connection
        future = connection.submit(lambda raw: raw.lookupByUUIDString(task.uuid).managedSave(0))
        cancelled = False
        task.wake_when(future)
        while not future.done():
            if task.cancel_requested() and not cancelled:
                cancelled = self._abort(task, guest)
            self._show(task, guest)
            task.wait(0.3)
        try:
            connection.outcome(future)
        except Unreachable:
            raise
        except HypervisorError:
            if cancelled:
                raise Cancelled(_("Saving was stopped; the guest runs on.")) from None
            raise
        until_seen(task, (PowerState.SHUTOFF,))
        return {"saved": True}

    def _abort(self, task: Task, guest: Any) -> bool:
        try:
            guest.abort_job()
        except HypervisorError as error:
            task.log(f"Stopping was not possible: {error}", "warning")
            return False
        task.log("Asked libvirt to stop saving.")
        return True

    def _show(self, task: Task, guest: Any) -> None:
        try:
            job = guest.job()
        except HypervisorError:
            return  # Between the end of the job and the end of the call there is none.
        if job.type != "none":
            task.progress(percent=job.percent, remaining=job.remaining, total=job.total, rate=job.rate)

    def _is_saving(self, guest: Any) -> bool:
        """Whether it is being saved at this moment; a hypervisor that knows no jobs does nothing of the kind."""
        try:
            job = guest.job()
        except (Unsupported, Conflict):
            return False
        return job.operation == "save" and job.type in ("bounded", "unbounded")

    def recover(self, task: Task) -> dict[str, Any]:
        guest = self.guest(task)
        cancelled = False
        while self._is_saving(guest):
            if task.cancel_requested() and not cancelled:
                cancelled = self._abort(task, guest)
            self._show(task, guest)
            task.wait(0.5)
        state, _reason = guest.state()
        if state == PowerState.SHUTOFF and guest.has_managed_save():
            return {"saved": True, "recovered": True}
        if cancelled and state in self.needs:
            raise Cancelled(_("Saving was stopped; the guest runs on."))
        raise Uncertain(
            _("kvmdash was interrupted while the guest was being saved; it is %(state)s now.")
            % {"state": str(PowerState(state).label)}
        )
