"""What pages show of a domain definition, read from it as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lxml import etree

from vms.definition import metadata

UNITS = {
    "b": 1, "bytes": 1, "kb": 10**3, "k": 2**10, "kib": 2**10, "mb": 10**6, "m": 2**20, "mib": 2**20,
    "gb": 10**9, "g": 2**30, "gib": 2**30, "tb": 10**12, "t": 2**40, "tib": 2**40,
}  # fmt: skip


@dataclass(frozen=True, slots=True)
class Summary:
    """Plain data; memory in bytes, lists of dictionaries ready for JSON columns."""

    title: str
    description: str
    tags: list[str]
    folder: str
    os_type: str
    arch: str
    machine: str
    vcpus: int
    memory: int
    disks: list[dict[str, Any]]
    nics: list[dict[str, Any]]
    graphics: list[dict[str, Any]]
    devices: list[dict[str, Any]]
    agent_connected: bool | None


def summarize(domain: etree._Element) -> Summary:
    """Read a ``<domain>`` element."""
    own = metadata.read(domain)
    os_type = domain.find("os/type")
    return Summary(
        title=(domain.findtext("title") or "").strip()[:255],
        description=(domain.findtext("description") or "").strip(),
        tags=own.tags,
        folder=own.folder,
        os_type=_os_name(domain),
        arch=os_type.get("arch", "") if os_type is not None else "",
        machine=os_type.get("machine", "") if os_type is not None else "",
        vcpus=_vcpus(domain),
        memory=_bytes(domain.find("memory")),
        disks=[_disk(disk) for disk in domain.findall("devices/disk")],
        nics=[_nic(nic) for nic in domain.findall("devices/interface")],
        graphics=[_graphics(graphics) for graphics in domain.findall("devices/graphics")],
        devices=[_device(device) for device in domain.findall("devices/*") if _is_other(device)],
        agent_connected=_agent(domain),
    )


def _os_name(domain: etree._Element) -> str:
    """The id that virt-install and others leave as libosinfo metadata, without its address part."""
    found = domain.find("metadata/{*}libosinfo/{*}os")
    return found.get("id", "").rpartition("//")[2][:80] if found is not None else ""


def _vcpus(domain: etree._Element) -> int:
    vcpu = domain.find("vcpu")
    if vcpu is None:
        return 1
    return int(vcpu.get("current") or (vcpu.text or "1").strip() or 1)


def _bytes(element: etree._Element | None) -> int:
    if element is None or not (element.text or "").strip():
        return 0
    return int(str(element.text).strip()) * UNITS.get(element.get("unit", "KiB").lower(), 1024)


def _disk(disk: etree._Element) -> dict[str, Any]:
    target, driver, source = disk.find("target"), disk.find("driver"), disk.find("source")
    return {
        "device": disk.get("device", "disk"),
        "type": disk.get("type", "file"),
        "target": target.get("dev", "") if target is not None else "",
        "bus": target.get("bus", "") if target is not None else "",
        "format": driver.get("type", "") if driver is not None else "",
        "cache": driver.get("cache", "") if driver is not None else "",
        "source": _source(source),
        "readonly": disk.find("readonly") is not None,
        "shareable": disk.find("shareable") is not None,
    }


def _source(source: etree._Element | None) -> str:
    """Where a disk's bytes are, as one word a person recognises."""
    if source is None:
        return ""
    for name in ("file", "dev", "dir"):
        if source.get(name):
            return str(source.get(name))
    if source.get("volume"):
        return f"{source.get('pool')}/{source.get('volume')}"
    if source.get("protocol"):
        host = source.find("host")
        where = f"{host.get('name', '')}:{host.get('port', '')}" if host is not None else ""
        return f"{source.get('protocol')}://{where}/{source.get('name', '')}"
    return ""


def _nic(nic: etree._Element) -> dict[str, Any]:
    mac, source, model, target = nic.find("mac"), nic.find("source"), nic.find("model"), nic.find("target")
    link = nic.find("link")
    return {
        "type": nic.get("type", ""),
        "mac": mac.get("address", "").lower() if mac is not None else "",
        "source": next((source.get(n, "") for n in ("network", "bridge", "dev") if source.get(n)), "")
        if source is not None
        else "",
        "model": model.get("type", "") if model is not None else "",
        "target": target.get("dev", "") if target is not None else "",
        "link": link.get("state", "up") if link is not None else "up",
    }


def _graphics(graphics: etree._Element) -> dict[str, Any]:
    listen = graphics.find("listen")
    return {
        "type": graphics.get("type", ""),
        "port": int(graphics.get("port") or -1),
        "websocket": int(graphics.get("websocket") or -1),
        "listen": graphics.get("listen") or (listen.get("address", "") if listen is not None else ""),
        "listen_type": listen.get("type", "address") if listen is not None else "address",
    }


_OWN_LISTS = {"disk", "interface", "graphics", "emulator"}


def _is_other(device: etree._Element) -> bool:
    return isinstance(device.tag, str) and device.tag not in _OWN_LISTS


def _device(device: etree._Element) -> dict[str, Any]:
    """Kind, model and a few words for any device we have no columns for."""
    model = device.find("model")
    target, source = device.find("target"), device.find("source")
    words = [str(device.get(name)) for name in ("type", "bus", "mode", "index") if device.get(name)]
    for element in (target, source):
        if element is not None:
            words += [f"{name}={element.get(name)}" for name in _TELLING if element.get(name)]
    return {
        "kind": str(device.tag),
        "model": device.get("model") or (model.get("type") or model.get("name") or "" if model is not None else ""),
        "text": " ".join(words),
    }


_TELLING = ("name", "path", "dev", "dir", "port", "state", "type")


def _agent(domain: etree._Element) -> bool | None:
    """Whether the guest agent answers; None when the guest has no channel for one, or is off."""
    for channel in domain.findall("devices/channel/target"):
        if channel.get("name") == "org.qemu.guest_agent.0":
            return channel.get("state") == "connected" if channel.get("state") else None
    return None
