"""What can be done to the hosts of a lab that is up: asked by virsh, cut off, switched off, frozen, slowed down."""

from __future__ import annotations

import signal
import subprocess
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from lab import cgroups, network, switch
from lab.commands import attempt
from lab.errors import LabError
from lab.host import Host
from lab.names import Names


class Deeds(ABC):
    """Done to one host, by its name. Whatever takes something away has its opposite."""

    names: Names

    @abstractmethod
    def host(self, name: str) -> Host:
        """One host."""

    @abstractmethod
    def write_facts(self) -> None:
        """Write lab.json."""

    def virsh(self, host: str, *arguments: str, timeout: float = 120) -> str:
        """Run virsh inside a host; returns what it printed, raises LabError with its words when it fails."""
        done = self.host(host).virsh(*arguments, timeout=timeout)
        if done.returncode != 0:
            raise LabError(f"virsh {' '.join(arguments)} on {host}: {done.stderr.strip()}")
        return done.stdout

    def state(self, host: str, guest: str) -> str:
        """A guest's state on a host, in virsh's words."""
        return self.virsh(host, "domstate", guest).strip()

    def execute(self, host: str, command: Sequence[str | Path]) -> subprocess.CompletedProcess[str]:
        """Run a program inside a host's namespaces."""
        return attempt(self.host(host).inside(command))

    @contextmanager
    def open_vswitch(self, host: str, bridge: str = "ovsbr0") -> Iterator[Callable[..., str]]:
        """Open vSwitch with a bridge on that host, for as long as the block lasts; hands out its `ovs-vsctl`."""
        place = self.host(host)
        switch.start(place, bridge)
        try:
            yield lambda *words: switch.ask(place, *words)
        finally:
            switch.stop(place)

    def cut(self, host: str) -> None:
        """Pull the host's network cable."""
        network.set_link(self.names, self.host(host).number, up=False)

    def join(self, host: str) -> None:
        """Put the cable back."""
        network.set_link(self.names, self.host(host).number, up=True)

    def unplug(self, host: str) -> None:
        """Cut the host's power: libvirtd and all its guests are gone at once."""
        self.host(host).unplug()

    def plug(self, host: str) -> None:
        """Boot the host again and wait for its libvirtd. Its guests are defined and shut off."""
        found = self.host(host)
        if not found.running:
            found.configure()
            found.boot()
            found.wait_ready()
            self.write_facts()

    def freeze(self, host: str) -> None:
        """Stop libvirtd in its tracks: connections stay open and nothing answers."""
        self.host(host).signal_libvirtd(signal.SIGSTOP)

    def thaw(self, host: str) -> None:
        """Let libvirtd go on."""
        self.host(host).signal_libvirtd(signal.SIGCONT)

    def kill(self, host: str) -> None:
        """Kill libvirtd alone; guests go on. It stays dead until `restart`."""
        self.host(host).stop_libvirtd(signal.SIGKILL)

    def restart(self, host: str) -> None:
        """Restart libvirtd; guests go on."""
        found = self.host(host)
        found.stop_libvirtd(signal.SIGTERM)
        found.start_libvirtd()

    def throttle(self, host: str, rate: str) -> None:
        """Limit the host's cable, both ways; the rate in tc's words, such as 50mbit."""
        network.throttle(self.names, self.host(host).number, rate)

    def unthrottle(self, host: str) -> None:
        """Remove the limit."""
        network.unthrottle(self.names, self.host(host).number)

    def slow(self, host: str, percent: int) -> None:
        """Leave the host so much of one processor: its libvirtd and its guests together."""
        quota = cgroups.PERIOD * percent // 100
        cgroups.limit(self.host(host).cgroup("cpu"), quota)

    def unslow(self, host: str) -> None:
        """Remove the limit."""
        cgroups.limit(self.host(host).cgroup("cpu"), -1)
