"""The steps of making a guest, each written down before it is taken, so that who comes after a crash knows what there is."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext as _

from hosts import fillings, notify
from hosts.hypervisor.errors import HypervisorError, NotFound, Unreachable
from hosts.hypervisor.sentences import say
from hosts.models import StoragePool, StorageVolume
from hosts.operations.kind import Cancelled, Refused
from hosts.operations.seen import until_gone
from hosts.operations.storage_base import follow, told
from hosts.operations.task import Task
from hosts.operations.volume_base import follow_growth, look_again, wait_until_made
from hosts.storage_volume_xml import volume as volume_xml
from vms.creation import seed
from vms.creation.domain import mac_for
from vms.creation.plan import DEVICES, NewVolume, Plan
from vms.deleting import keeps
from vms.operations.unpacking import Unpacking, forget, note


class Making:
    """One guest being made by one task."""

    def __init__(self, task: Task, plan: Plan, secrets: dict[str, str]) -> None:
        self.task, self.plan = task, plan
        self._secrets = secrets
        self._paths: dict[str, str] = {}

    def refuse_taken(self) -> None:
        """Raises Refused when a volume of a name that we want is there already."""
        for volume in self.plan.volumes:
            if _volumes(self.task, str(volume.pool.uuid)).exists(volume.name):
                raise Refused(
                    _("There is a volume %(name)s by now; nothing was done.")
                    % {"name": f"{volume.pool.name}/{volume.name}"}
                )

    def refuse_used(self) -> None:
        """Raises Refused when a guest names by now what is taken as it is."""
        from hosts.hypervisor.volume import named_by

        for key, drive in self.plan.drives:
            if key or drive.device != "disk":
                continue
            if users := named_by(self.task.connection, drive.path, "", ""):
                raise Refused(
                    _("%(disk)s is used by %(names)s by now; nothing was done.")
                    % {"disk": drive.path, "names": told(users)}
                )

    def make(self) -> None:
        """Volumes, seed, definition. Raises what went wrong; what was made until then is in the operation's progress."""
        count = len(self.plan.volumes) + 1
        for number, volume in enumerate(self.plan.volumes):
            self._heed_cancel()
            self.task.log(say("%(step)d of %(steps)d: %(what)s", step=number + 1, steps=count, what=_what(volume)))
            self._make_volume(volume)
        self._heed_cancel()
        self.task.log(say("%(step)d of %(steps)d: %(what)s", step=count, steps=count, what=say("the definition")))
        self._define()

    def _heed_cancel(self) -> None:
        if self.task.cancel_requested():
            raise Cancelled(say("Stopped as asked for."))

    def _make_volume(self, volume: NewVolume) -> None:
        volumes = _volumes(self.task, str(volume.pool.uuid))
        entry = [str(volume.pool.uuid), volume.name, volume.pool.name]
        note(self.task, entry)
        try:
            self._begin(volume, volumes)
        except Unreachable:
            raise
        except HypervisorError:
            # libvirt takes a volume that it could not make away itself; one that is there now is somebody else's.
            forget(self.task, entry)
            raise
        finally:
            look_again(volume.pool)
        self._complete(volume, volumes)
        self._paths[volume.key] = volumes.read(volume.name).path

    def _begin(self, volume: NewVolume, volumes: Any) -> None:
        if volume.how == "unpack":
            Unpacking(self.task, volume).make()
            return
        form = "" if volume.pool.type in DEVICES else volume.format
        if volume.how == "copy" and volume.source is not None:
            # Devices cannot grow later; files are made as large as what is copied, and grow when all of it is there.
            capacity = volume.capacity if volume.pool.type in DEVICES else volume.source.capacity
            text = volume_xml(volume.name, capacity, form)
            future = volumes.begin_copy(text, str(volume.source.pool.uuid), volume.source.name)
            follow_growth(self.task, volumes, future, volume.name, volume.source.allocation)
            return
        whole: dict[str, Any] = {"allocation": volume.capacity if volume.takes else 0}
        if volume.how == "link" and volume.source is not None:
            whole |= {"backing_path": volume.source.path, "backing_format": volume.source.format or "raw"}
        text = volume_xml(volume.name, volume.capacity, form, **whole)
        metadata = volume.allocate and form == "qcow2"
        growth = volume.capacity if volume.allocate else 0
        follow_growth(self.task, volumes, volumes.begin_create(text, metadata=metadata), volume.name, growth)

    def _complete(self, volume: NewVolume, volumes: Any) -> None:
        """What follows once the volume is there."""
        is_copy = volume.how == "copy" and volume.source is not None and volume.pool.type not in DEVICES
        if is_copy and volume.source is not None and volume.capacity > volume.source.capacity:
            follow(self.task, volumes.connection, volumes.begin_resize(volume.name, volume.capacity))
        if volume.how == "upload":
            follow(self.task, volumes.connection, volumes.begin_fill(volume.name, self._seed()))

    def _seed(self) -> bytes:
        asked, identity = self.plan.arguments["seed"], self.plan.uuid
        return seed.image(
            {
                "meta-data": seed.meta_data(str(identity), asked["hostname"]),
                "user-data": seed.user_data(asked, self._secrets),
                "network-config": seed.network_config(mac_for(identity), asked),
            }
        )

    def _define(self) -> None:
        from hosts.hypervisor.guest import Guest

        text = ""
        if self.plan.text:
            source = Guest(self.task.connection, self.task.arguments["source"])
            text = source.definition(inactive=True, secure=True)
        self.task.progress(now=True, defining=True)
        Guest(self.task.connection, self.task.uuid).define(self.plan.definition(self._paths, text))


