"""What goes when a guest is deleted, and what of it stays whatever is asked for. Rows only."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts import access, alarms, audit, notify
from hosts.audit import Actor
from hosts.models import StorageVolume
from hosts.operations.kind import Refused
from hosts.operations.storage_base import told
from hosts.storage_types import type_of
from hosts.storage_use import Use, use_of
from vms import history
from vms.definition.domain import Definition
from vms.definition.xml import MalformedDefinition
from vms.disks import volume_of
from vms.models import Sighting, VirtualMachine
from vms.storage import released

FORGET = "vm.forget"
#: the end of the name of a guest's seed, which is of use to nobody else
SEED = "-seed.iso"


@dataclass(frozen=True, slots=True)
class Disk:
    """A disk of the guest; ``why`` it stays, '' when it may go. ``source`` is what the guest's row calls it."""

    target: str
    source: str
    volume: StorageVolume | None = None
    why: str = ""

    @property
    def size(self) -> int | None:
        """Bytes that are free when it is gone."""
        return self.volume.allocation if self.volume is not None else None


@dataclass(frozen=True, slots=True)
class Parts:
    """What goes with the definition."""

    snapshots: int = 0
    managed_save: bool = False
    nvram: bool = False
    tpm: bool = False


def disks_of(vm: VirtualMachine) -> list[Disk]:
    """Its disks and its seed, each with the reason against deleting it."""
    found = [(disk, volume_of(vm, disk["source"])) for disk in vm.disks if disk["source"]]
    uses = use_of([volume for _disk, volume in found if volume is not None])
    elsewhere = _elsewhere(vm)
    rows = []
    for disk, volume in found:
        is_medium = disk["device"] != "disk" and not (volume is not None and volume.name.endswith(SEED))
        why = _("Media are kept.") if is_medium else _why(vm, volume, uses, elsewhere)
        rows.append(Disk(disk["target"], disk["source"], volume, why))
    return rows


def _elsewhere(vm: VirtualMachine) -> list[str]:
    """Other hosts that hold a definition of it."""
    rows = Sighting.objects.filter(vm=vm, absent_since=None).exclude(host=vm.host)
    return sorted(rows.values_list("host__name", flat=True))


def _why(vm: VirtualMachine, volume: StorageVolume | None, uses: dict[int, Use], elsewhere: list[str]) -> str:
    if volume is None:
        return _("It lies in no pool that kvmdash knows.")
    if not volume.pool.active:
        return _("The pool %(name)s is off.") % {"name": volume.pool.name}
    if not type_of(volume.pool.type).creates:
        return _("Volumes of a pool of type %(type)s are not deleted by libvirt.") % {"type": volume.pool.type}
    if elsewhere:
        return _("%(hosts)s holds a definition of the guest too.") % {"hosts": ", ".join(elsewhere)}
    use = uses[volume.pk]
    others = list(dict.fromkeys(user.name for user in use.users if user.owner != vm.uuid))
    if others:
        return _("%(names)s uses it too.") % {"names": told(others)}
    if use.overlays:
        return _("Other volumes lie on it: %(names)s.") % {"names": told([one.name for one in use.overlays])}
    return ""


def parts_of(vm: VirtualMachine) -> Parts:
    """What the host keeps for it besides its disks."""
    sighting = history.sighting_of(vm)
    if sighting is None:
        return Parts()
    nvram, tpm = keeps(sighting.inactive_definition or sighting.live_definition)
    return Parts(len(sighting.snapshots), vm.managed_save, nvram, tpm)


def keeps(definition: str) -> tuple[bool, bool]:
    """Whether a guest of that definition has a file of firmware variables, and a TPM with a state on the host."""
    try:
        domain = Definition.parse(definition)
    except MalformedDefinition:
        return False, False
    nvram = bool(domain.os.nvram or domain.os.nvram_template or domain.os.firmware == "efi")
    return nvram, any(tpm.backend == "emulator" for tpm in domain.devices.tpms)


def forget(vm: VirtualMachine, actor: Actor) -> None:
    """Remove what is known of a guest that no host holds, for a person who may. Raises access.Denied, Refused."""
    from django.contrib.auth.models import AnonymousUser

    access.require(actor.user or AnonymousUser(), FORGET, vm)
    with transaction.atomic():
        if not drop(str(vm.uuid)):
            raise Refused(_("%(name)s is held by a host: it is deleted there, not forgotten.") % {"name": vm.name})
        audit.record(actor, FORGET, vm.name, subject_uuid=vm.uuid)


def gone_from(host_id: int, uuid: str) -> None:
    """The host has just been told to forget it: note that, and remove its row when no other host holds it."""
    Sighting.objects.filter(host_id=host_id, vm__uuid=uuid, absent_since=None).update(absent_since=timezone.now())
    released(host_id, [uuid])
    drop(uuid)


def drop(uuid: str) -> bool:
    """Remove a guest's row with its history; False when some host holds the guest."""
    with transaction.atomic():
        vm = VirtualMachine.objects.select_for_update().filter(pk=uuid).first()
        if vm is None:
            return True
        if Sighting.objects.filter(vm=vm, absent_since=None).exists():
            return False
        alarms.clear(f"split-brain-{uuid}")
        vm.delete()
        notify.changed(f"vm:{uuid}", "vms", "vms-states")
    return True


def chosen(disks: Iterable[Disk], sources: Iterable[str]) -> list[Disk]:
    """Those of ``disks`` that were asked for. Raises ValueError with the reason against one."""
    by_source = {disk.source: disk for disk in disks}
    found = []
    for source in dict.fromkeys(sources):
        disk = by_source.get(source)
        if disk is None:
            raise ValueError(_("It has no disk %(source)s.") % {"source": source})
        if disk.why:
            raise ValueError(f"{source}: {disk.why}")
        found.append(disk)
    return found
