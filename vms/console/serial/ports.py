"""What a text console needs of the world: somebody who opens streams, and the guest's row."""

from __future__ import annotations

from collections.abc import Callable
from typing import Protocol
from uuid import UUID

from vms.console.access import LIVE
from vms.console.closing import NO_SCREEN, Closing
from vms.models import VirtualMachine


class Stream(Protocol):
    """An open console (hosts.hypervisor.console.ConsoleStream)."""

    @property
    def is_over(self) -> bool:
        """Whether it ended."""
        ...

    def send(self, data: bytes) -> None:
        """Hand bytes to the guest. Raises a HypervisorError."""

    def close(self) -> None:
        """End it."""


class Consoles(Protocol):
    """Opens text consoles on the guest's host."""

    def open_serial(
        self,
        vm: VirtualMachine,
        device: str,
        heard: Callable[[bytes], None],
        ended: Callable[[], None],
        *,
        force: bool,
    ) -> Stream:
        """Raises Held, Closing or a HypervisorError."""
        ...

    def send_break(self, vm: VirtualMachine, device: str) -> None:
        """Raises Closing or a HypervisorError."""


def find(uuid: UUID) -> VirtualMachine:
    """The guest's row with its host. Raises Closing when it was removed."""
    vm = VirtualMachine.objects.select_related("host").filter(pk=uuid).first()
    if vm is None:
        raise Closing(NO_SCREEN, "The guest was removed.")
    return vm


def why_not(vm: VirtualMachine) -> str:
    """Why there is no console to open, by the rows; '' when there should be one."""
    if vm.absent_since is not None or vm.host is None:
        return "nowhere"
    if not vm.host.is_connected:
        return "host"
    return "" if vm.power_state in LIVE else "off"
