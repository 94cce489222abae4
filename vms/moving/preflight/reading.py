"""What a guest needs of a host, read from its definition: as it runs where it does, else as it will start."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from lxml import etree

from vms.definition.sizes import UNITS, whole_number
from vms.definition.storage import FILES
from vms.definition.summary import children, firmware
from vms.definition.xml import MalformedDefinition, parse
from vms.moving.preflight.facts import Card, Cpu, Device, Disk, Guest, Pages, Secret

#: devices that may keep their guest where it is
KEEPING = ("hostdev", "filesystem", "shmem")
#: numbers that a list of processors may hold at most, for what somebody wrote by mistake
MOST_CPUS = 8192
#: protocols without which a disk is no server's
SERVED = "network"


def guest_of(live: str, inactive: str, **known: Any) -> Guest:
    """``known`` are the columns of the guest's row. What cannot be read is said, and never makes it fail."""
    text = live or inactive
    if not text:
        return Guest(**known, trouble="none")
    try:
        domain = parse(text)
        stored = parse(inactive) if inactive and live else domain
    except MalformedDefinition as error:
        return Guest(**known, trouble=str(error))
    return Guest(**{**known, **{name: value for name, value in _facts(domain, stored).items() if value}})


def _facts(domain: etree._Element, stored: etree._Element) -> dict[str, Any]:
    parts = children(domain)
    devices = [one for group in domain if group.tag == "devices" for one in group if isinstance(one.tag, str)]
    os = children(parts["os"]) if "os" in parts else {}
    kind = os.get("type")
    disks = tuple(_disks(devices))
    tpm = next((one for one in devices if one.tag == "tpm"), None)
    return {
        "arch": kind.get("arch", "") if kind is not None else "",
        "machine": kind.get("machine", "") if kind is not None else "",
        "virt": domain.get("type", ""),
        "emulator": next((_said(one) for one in devices if one.tag == "emulator"), ""),
        "cpu": _cpu(parts.get("cpu")),
        "loader": _said(os.get("loader")),
        "firmware": firmware(domain),
        # libvirt names the file of those that only ask for UEFI while they run, and keeps it afterwards.
        "nvram": "nvram" in os or firmware(stored) in ("efi", "secure"),
        "files": tuple(_said(os[name]) for name in FILES[2:] if name in os and _said(os[name])),
        "disks": disks,
        "cards": tuple(dict.fromkeys(_card(one) for one in devices if one.tag == "interface")),
        "devices": tuple(_keeping(devices, parts)),
        "tpm": _attribute(tpm, "backend", "type"),
        "screens": tuple(dict.fromkeys(one.get("type", "") for one in devices if one.tag == "graphics")),
        "listens": tuple(_listens(stored)),
        "pages": tuple(_pages(parts)),
        "pins": tuple(_pins(parts)),
        "nodes": tuple(sorted(_nodes(parts.get("numatune")))),
        "secrets": tuple(dict.fromkeys(_secrets(devices))),
    }


def _said(element: etree._Element | None) -> str:
    return (element.text or "").strip() if element is not None else ""


def _attribute(element: etree._Element | None, part: str, name: str) -> str:
    found = element.find(part) if element is not None else None
    return str(found.get(name, "")) if found is not None else ""


def _cpu(cpu: etree._Element | None) -> Cpu:
    if cpu is None:
        return Cpu()
    features: dict[str, set[str]] = {}
    for feature in cpu.findall("feature"):
        features.setdefault(feature.get("policy", "require"), set()).add(feature.get("name", ""))
    needed = features.get("require", set()) | features.get("force", set())
    without = features.get("disable", set()) | features.get("forbid", set())
    mode = cpu.get("mode", "custom" if cpu.find("model") is not None else "")
    return Cpu(mode, _said(cpu.find("model")), frozenset(needed), frozenset(without))


def _disks(devices: list[etree._Element]) -> Iterator[Disk]:
    for disk in devices:
        parts = children(disk)
        source = parts.get("source")
        if disk.tag != "disk" or source is None:
            continue
        path = next((str(source.get(name)) for name in ("file", "dev", "dir") if source.get(name)), "")
        server = _server(source) if disk.get("type") == SERVED else ""
        if not (path or source.get("volume") or server):
            continue
        driver, target, device = parts.get("driver"), parts.get("target"), disk.get("device", "disk")
        yield Disk(
            target=target.get("dev", "") if target is not None else "",
            device=device,
            path=posixpath.normpath(path) if path else "",
            pool=source.get("pool", ""),
            volume=source.get("volume", ""),
            server=server,
            readonly="readonly" in parts or device == "cdrom",
            cache=driver.get("cache", "") if driver is not None else "",
            secret=disk.find(".//secret") is not None,
        )


