"""One disk on its way to another volume: what is made, followed, and removed again when it does not end well.

What was begun stands in the operation's progress before it is done: ``source`` (where the disk was), ``making`` (the new volume's
name) and ``made`` (its path, once it is there and ours).
"""

from __future__ import annotations

import shlex
from collections.abc import Mapping
from contextlib import suppress
from functools import cached_property
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from hosts.hypervisor.errors import Conflict, Failed, HypervisorError, Unreachable
from hosts.hypervisor.sentences import say
from hosts.models import StoragePool
from hosts.operations.kind import Cancelled, Refused
from hosts.operations.storage_base import follow, told
from hosts.operations.task import Task
from hosts.operations.volume_base import follow_growth, look_again, wait_until_made
from hosts.storage_volume_xml import volume
from vms import disks
from vms.definition.copying import destination, is_ready, moved
from vms.models import VirtualMachine
from vms.operations.base import PowerState
from vms.operations.disk import ACTIVE, where
from vms.operations.volumes import delete_volume, named_by

if TYPE_CHECKING:
    from hosts.hypervisor.block import Blocks
    from hosts.hypervisor.guest import Guest
    from hosts.hypervisor.volume import Volumes

POLL_SECONDS = 0.5
MIB = 1024 * 1024


class Move:
    """The move of the disk that ``task`` names into a new volume of ``pool``, in ``form``."""

    def __init__(self, task: Task, vm: VirtualMachine, pool: StoragePool, form: str) -> None:
        self.task = task
        self.vm = vm
        self.pool = pool
        self.form = form
        self.target: str = task.arguments["target"]
        self.name: str = task.arguments["name"]
        self.device = disks.is_device(pool)
        self.cancelled = False

    @property
    def guest(self) -> Guest:
        """The live handle."""
        from hosts.hypervisor.guest import Guest

        return Guest(self.task.connection, self.task.uuid)

    @property
    def blocks(self) -> Blocks:
        """The live handle on its disks."""
        from hosts.hypervisor.block import Blocks

        return Blocks(self.task.connection, self.task.uuid)

    @property
    def volumes(self) -> Volumes:
        """The live handle on the volumes of the pool it goes to."""
        from hosts.hypervisor.volume import Volumes

        return Volumes(self.task.connection, str(self.pool.uuid))

    @cached_property
    def is_active(self) -> bool:
        """Whether QEMU has the disk open, as it was when this was first asked."""
        return self.guest.state()[0] in ACTIVE

    def run(self) -> str:
        """Do it; the path where the disk is then. Raises Cancelled, Refused or a HypervisorError: it is where it was."""
        with self.task.looking():
            source = self._source()
            if not source:
                raise Refused(_("The guest has no such disk by now; nothing was done."))
            if self.volumes.exists(self.name):
                raise Refused(_("There is a volume of that name by now; nothing was done."))
            if self.is_active and self.blocks.job(self.target).type != "none":
                raise Refused(_("QEMU works on this disk already; nothing was done."))
        self.task.progress(now=True, source=source, making=self.name)
        try:
            return self._mirror() if self.is_active else self._copy(source)
        finally:
            look_again(self.pool)

    def recover(self) -> str:
        """Find out how it stands, and follow it when it still goes on."""
        known = self.task.operation.progress
        look_again(self.pool)
        if "making" not in known:
            raise Failed(say("kvmdash was interrupted before anything was done; the disk is where it was."))
        if not known.get("made"):
            return self._recover_making()
        if self._source() == known["made"]:
            return str(known["made"])
        if self.is_active and self.blocks.job(self.target).type == "copy":
            return self._follow(known["made"])
        self._discard()
        raise Failed(say("kvmdash was interrupted while the disk was copied; it is where it was."))

    def _recover_making(self) -> str:
        """The new volume may be there and is not known to be ours: whatever it is, it is left alone."""
        if not self.volumes.exists(self.name):
            raise Failed(say("kvmdash was interrupted before anything was done; the disk is where it was."))
        wait_until_made(self.task, self.volumes, self.name)
        place = f"{self.pool.name}/{self.name}"
        raise Failed(
            say("kvmdash was interrupted; the disk is where it was. The volume %(name)s may be left of it.", name=place)
        )

    def _mirror(self) -> str:
        capacity = self.blocks.capacity(self.target)
        form = self.form if len(disks.formats_of(self.pool)) > 1 else ""
        text = volume(self.name, capacity, form)
        follow(self.task, self.volumes.connection, self.volumes.begin_create(text))
        path = self._is_made()
        disk = destination(path, self.form, device=self.device)
        bandwidth = self.task.arguments["bandwidth"] * MIB
        try:
            follow(self.task, self.task.connection, self.blocks.begin_copy(self.target, disk, bandwidth))
        except Unreachable:
            raise
        except HypervisorError:
            self._discard()
            raise
        return self._follow(path)

    def _is_made(self) -> str:
        path = self.volumes.read(self.name).path
        self.task.progress(now=True, made=path)
        return path

    def _follow(self, path: str) -> str:
        """Until the guest goes on with the copy, or the copying has ended otherwise."""
        while (job := self._job()).type == "copy":
            if self.task.cancel_requested() and not self.cancelled:
                self._abort()
                continue
            self.task.progress(percent=job.percent, total=job.total, remaining=max(0, job.total - job.done))
            if is_ready(self.guest.definition(), self.target):
                follow(self.task, self.task.connection, self.blocks.begin_pivot(self.target))
                break
            self.task.wait(POLL_SECONDS)
        if self._source() == path:
            return path
        self._discard()
        if self.cancelled:
            raise Cancelled(_("Copying was stopped; the disk is where it was."))
        raise Failed(say("QEMU ended the copying before it was whole; the disk is where it was. Is the pool full?"))

    def _job(self) -> Any:
        from hosts.hypervisor.block import BlockJob

        try:
            return self.blocks.job(self.target)
        except Conflict:
            return BlockJob()  # The guest has stopped meanwhile, and the job with it.

    def _abort(self) -> None:
        with suppress(Conflict):
            self.blocks.abort(self.target)
        self.cancelled = True
        self.task.log(say("Asked libvirt to stop."))

    def _copy(self, source: str) -> str:
        """The guest is off: libvirt copies the volume, then the definition names the copy."""
        row = disks.volume_of(self.vm, source)
        if row is None:
            raise Refused(_("It lies in no pool that kvmdash knows: it can be moved only while the guest runs."))
        form = self.form if len(disks.formats_of(self.pool)) > 1 else ""
        text = volume(self.name, row.capacity, form)
        future = self.volumes.begin_copy(text, str(row.pool.uuid), row.name)
        follow_growth(self.task, self.volumes, future, self.name, row.allocation)
        path = self._is_made()
        try:
            self._point_at(path)
        except Unreachable:
            raise
        except (HypervisorError, Refused, Cancelled):
            self._discard()
            raise
        return path

    def _point_at(self, path: str) -> None:
        if self.task.cancel_requested():
            raise Cancelled(_("Copying was stopped; the disk is where it was."))
        if self.guest.state()[0] not in (PowerState.SHUTOFF, PowerState.CRASHED):
            raise Refused(_("The guest was started meanwhile; its disk is where it was."))
        text = self.guest.definition(inactive=True, secure=True)
        try:
            self.guest.define(moved(text, self.target, path, self.form, device=self.device), validate=False)
        except KeyError:
            raise Refused(_("The guest has no such disk by now; nothing was done.")) from None

    def _source(self) -> str:
        return where(self.guest.definition(), self.target)

    def _discard(self) -> None:
        """The copy is of no use. What any guest names by then is left alone, whatever it is."""
        pool, place = str(self.pool.uuid), f"{self.pool.name}/{self.name}"
        path = str(self.task.operation.progress.get("made", ""))
        if names := named_by(self.task, pool, self.name, path):
            used = say("%(disk)s is used by %(names)s by now; nothing was done.", disk=place, names=told(names))
            self.task.log(used, "warning")
            return
        delete_volume(self.task, pool, self.name, place)


def copy_lines(guest: str, arguments: Mapping[str, Any], form: str, capacity: int) -> list[str]:
    """What a person would type for a guest that runs."""
    pool, name, target = arguments["pool"], arguments["name"], arguments["target"]
    made = ["virsh", "vol-create-as", pool, name, f"{capacity}B" if capacity else "SIZE", "--format", form]
    speed = ["--bandwidth", str(arguments["bandwidth"])] if arguments["bandwidth"] else []
    path = f"$(virsh vol-path {shlex.quote(name)} --pool {shlex.quote(pool)})"
    copy = ["virsh", "blockcopy", guest, target, "--format", form, *speed]
    more = ["--reuse-external", "--transient-job", "--wait", "--verbose", "--pivot"]
    return [shlex.join(made), f'{shlex.join(copy)} --dest "{path}" {" ".join(more)}']
