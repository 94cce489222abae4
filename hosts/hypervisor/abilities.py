"""What guests can have on a host: libvirt's domain capabilities, as plain data."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import libvirt

from hosts.hypervisor.connection import Connection
from hosts.hypervisor.records import Ability

#: machine types that are asked for; of other architectures the one that libvirt takes by itself
MACHINES = {"x86_64": ("q35", "pc"), "i686": ("pc",), "aarch64": ("virt",)}
#: the first question about a QEMU has the host start it and look
FIRST_SECONDS = 60.0


def read_abilities(connection: Connection) -> list[Ability]:
    """One for each machine type of the host's own architecture; none where the driver cannot tell."""
    return connection.call(_read, seconds=FIRST_SECONDS)


def _read(raw: libvirt.virConnect) -> list[Ability]:
    tree = ElementTree.fromstring(raw.getCapabilities())
    arch = tree.findtext("host/cpu/arch") or ""
    virt = _virt(tree, arch)
    found = []
    for machine in MACHINES.get(arch, (None,)):
        try:
            found.append(ability(raw.getDomainCapabilities(None, arch or None, machine, virt, 0), machine or ""))
        except libvirt.libvirtError as error:
            if error.get_error_code() == libvirt.VIR_ERR_NO_SUPPORT:
                return []
            # This QEMU does not have that machine type, or there is none for the architecture.
            if error.get_error_code() not in (libvirt.VIR_ERR_INVALID_ARG, libvirt.VIR_ERR_CONFIG_UNSUPPORTED):
                raise
    return found


def _virt(tree: ElementTree.Element, arch: str) -> str | None:
    """The fastest way the host runs guests of its own architecture."""
    for guest in tree.findall("guest"):
        if guest.findtext("os_type") == "hvm" and (place := guest.find(f"arch[@name='{arch}']")) is not None:
            types = [domain.get("type", "") for domain in place.findall("domain")]
            return "kvm" if "kvm" in types else next(iter(types), None)
    return None


def ability(text: str, alias: str = "") -> Ability:
    """A ``<domainCapabilities>`` document, asked for under the machine type ``alias``."""
    tree = ElementTree.fromstring(text)
    most = tree.find("vcpu")
    words: dict[str, list[str]] = {}
    for element in tree.iter():
        if element.get("supported"):
            words[element.tag] = [element.get("supported", "")]
        if element.get("supported") == "no":
            continue
        for enum in element.findall("enum"):
            words[f"{element.tag}.{enum.get('name')}"] = [value.text or "" for value in enum.findall("value")]
    #: which firmware there is goes with the machine type: Secure Boot is q35's alone
    loaders = [value.text or "" for value in tree.findall("os/loader/value")]
    modes = [mode.get("name", "") for mode in tree.findall("cpu/mode") if mode.get("supported") == "yes"]
    return Ability(
        arch=tree.findtext("arch") or "",
        machine=alias or tree.findtext("machine") or "",
        virt=tree.findtext("domain") or "",
        emulator=tree.findtext("path") or "",
        most_vcpus=int(most.get("max", "0")) if most is not None else 0,
        words=words | {"cpu.mode": modes, "loader.path": loaders},
    )
