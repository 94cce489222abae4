"""Which processors guests can have on a host: named models and features, as libvirt tells them, as plain data."""

from __future__ import annotations

import xml.etree.ElementTree as ElementTree

import libvirt

from hosts.hypervisor.abilities import FIRST_SECONDS
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.records import Processors

#: ways to run guests that are asked for
VIRTS = ("kvm", "qemu")
#: libvirt answers these where it has nothing to tell
NOTHING = (
    libvirt.VIR_ERR_NO_SUPPORT,
    libvirt.VIR_ERR_INVALID_ARG,
    libvirt.VIR_ERR_CONFIG_UNSUPPORTED,
    libvirt.VIR_ERR_CPU_INCOMPATIBLE,
)
EXPAND = libvirt.VIR_CONNECT_BASELINE_CPU_EXPAND_FEATURES


def read_processors(connection: Connection) -> list[Processors]:
    """One for each way in which the host runs guests of its own architecture; none where the driver cannot tell."""
    return connection.call(_read, seconds=FIRST_SECONDS)


def _read(raw: libvirt.virConnect) -> list[Processors]:
    tree = ElementTree.fromstring(raw.getCapabilities())
    arch = tree.findtext("host/cpu/arch") or ""
    kinds = {domain.get("type") for domain in tree.findall(f"guest/arch[@name='{arch}']/domain")}
    found = []
    for virt in VIRTS:
        if virt not in kinds:
            continue
        try:
            text = raw.getDomainCapabilities(None, arch or None, None, virt, 0)
        except libvirt.libvirtError as error:
            if error.get_error_code() in NOTHING:
                continue
            raise
        found.append(processors(text, _expanded(raw, text, arch, virt)))
    return found


def _expanded(raw: libvirt.virConnect, text: str, arch: str, virt: str) -> str:
    """All features of the processor that libvirt would give a guest there, as a ``<cpu>``; '' where it cannot say."""
    mode = ElementTree.fromstring(text).find("cpu/mode[@name='host-model'][@supported='yes']")
    if mode is None or mode.find("model") is None:
        return ""
    mode.tag = "cpu"
    mode.attrib.clear()
    try:
        cpu = ElementTree.tostring(mode, encoding="unicode")
        return str(raw.baselineHypervisorCPU(None, arch, None, virt, [cpu], EXPAND))
    except libvirt.libvirtError as error:
        if error.get_error_code() in NOTHING:
            return ""
        raise


def processors(text: str, expanded: str = "") -> Processors:
    """A ``<domainCapabilities>`` document, and its host-model with all features where libvirt wrote them out."""
    tree = ElementTree.fromstring(text)
    mode = tree.find("cpu/mode[@name='host-model']")
    whole = ElementTree.fromstring(expanded) if expanded else None
    features = [one for one in whole.findall("feature") if one.get("policy") != "disable"] if whole is not None else []
    custom = tree.find("cpu/mode[@name='custom']")
    return Processors(
        arch=tree.findtext("arch") or "",
        virt=tree.findtext("domain") or "",
        model=(mode.findtext("model") or "") if mode is not None else "",
        vendor=(mode.findtext("vendor") or "") if mode is not None else "",
        features=sorted(one.get("name", "") for one in features),
        known_models={one.text or "": one.get("usable", "unknown") for one in custom.findall("model")}
        if custom is not None
        else {},
        blockers={
            one.get("model", ""): sorted(feature.get("name", "") for feature in one.findall("feature"))
            for one in (custom.findall("blockers") if custom is not None else [])
        },
        loaders=[one.text or "" for one in tree.findall("os/loader/value")],
    )
