"""From what is asked for and the rows of a host: which volumes are made, and the definition that names them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from django.utils.translation import gettext as _

from hosts.models import Host, StoragePool
from hosts.operations.storage_base import NotNow
from vms.creation import appliances, databases
from vms.creation.copying import plan_copy
from vms.creation.domain import Drive, Frame
from vms.creation.hardware import Hardware, needs_of, platform_of, suggested
from vms.creation.osinfo import System
from vms.creation.plan import DEVICES, NewVolume, Plan
from vms.creation.sources import (
    cd,
    file_name,
    find_volume,
    pool_for,
    refuse_used,
    refuse_written,
    require_image,
    seed_drive,
    seed_volume,
)


def plan(host: Host, identity: uuid.UUID, arguments: dict[str, Any]) -> Plan:
    """What will be done. Raises NotNow, by field, where it cannot."""
    return plan_copy(host, identity, arguments) if arguments["road"] == "clone" else _fresh(host, identity, arguments)


def system_of(arguments: Mapping[str, Any]) -> System | None:
    """The system that goes in. Raises NotNow for one that nobody knows."""
    name = arguments.get("preset") or ""
    if not name:
        return None
    system = databases.current().systems.get(name)
    if system is None:
        raise NotNow("preset", _("No system %(name)s is known.") % {"name": name[:60]})
    return system


def hardware_of(arguments: Mapping[str, Any], system: System | None, host: Host | None) -> Hardware:
    """As asked for, and besides as the system and the host suggest."""
    chosen = suggested(system, host, arguments.get("virt", ""))
    if arguments.get("drivers") and "bus" not in arguments and system is not None and system.is_windows:
        chosen = replace(chosen, bus="virtio", card="virtio")
    names = ("firmware", "machine", "cpu", "bus", "card", "video", "tpm")
    return replace(chosen, **{name: arguments[name] for name in names if name in arguments})


def _fresh(host: Host, identity: uuid.UUID, arguments: dict[str, Any]) -> Plan:
    system = system_of(arguments)
    source = appliances.find(host, arguments) if arguments["road"] == appliances.ROAD else None
    if source is not None:
        arguments = appliances.hints(source[1], system) | arguments
    hardware = hardware_of(arguments, system, host)
    platform = platform_of(host, hardware.machine, arguments.get("virt", ""))
    _least, well = needs_of(system)
    if source is not None:
        volumes, drives = appliances.volumes(host, arguments, *source, hardware)
        networks = appliances.networks(arguments, source[1])
    else:
        volumes, drives = _disk(host, arguments, hardware, well.storage or 0)
        networks = (arguments["network"],) if arguments.get("network") else ()
    cd_bus = "ide" if hardware.machine == "pc" and platform.virt != "test" else "sata"
    for name in ("iso", "drivers"):
        if arguments.get(name):
            drives.append(("", cd(find_volume(host, arguments[name], name), name, cd_bus)))
    if "seed" in arguments:
        volume = seed_volume(_seed_pool(host, arguments, volumes), arguments["name"])
        volumes.append(volume)
        drives.append(("seed", seed_drive(hardware.bus, cd_bus, volume)))
    frame = Frame(
        name=arguments["name"],
        uuid=identity,
        vcpus=arguments.get("vcpus") or well.cpus or 1,
        memory=arguments.get("memory") or well.memory or 2**30,
        networks=networks,
        boot=_boot(arguments),
        system=system.id if system is not None else "",
    )
    return Plan(host, identity, arguments, frame, hardware, platform, volumes, drives, system)


def _boot(arguments: Mapping[str, Any]) -> tuple[str, ...]:
    """An empty disk is passed over: the first start installs, and every later one boots what was installed."""
    if arguments.get("pxe"):
        return ("hd", "network")
    return ("hd", "cdrom") if arguments["road"] == "install" else ("hd",)


def _seed_pool(host: Host, arguments: Mapping[str, Any], volumes: list[NewVolume]) -> StoragePool:
    """Beside the disk; the image that is used as it is has a pool, too."""
    if volumes:
        return volumes[0].pool
    return find_volume(host, arguments["image"], "image").pool if arguments.get("image") else pool_for(host, arguments)


def _disk(
    host: Host, arguments: dict[str, Any], hardware: Hardware, usual: int
) -> tuple[list[NewVolume], list[tuple[str, Drive]]]:
    """The first disk, and the volume that is made for it."""
    road = arguments["road"]
    image = find_volume(host, arguments["image"], "image") if road in ("cloud", "import") else None
    if image is not None:
        require_image(image)
    if road == "import" and image is not None and not arguments.get("pool"):
        refuse_used(image)
        if arguments.get("size"):
            raise NotNow("size", _("An image that is used as it is keeps its size."))
        block = image.pool.type in DEVICES
        return [], [("", Drive(image.path, image.format, "disk", hardware.bus, block))]
    pool = pool_for(host, arguments)
    form = "raw" if pool.type in DEVICES else "qcow2"
    own = image.capacity if image is not None else 0
    size = max(arguments.get("size") or (own if road == "import" else usual), own)
    how = "empty" if image is None else "link" if arguments.get("linked") else "copy"
    if how == "link" and form != "qcow2":
        raise NotNow("linked", _("Only a qcow2 image lies on another one, and this pool has none."))
    if image is not None and arguments.get("size") and arguments["size"] < image.capacity:
        raise NotNow("size", _("The image is larger: nothing is cut off."))
    if image is not None:
        refuse_written(image, how)
    name = file_name(arguments["name"], "", form)
    volume = NewVolume("disk", pool, name, size, form, how, image, bool(arguments.get("allocate")) and how == "empty")
    return [volume], [("disk", Drive("", form, "disk", hardware.bus, pool.type in DEVICES))]
