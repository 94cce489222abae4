"""All checks of all guests against all hosts. What is alike is judged once: a cluster has many guests and few kinds of them."""

from __future__ import annotations

from collections.abc import Callable, Hashable, Sequence
from typing import Any, NamedTuple

from vms.moving.preflight import (
    checks_cpu,
    checks_devices,
    checks_machine,
    checks_network,
    checks_room,
    checks_state,
    checks_storage,
)
from vms.moving.preflight.facts import Guest, Hosts, Machine, Wishes
from vms.moving.preflight.finding import NO, OK, UNKNOWN, VERDICTS, WARNING, Finding, sentence, warning


class Check(NamedTuple):
    """``needs`` is what of the guest it depends on; ``look`` judges that against one host."""

    name: str
    label: str
    needs: Callable[[Guest], Hashable]
    look: Callable[[Any, Machine, Hosts], Finding]


CHECKS = (
    Check("host", sentence("Host"), checks_state.host_needs, checks_state.host_state),
    Check("guest", sentence("Guest"), checks_state.guest_needs, checks_state.guest_state),
    Check("cpu", sentence("Processor"), checks_cpu.needs, checks_cpu.look),
    Check("machine", sentence("Machine type"), checks_machine.machine_needs, checks_machine.machine),
    Check("firmware", sentence("Firmware"), checks_machine.firmware_needs, checks_machine.firmware),
    Check("memory", sentence("Memory"), checks_room.memory_needs, checks_room.memory),
    Check("vcpus", sentence("Processors and pins"), checks_room.vcpu_needs, checks_room.vcpus),
    Check("disks", sentence("Disks"), checks_storage.needs, checks_storage.disks),
    Check("cache", sentence("Cache"), checks_storage.cache_needs, checks_storage.cache),
    Check("networks", sentence("Networks"), checks_network.needs, checks_network.networks),
    Check("devices", sentence("Devices"), checks_devices.needs, checks_devices.devices),
    Check("screens", sentence("Screens"), checks_devices.screen_needs, checks_devices.screens),
    Check("tpm", sentence("TPM"), checks_devices.tpm_needs, checks_devices.tpm),
    Check("snapshots", sentence("Snapshots"), checks_state.snapshot_needs, checks_state.snapshots),
    Check("secrets", sentence("Secrets"), checks_state.secret_needs, checks_state.secrets),
    Check("road", sentence("Road"), checks_network.road_needs, checks_network.road),
    Check("versions", sentence("Versions"), checks_machine.version_needs, checks_machine.versions),
)
NAMES = tuple(check.name for check in CHECKS)


#: checks whose no keeps a guest that is off too; of the others it says only that it cannot start there
ALWAYS = ("host", "guest", "disks", "snapshots")


def _later(finding: Finding) -> Finding:
    return finding._replace(verdict=WARNING) if finding.verdict == NO else finding


class Table:
    """Every guest against every host. ``others`` are hosts where guests are now and none is to go."""

    def __init__(
        self,
        guests: Sequence[Guest],
        machines: Sequence[Machine],
        wishes: Wishes | None = None,
        others: Sequence[Machine] = (),
    ) -> None:
        self.guests, self.machines = list(guests), list(machines)
        self._wishes = wishes or Wishes()
        self._hosts: Hosts = {machine.id: machine for machine in (*others, *self.machines)}
        self._rows = [self._column(check) for check in CHECKS]
        self.verdicts: list[list[int]] = [
            [max(column) for column in zip(*(rows[number][1] for rows in self._rows), strict=True)]
            for number in range(len(self.guests))
        ]

    def _column(self, check: Check) -> list[tuple[list[Finding], list[int]]]:
        known: dict[Hashable, tuple[list[Finding], list[int]]] = {}
        rows = []
        for guest in self.guests:
            is_off = guest.state == checks_state.OFF and check.name not in ALWAYS
            need = (check.needs(guest), is_off)
            row = known.get(need)
            if row is None:
                found = [self._wished(check, check.look(need[0], machine, self._hosts)) for machine in self.machines]
                found = [_later(finding) for finding in found] if is_off else found
                row = known[need] = (found, [finding.verdict for finding in found])
            rows.append(row)
        return rows

    def _wished(self, check: Check, finding: Finding) -> Finding:
        """What was said of the move makes of some disks' no a yes."""
        if check.name != "disks" or finding.verdict != NO:
            return finding
        if self._wishes.copy_storage and checks_storage.is_copyable(finding):
            return finding._replace(verdict=OK, mend="")
        if self._wishes.unsafe and checks_storage.is_local(finding):
            return warning(sentence("Said to be shared, which nothing here shows: if it is not, data is damaged."))
        return finding

    def cells(self, guest: int, machine: int) -> list[tuple[Check, Finding]]:
        """Each check of one pair, by the numbers of guest and host."""
        return [(check, rows[guest][0][machine]) for check, rows in zip(CHECKS, self._rows, strict=True)]

    def against(self, guest: int, machine: int, least: int = NO) -> list[tuple[Check, Finding]]:
        """The cells that are at least that bad, the worst first."""
        found = [cell for cell in self.cells(guest, machine) if cell[1].verdict >= least]
        return sorted(found, key=lambda cell: -cell[1].verdict)

    def best(self, guest: int) -> list[int]:
        """The numbers of all hosts: those it may go to first, and of these the one with the most memory left."""
        return sorted(range(len(self.machines)), key=lambda number: self._rank(guest, number))

    def _rank(self, guest: int, number: int) -> tuple[Any, ...]:
        machine = self.machines[number]
        found = [(check.name, finding.verdict) for check, finding in self.cells(guest, number)]
        refused = sum(verdict == NO for _name, verdict in found)
        # Whether anybody took that road before says nothing of the host.
        doubts = sum(verdict in (WARNING, UNKNOWN) for name, verdict in found if name != "road")
        left = (machine.free - self.guests[guest].memory) / machine.memory if machine.free and machine.memory else 0.0
        return refused, doubts, -left, machine.name


def name_of(verdict: int) -> str:
    """ok, warning, unknown or no."""
    return VERDICTS[verdict]
