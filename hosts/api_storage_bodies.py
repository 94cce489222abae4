"""What the API's changes of storage take."""

from __future__ import annotations

from typing import Annotated

from ninja import Field

from hosts.api_schemas import Body
from hosts.operations.pool_find import PoolFind
from hosts.operations.volume_wipe import ALGORITHMS
from hosts.storage_types import TYPES

_TYPES = "^(" + "|".join(TYPES) + ")$"
_FINDING = "^(" + "|".join(name for name, kind in TYPES.items() if kind.finds) + ")$"
Text = Annotated[str, Field(min_length=1, max_length=500)]
Name = Annotated[str, Field(min_length=1, max_length=255)]


class PoolDefineBody(Body):
    """A pool. Which fields a type takes and needs is told by the refusal that names the field."""

    type: str = Field(pattern=_TYPES)
    name: Name
    path: Text | None = Field(None, description="Folder on the host.")
    host: Text | None = Field(None, description="The server.")
    hosts: list[Text] | None = Field(None, max_length=32, description="Ceph monitors.")
    port: int | None = Field(None, ge=1, le=65535)
    folder: Text | None = Field(None, description="Export of the server, or folder of the volume.")
    device: Text | None = None
    devices: list[Text] | None = Field(None, max_length=32)
    target: Text | None = Field(None, description="Such as iqn.2026-01.com.example:disk1.")
    initiator: Text | None = None
    source_name: Text | None = Field(None, description="Volume group; Ceph, Gluster or ZFS pool.")
    adapter: Text | None = Field(None, description="Such as host2.")
    wwnn: Text | None = None
    wwpn: Text | None = None
    format: Text | None = None
    username: Text | None = None
    password: str | None = Field(
        None, max_length=1000, description="Kept by the host's libvirt as a secret; a Ceph key in base64."
    )
    build: bool = Field(False, description="Make the folder, file system or group; never over something that is there.")
    start: bool = False
    autostart: bool = False


class PoolFindBody(Body):
    __doc__ = PoolFind.__doc__

    type: str = Field(pattern=_FINDING)
    host: Text | None = None
    initiator: Text | None = None


class PoolStopBody(Body):
    """Stopping a pool."""

    confirm: str = Field("", max_length=255, description="Its name, where guests have volumes of it open.")


class PoolAutostartBody(Body):
    """Whether it starts with the host."""

    enabled: bool = True


class VolumeCreateBody(Body):
    """A new volume."""

    name: Name
    capacity: int = Field(ge=1024, le=2**60, description="Bytes that a guest sees.")
    format: Text = Field("qcow2", description="qcow2 or raw; pools of block devices have raw alone.")
    allocate: bool = Field(False, description="Take the whole size of the pool at once.")
    backing: str | None = Field(
        None, min_length=1, max_length=2000, description="Path of a volume of that host which it lies on (qcow2 only)."
    )


class VolumeCloneBody(Body):
    """A copy."""

    name: Name


class VolumeResizeBody(Body):
    """Another size."""

    capacity: int = Field(ge=1024, le=2**60, description="Bytes that a guest sees.")
    confirm: str = Field("", max_length=1000, description="Its name, to make it smaller.")


class VolumeWipeBody(Body):
    """Overwriting it."""

    algorithm: str = Field("zero", pattern=f"^({'|'.join(ALGORITHMS)})$")
    confirm: str = Field(max_length=1000, description="Its name.")


class VolumeDeleteBody(Body):
    """Deleting it."""

    confirm: str = Field("", max_length=1000, description="Its name, when it is used.")


class PoolDeleteBody(Body):
    """Deleting a pool."""

    delete_storage: bool = Field(False, description="Delete the storage itself too.")
    confirm: str = Field("", max_length=255, description="Its name; needed with delete_storage.")
