"""What runs the guest: machine type, emulator, firmware, and the versions on both sides."""

from __future__ import annotations

from vms.moving.preflight.facts import Ability, Guest, Hosts, Machine, Platform, Version
from vms.moving.preflight.finding import Finding, no, ok, sentence, unknown, warning, worst

NOT_TOLD = sentence("%(host)s has not told what it can run.")
#: firmware, its file, whether it has NVRAM, other files, architecture, way to run it, machine type
FirmwareNeed = tuple[str, str, bool, tuple[str, ...], str, str, str]
INSTALL_OVMF = sentence("Install OVMF there (Debian: ovmf).")
UEFI = ("efi", "secure")
UPDATE = sentence("Bring %(host)s to the version of the other hosts.")
#: the first QEMU that loses nothing of what an emulated processor writes while its guest moves (physmem: "Fix migration dirty
#: bitmap coherency with TCG memory access")
KEEPS_EMULATED = (9, 0, 0)


def machine_needs(guest: Guest) -> tuple[str, str, str, str]:
    """Of the machine type and emulator."""
    return guest.arch, guest.machine, guest.virt, guest.emulator


def machine(need: tuple[str, str, str, str], host: Machine, _hosts: Hosts) -> Finding:
    """Architecture, machine type, KVM and emulator."""
    arch, kind, virt, emulator = need
    if not arch:
        return unknown(sentence("The guest's definition does not say what machine it is."))
    if host.arch and not host.platforms and arch != host.arch:
        return no(sentence("Its processors are %(arch)s, the guest needs %(guest)s."), "", arch=host.arch, guest=arch)
    if not host.platforms:
        return unknown(NOT_TOLD, host=host.name)
    platform = host.platforms.get(arch)
    if platform is None:
        return no(sentence("%(host)s runs no %(arch)s guests."), host=host.name, arch=arch)
    found = [*_type(kind, platform, host), *_virt(virt, platform, host), *_emulator(emulator, platform, host)]
    return worst(
        found, ok(sentence("%(host)s has the machine type %(machine)s."), host=host.name, machine=kind or arch)
    )


def _type(kind: str, platform: Platform, host: Machine) -> list[Finding]:
    if not kind or kind in platform.machines:
        return []
    text = sentence("QEMU on %(host)s has no machine type %(machine)s.")
    mend = sentence("A newer QEMU there, or an older machine type for the guest at its next start.")
    return [no(text, mend, host=host.name, machine=kind)]


def _virt(virt: str, platform: Platform, host: Machine) -> list[Finding]:
    if not virt or virt in platform.virts:
        return []
    text, mend = sentence("%(host)s cannot run guests of type %(virt)s."), ""
    if virt == "kvm":
        mend = sentence("Switch virtualisation on in its firmware, and load the kvm module.")
    return [no(text, mend, host=host.name, virt=virt)]


def _emulator(emulator: str, platform: Platform, host: Machine) -> list[Finding]:
    if not emulator or emulator in platform.emulators:
        return []
    text = sentence("The guest is run by %(path)s; whether %(host)s has that program is not known.")
    mend = sentence("Install it there under that path, or take the emulator out of the definition.")
    return [unknown(text, mend, path=emulator, host=host.name)]


def firmware_needs(guest: Guest) -> FirmwareNeed:
    """Of firmware, NVRAM and files that it boots from."""
    kind = guest.firmware if guest.firmware in UEFI else ""
    return kind, guest.loader, guest.nvram, guest.files, guest.arch, guest.virt, kind_of(guest.machine)


def kind_of(machine: str) -> str:
    """The machine type as hosts are asked for it, without its version."""
    return "q35" if "q35" in machine else "pc" if "i440fx" in machine else machine


def firmware(need: FirmwareNeed, host: Machine, _hosts: Hosts) -> Finding:
    """The files must be at the target too. Of NVRAM the contents travel with the guest."""
    firmware, loader, nvram, files, arch, virt, kind = need
    there, ability = host.processors.get((arch, virt)), host.abilities.get((arch, kind))
    if not (loader or files):
        return _any_firmware(firmware, host, ability)
    known = host.opened | frozenset(there.loaders if there is not None else ())
    known |= frozenset(ability.words.get("loader.path", ()) if ability is not None else ())
    missing = [path for path in (loader, *files) if path and path not in known and path not in host.volumes]
    if missing:
        return unknown(
            sentence("It boots from %(path)s; whether %(host)s has that file is not known."),
            sentence("Put the same file there (for firmware: the same package)."),
            path=missing[0],
            host=host.name,
        )
    if nvram:
        return ok(sentence("%(host)s has the firmware; the variables in NVRAM are sent along."), host=host.name)
    return ok(sentence("%(host)s has the files that it boots from."), host=host.name)


def _any_firmware(firmware: str, host: Machine, ability: Ability | None) -> Finding:
    """Of a guest that only says which kind it wants, as those that are off do: the host chooses the file."""
    if not firmware:
        return ok(sentence("It needs no files of the host to boot."))
    known = ability.words.get("os.firmware") if ability is not None else None
    if ability is None or known is None:
        return unknown(sentence("Whether %(host)s has UEFI firmware is not known."), host=host.name)
    if "efi" not in known:
        return no(sentence("%(host)s has no UEFI firmware."), INSTALL_OVMF, host=host.name)
    if firmware == "secure" and "yes" not in ability.words.get("loader.secure", ()):
        return no(sentence("%(host)s has no firmware with Secure Boot."), INSTALL_OVMF, host=host.name)
    return ok(sentence("%(host)s has the firmware."), host=host.name)


def version_needs(guest: Guest) -> tuple[int | None, bool]:
    """Where it is now, and whether its processors run there and are emulated."""
    return guest.host, guest.virt == "qemu" and guest.state == "running"


def versions(need: tuple[int | None, bool], host: Machine, hosts: Hosts) -> Finding:
    """Forwards is what QEMU and libvirt promise; backwards is what may work."""
    source_id, emulated = need
    source = hosts.get(source_id) if source_id is not None else None
    if source is None or not (source.qemu and host.qemu and source.libvirt and host.libvirt):
        return unknown(sentence("The versions of the two hosts are not both known."))
    words = {
        "host": host.name,
        "source": source.name,
        "there": f"QEMU {_text(host.qemu)}, libvirt {_text(host.libvirt)}",
        "here": f"QEMU {_text(source.qemu)}, libvirt {_text(source.libvirt)}",
    }
    if emulated and source.qemu < KEEPS_EMULATED:
        text = sentence(
            "Its processors are emulated, and QEMU before 9.0 (%(here)s) may lose what they write meanwhile."
        )
        return warning(text, sentence("Move it while it is off, or with its memory saved."), **words)
    if host.qemu < source.qemu or host.libvirt < source.libvirt:
        text = sentence("%(host)s is older (%(there)s; here %(here)s): moving backwards may fail.")
        return warning(text, UPDATE, **words)
    if host.qemu > source.qemu or host.libvirt > source.libvirt:
        text = sentence("%(host)s is newer (%(there)s; here %(here)s). The way there is safe; the way back may fail.")
        return ok(text, **words)
    return ok(sentence("Both have %(here)s."), **words)


def _text(version: Version) -> str:
    return ".".join(str(number) for number in version)
