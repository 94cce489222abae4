"""Rows of guests made equal to what was seen on the hosts. Records are handed in; libvirt is never called here.

A domain is one VirtualMachine however many hosts hold it. Each host's look writes that host's Sighting; :func:`settle` then says
where the guest is and how it is, from all its sightings. Nothing vanishes: what was not there at the last look is marked.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from datetime import datetime
from typing import Any

import structlog
from django.core.cache import cache
from django.db import transaction
from django.utils import timezone

from hosts import alarms, notify, supervisor_sinks
from hosts.hypervisor.records import Address, GuestRecord
from vms.definition.summary import Summary, summarize
from vms.definition.xml import MalformedDefinition, parse
from vms.models import Sighting, Tag, VirtualMachine
from vms.pictures import to_png

log = structlog.get_logger(__name__)

PowerState = VirtualMachine.PowerState
#: which sighting tells best where a guest is
PRECEDENCE = {"running": 5, "paused": 4, "pmsuspended": 3, "crashed": 2, "shutoff": 1, "unknown": 0}
ACTIVE = {"running", "paused", "pmsuspended"}
PICTURE_WANTED_SECONDS = 20


def register() -> None:
    """Become the sink of the hosts' watchers."""
    supervisor_sinks.add(Sink())


class Sink:
    """What the watchers call."""

    def guests_seen(self, host_id: int, records: list[GuestRecord], *, complete: bool) -> None:
        guests_seen(host_id, records, complete=complete)

    def guest_gone(self, host_id: int, uuid: str) -> None:
        guest_gone(host_id, uuid)

    def addresses_seen(self, host_id: int, found: dict[str, list[Address]], leases: list[tuple[str, str, str]]) -> None:
        addresses_seen(host_id, found, leases)

    def figures_seen(self, host_id: int, frame: dict[str, dict[str, Any]]) -> None:
        figures_seen(host_id, frame)

    def wanting_addresses(self, host_id: int) -> list[str]:
        return wanting_addresses(host_id)

    def wanted_pictures(self, host_id: int) -> list[str]:
        return wanted_pictures(host_id)

    def picture_seen(self, uuid: str, mime: str, data: bytes) -> None:
        picture_seen(uuid, mime, data)


def guests_seen(host_id: int, records: list[GuestRecord], *, complete: bool) -> None:
    """Take in one look: every domain of the host (``complete``) or some of them."""
    now = timezone.now()
    for chunk in _chunks(records, 200):
        # One transaction: nobody sees a guest that is nowhere yet.
        with transaction.atomic():
            _settle_all(_write_sightings(host_id, chunk, now))
    if complete:
        _settle_all(_mark_absent(host_id, {record.uuid for record in records}, now))


def guest_gone(host_id: int, uuid: str) -> None:
    """The host does not hold the domain any more."""
    now = timezone.now()
    if Sighting.objects.filter(host_id=host_id, vm__uuid=uuid, absent_since=None).update(absent_since=now):
        _settle_all([uuid])


def _chunks(records: list[GuestRecord], size: int) -> Iterable[list[GuestRecord]]:
    for start in range(0, len(records), size):
        yield records[start : start + size]


def _mark_absent(host_id: int, present: set[str], now: datetime) -> list[str]:
    known = Sighting.objects.filter(host_id=host_id, absent_since=None).values_list("vm_id", flat=True)
    gone = [uuid for uuid in known if str(uuid) not in present]
    Sighting.objects.filter(host_id=host_id, vm_id__in=gone).update(absent_since=now)
    return [str(uuid) for uuid in gone]


def digest_of(record: GuestRecord) -> str:
    """What, when it is equal, means that nothing we keep has changed."""
    facts = (record.name, record.state, record.reason, record.persistent, record.autostart, record.managed_save)
    text = "\0".join([*map(str, facts), record.live_definition, record.inactive_definition])
    return hashlib.sha256(text.encode()).hexdigest()


def _write_sightings(host_id: int, records: list[GuestRecord], now: datetime) -> list[str]:
    """Write the changed ones; returns their UUIDs (also of those that only need another look at the whole)."""
    uuids = [record.uuid for record in records]
    known = {str(s.vm_id): s for s in Sighting.objects.filter(host_id=host_id, vm__uuid__in=uuids)}
    vms = {str(vm.uuid): vm for vm in VirtualMachine.objects.filter(uuid__in=uuids)}
    changed, same = [], []
    for record in records:
        sighting = known.get(record.uuid)
        digest = digest_of(record)
        if sighting is not None and sighting.digest == digest and sighting.absent_since is None:
            same.append(sighting)
            continue
        _write_sighting(host_id, record, digest, sighting, vms, now)
        changed.append(record.uuid)
    Sighting.objects.filter(pk__in=[s.pk for s in same]).update(seen_at=now)
    VirtualMachine.objects.filter(uuid__in=[s.vm_id for s in same], host_id=host_id).update(seen_at=now)
    suspects = [str(s.vm_id) for s in same if vms[str(s.vm_id)].suspected_at is not None]
    return changed + suspects


