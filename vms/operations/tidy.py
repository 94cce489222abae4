"""Remove what moves have left behind. Each thing is looked at once more, on its host, right before it goes."""

from __future__ import annotations

import shlex
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import notify
from hosts.hypervisor.errors import Failed, HypervisorError, NotFound
from hosts.hypervisor.sentences import say
from hosts.models import Host, StorageVolume
from hosts.operations.kind import Refused, Subject
from hosts.operations.storage_base import follow
from hosts.operations.task import Task
from vms import deleting
from vms.models import VirtualMachine
from vms.moving.leftovers import Left, is_younger, leftovers_of
from vms.moving.places import look
from vms.operations.base import GuestKind, PowerState

if TYPE_CHECKING:
    from hosts.hypervisor.connection import Connection


class Tidy(GuestKind):
    """Stale definitions are undefined, without the files of firmware and TPM; copied disks that nobody names are deleted."""

    name = "tidy"
    label = gettext_lazy("Tidy up after moves")
    verb = "vm.undefine"
    defines = False
    own_connection = True
    own_place = True
    needs = (PowerState.RUNNING, PowerState.PAUSED)

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        if not leftovers_of(subject.row):
            raise Refused(_("No move of %(name)s has left anything that is known.") % {"name": subject.name})

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        left = leftovers_of(subject.row)
        lines = [
            [
                "virsh",
                "-c",
                one.host.uri,
                "undefine",
                one.name,
                "--managed-save",
                "--snapshots-metadata",
                "--keep-nvram",
            ]
            for one in left.definitions
        ]
        lines += [_vol_delete(one.volume) for one in left.disks]
        return "\n".join(shlex.join(line) for line in lines)

    def run(self, task: Task) -> dict[str, Any]:
        vm = VirtualMachine.objects.select_related("host").get(pk=task.uuid)
        left = leftovers_of(vm)
        self.require_state(task, self.needs)
        gone: list[str] = []
        troubles = [self._undefine(task, one.host, gone) for one in left.definitions]
        troubles += [self._delete(task, one, gone) for one in left.disks]
        said = [trouble for trouble in troubles if trouble]
        if said:
            raise Failed(say("Not all could be removed: %(why)s", why=" ".join(said)))
        return {"removed": gone}

    #: What is gone is not found any more; what is there is looked at like the first time.
    recover = run

    def _undefine(self, task: Task, host: Host, gone: list[str]) -> str:
        from hosts.hypervisor.guest import Guest

        try:
            connection = task.connect(host)
            place = look(connection, host, task.uuid)
            if place.state == "absent":
                return ""
            if place.state != PowerState.SHUTOFF:
                return _("By now the guest is %(place)s.") % {"place": place}
            Guest(connection, task.uuid).undefine(keep=True)
        except NotFound:
            return ""
        except HypervisorError as error:
            return f"{host}: {error}"
        task.log(say("The definition on %(host)s is removed.", host=host))
        deleting.gone_from(host.pk, task.uuid)
        notify.look_again(host.pk, task.uuid)
        gone.append(f"{host}: {task.operation.subject_name}")
        return ""

    def _delete(self, task: Task, left: Left, gone: list[str]) -> str:
        volume, pool = left.volume, left.volume.pool
        try:
            connection = task.connect(pool.host)
            users = _users(connection, volume)
            if users:
                return _("%(disk)s is named by %(names)s by now.") % {"disk": volume.path, "names": ", ".join(users)}
            if not _is_deleted(task, connection, left):
                return _("%(disk)s was written after the move.") % {"disk": volume.path}
        except NotFound:
            return ""
        except HypervisorError as error:
            return f"{pool.host}: {error}"
        finally:
            notify.look_again(pool.host_id, f"pool:{pool.uuid}")
        task.log(say("%(disk)s is deleted.", disk=f"{pool.host}: {volume.path}"))
        gone.append(f"{pool.host}: {volume.path}")
        return ""


def _users(connection: Connection, volume: StorageVolume) -> list[str]:
    from hosts.hypervisor.volume import named_by

    return named_by(connection, volume.path, volume.pool.name, volume.name)


def _is_deleted(task: Task, connection: Connection, left: Left) -> bool:
    """Delete it, unless the host says that it was written since the move."""
    from hosts.hypervisor.volume import Volumes

    volumes = Volumes(connection, str(left.volume.pool.uuid))
    follow(task, connection, volumes.begin_refresh_pool())
    if is_younger(volumes.read(left.volume.name).modified, left.at):
        return False
    follow(task, connection, volumes.begin_delete(left.volume.name))
    return True


def _vol_delete(volume: StorageVolume) -> list[str]:
    return ["virsh", "-c", volume.pool.host.uri, "vol-delete", volume.name, "--pool", volume.pool.name]
