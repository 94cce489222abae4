"""Facts of guests and hosts read from the mirror: a fixed number of queries, whatever their number."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from datetime import timedelta
from functools import lru_cache
from typing import Any, Self
from uuid import UUID

from django.db.models import QuerySet
from django.utils import timezone

from hosts.capacity import HEAVY
from hosts.hypervisor.errors import InvalidUri
from hosts.models import (
    Host,
    HostAbility,
    HostInterfaces,
    HostProcessors,
    HostSupply,
    Network,
    NetworkFilter,
    Operation,
)
from hosts.targets import peer_uri_of
from vms.models import Sighting, VirtualMachine
from vms.moving.preflight import rows_storage
from vms.moving.preflight.engine import NAMES, Table
from vms.moving.preflight.facts import Ability, Guest, Machine, Platform, Processors, Secret, Wishes
from vms.moving.preflight.reading import guest_of

#: columns of hosts that are read whole
READ = ("capabilities", "cells")
#: what keeps a guest that is moved by its saved memory; its disks are looked at by the move itself
BY_SAVED = ("host", "guest", "cpu", "machine", "networks")
#: days for which a move that went well says that the road is there
REMEMBERED_DAYS = 180
#: columns of a guest that its facts are made of
OF_GUEST = (
    "uuid",
    "name",
    "host_id",
    "power_state",
    "persistent",
    "absent_since",
    "arch",
    "memory",
    "vcpus",
    "seen_at",
)


def table(vms: Sequence[VirtualMachine], hosts: QuerySet[Host] | None = None, wishes: Wishes | None = None) -> Table:
    """These guests against these hosts (all, unless said); the hosts where they are now are looked at in any case."""
    guests = guests_of(vms)
    return Table(guests, machines_of(hosts if hosts is not None else Host.objects.all(), guests), wishes)


def wishes_of(arguments: Mapping[str, Any]) -> Wishes:
    """What the arguments of a move say that changes what may be."""
    return Wishes(**{name: bool(arguments.get(name)) for name in Wishes._fields})


def _as_told(guest: Guest, arguments: Mapping[str, Any]) -> Guest:
    """The guest as it will be on the target: networks under other names, disks in other pools."""
    networks, elsewhere = arguments.get("networks") or {}, arguments.get("disks") or {}
    return guest._replace(
        cards=tuple(card._replace(source=networks.get(card.source, card.source)) for card in guest.cards),
        disks=tuple(disk for disk in guest.disks if not elsewhere.get(disk.target)),
    )


def against_move(vm: VirtualMachine, target: Host, arguments: Mapping[str, Any]) -> list[str]:
    """Why the guest may not be moved so, in the reader's language; nothing where it may, or where that is not known."""
    read = _reading.get()
    place = (str(vm.pk), vm.host_id)
    if read is None or place not in read.places or read.asked != (target.pk, arguments):
        read = Reading.of([vm], target, arguments)
    found = read.table.against(read.places[place], 0)
    matters = BY_SAVED if arguments.get("mode") == "saved" else NAMES
    return [finding.told for check, finding in found if check.name in matters]


@dataclass(frozen=True, slots=True)
class Reading:
    """Several guests that are asked to move to one host with the same arguments."""

    asked: tuple[int, Mapping[str, Any]]
    target: Host
    table: Table
    #: the guests' numbers, by themselves and where they were when they were read
    places: dict[tuple[str, int | None], int]

    @classmethod
    def of(cls, vms: Sequence[VirtualMachine], target: Host, arguments: Mapping[str, Any]) -> Self:
        """Read them and judge all of them at once."""
        guests = [_as_told(guest, arguments) for guest in guests_of(vms)]
        machines = machines_of(Host.objects.filter(pk__in={target.pk, *(guest.host for guest in guests)}), guests)
        there = [machine for machine in machines if machine.id == target.pk]
        others = [machine for machine in machines if machine.id != target.pk]
        places = {(guest.uuid, guest.host): place for place, guest in enumerate(guests)}
        asked = (target.pk, dict(arguments))
        return cls(asked, target, Table(guests, there, wishes_of(arguments), others), places)

    def runs_there(self, vm: VirtualMachine) -> bool:
        """Whether the target holds it running already."""
        return str(vm.pk) in self.table.machines[0].running


