"""What the API's changes of a guest's hardware take."""

from __future__ import annotations

from typing import Annotated, Literal

from ninja import Field
from pydantic import BaseModel, BeforeValidator

from hosts.api_schemas import Body
from vms.api_definition import whole

DEVICE = r"^[^\x00-\x1f]+$"
Whole = Annotated[int, BeforeValidator(whole)]


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

    count: Whole = Field(ge=1, le=65535, description="Processors it has.")
    maximum: Whole = Field(
        0, ge=0, le=65535, description="Processors it has room for, from the next boot on; 0 leaves that as it is."
    )


class MemoryArguments(HardwareArguments):
    """How much memory, in bytes."""

    memory: Whole = Field(ge=2**20, le=2**60, description="Memory it has.")
    maximum: Whole = Field(
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


#: kind → what it takes
HARDWARE: dict[str, type[BaseModel]] = {
    "vcpus": VcpusArguments,
    "memory": MemoryArguments,
    "media": MediaArguments,
}
