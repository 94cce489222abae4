"""Where the app above registers what is done with guests' records; apart from the supervisor so that it needs no libvirt."""

from __future__ import annotations

from typing import Any, Protocol

from hosts.hypervisor.records import Address, GuestRecord


class GuestSink(Protocol):
    """What the app above does with what the watchers saw."""

    def guests_seen(self, host_id: int, records: list[GuestRecord], *, complete: bool) -> None:
        """Take in one look at all (``complete``) or some of a host's guests."""

    def guests_listed(self, host_id: int, uuids: set[str]) -> None:
        """These are all that the host holds."""

    def guest_gone(self, host_id: int, uuid: str) -> None:
        """The host does not hold that guest any more."""

    def addresses_seen(self, host_id: int, found: dict[str, list[Address]], leases: list[tuple[str, str, str]]) -> None:
        """Take in addresses of guests and the host's DHCP leases (mac, address, host name)."""

    def figures_seen(self, host_id: int, frame: dict[str, dict[str, Any]]) -> None:
        """Take in the latest figures."""

    def wanting_addresses(self, host_id: int) -> list[str]:
        """Guests to be asked for their addresses."""
        ...

    def wanted_pictures(self, host_id: int) -> list[str]:
        """Guests somebody looks at."""
        ...

    def picture_seen(self, uuid: str, mime: str, data: bytes) -> None:
        """Take in a screenshot."""


sinks: list[GuestSink] = []


def add(sink: GuestSink) -> None:
    """Register the app above."""
    sinks.append(sink)