def _write_sighting(
    host_id: int,
    record: GuestRecord,
    digest: str,
    sighting: Sighting | None,
    vms: dict[str, VirtualMachine],
    now: datetime,
) -> None:
    vm = vms.get(record.uuid)
    if vm is None:
        vm = VirtualMachine.objects.create(uuid=record.uuid, name=record.name)
        vms[record.uuid] = vm
    sighting = sighting or Sighting(vm=vm, host_id=host_id, since=now)
    if sighting.power_state != record.state or sighting.absent_since is not None:
        sighting.since = now
    sighting.power_state = record.state
    sighting.power_reason = record.reason
    sighting.persistent = record.persistent
    sighting.autostart = record.autostart
    sighting.managed_save = record.managed_save
    sighting.name = record.name
    sighting.live_definition = record.live_definition
    sighting.inactive_definition = record.inactive_definition
    sighting.digest = digest
    sighting.seen_at = now
    sighting.absent_since = None
    sighting.save()


def _settle_all(uuids: Iterable[str]) -> None:
    topics: list[str] = []
    membership = False
    for chunk in _uuid_chunks(list(dict.fromkeys(uuids))):
        with transaction.atomic():
            vms = VirtualMachine.objects.filter(uuid__in=chunk).select_related("host").prefetch_related("tags")
            sightings: dict[str, list[Sighting]] = {}
            for sighting in Sighting.objects.filter(vm__uuid__in=chunk).select_related("host"):
                sightings.setdefault(str(sighting.vm_id), []).append(sighting)
            for vm in vms:
                membership |= settle(vm, sightings.get(str(vm.uuid), []))
                topics.append(f"vm:{vm.uuid}")
    if topics:
        notify.changed(*topics, *(["vms"] if membership else []), "vms-any")


def _uuid_chunks(uuids: list[str]) -> Iterable[list[str]]:
    for start in range(0, len(uuids), 200):
        yield uuids[start : start + 200]


def settle(vm: VirtualMachine, sightings: list[Sighting]) -> bool:
    """Say where the guest is and how it is, from all its sightings. True when lists of guests look different now."""
    before = (vm.name, vm.host_id, vm.power_state, vm.absent_since is None, vm.folder)
    present = [s for s in sightings if s.absent_since is None]
    _watch_for_split_brain(vm, present)
    if not present:
        vm.absent_since = vm.absent_since or timezone.now()
        if vm.power_state != PowerState.UNKNOWN:
            vm.state_since = timezone.now()
        vm.power_state, vm.power_reason = PowerState.UNKNOWN, "gone"
        vm.cpu_percent = vm.memory_used = None
        vm.save()
        return True
    best = max(present, key=lambda s: (PRECEDENCE[s.power_state], s.host.is_connected, s.since))
    _take_facts(vm, best)
    _take_state(vm, best, present)
    vm.save()
    _set_tags(vm)
    return before != (vm.name, vm.host_id, vm.power_state, True, vm.folder)


def _take_state(vm: VirtualMachine, best: Sighting, present: list[Sighting]) -> None:
    arriving = any(s.power_state == "paused" and s.power_reason == "migration" for s in present if s is not best)
    state = PowerState.MIGRATING if best.power_state == "running" and arriving else PowerState(best.power_state)
    if vm.power_state != state or vm.host_id != best.host_id:
        vm.state_since = best.since
    vm.power_state = state
    vm.power_reason = best.power_reason
    vm.host = best.host
    vm.seen_at = best.seen_at
    vm.absent_since = None
    if best.power_state not in ACTIVE:
        vm.cpu_percent = vm.memory_used = None
        vm.addresses = []


def _take_facts(vm: VirtualMachine, sighting: Sighting) -> None:
    vm.name = sighting.name
    vm.persistent = sighting.persistent
    vm.autostart = sighting.autostart
    vm.managed_save = sighting.managed_save
    try:
        summary = summarize(parse(sighting.live_definition))
    except MalformedDefinition as error:
        log.warning("a definition could not be read", vm=str(vm.uuid), host=sighting.host.name, error=str(error))
        return
    for name in Summary.__slots__:
        if name != "tags":
            setattr(vm, name, getattr(summary, name))
    vm.seen_tags = summary.tags


def _set_tags(vm: VirtualMachine) -> None:
    wanted = vm.seen_tags
    if wanted is not None and {tag.name for tag in vm.tags.all()} != set(wanted):
        Tag.objects.bulk_create([Tag(name=name) for name in wanted], ignore_conflicts=True)
        vm.tags.set(Tag.objects.filter(name__in=wanted))
    text = search_text(vm, wanted if wanted is not None else [tag.name for tag in vm.tags.all()])
    if text != vm.search_text:
        VirtualMachine.objects.filter(pk=vm.pk).update(search_text=text)


