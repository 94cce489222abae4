"""What of a guest's hardware its host cannot give, and what its operating system needs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Literal

from django.utils import timezone
from django.utils.translation import gettext as _

from hosts.models import HostAbility
from hosts.operations.presenter import size
from vms.creation.hardware import Hardware, ability_for, needs_of
from vms.creation.plan import Plan


@dataclass(frozen=True, slots=True)
class Finding:
    """``level``: wrong (it cannot be made so), warning, or note. ``field`` is the argument that it is about."""

    level: Literal["wrong", "warning", "note"]
    field: str
    text: str


def abilities(made: Plan) -> Iterator[Finding]:
    """What the host cannot give guests."""
    if made.text or made.platform.virt == "test":
        return
    hardware, host = made.hardware, made.host
    known = {one.machine for one in host.abilities.all()}
    if not known:
        yield Finding(
            "note",
            "machine",
            _("The host does not say what guests can have there; it will when it is asked to keep this one."),
        )
        return
    ability = ability_for(host, hardware.machine)
    if ability is None:
        words = {"host": host.name, "machine": hardware.machine, "known": ", ".join(sorted(known))}
        yield Finding("wrong", "machine", _("%(host)s has no machine type %(machine)s, but %(known)s.") % words)
        return
    yield from _speed(made, ability)
    for place, word, field, text in _wanted_words(hardware):
        if ability.lacks(place, word):
            yield Finding("wrong", field, text % {"host": host.name, "word": word})
    if hardware.firmware == "secure" and hardware.machine == "pc":
        yield Finding("wrong", "machine", _("Secure Boot needs the machine type q35."))


def _speed(made: Plan, ability: HostAbility) -> Iterator[Finding]:
    virt, is_slow = made.platform.virt, ability.virt == "qemu"
    if is_slow and virt == "kvm":
        yield Finding("wrong", "virt", _("The host has no hardware virtualisation (KVM)."))
    elif is_slow:
        yield Finding(
            "warning", "host", _("The host has no hardware virtualisation (KVM): guests are very slow there.")
        )
    elif virt == "qemu":
        yield Finding("warning", "virt", _("Emulated: it runs everywhere, and is very slow."))
    if virt == "qemu" and made.hardware.cpu == "host-passthrough":
        yield Finding("wrong", "cpu", _("Only KVM can hand the host's own processor on."))


def _wanted_words(hardware: Hardware) -> Iterator[tuple[str, str, str, str]]:
    """(place in the domain capabilities, the word that must be there, the argument, what is said when it is not)"""
    if hardware.firmware != "bios":
        yield (
            "os.firmware",
            "efi",
            "firmware",
            _("%(host)s has no UEFI firmware for guests: install OVMF there (Debian: ovmf)."),
        )
    if hardware.firmware == "secure":
        yield (
            "loader.secure",
            "yes",
            "firmware",
            _("%(host)s has no firmware with Secure Boot: install OVMF there (Debian: ovmf)."),
        )
    if hardware.tpm:
        yield "tpm.backendModel", "emulator", "tpm", _("%(host)s cannot emulate a TPM: install swtpm there.")
    yield "disk.bus", hardware.bus, "bus", _("%(host)s has no disks on “%(word)s”.")
    if hardware.video != "none":
        yield "video.modelType", hardware.video, "video", _("%(host)s has no video card “%(word)s”.")
    if hardware.cpu != "default":
        yield "cpu.mode", hardware.cpu, "cpu", _("%(host)s does not know the processor mode “%(word)s”.")


def system(made: Plan) -> Iterator[Finding]:
    """What its operating system needs."""
    wanted = made.system
    if wanted is None:
        return
    least, _well = needs_of(wanted)
    if least.memory and made.frame.memory < least.memory:
        words = {"name": wanted.name, "least": size(least.memory)}
        yield Finding("warning", "memory", _("%(name)s needs at least %(least)s of memory.") % words)
    if least.cpus and made.frame.vcpus < least.cpus:
        text = _("%(name)s needs at least %(least)d processors.")
        yield Finding("warning", "vcpus", text % {"name": wanted.name, "least": least.cpus})
    disk = next((volume for volume in made.volumes if volume.key == "disk"), None)
    if disk is not None and least.storage and disk.capacity < least.storage:
        words = {"name": wanted.name, "least": size(least.storage)}
        yield Finding("warning", "size", _("%(name)s needs a disk of at least %(least)s.") % words)
    if wanted.is_over(timezone.now().date()):
        yield Finding(
            "warning",
            "preset",
            _("%(name)s gets no updates any more (since %(date)s).") % {"name": wanted.name, "date": wanted.ended},
        )
    if wanted.is_macos:
        yield Finding("warning", "preset", macos_words())
    if wanted.is_windows and not made.arguments.get("drivers") and made.hardware.bus == "virtio":
        text = _("Its installer sees no virtio disk without drivers: add the CD image virtio-win, or choose SATA.")
        yield Finding("warning", "drivers", text)


def macos_words() -> str:
    """What a person must know before."""
    return _(
        "Apple allows macOS on Apple's own machines only. It boots nowhere without a boot loader such as OpenCore and "
        "Apple's SMC key, which kvmdash does not bring: make the guest from a disk that was prepared for that. "
        "There is no help for its graphics, sound and updates."
    )