#: what the checks of many moves at once share, while they last
_reading: ContextVar[Reading | None] = ContextVar("reading", default=None)


def shared(host: str) -> Reading | None:
    """What the checks of many moves to that host share now; None for one alone."""
    read = _reading.get()
    return read if read is not None and read.target.name == host else None


@contextmanager
def read_once(vms: Sequence[VirtualMachine], target: Host, arguments: Mapping[str, Any]) -> Iterator[None]:
    """Within the block :func:`against_move` answers for these guests from one reading, made now."""
    token = _reading.set(Reading.of(vms, target, arguments))
    try:
        yield
    finally:
        _reading.reset(token)


def guests_of(vms: Sequence[VirtualMachine]) -> list[Guest]:
    """Their facts, in their order."""
    known = _definitions([vm.pk for vm in vms])
    return [_guest(vm, known.get((vm.pk, vm.host_id), ("", "", ()))) for vm in vms]


def _definitions(keys: list[UUID]) -> dict[tuple[UUID, int | None], tuple[str, str, Sequence[Any]]]:
    found: dict[tuple[UUID, int | None], tuple[str, str, Sequence[Any]]] = {}
    for start in range(0, len(keys), rows_storage.MOST_NAMES):
        rows = Sighting.objects.filter(vm__in=keys[start : start + rows_storage.MOST_NAMES], absent_since=None)
        columns = ("vm_id", "host_id", "live_definition", "inactive_definition", "snapshots")
        found |= {(vm, host): (live, stored, kept) for vm, host, live, stored, kept in rows.values_list(*columns)}
    return found


def _guest(vm: VirtualMachine, known: tuple[str, str, Sequence[Any]]) -> Guest:
    live, inactive, snapshots = known
    return guest_of(
        live,
        inactive,
        uuid=str(vm.pk),
        name=vm.name,
        host=vm.host_id,
        state=vm.power_state,
        persistent=vm.persistent,
        saved=vm.managed_save,
        present=vm.absent_since is None and vm.host_id is not None,
        arch=vm.arch,
        machine=vm.machine,
        memory=vm.memory,
        vcpus=vm.vcpus,
        snapshots=len(snapshots),
        seen_at=vm.seen_at,
    )


def machines_of(hosts: QuerySet[Host], guests: Sequence[Guest]) -> list[Machine]:
    """Their facts, by name. Of storage and guests only what matters to ``guests`` is read."""
    rows = list(hosts.defer(*[name for name in HEAVY if name not in READ]).order_by("name"))
    machines = {row.pk: _machine(row) for row in rows}
    paths = {disk.path for guest in guests for disk in guest.disks if disk.path}
    files = {path for guest in guests for path in (guest.loader, *guest.files) if path}
    _add_abilities(machines)
    _add_supply(machines)
    _add_networks(machines)
    rows_storage.add_storage(machines, paths | files, files)
    _add_guests(machines)
    if any(disk.server for guest in guests for disk in guest.disks):
        rows_storage.add_servers(machines)
    _add_roads(machines)
    return list(machines.values())


def _machine(row: Host) -> Machine:
    platforms, processors = _capabilities(row.capabilities)
    return Machine(
        id=row.pk,
        name=row.name,
        state=row.state,
        why=row.state_words or str(row.get_state_display()),
        enabled=row.enabled,
        maintenance=row.in_maintenance,
        arch=row.arch,
        hypervisor=row.hypervisor_type,
        libvirt=_version(row.libvirt_version),
        qemu=_version(row.hypervisor_version),
        cpus=row.cpus,
        memory=row.memory,
        free=max(0, row.memory - row.memory_used) if row.memory_used is not None else None,
        cpu=row.cpu_model,
        cells={
            int(cell["id"]): {"cpus": cell["cpus"], "pages": {page["size"]: page["count"] for page in cell["pages"]}}
            for cell in row.cells
        },
        platforms=platforms,
        processors_of=processors,
        peer=_peer(row),
        seen_at=row.seen_at,
        resources_at=row.reconciled_at,
    )


def _version(text: str) -> tuple[int, ...]:
    return tuple(int(number) for number in re.findall(r"[0-9]{1,6}", text)[:3])


def _peer(row: Host) -> str:
    try:
        uri = peer_uri_of(row)
    except InvalidUri:
        return ""
    # A socket of its own machine is no address for others.
    return uri if "://" in uri and not uri.partition("://")[2].startswith("/") else ""


