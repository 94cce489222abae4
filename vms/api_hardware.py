"""What the API's changes of a guest's hardware take."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from ninja import Field
from pydantic import BaseModel

from hosts.api_schemas import Body
from vms.hardware.catalogue import TYPES

LINE = r"^[^\x00-\x1f]*$"
DEVICE = r"^[^\x00-\x1f]+$"


class HardwareArguments(Body):
    """What all of them take."""

    affect: Literal["both", "live", "config"] = Field(
        "both",
        description="The running guest where QEMU takes it and the definition it boots with, or one of the two alone.",
    )
    base: str = Field(
        "",
        pattern=r"^([0-9a-f]{64})?$",
        description="The digest of the definition that this was made from; when it is another by now: 409, or refused.",
    )
    live_base: str = Field("", pattern=r"^([0-9a-f]{64})?$", description="The same of the live definition.")


class VcpusArguments(HardwareArguments):
    """How many processors."""

    count: int = Field(ge=1, le=65535, description="Processors it has.")
    maximum: int = Field(
        0, ge=0, le=65535, description="Processors it has room for, from the next boot on; 0 leaves that as it is."
    )


class MemoryArguments(HardwareArguments):
    """How much memory, in bytes."""

    memory: int = Field(ge=2**20, le=2**60, description="Memory it has.")
    maximum: int = Field(
        0, ge=0, le=2**60, description="Memory it has room for, from the next boot on; 0 leaves that as it is."
    )


class MediaArguments(HardwareArguments):
    """What is in a drive."""

    device: str = Field(pattern=DEVICE, max_length=300, description="The drive, such as disks[sda].")
    source: str = Field(
        "", max_length=2000, pattern=r"^([^\x00-\x1f]*/[^\x00-\x1f]*)?$",
        description="A volume's path, or pool/volume; empty ejects. Other paths are for administrators.",
    )  # fmt: skip
    force: bool = Field(False, description="Even if the guest has locked the drive.")


#: what a property may be set to; it is the kind that checks each against its property
VALUES: dict[str, Any] = {
    "propertyNames": {"pattern": r"^[A-Za-z_][A-Za-z0-9_.]*$", "maxLength": 200},
    "maxProperties": 60,
    "additionalProperties": {
        "anyOf": [
            {"type": "boolean"},
            {"type": "integer"},
            {"type": "string", "maxLength": 1000, "pattern": r"^[^\x00-\x1f]*$"},
            {"type": "null"},
        ]
    },
}


class NewVolumeBody(Body):
    """A volume that is made for a disk."""

    pool: str = Field(min_length=1, max_length=255, pattern=LINE)
    name: str = Field(min_length=1, max_length=200, pattern=r"^[A-Za-z0-9_][A-Za-z0-9_.-]*$")
    capacity: int = Field(ge=1024, le=2**60, description="Bytes.")
    format: Literal["qcow2", "raw"] = "qcow2"


class DeviceAddArguments(HardwareArguments):
    """A new device."""

    type: str = Field(description="libvirt's word for it.", json_schema_extra={"enum": list(TYPES)}, max_length=40)
    set: dict[str, Any] = Field(
        {},
        description='What it says, by the paths of docs/definitions.md: {"model": "virtio"}.',
        json_schema_extra=VALUES,
    )
    source: str = Field(
        "", max_length=2000, pattern=r"^([^\x00-\x1f]*/[^\x00-\x1f]*)?$",
        description="Of disks and drives: a volume's path, or pool/volume.",
    )  # fmt: skip
    new_volume: NewVolumeBody | None = Field(None, description="Of disks: a volume that is made first.")


class DeviceChangeArguments(HardwareArguments):
    """What a device says from now on."""

    device: str = Field(pattern=DEVICE, max_length=300, description="Such as disks[vda] or interfaces[52:54:00:…].")
    set: dict[str, Any] = Field(
        description='Values by path, such as {"link": "down"}; null takes one away.',
        json_schema_extra=VALUES | {"minProperties": 1},
    )


class DeviceRemoveArguments(HardwareArguments):
    """Which one."""

    device: str = Field(pattern=DEVICE, max_length=300, description="Such as disks[vdb].")


class BootOrderArguments(Body):
    """What it boots from: one of the two."""

    model_config = Body.model_config | {
        "json_schema_extra": {"oneOf": [{"required": ["devices"]}, {"required": ["firmware"]}]}
    }

    devices: list[Annotated[str, Field(pattern=DEVICE, max_length=300)]] = Field(
        [], max_length=100, description="Paths such as disks[vda], the first one first."
    )
    firmware: list[Literal["hd", "cdrom", "network", "fd"]] = Field(
        [], max_length=4, description="Kinds of devices, the first one first."
    )
    menu: bool = Field(False, description="Whether the firmware offers a menu.")
    affect: Literal["config"] = Field("config", description="It is for the next boot.")
    base: str = Field("", pattern=r"^([0-9a-f]{64})?$", description="As of the other changes of hardware.")
    live_base: str = Field("", pattern=r"^([0-9a-f]{64})?$", description="The same of the live definition.")


class RestartArguments(Body):
    """How long to wait."""

    wait: int = Field(120, ge=1, le=3600, description="Seconds until it is reported as not having obeyed.")


#: kind → what it takes
HARDWARE: dict[str, type[BaseModel]] = {
    "vcpus": VcpusArguments,
    "memory": MemoryArguments,
    "media": MediaArguments,
    "boot-order": BootOrderArguments,
    "restart": RestartArguments,
    "device-add": DeviceAddArguments,
    "device-change": DeviceChangeArguments,
    "device-remove": DeviceRemoveArguments,
}