def _secrets(devices: list[etree._Element]) -> Iterator[Secret]:
    """Of disks (also of those that they lie on) and TPMs, as the definition names them."""
    for device in devices:
        if device.tag == "disk":
            for one in device.iter("secret"):
                # A volume's encryption names its secret alone; who logs in says for what.
                use = one.get("type", "") if one.get("usage") else ""
                yield Secret(one.get("uuid", "").lower(), use, one.get("usage", ""))
        elif device.tag == "tpm" and (sealed := device.find("backend/encryption")) is not None:
            yield Secret(sealed.get("secret", "").lower())


def _server(source: etree._Element) -> str:
    host = source.find("host")
    named = str(host.get("name") or host.get("socket") or "") if host is not None else ""
    return named.lower() or str(source.get("protocol", ""))


def _card(nic: etree._Element) -> Card:
    parts = children(nic)
    source, filtered = parts.get("source"), parts.get("filterref")
    said: dict[str, str] = {str(key): str(value) for key, value in source.items()} if source is not None else {}
    name = next((str(said[key]) for key in ("network", "bridge", "dev") if said.get(key)), "")
    kind = nic.get("type", "")
    return Card(kind, name, said.get("portgroup", ""), filtered.get("filter", "") if filtered is not None else "")


def _keeping(devices: list[etree._Element], parts: dict[Any, etree._Element]) -> Iterator[Device]:
    for one in devices:
        if one.tag == "hostdev":
            yield Device("hostdev", _hostdev(one))
        elif one.tag == "filesystem":
            virtiofs = _attribute(one, "driver", "type") == "virtiofs"
            source = children(one).get("source")
            where = str(source.get("dir") or source.get("socket") or "") if source is not None else ""
            yield Device("virtiofs" if virtiofs else "filesystem", where)
        elif one.tag == "shmem":
            yield Device("shmem", one.get("name", ""))
        elif one.tag in ("serial", "parallel", "console") and one.get("type") == "dev":
            yield Device("file", _attribute(one, "source", "path"))
        elif one.tag == "input" and one.get("type") in ("passthrough", "evdev"):
            yield Device("file", _attribute(one, "source", "evdev") or _attribute(one, "source", "dev"))
        elif one.tag == "memory" and one.find("source/path") is not None:
            yield Device("file", _said(one.find("source/path")))
    if "launchSecurity" in parts:
        yield Device("sev")


def _hostdev(device: etree._Element) -> str:
    address = device.find("source/address")
    vendor = device.find("source/vendor")
    kind = device.get("type", device.get("mode", ""))
    if address is not None:
        order = ("domain", "bus", "slot", "function", "device", "uuid")
        return f"{kind} {':'.join(address.get(key, '').removeprefix('0x') for key in order if address.get(key))}"
    if vendor is not None:
        return f"{kind} {vendor.get('id', '')}:{_attribute(device, 'source/product', 'id')}"
    return kind


def _listens(stored: etree._Element) -> Iterator[str]:
    """Addresses that the stored definition names; what libvirt chose for one run is the target's to choose."""
    for screen in stored.iterfind("devices/graphics"):
        named = [screen.get("listen", ""), *(one.get("address", "") for one in screen.findall("listen"))]
        yield from dict.fromkeys(name for name in named if name)


def _pages(parts: dict[Any, etree._Element]) -> Iterator[Pages]:
    backing = parts.get("memoryBacking")
    huge = backing.find("hugepages") if backing is not None else None
    if huge is None:
        return
    wanted = _bytes(parts.get("memory"))
    first = huge.find("page")
    size = 0
    if first is not None:
        size = (whole_number(first.get("size", "")) or 0) * UNITS.get(first.get("unit", "KiB").lower(), 1024)
    yield Pages(size, wanted)


def _bytes(element: etree._Element | None) -> int:
    if element is None:
        return 0
    return (whole_number(element.text or "") or 0) * UNITS.get(element.get("unit", "KiB").lower(), 1024)


def _pins(parts: dict[Any, etree._Element]) -> list[int]:
    found: set[int] = set()
    vcpu, tune = parts.get("vcpu"), parts.get("cputune")
    if vcpu is not None and vcpu.get("cpuset") and vcpu.get("placement", "static") == "static":
        found |= numbers(vcpu.get("cpuset", ""))
    if tune is not None:
        for pin in tune.iterfind("*[@cpuset]"):
            found |= numbers(pin.get("cpuset", ""))
    return sorted(found)


def _nodes(tune: etree._Element | None) -> set[int]:
    """Cells that it is bound to strictly; what it only prefers keeps it from nowhere."""
    found: set[int] = set()
    if tune is not None:
        for one in tune.iterfind("*[@nodeset]"):
            if one.get("mode", "strict") == "strict":
                found |= numbers(one.get("nodeset", ""))
    return found


def numbers(text: str) -> set[int]:
    """The numbers of a list such as 0-3,^2,8."""
    found: set[int] = set()
    for part in text.replace(" ", "").split(","):
        first, _dash, last = part.lstrip("^").partition("-")
        low, high = whole_number(first), whole_number(last or first)
        if low is None or high is None or high >= MOST_CPUS:
            continue
        span = set(range(low, high + 1))
        found = found - span if part.startswith("^") else found | span
    return found