@lru_cache(maxsize=256)
def _capabilities(text: str) -> tuple[dict[str, Platform], frozenset[int]]:
    """What a ``<capabilities>`` document says can be run, by architecture, and the numbers of the processors."""
    try:
        tree = ElementTree.fromstring(text) if text else None
    except ElementTree.ParseError:
        tree = None
    if tree is None:
        return {}, frozenset()
    found = {}
    for arch in tree.findall("guest/arch"):
        machines = {name for one in arch.iter("machine") for name in (one.text, one.get("canonical")) if name}
        virts = {one.get("type", "") for one in arch.findall("domain")}
        emulators = {one.text or "" for one in arch.iter("emulator")}
        found[arch.get("name", "")] = Platform(frozenset(machines), frozenset(virts), frozenset(emulators))
    numbers = frozenset(int(cpu.get("id", "0")) for cpu in tree.iterfind("host/topology/cells/cell/cpus/cpu"))
    return found, numbers


def _add_abilities(machines: dict[int, Machine]) -> None:
    for row in HostAbility.objects.filter(host__in=machines):
        machines[row.host_id].abilities[row.arch, row.machine] = Ability(row.machine, row.most_vcpus, row.words)
    for one in HostProcessors.objects.filter(host__in=machines):
        machine = machines[one.host_id]
        machine.processors[one.arch, one.virt] = Processors(
            frozenset(one.features), one.known_models, one.blockers, tuple(one.loaders)
        )
        machine.abilities_at = one.seen_at


def _add_supply(machines: dict[int, Machine]) -> None:
    for row in HostSupply.objects.filter(host__in=machines):
        machine = machines[row.host_id]
        machine.supply_at = row.seen_at
        if row.secrets is not None:
            machine.secrets = frozenset(Secret(*one) for one in row.secrets)
        if row.pages is not None:
            machine.free_pages = {}
            for page in row.pages:
                machine.free_pages.setdefault(page["cell"], {})[page["size"]] = page["free"]


def _add_networks(machines: dict[int, Machine]) -> None:
    rows = Network.objects.filter(host__in=machines, absent_since=None)
    for host, name, active, text in rows.values_list("host_id", "name", "active", "definition"):
        groups = _port_groups(text) if "<portgroup" in text else frozenset()
        machines[host].networks[name] = (active, groups)
    filters = NetworkFilter.objects.filter(host__in=machines, absent_since=None).values_list("host_id", "name")
    for host, names in rows_storage.grouped(filters).items():
        machines[host].filters = frozenset(names)
    for row in HostInterfaces.objects.filter(host__in=machines):
        machine, known = machines[row.host_id], row.interfaces
        machine.addresses = frozenset(
            str(address).partition("/")[0] for one in known for address in one.get("addresses", ())
        )
        if not row.trouble:
            machine.bridges = frozenset(one["name"] for one in known if one["kind"] == "bridge")
            machine.devices = frozenset(one["name"] for one in known)


def _port_groups(text: str) -> frozenset[str]:
    try:
        return frozenset(one.get("name", "") for one in ElementTree.fromstring(text).findall("portgroup"))
    except ElementTree.ParseError:
        return frozenset()


def _add_guests(machines: dict[int, Machine]) -> None:
    held: dict[int, set[str]] = {}
    running: dict[int, set[str]] = {}
    rows = Sighting.objects.filter(host__in=machines, absent_since=None)
    for host, vm, name, state in rows.values_list("host_id", "vm_id", "name", "power_state"):
        key = str(vm)
        machines[host].names[name] = key
        held.setdefault(host, set()).add(key)
        if state == VirtualMachine.PowerState.RUNNING:
            running.setdefault(host, set()).add(key)
    for host, keys in held.items():
        machines[host].held = frozenset(keys)
        machines[host].running = frozenset(running.get(host, ()))


def _add_roads(machines: dict[int, Machine]) -> None:
    by_name = {machine.name: machine for machine in machines.values()}
    since = timezone.now() - timedelta(days=REMEMBERED_DAYS)
    moves = Operation.objects.filter(kind="migrate", state="succeeded", finished_at__gt=since, host__isnull=False)
    for source, name in moves.values_list("host_id", "result__host").distinct():
        if name in by_name:
            by_name[name].reached_from |= {source}
