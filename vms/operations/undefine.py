"""Delete a guest: its definition with all that the host keeps for it, and those of its disks that were chosen."""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.hypervisor.errors import Failed
from hosts.hypervisor.sentences import say
from hosts.operations.kind import InvalidArguments, Refused, Subject, no_argument
from hosts.operations.storage_base import NotNow, told
from hosts.operations.task import Task
from vms import deleting
from vms.definition.metadata import read
from vms.definition.xml import parse
from vms.disks import is_busy
from vms.models import VirtualMachine
from vms.operations.base import GuestKind, PowerState, virsh
from vms.operations.volumes import delete_volume, named_by

OFF = (PowerState.SHUTOFF, PowerState.CRASHED)
MOST_DISKS = 200


class Undefine(GuestKind):
    """Delete it. ``confirm`` is its name, typed; ``disks`` are the sources of those that go too; ``force`` pulls its plug first."""

    name = "undefine"
    label = gettext_lazy("Delete")
    verb = "vm.undefine"
    defines = False
    many = False
    removes = True
    own_connection = True

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        for name in arguments:
            if name not in ("confirm", "disks", "force"):
                raise InvalidArguments(name, no_argument(self.name, name))
        disks = arguments.get("disks", [])
        if not isinstance(disks, list) or len(disks) > MOST_DISKS or not all(isinstance(disk, str) for disk in disks):
            raise InvalidArguments("disks", _("A list of the disks' sources is needed."))
        if not isinstance(arguments.get("force", False), bool):
            raise InvalidArguments("force", _("Either true or false."))
        return {
            "confirm": str(arguments.get("confirm") or "")[:255],
            "disks": list(dict.fromkeys(disks)),
            "force": bool(arguments.get("force", False)),
        }

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        vm: VirtualMachine = subject.row
        if vm.protected:
            raise Refused(protected(vm.name))
        if not vm.persistent:
            raise Refused(_("%(name)s has no stored definition: it is forgotten when it stops.") % {"name": vm.name})
        if arguments["confirm"] != vm.name:
            raise NotNow("confirm", _("Type the guest's name: %(name)s.") % {"name": vm.name})
        if vm.power_state not in OFF and not arguments["force"]:
            raise NotNow(
                "force",
                _("%(name)s is %(state)s; shut it down first, or have its plug pulled.")
                % {"name": vm.name, "state": vm.get_power_state_display()},
            )
        _chosen(vm, arguments["disks"])

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        vm: VirtualMachine = subject.row
        lines = [virsh("destroy", subject)] if arguments["force"] and vm.power_state not in OFF else []
        parts = deleting.parts_of(vm)
        more = [f"--{word}" for word in ("nvram", "tpm") if getattr(parts, word)]
        lines.append(virsh("undefine", subject, "--managed-save", "--snapshots-metadata", *more))
        for disk in deleting.disks_of(vm):
            if disk.source in arguments["disks"] and disk.volume is not None:
                words = ["virsh", "vol-delete", disk.volume.name, "--pool", disk.volume.pool.name]
                lines.append(shlex.join(words))
        return "\n".join(lines)

    def run(self, task: Task) -> dict[str, Any]:
        vm = VirtualMachine.objects.select_related("host").get(pk=task.uuid)
        with task.looking():
            guest = self.guest(task)
            state, _reason = guest.state()
            definition = guest.definition(inactive=True)
            self._look(vm, definition, state, task.arguments)
            disks = _chosen(vm, task.arguments["disks"])
            wanted = [[str(disk.volume.pool.uuid), disk.volume.name, disk.source] for disk in disks if disk.volume]
            self._refuse_used(task, vm, wanted)
        # Written before anything is done: who takes over must know which disks were chosen.
        task.progress(now=True, volumes=wanted)
        if state not in OFF:
            self.guest(task).destroy()
            task.log(say("Its plug was pulled."))
        nvram, tpm = deleting.keeps(definition)
        self.guest(task).undefine(nvram=nvram, tpm=tpm)
        task.log(say("The definition is deleted."))
        return self._finish(task, wanted)

    def _look(self, vm: VirtualMachine, definition: str, state: str, arguments: dict[str, Any]) -> None:
        """Refuse by what the host itself says: the rows may be older."""
        domain = parse(definition)
        if read(domain).protected:
            raise Refused(protected(vm.name))
        if (domain.findtext("name") or "") != arguments["confirm"]:
            raise Refused(_("It has another name by now; nothing was done."))
        if state not in OFF and not arguments["force"]:
            raise Refused(
                _("%(name)s is %(state)s by now; nothing was done.")
                % {"name": vm.name, "state": str(PowerState(state).label)}
            )

    def _refuse_used(self, task: Task, vm: VirtualMachine, wanted: list[list[str]]) -> None:
        for pool_uuid, name, source in wanted:
            others = [other for other in named_by(task, pool_uuid, name, source) if other != vm.name]
            if others:
                raise Refused(
                    _("%(disk)s is used by %(names)s by now; nothing was done.")
                    % {"disk": source, "names": told(others)}
                )

    def _finish(self, task: Task, wanted: list[list[str]]) -> dict[str, Any]:
        """The definition is gone: now the disks, and what is known here."""
        left = [source for pool_uuid, name, source in wanted if not delete_volume(task, pool_uuid, name, source)]
        deleting.gone_from(task.host.pk, task.uuid)
        if left:
            raise Failed(say("The guest is deleted; these of its disks are still there: %(disks)s.", disks=told(left)))
        return {"deleted": [source for _pool, _name, source in wanted]}

    def recover(self, task: Task) -> dict[str, Any]:
        with task.looking():
            there = self.guest(task).exists()
        if there:
            raise Failed(say("kvmdash was interrupted before the guest was deleted; it is still there."))
        wanted = task.operation.progress.get("volumes", [])
        with task.looking():
            used = [source for pool, name, source in wanted if named_by(task, pool, name, source)]
        if used:
            deleting.gone_from(task.host.pk, task.uuid)
            raise Failed(say("The guest is deleted; these of its disks are used by now: %(disks)s.", disks=told(used)))
        return self._finish(task, wanted) | {"recovered": True}


def protected(name: str) -> str:
    """Why a protected guest is not deleted."""
    return _("%(name)s is protected from deletion; take the protection away first.") % {"name": name}


def _chosen(vm: VirtualMachine, sources: list[str]) -> list[deleting.Disk]:
    try:
        disks = deleting.chosen(deleting.disks_of(vm), sources) if sources else []
    except ValueError as error:
        raise NotNow("disks", str(error)) from None
    for disk in disks:
        if disk.volume is not None and is_busy(disk.volume.pool, disk.volume.name):
            raise NotNow("disks", _("%(disk)s is being changed just now.") % {"disk": disk.source})
    return disks