def take_back(task: Task) -> list[str]:
    """Remove what the operation made; what could not be removed, in words."""
    from hosts.hypervisor.guest import Guest

    left: list[str] = []
    guest = Guest(task.connection, task.uuid)
    if task.operation.progress.get("defining") and guest.exists():
        try:
            nvram, tpm = keeps(guest.definition(inactive=True))
            guest.undefine(nvram=nvram, tpm=tpm)
        except Unreachable:
            raise
        except HypervisorError as error:
            task.log(say("%(disk)s is still there: %(why)s", disk=task.operation.subject_name, why=error), "warning")
            left.append(task.operation.subject_name)
    for pool_uuid, name, pool_name in reversed(task.operation.progress.get("made", [])):
        if not _remove(task, pool_uuid, name, pool_name):
            left.append(f"{pool_name}/{name}")
    _until_gone(task)
    return left


def _until_gone(task: Task) -> None:
    """Wait until the pages show them no more: whoever hears of the failure may try again at once. No longer than that takes."""
    names = [name for _pool, name, _pool_name in task.operation.progress.get("made", [])]
    rows = StorageVolume.objects.filter(pool__host=task.host, name__in=names, absent_since=None)
    until_gone(task, rows)


def _remove(task: Task, pool_uuid: str, name: str, pool_name: str) -> bool:
    from hosts.hypervisor.volume import named_by

    volumes = _volumes(task, pool_uuid)
    try:
        if not volumes.exists(name):
            _not_half_full(task, pool_uuid, name)
            return True
        # libvirtd may still be at it: one that is being made cannot be deleted.
        wait_until_made(task, volumes, name)
        if users := named_by(volumes.connection, volumes.read(name).path, pool_name, name):
            task.log(say("%(disk)s stays: %(names)s uses it.", disk=name, names=told(users)), "warning")
            return False
        follow(task, volumes.connection, volumes.begin_delete(name))
        _not_half_full(task, pool_uuid, name)
    except NotFound:
        _not_half_full(task, pool_uuid, name)
        return True
    except Unreachable:
        raise
    except HypervisorError as error:
        task.log(say("%(disk)s is still there: %(why)s", disk=name, why=error), "warning")
        return False
    finally:
        notify.look_again(task.host.pk, f"pool:{pool_uuid}")
    task.log(say("%(disk)s is removed again.", disk=name))
    return True


def _not_half_full(task: Task, pool_uuid: str, name: str) -> None:
    """It is gone, and with it the mark that it is not whole."""
    fillings.gone(StoragePool.objects.filter(host=task.host, uuid=pool_uuid), [name])


def _volumes(task: Task, pool_uuid: str) -> Any:
    from hosts.hypervisor.volume import Volumes

    return Volumes(task.connection, pool_uuid)


def _what(volume: NewVolume) -> str:
    place = f"{volume.pool.name}/{volume.name}"
    if volume.how == "copy" and volume.source is not None:
        return say("copy %(from)s to %(to)s", **{"from": volume.source.name, "to": place})
    if volume.how == "unpack" and volume.part is not None:
        return say("unpack %(from)s to %(to)s", **{"from": volume.part.file, "to": place})
    if volume.how == "link" and volume.source is not None:
        return say("%(to)s, on top of %(from)s", **{"from": volume.source.name, "to": place})
    return (
        say("the seed for cloud-init, %(to)s", to=place) if volume.how == "upload" else say("the disk %(to)s", to=place)
    )
