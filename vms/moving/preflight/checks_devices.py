"""Devices that keep a guest where it is: hardware of the host, its files, its TPM, and the screen's address."""

from __future__ import annotations

from vms.moving.preflight.checks_machine import kind_of
from vms.moving.preflight.facts import Device, Guest, Hosts, Machine
from vms.moving.preflight.finding import Finding, no, ok, sentence, unknown, warning, worst

DETACH = sentence("Detach it first, or shut the guest down and move its definition.")
#: virtiofs can be moved from these on
VIRTIOFS = (10, 0, 0)
ANYWHERE = ("", "0.0.0.0", "127.0.0.1", "::", "::1", "localhost")  # noqa: S104 - only compared

NO_SCREEN = sentence("QEMU on %(host)s has no %(type)s screens.")
Screens = tuple[tuple[str, ...], tuple[str, ...], str, str]


NONE = ok(sentence("It has no devices of its host."))


def needs(guest: Guest) -> tuple[tuple[Device, ...], int | None]:
    """Its devices that may matter."""
    return guest.devices, guest.host


def devices(need: tuple[tuple[Device, ...], int | None], host: Machine, hosts: Hosts) -> Finding:
    """The worst of them."""
    if not need[0]:
        return NONE
    found = [_device(one, host, hosts.get(need[1]) if need[1] is not None else None) for one in need[0]]
    return worst(found, NONE)


def _device(device: Device, host: Machine, source: Machine | None) -> Finding:
    words = {"what": device.words or device.kind, "host": host.name}
    if device.kind == "hostdev":
        return no(sentence("A device of its host is handed through to it (%(what)s)."), DETACH, **words)
    if device.kind == "virtiofs":
        versions = [one.libvirt for one in (host, source) if one is not None and one.libvirt]
        if len(versions) == 2 and min(versions) >= VIRTIOFS:
            text = sentence("It shares a folder with its host (%(what)s): %(host)s needs the same folder.")
            return warning(text, sentence("See that both see the same folder."), **words)
        return no(
            sentence("It shares a folder with its host (virtiofs %(what)s), which libvirt moves from 10.0 on."),
            DETACH,
            **words,
        )
    if device.kind == "filesystem":
        text = sentence(
            "It shares a folder with its host (%(what)s): while the guest has it mounted, QEMU moves nothing."
        )
        return warning(text, sentence("Unmount it in the guest first."), **words)
    if device.kind == "shmem":
        return no(sentence("It shares memory with others on its host (%(what)s)."), DETACH, **words)
    if device.kind == "sev":
        return no(sentence("Its memory is encrypted by its host's processor."), "", **words)
    return unknown(sentence("It uses %(what)s of its host; whether %(host)s has that is not known."), DETACH, **words)


def tpm_needs(guest: Guest) -> tuple[str, str, str]:
    """Of the TPM."""
    return guest.tpm, guest.arch, kind_of(guest.machine)


def tpm(need: tuple[str, str, str], host: Machine, _hosts: Hosts) -> Finding:
    """An emulated one is sent along; the host's own cannot be."""
    backend, arch, machine = need
    if not backend:
        return ok(sentence("It has no TPM."))
    if backend == "passthrough":
        return no(
            sentence("It uses its host's own TPM."),
            sentence("Give it an emulated one; what it has sealed is lost then."),
        )
    ability = host.abilities.get((arch, machine))
    words = ability.words.get("tpm.backendModel") if ability is not None else None
    if ability is not None and ability.words.get("tpm") == ["no"]:
        words = []
    if words is None:
        return unknown(sentence("Whether %(host)s can emulate a TPM is not known."), "", host=host.name)
    if backend not in words:
        return no(sentence("%(host)s cannot emulate a TPM."), sentence("Install swtpm there."), host=host.name)
    return ok(sentence("%(host)s emulates TPMs; its state is sent along."), host=host.name)


def screen_needs(guest: Guest) -> Screens:
    """Of screens and where they listen."""
    return guest.screens, guest.listens, guest.arch, kind_of(guest.machine)


def screens(need: Screens, host: Machine, _hosts: Hosts) -> Finding:
    """QEMU must have the kind of screen, and the host the address that it listens on."""
    kinds, listens, arch, machine = need
    ability = host.abilities.get((arch, machine))
    known = ability.words.get("graphics.type") if ability is not None else None
    found = [
        no(NO_SCREEN, sentence("Take VNC instead, and start it anew."), host=host.name, type=kind)
        for kind in kinds
        if known is not None and kind not in known
    ]  # fmt: skip
    for address in listens:
        if address in ANYWHERE or address in host.addresses:
            continue
        text = sentence("Its screen listens on %(address)s, which %(host)s is not known to have.")
        mend = sentence("Let it listen on 127.0.0.1 or on all addresses.")
        found.append(warning(text, mend, address=address, host=host.name))
    return worst(found, ok(sentence("Its screen can be there.")))
