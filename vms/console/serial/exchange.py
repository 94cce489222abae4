"""All text consoles that one gateway carries, and how somebody gets to one."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any
from uuid import UUID

from vms.console.closing import ELSEWHERE, UNREACHABLE, Closing
from vms.console.records import Grant
from vms.console.serial import owners
from vms.console.serial.company import Seat
from vms.console.serial.line import Line
from vms.console.serial.ports import Consoles

_TRIES = 5


class Exchange:
    """Lines by guest and device. ``rows`` runs work with the database and returns its result."""

    def __init__(self, gateway: str, consoles: Consoles | None, rows: Callable[..., Any]) -> None:
        self._gateway = gateway
        self._consoles = consoles
        self._rows = rows
        self._lock = threading.Lock()
        self._lines: dict[tuple[UUID, str], Line] = {}

    def join(self, grant: Grant) -> tuple[Line, Seat]:
        """A seat at the guest's text console, which is opened unless it is. Raises Closing."""
        if self._consoles is None:
            raise Closing(UNREACHABLE, "This gateway carries no text consoles.")
        seat = Seat(grant.user.username, grant.view_only)
        try:
            for _try in range(_TRIES):
                line = self._line(grant.vm.uuid, grant.device, self._consoles)
                if line.join(seat):
                    return line, seat
                # It ends just now, and libvirt lets in one at a time.
                line.await_end()
            raise Closing(UNREACHABLE, "The text console does not end.")
        except BaseException:
            seat.leave()
            raise

    def _line(self, vm: UUID, device: str, consoles: Consoles) -> Line:
        with self._lock:
            line = self._lines.get((vm, device))
            if line is not None:
                return line
            if not self._rows(owners.claim, vm, device, self._gateway):
                raise Closing(ELSEWHERE, "Another gateway carries this console.")
            line = Line(vm, device, self._gateway, consoles, self._rows, lambda: self._forget(vm, device))
            self._lines[vm, device] = line
            line.start()
            return line

    def _forget(self, vm: UUID, device: str) -> None:
        with self._lock:
            self._lines.pop((vm, device), None)

    def beat(self) -> None:
        """Say that this gateway lives, if it carries any."""
        if self._lines:
            owners.beat(self._gateway)

    def stop(self) -> None:
        """End them all."""
        for line in list(self._lines.values()):
            line.stop()
