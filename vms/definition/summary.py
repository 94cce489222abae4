"""What pages show of a domain definition, read from it as plain data."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from lxml import etree

from vms.definition import metadata
from vms.definition.sizes import UNITS, whole_number


@dataclass(frozen=True, slots=True)
class Summary:
    """Plain data; memory in bytes, lists of dictionaries ready for JSON columns."""

    title: str
    description: str
    tags: list[str]
    folder: str
    protected: bool
    template: bool
    os_type: str
    arch: str
    machine: str
    firmware: str
    vcpus: int
    memory: int
    disks: list[dict[str, Any]]
    nics: list[dict[str, Any]]
    graphics: list[dict[str, Any]]
    devices: list[dict[str, Any]]
    agent_connected: bool | None


def summarize(domain: etree._Element) -> Summary:
    """Read a ``<domain>`` element. Each element is gone through once: a host may have thousands of guests."""
    parts, devices = children(domain), _devices(domain)
    own = metadata.read(domain) if "metadata" in parts else metadata.OwnMetadata()
    os_type = children(parts["os"]).get("type") if "os" in parts else None
    return Summary(
        title=(_text(parts.get("title")) or "").strip()[:255],
        description=(_text(parts.get("description")) or "").strip(),
        tags=own.tags,
        folder=own.folder,
        protected=own.protected,
        template=own.template,
        os_type=_os_name(parts.get("metadata")),
        arch=os_type.get("arch", "") if os_type is not None else "",
        machine=os_type.get("machine", "") if os_type is not None else "",
        firmware=firmware(domain),
        vcpus=_vcpus(parts.get("vcpu")),
        memory=_bytes(parts.get("memory")),
        disks=[disk_words(device) for device in devices if device.tag == "disk"],
        nics=[nic_words(device) for device in devices if device.tag == "interface"],
        graphics=[screen_words(device) for device in devices if device.tag == "graphics"],
        devices=[device_words(device) for device in devices if device.tag not in _OWN_LISTS],
        agent_connected=_agent(devices),
    )


def children(element: etree._Element) -> dict[Any, etree._Element]:
    """The first child of each name. One pass over them costs less than one ``find``."""
    found: dict[Any, etree._Element] = {}
    for child in element:
        found.setdefault(child.tag, child)
    return found


def _devices(domain: etree._Element) -> list[etree._Element]:
    return [device for devices in domain if devices.tag == "devices" for device in devices if _is_element(device)]


def _is_element(node: etree._Element) -> bool:
    return isinstance(node.tag, str)  # Comments have a function there.


def _text(element: etree._Element | None) -> str | None:
    return element.text if element is not None else None


def _os_name(own: etree._Element | None) -> str:
    """The id that virt-install and others leave as libosinfo metadata, without its address part."""
    found = own.find("{*}libosinfo/{*}os") if own is not None else None
    return found.get("id", "").rpartition("//")[2][:80] if found is not None else ""


def firmware(domain: etree._Element) -> str:
    """What boots it: bios, efi, secure (UEFI with Secure Boot and its keys); '' where it does not say."""
    parts = children(domain)
    os = parts.get("os")
    if os is None or (kind := os.find("type")) is None or (kind.text or "").strip() != "hvm":
        return ""
    said = {one.get("name"): one.get("enabled") for one in os.iterfind("firmware/feature")}
    loader = os.find("loader")
    if os.get("firmware") == "efi" or _get(loader, "type") == "pflash":
        is_secure = _get(loader, "secure") == "yes" or said.get("secure-boot") == "yes"
        return "secure" if is_secure and said.get("enrolled-keys") != "no" else "efi"
    if os.get("firmware") == "bios" or kind.get("arch") in ("x86_64", "i686"):
        return "bios" if loader is None or _get(loader, "type", "rom") == "rom" else ""
    return ""


def _vcpus(vcpu: etree._Element | None) -> int:
    if vcpu is None:
        return 1
    return _number(vcpu.get("current") or vcpu.text, 1)


def _number(text: str | None, otherwise: int) -> int:
    """What is no number, in a definition that somebody else wrote, must not keep a guest from being shown."""
    number = whole_number(text or "")
    return otherwise if number is None else number


def _bytes(element: etree._Element | None) -> int:
    if element is None:
        return 0
    return _number(element.text, 0) * UNITS.get(element.get("unit", "KiB").lower(), 1024)


def _get(element: etree._Element | None, name: str, default: str = "") -> str:
    return element.get(name, default) if element is not None else default


def disk_words(disk: etree._Element) -> dict[str, Any]:
    """What a page shows of a ``<disk>``."""
    parts = children(disk)
    target, driver = parts.get("target"), parts.get("driver")
    return {
        "device": disk.get("device", "disk"),
        "type": disk.get("type", "file"),
        "target": _get(target, "dev"),
        "bus": _get(target, "bus"),
        "format": _get(driver, "type"),
        "cache": _get(driver, "cache"),
        "source": _source(parts.get("source")),
        "readonly": "readonly" in parts,
        "shareable": "shareable" in parts,
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


def nic_words(nic: etree._Element) -> dict[str, Any]:
    """What a page shows of an ``<interface>``."""
    parts = children(nic)
    source = parts.get("source")
    return {
        "type": nic.get("type", ""),
        "mac": _get(parts.get("mac"), "address").lower(),
        "source": next((name for key in ("network", "bridge", "dev") if (name := _get(source, key))), ""),
        "model": _get(parts.get("model"), "type"),
        "target": _get(parts.get("target"), "dev"),
        "link": _get(parts.get("link"), "state", "up"),
        "filter": _get(parts.get("filterref"), "filter"),
        "filter_values": _filter_values(parts.get("filterref")),
    }


def _filter_values(filterref: etree._Element | None) -> str:
    """What the filter is given by this card, as IP=192.0.2.7."""
    rows = [] if filterref is None else filterref.findall("parameter")
    return " ".join(f"{_get(row, 'name')}={_get(row, 'value')}" for row in rows)


def screen_words(graphics: etree._Element) -> dict[str, Any]:
    """What a page shows of a ``<graphics>``."""
    listen = children(graphics).get("listen")
    return {
        "type": graphics.get("type", ""),
        "port": _number(graphics.get("port"), -1),
        "websocket": _number(graphics.get("websocket"), -1),
        "listen": graphics.get("listen") or _get(listen, "address"),
        "listen_type": _get(listen, "type", "address"),
    }


_OWN_LISTS = {"disk", "interface", "graphics", "emulator"}


def device_words(device: etree._Element) -> dict[str, Any]:
    """Kind, model and a few words for any device we have no columns for."""
    parts = children(device)
    model = parts.get("model")
    words = [word for name in ("type", "bus", "mode", "index") if (word := device.get(name))]
    if device.tag == "memory" and (target := parts.get("target")) is not None:
        words += [f"{name}={_mebibytes(size)}" for name in _OF_MODULES if (size := target.find(name)) is not None]
    if device.tag == "tpm" and (backend := parts.get("backend")) is not None:
        words += [word for name in ("type", "version") if (word := backend.get(name))]
    for element in (parts.get("target"), parts.get("source")):
        if element is not None:
            words += [f"{name}={value}" for name in _TELLING if (value := element.get(name))]
    return {
        "kind": str(device.tag),
        "model": device.get("model") or _get(model, "type") or _get(model, "name"),
        "text": " ".join(words),
    }


def _mebibytes(size: etree._Element) -> str:
    return f"{_bytes(size) / 2**20:g} MiB"


#: how large a module is; of one that grows what it is to have, and what the guest has taken of it
_OF_MODULES = ("size", "requested", "current")
_TELLING = ("name", "path", "dev", "dir", "port", "state", "type")


def _agent(devices: list[etree._Element]) -> bool | None:
    """Whether the guest agent answers; None when the guest has no channel for one, or is off."""
    for channel in (device for device in devices if device.tag == "channel"):
        for target in channel:
            if target.tag == "target" and target.get("name") == "org.qemu.guest_agent.0":
                return target.get("state") == "connected" if target.get("state") else None
    return None
