"""Delete a snapshot: what it holds is merged into what stands on it."""

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
from vms.operations.snapshot import SnapshotKind, clean_flag, clean_name, refuse_others


class SnapshotDelete(SnapshotKind):
    """The guest's disks stay as they are now; only the way back is lost. ``children``: those that stand on it go too."""

    name = "snapshot-delete"
    label = gettext_lazy("Delete a snapshot")
    verb = "vm.snapshot_delete"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        refuse_others(self.name, arguments, {"name", "children"})
        return {"name": clean_name(arguments), "children": clean_flag(arguments, "children")}

    def check_snapshot(self, vm: VirtualMachine, snapshot: snapshots.Snapshot, arguments: dict[str, Any]) -> None:
        if snapshots.is_external(snapshot) and snapshots.version_of(vm) < snapshots.DELETES_EXTERNAL:
            raise Refused(_("The host's libvirt cannot merge snapshots in files of their own (9.0.0 can)."))

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        options = ["--children"] if arguments["children"] else []
        return virsh("snapshot-delete", subject, "--snapshotname", arguments["name"], *options)

    def run(self, task: Task) -> dict[str, Any]:
        from hosts.hypervisor import snapshot

        name, children = task.arguments["name"], task.arguments["children"]
        with task.looking():
            if name not in self.names(task):
                raise Refused(_("The snapshot is gone by now; nothing was done."))
        self.finish(task, snapshot.delete(task.connection, task.uuid, name, children=children))
        return {"snapshot": name}

    def recover(self, task: Task) -> dict[str, Any]:
        if task.arguments["name"] not in self.names(task):
            return {"snapshot": task.arguments["name"], "recovered": True}
        raise Uncertain(_("kvmdash was interrupted while deleting the snapshot, and it is still there."))
