"""Every name, folder and address of one lab follows from the lab's name and its subnet."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path

from lab.errors import LabError

MACHINE = 254  # the last number of the machine's own address on every lab's bridge


def base_directory() -> Path:
    """Where all labs and the cache live."""
    return Path(os.environ.get("KVMDASH_LAB_DIR", "/var/tmp/kvmdash-lab"))


def cache_directory() -> Path:
    """Downloads and the guests' kernel: the same for all labs, kept when a lab goes."""
    return base_directory() / "cache"


def check_name(name: str) -> str:
    """Refuse a lab name that could not be part of a path or of a network namespace's name."""
    if not re.fullmatch(r"[a-z0-9][a-z0-9-]{0,30}", name) or name == "cache":
        raise LabError(f"{name!r} is no name for a lab: up to 31 small letters, digits and dashes, not 'cache'")
    return name


@dataclass(frozen=True)
class Names:
    """The names of one lab."""

    lab: str

    @property
    def directory(self) -> Path:
        """Where everything this lab writes is."""
        return base_directory() / self.lab

    @property
    def short(self) -> str:
        """Network device names hold 15 characters at most, so they carry a digest of the name."""
        return "kl" + hashlib.sha1(self.lab.encode(), usedforsecurity=False).hexdigest()[:6]

    @property
    def bridge(self) -> str:
        """The bridge on the machine that joins the hosts."""
        return f"{self.short}br"

    def link(self, number: int) -> str:
        """The machine's end of a host's cable."""
        return f"{self.short}h{number}"

    def inner_link(self, number: int) -> str:
        """The host's end of its cable until it is moved and called eth0."""
        return f"{self.short}i{number}"

    def hardware_address(self, number: int) -> str:
        """The host's own; it outlives a power cut, so that nobody's neighbour table goes stale."""
        digest = hashlib.sha1(self.lab.encode(), usedforsecurity=False).hexdigest()
        return f"02:{digest[0:2]}:{digest[2:4]}:{digest[4:6]}:{digest[6:8]}:{number:02x}"

    def netns(self, number: int) -> str:
        """The host's network namespace."""
        return f"kvmdash-{self.lab}-kvm{number}"

    @property
    def cgroup(self) -> str:
        """The lab's cgroup below the caller's own, in every controller."""
        return f"kvmdash-lab-{self.lab}"

    @property
    def preferred_subnet(self) -> int:
        """Where the search for a free 10.199.x.0/24 begins."""
        return int(hashlib.sha1(self.lab.encode(), usedforsecurity=False).hexdigest(), 16) % 250 + 1


def address(subnet: int, number: int) -> str:
    """A lab address: host N has N, the machine itself has 254."""
    return f"10.199.{subnet}.{number}"
