"""Guests' text consoles without guests."""

from __future__ import annotations

import threading
from typing import Any

from hosts.hypervisor import errors
from hosts.hypervisor.console import Held
from vms.console.closing import NO_SCREEN, Closing
from vms.models import VirtualMachine

SERIAL = """<domain type='kvm' id='3'><name>a</name><devices>
  <serial type='pty'><target port='0'/><alias name='serial0'/></serial>
  <serial type='file'><source path='/log'/><target port='1'/><alias name='serial1'/></serial>
  <console type='pty'><target type='serial' port='0'/><alias name='serial0'/></console>
  <console type='pty'><target type='virtio' port='1'/><alias name='console1'/></console>
</devices></domain>"""


class Stream:
    """One open console; the test is the guest."""

    def __init__(self, consoles: Consoles, vm: VirtualMachine, device: str, heard: Any, ended: Any) -> None:
        self.consoles, self.vm, self.device = consoles, vm, device
        self.heard, self.ended = heard, ended
        self.is_over = self.closed = False
        self.sent = b""
        self.reads = threading.Event()
        self.reads.set()

    def send(self, data: bytes) -> None:
        """What is typed; waits while the guest does not read."""
        self.reads.wait(20)
        if self.is_over:
            raise errors.Unreachable("gone")
        self.sent += data

    def end(self) -> None:
        """The guest's end hangs up."""
        self.is_over = True
        self.reads.set()
        self.ended()

    def close(self) -> None:
        """Ours does."""
        self.closed = self.is_over = True


class Consoles:
    """What libvirt would do."""

    def __init__(self) -> None:
        self.streams: list[Stream] = []
        self.held = False
        self.failure: Exception | None = None
        self.breaks = 0

    def open_serial(self, vm: VirtualMachine, device: str, heard: Any, ended: Any, *, force: bool) -> Stream:
        """Let one in at a time."""
        if self.failure is not None:
            raise self.failure
        taken = next((stream for stream in self.streams if stream.vm == vm and not stream.is_over), None)
        if (self.held or taken) and not force:
            raise Held("Somebody else has this console open.")
        self.held = False
        self.streams.append(Stream(self, vm, device, heard, ended))
        return self.streams[-1]

    def send_break(self, vm: VirtualMachine, device: str) -> None:
        """Count it."""
        if vm.host is None:
            raise Closing(NO_SCREEN, "The guest is on no host.")
        self.breaks += 1
