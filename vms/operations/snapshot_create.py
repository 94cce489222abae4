"""Take a snapshot of a guest."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import PurePosixPath
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.operations.kind import Cancelled, InvalidArguments, Refused, Subject, Uncertain
from hosts.operations.task import Task
from vms import snapshots
from vms.definition import snapshot as xml
from vms.models import VirtualMachine
from vms.operations.base import PowerState, virsh
from vms.operations.snapshot import SnapshotKind, clean_description, clean_flag, clean_name, refuse_others

WHERE = ("internal", "external")
ACTIVE = (PowerState.RUNNING, PowerState.PAUSED)


class SnapshotCreate(SnapshotKind):
    """``where`` internal (inside the qcow2 images) or external (files beside them); ``memory``, ``quiesce`` yes or no."""

    name = "snapshot-create"
    label = gettext_lazy("Take a snapshot")
    verb = "vm.snapshot"
    cancellable = True

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        refuse_others(self.name, arguments, {"name", "description", "where", "memory", "quiesce"})
        where = arguments.get("where", "internal")
        if where not in WHERE:
            raise InvalidArguments("where", _("Say internal or external."))
        return {
            "name": clean_name(arguments),
            "description": clean_description(arguments),
            "where": where,
            # None: as the guest is then, so that one request will do for many guests.
            "memory": None if arguments.get("memory") is None else clean_flag(arguments, "memory"),
            "quiesce": clean_flag(arguments, "quiesce"),
        }

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super(SnapshotKind, self).check(subject, arguments)
        vm: VirtualMachine = subject.row
        if snapshots.find(vm, arguments["name"]) is not None:
            raise InvalidArguments("name", _("There is a snapshot of that name already."))
        internal = arguments["where"] == "internal"
        why = snapshots.why_no_internal(vm) if internal else snapshots.why_no_external(vm)
        if why:
            raise Refused(why)
        self._check_memory(vm, arguments, internal)
        if arguments["quiesce"]:
            self._check_quiesce(vm, arguments, internal)

    def _check_memory(self, vm: VirtualMachine, arguments: dict[str, Any], internal: bool) -> None:
        active = vm.power_state in ACTIVE
        if arguments["memory"] and not active:
            raise InvalidArguments("memory", _("A guest that is off has no memory to keep."))
        if internal and active and arguments["memory"] is False:
            raise InvalidArguments(
                "memory",
                _("A snapshot inside the images of a running guest holds its memory too; libvirt knows no other."),
            )

    def _check_quiesce(self, vm: VirtualMachine, arguments: dict[str, Any], internal: bool) -> None:
        if internal or _with_memory(vm, arguments):
            raise InvalidArguments("quiesce", _("File systems are frozen for snapshots in files without memory only."))
        if vm.power_state != PowerState.RUNNING or vm.agent_connected is not True:
            raise InvalidArguments("quiesce", _("Freezing file systems needs the guest agent, and it does not answer."))

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        options = ["--name", arguments["name"]]
        options += ["--description", arguments["description"]] if arguments["description"] else []
        if arguments["where"] == "external" and _with_memory(subject.row, arguments):
            options += ["--memspec", _memory_file(subject.row, arguments["name"]), "--live"]
        elif arguments["where"] == "external":
            options += ["--disk-only"]
        options += ["--quiesce"] if arguments["quiesce"] else []
        return virsh("snapshot-create-as", subject, *options, "--atomic")

    def run(self, task: Task) -> dict[str, Any]:
        from hosts.hypervisor import snapshot

        arguments = task.arguments
        with task.looking():
            if arguments["name"] in self.names(task):
                raise Refused(_("There is a snapshot of that name already."))
        vm = VirtualMachine.objects.get(pk=task.uuid)
        external, memory = arguments["where"] == "external", _with_memory(vm, arguments)
        future = snapshot.take(
            task.connection,
            task.uuid,
            _definition(vm, arguments),
            disk_only=external and not memory,
            quiesce=arguments["quiesce"],
            live=external and memory,
        )
        if self.finish(task, future):
            raise Cancelled(_("Taking the snapshot was stopped; there is none."))
        return {"snapshot": arguments["name"]}

    def recover(self, task: Task) -> dict[str, Any]:
        if task.arguments["name"] in self.names(task):
            return {"snapshot": task.arguments["name"], "recovered": True}
        raise Uncertain(
            _("kvmdash was interrupted while the snapshot was being taken, and there is none of that name now.")
        )


def _with_memory(vm: VirtualMachine, arguments: dict[str, Any]) -> bool:
    """Whether memory is kept: as asked for; unasked, only where libvirt knows no snapshot without it."""
    if arguments["memory"] is not None:
        return bool(arguments["memory"])
    return arguments["where"] == "internal" and vm.power_state in ACTIVE


def _definition(vm: VirtualMachine, arguments: dict[str, Any]) -> str:
    disks = {disk["target"]: arguments["where"] for disk in snapshots.writable_disks(vm)}
    memory = None
    if arguments["where"] == "external":
        memory = _memory_file(vm, arguments["name"]) if _with_memory(vm, arguments) else ""
    return xml.build(arguments["name"], arguments["description"], disks, memory)


def _memory_file(vm: VirtualMachine, name: str) -> str:
    """Beside the first disk, named as libvirt names the disks' own files."""
    first = PurePosixPath(snapshots.writable_disks(vm)[0]["source"])
    return str(first.with_name(f"{first.stem}.{name}.memory"))
