"""Go back to a snapshot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.operations.kind import Refused, Subject, Uncertain
from hosts.operations.task import Task
from vms import snapshots
from vms.models import VirtualMachine
from vms.operations.base import virsh
from vms.operations.snapshot import SnapshotKind, clean_name, refuse_others


class SnapshotRevert(SnapshotKind):
    """Everything since is lost: what the disks hold now, and the memory when the guest runs."""

    name = "snapshot-revert"
    label = gettext_lazy("Go back to a snapshot")
    verb = "vm.snapshot_revert"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        refuse_others(self.name, arguments, {"name"})
        return {"name": clean_name(arguments)}

    def check_snapshot(self, vm: VirtualMachine, snapshot: snapshots.Snapshot, arguments: dict[str, Any]) -> None:
        if snapshots.is_external(snapshot) and snapshots.version_of(vm) < snapshots.REVERTS_EXTERNAL:
            raise Refused(
                _(
                    "libvirt %(version)s on %(host)s cannot go back to a snapshot in files of its own (9.9.0 can). "
                    "Its files are whole: a new guest can be made from them."
                )
                % {"version": vm.host.libvirt_version if vm.host else "?", "host": vm.host}
            )

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("snapshot-revert", subject, "--snapshotname", arguments["name"])

    def run(self, task: Task) -> dict[str, Any]:
        from hosts.hypervisor import snapshot

        with task.looking():
            if task.arguments["name"] not in self.names(task):
                raise Refused(_("The snapshot is gone by now; nothing was done."))
        self.finish(task, snapshot.revert(task.connection, task.uuid, task.arguments["name"]))
        state, reason = self.guest(task).state()
        return {"snapshot": task.arguments["name"], "state": state, "reason": reason}

    def recover(self, task: Task) -> dict[str, Any]:
        state, reason = self.guest(task).state()
        raise Uncertain(
            _(
                "kvmdash was interrupted while going back to a snapshot; the guest is %(state)s (%(reason)s) now. Look at it."
            )
            % {"state": state, "reason": reason}
        )
