"""What making a guest comes to: its volumes, its drives, its definition. Plain data, from rows."""

from __future__ import annotations

import posixpath
import uuid
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any

from hosts.models import Host, StoragePool, StorageVolume
from vms.appliance.reading import Part
from vms.creation import domain
from vms.creation.domain import Drive, Frame
from vms.creation.hardware import Hardware, Platform
from vms.creation.osinfo import System

#: types of pools whose volumes are files, and those whose volumes are devices
FILES = ("dir", "fs", "netfs", "vstorage")
DEVICES = ("logical", "disk", "zfs")
#: bytes of a volume that holds a seed: a megabyte takes in all that one can hold
SEED_BYTES = 2**20


@dataclass(frozen=True, slots=True)
class NewVolume:
    """A volume that is made.

    ``how``: empty, copy (of ``source``), link (it lies on ``source``), unpack (``part`` of the appliance ``source``) or upload.
    """

    key: str
    pool: StoragePool
    name: str
    capacity: int
    format: str
    how: str = "empty"
    source: StorageVolume | None = None
    allocate: bool = False
    part: Part | None = None

    @property
    def path(self) -> str:
        """Where it is going to be; the host has the last word."""
        return posixpath.join(self.pool.path, self.name)

    @property
    def takes(self) -> int:
        """Bytes that it takes of its pool at once."""
        if self.allocate or self.pool.type in DEVICES:
            return self.capacity
        if self.how == "unpack" and self.part is not None:
            return max(self.part.populated, self.part.size)
        return self.source.allocation if self.how == "copy" and self.source is not None else 0

    @property
    def meanwhile(self) -> int:
        """Bytes that it takes besides while it is made, and gives back."""
        return self.part.size if self.how == "unpack" and self.part is not None else 0


@dataclass(frozen=True, slots=True)
class Plan:
    """A guest that can be made. ``text`` is the definition that a copy is made from, '' for what is built anew."""

    host: Host
    uuid: uuid.UUID
    arguments: dict[str, Any]
    frame: Frame
    hardware: Hardware
    platform: Platform
    volumes: list[NewVolume]
    #: (key of a new volume or '', drive): the path of a new one is put in when it is there
    drives: list[tuple[str, Drive]]
    system: System | None = None
    text: str = ""
    #: for a copy: target → key of its new volume; '' takes the drive out
    targets: dict[str, str] = field(default_factory=dict)

    def definition(self, paths: Mapping[str, str] | None = None, text: str = "") -> str:
        """The definition; ``paths`` of volumes by key, where they are known by now; ``text``: of a copy's source, whole."""
        known = {volume.key: volume.path for volume in self.volumes} | dict(paths or {})
        placed = {key: replace(drive, path=known[key]) if key else drive for key, drive in self.drives}
        if not self.text:
            drives = [replace(drive, path=known[key]) if key else drive for key, drive in self.drives]
            return domain.build(self.frame, self.hardware, self.platform, drives)
        renewed = {target: placed[key] if key else None for target, key in self.targets.items()}
        copy = domain.copy(text or self.text, self.frame.name, self.uuid, renewed)
        seed = next((volume for volume in self.volumes if volume.key == "seed"), None)
        return domain.add_seed(copy, known["seed"], block=seed.pool.type in DEVICES) if seed is not None else copy