def search_text(vm: VirtualMachine, tags: list[str]) -> str:
    """Everything a guest may be found by, in lower case."""
    words = [vm.name, vm.title, str(vm.uuid), vm.folder, vm.host.name if vm.host else "", *tags]
    words += [nic["mac"] for nic in vm.nics] + [address["address"] for address in vm.addresses]
    return "\n".join(word for word in words if word).lower()


def _watch_for_split_brain(vm: VirtualMachine, present: list[Sighting]) -> None:
    """Running twice is an alarm, once both hosts were read again after it was first suspected.

    In the last moment of a migration both hosts' rows may say 'running' because one of them has not been read yet.
    """
    running = [s for s in present if s.power_state == "running"]
    key = f"split-brain-{vm.uuid}"
    if len(running) < 2:
        if vm.suspected_at is not None:
            vm.suspected_at = None
            alarms.clear(key)
        return
    if vm.suspected_at is None:
        vm.suspected_at = timezone.now()
        for sighting in running:
            notify.look_again(sighting.host_id, str(vm.uuid))
        return
    if all(s.seen_at > vm.suspected_at for s in running):
        hosts = sorted(s.host.name for s in running)
        alarms.raise_alarm(
            key, "split-brain", level="critical", subject_uuid=vm.uuid, subject_name=vm.name, hosts=hosts
        )


def wanting_addresses(host_id: int) -> list[str]:
    """Running guests whose agent answers, or of which no address is known yet."""
    rows = VirtualMachine.objects.filter(host_id=host_id, power_state=PowerState.RUNNING, absent_since=None)
    return [
        str(uuid)
        for uuid, agent, addresses in rows.values_list("uuid", "agent_connected", "addresses")
        if agent or not addresses
    ][:200]


def addresses_seen(host_id: int, found: dict[str, list[Address]], leases: list[tuple[str, str, str]]) -> None:
    """Take in what the agents said, and for the others what the DHCP servers leased."""
    by_mac: dict[str, list[str]] = {}
    for mac, address, _hostname in leases:
        by_mac.setdefault(mac.lower(), []).append(address)
    running = VirtualMachine.objects.filter(host_id=host_id, power_state=PowerState.RUNNING).select_related("host")
    for vm in running.prefetch_related("tags"):
        addresses = [
            {"mac": a.mac.lower(), "address": a.address, "prefix": a.prefix, "source": a.source}
            for a in found.get(str(vm.uuid), [])
        ] or [
            {"mac": nic["mac"], "address": address, "prefix": 0, "source": "lease"}
            for nic in vm.nics
            for address in by_mac.get(nic["mac"], [])
        ]
        if addresses and addresses != vm.addresses:
            vm.addresses = addresses
            text = search_text(vm, [tag.name for tag in vm.tags.all()])
            VirtualMachine.objects.filter(pk=vm.pk).update(addresses=addresses, search_text=text)
            notify.changed(f"vm:{vm.uuid}")


def figures_seen(host_id: int, frame: dict[str, dict[str, Any]]) -> None:
    """Keep the latest CPU and memory figures in the rows, for sorting."""
    rows = [
        VirtualMachine(uuid=subject[3:], cpu_percent=figures.get("cpu"), memory_used=figures.get("mem_used"))
        for subject, figures in frame.items()
        if subject.startswith("vm:")
    ]
    known = {str(pk) for pk in VirtualMachine.objects.filter(host_id=host_id).values_list("pk", flat=True)}
    VirtualMachine.objects.bulk_update(
        [row for row in rows if str(row.uuid) in known], ["cpu_percent", "memory_used"], batch_size=300
    )


def want_picture(uuid: str) -> None:
    """Somebody looks at this guest: keep its picture fresh for a while."""
    cache.set(f"picture-wanted:{uuid}", True, PICTURE_WANTED_SECONDS)


def wanted_pictures(host_id: int) -> list[str]:
    """Running guests somebody looks at."""
    rows = VirtualMachine.objects.filter(host_id=host_id, power_state=PowerState.RUNNING, absent_since=None)
    keys = {f"picture-wanted:{uuid}": str(uuid) for uuid in rows.values_list("uuid", flat=True)}
    return [keys[key] for key in cache.get_many(list(keys))]


def picture_seen(uuid: str, mime: str, data: bytes) -> None:
    """Keep the picture as PNG in the cache."""
    png = to_png(data)
    if png is None:
        log.warning("a picture of an unknown kind", vm=uuid, mime=mime)
        return
    digest = hashlib.sha256(png).hexdigest()[:16]
    before = cache.get(f"picture-digest:{uuid}")
    cache.set(f"picture:{uuid}", png, 600)
    cache.set(f"picture-digest:{uuid}", digest, 600)
    if before != digest:
        notify.changed(f"picture:{uuid}")
