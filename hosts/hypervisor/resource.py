"""What storage pools and virtual networks have in common: they are defined, on or off, and start with their host or not."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Future
from typing import Any

import libvirt

from hosts.hypervisor.connection import Connection
from hosts.hypervisor.errors import NotFound


class Resource(ABC):
    """One of them on a live connection. What may last is begun with ``begin_…`` and returns a Future."""

    def __init__(self, connection: Connection, uuid: str) -> None:
        self.connection = connection
        self.uuid = uuid

    @abstractmethod
    def _find(self, raw: libvirt.virConnect) -> Any:
        """libvirt's own handle on it."""

    def _begin(self, work: Callable[[Any], Any]) -> Future[Any]:
        return self.connection.submit(lambda raw: work(self._find(raw)))

    def _do(self, work: Callable[[Any], Any]) -> Any:
        return self.connection.call(lambda raw: work(self._find(raw)))

    def facts(self) -> dict[str, bool]:
        """``active``, ``autostart``, ``persistent``. Raises NotFound."""
        found: dict[str, bool] = self._do(
            lambda one: {
                "active": bool(one.isActive()),
                "autostart": bool(one.autostart()),
                "persistent": bool(one.isPersistent()),
            }
        )
        return found

    def exists(self) -> bool:
        """Whether the host has it."""
        try:
            self.facts()
        except NotFound:
            return False
        return True

    def set_autostart(self, enabled: bool) -> None:
        """Whether it starts with the host."""
        self._do(lambda one: one.setAutostart(int(enabled)))

    def undefine(self) -> None:
        """Forget its definition."""
        self._do(lambda one: one.undefine())
