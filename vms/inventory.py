"""Rows of guests made equal to what was seen on the hosts. Records are handed in; libvirt is never called here.

A domain is one VirtualMachine however many hosts hold it. Each host's look writes that host's Sighting; :func:`settle` then says
where the guest is and how it is, from all its sightings. Nothing vanishes: what was not there at the last look is marked.
"""

from __future__ import annotations

import hashlib
import uuid as uuid_module
from datetime import datetime
from typing import Any

import structlog
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from hosts import alarms, notify, supervisor_sinks
from hosts.hypervisor.records import Address, GuestRecord
from hosts.models import Host
from vms import history, storage
from vms.definition import snapshot as snapshot_xml
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
#: guests written in one transaction
CHUNK = 500
#: columns of a guest that come straight out of its definition
FROM_DEFINITION = tuple(name for name in Summary.__slots__ if name != "tags")
#: columns that :func:`settle` says
SETTLED = [
    "name", "host", "power_state", "power_reason", "state_since", "seen_at", "absent_since", "persistent", "autostart",
    "managed_save", "addresses", "search_text", "suspected_at", "cpu_percent", "memory_used", *FROM_DEFINITION,
]  # fmt: skip
#: columns of a sighting that a look says
CLAIMED = [
    "power_state", "power_reason", "name", "persistent", "autostart", "managed_save", "live_definition",
    "inactive_definition", "version", "snapshots", "digest", "seen_at", "since", "absent_since",
]  # fmt: skip


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
    if not Host.objects.filter(pk=host_id).exists():
        return  # It was removed while it was looked at.
    now = timezone.now()
    for start in range(0, len(records), CHUNK):
        _take_in(host_id, records[start : start + CHUNK], now)
    if complete:
        _settle_all(_mark_absent(host_id, {record.uuid for record in records}, now))


def guest_gone(host_id: int, uuid: str) -> None:
    """The host does not hold the domain any more."""
    now = timezone.now()
    if Sighting.objects.filter(host_id=host_id, vm__uuid=uuid, absent_since=None).update(absent_since=now):
        storage.released(host_id, [uuid])
        _settle_all([uuid])


def _mark_absent(host_id: int, present: set[str], now: datetime) -> list[str]:
    known = Sighting.objects.filter(host_id=host_id, absent_since=None).values_list("vm_id", flat=True)
    gone = [uuid for uuid in known if str(uuid) not in present]
    Sighting.objects.filter(host_id=host_id, vm_id__in=gone).update(absent_since=now)
    if gone:
        storage.released(host_id, gone)
    return [str(uuid) for uuid in gone]


def digest_of(record: GuestRecord) -> str:
    """What, when it is equal, means that nothing we keep has changed."""
    facts = (record.name, record.state, record.reason, record.persistent, record.autostart, record.managed_save)
    snapshots = [f"{snapshot.current} {snapshot.definition}" for snapshot in record.snapshots]
    text = "\0".join([*map(str, facts), record.live_definition, record.inactive_definition, *snapshots])
    return hashlib.sha256(text.encode()).hexdigest()


def _take_in(host_id: int, records: list[GuestRecord], now: datetime) -> None:
    """One transaction, so that nobody sees a guest that is nowhere yet; a handful of statements, however many guests."""
    digests = {record.uuid: digest_of(record) for record in records}
    with transaction.atomic():
        known = {str(s.vm_id): s for s in _without_definitions().filter(host_id=host_id, vm_id__in=list(digests))}
        same = {u for u, s in known.items() if s.digest == digests[u] and s.absent_since is None}
        Sighting.objects.filter(pk__in=[known[uuid].pk for uuid in same]).update(seen_at=now)
        VirtualMachine.objects.filter(uuid__in=same, host_id=host_id).update(seen_at=now)
        seen = {
            record.uuid: _sighting(host_id, record, digests[record.uuid], known.get(record.uuid), now)
            for record in records
            if record.uuid not in same
        }
        suspects = VirtualMachine.objects.filter(uuid__in=same).exclude(suspected_at=None)
        settled, membership = _settle(_rows(seen), host_id, seen)
        history.take_in(host_id, seen.values(), known.values(), now)
        _write_sightings(list(seen.values()))
        storage.claimed(host_id, list(seen.values()))
        suspects_now = [str(pk) for pk in suspects.values_list("pk", flat=True)]
    _tell(settled, membership)
    _settle_all(suspects_now)


def _without_definitions() -> QuerySet[Sighting]:
    """Sightings without their long texts, which are read for few of them."""
    return Sighting.objects.defer("live_definition", "inactive_definition")


def _sighting(host_id: int, record: GuestRecord, digest: str, before: Sighting | None, now: datetime) -> Sighting:
    """The host's claim as it is now; ``before`` is what it claimed at the last look."""
    as_before = before is not None and before.power_state == record.state and before.absent_since is None
    return Sighting(
        pk=before.pk if before else None,
        vm_id=uuid_module.UUID(record.uuid),
        host_id=host_id,
        power_state=record.state,
        power_reason=record.reason,
        persistent=record.persistent,
        autostart=record.autostart,
        managed_save=record.managed_save,
        name=record.name,
        live_definition=record.live_definition,
        inactive_definition=record.inactive_definition,
        snapshots=_snapshots(record),
        digest=digest,
        seen_at=now,
        since=before.since if before is not None and as_before else now,
    )


def _snapshots(record: GuestRecord) -> list[dict[str, Any]]:
    found = []
    for snapshot in record.snapshots:
        try:
            found.append({**snapshot_xml.read(snapshot.definition), "current": snapshot.current})
        except MalformedDefinition as error:
            log.warning("a snapshot could not be read", vm=record.uuid, snapshot=snapshot.name, error=str(error))
    return found


def _rows(seen: dict[str, Sighting]) -> list[VirtualMachine]:
    """The guests' rows, locked; new ones are made, and written only with what :func:`settle` says."""
    if connection.features.has_select_for_update:
        # Another host's process may be making the same row: whoever comes second waits here and then sees the first's.
        bare = [VirtualMachine(uuid=s.vm_id, name=s.name) for s in seen.values()]
        VirtualMachine.objects.bulk_create(bare, ignore_conflicts=True)
    known = {str(vm.uuid): vm for vm in _locked(list(seen))}
    return [known.get(uuid) or VirtualMachine(uuid=s.vm_id, name=s.name) for uuid, s in seen.items()]


def _locked(uuids: list[str]) -> QuerySet[VirtualMachine]:
    """In one order everywhere, so that two who lock the same rows do not wait for each other."""
    rows = VirtualMachine.objects.filter(uuid__in=uuids).order_by("uuid").select_for_update()
    return rows.prefetch_related("tags")


def _settle_all(uuids: list[str]) -> None:
    """Settle guests by what the rows say."""
    for start in range(0, len(uuids), CHUNK):
        with transaction.atomic():
            settled, membership = _settle(list(_locked(uuids[start : start + CHUNK])))
        _tell(settled, membership)


def _settle(
    vms: list[VirtualMachine], host_id: int | None = None, seen: dict[str, Sighting] | None = None
) -> tuple[list[VirtualMachine], bool]:
    """Settle and write the rows; ``seen`` are sightings of ``host_id`` that are not written yet."""
    claims: dict[str, list[Sighting]] = {uuid: [sighting] for uuid, sighting in (seen or {}).items()}
    others = _without_definitions().filter(vm_id__in=[vm.uuid for vm in vms])
    for sighting in others.exclude(host_id=host_id) if host_id is not None else others:
        claims.setdefault(str(sighting.vm_id), []).append(sighting)
    of_hosts = {sighting.host_id for mine in claims.values() for sighting in mine}
    hosts = {host.pk: host for host in Host.objects.only("name", "state").filter(pk__in=of_hosts)}
    membership = False
    for vm in vms:
        mine = claims.get(str(vm.uuid), [])
        for sighting in mine:
            sighting.host = hosts[sighting.host_id]
        membership |= settle(vm, mine)
    tags = {vm.uuid: set(vm.seen_tags or ()) for vm in vms if _tags_differ(vm)}
    VirtualMachine.objects.bulk_create(vms, update_conflicts=True, unique_fields=["uuid"], update_fields=SETTLED)
    _save_tags(tags)
    return vms, membership


def _write_sightings(sightings: list[Sighting]) -> None:
    new = [sighting for sighting in sightings if sighting.pk is None]
    changed = [sighting for sighting in sightings if sighting.pk is not None]
    Sighting.objects.bulk_create(new)
    Sighting.objects.bulk_create(changed, update_conflicts=True, unique_fields=["id"], update_fields=CLAIMED)


def _tell(vms: list[VirtualMachine], membership: bool) -> None:
    if vms:
        notify.changed(*[f"vm:{vm.uuid}" for vm in vms], *(["vms"] if membership else []), "vms-any")


def _save_tags(moved: dict[uuid_module.UUID, set[str]]) -> None:
    """Tie guests to the tags just read from their metadata."""
    if not moved:
        return
    names = set[str]().union(*moved.values())
    Tag.objects.bulk_create([Tag(name=name) for name in sorted(names)], ignore_conflicts=True)
    ids = dict(Tag.objects.filter(name__in=names).values_list("name", "pk"))
    ties = VirtualMachine.tags.through
    ties.objects.filter(virtualmachine_id__in=list(moved)).delete()
    ties.objects.bulk_create(
        [ties(virtualmachine_id=uuid, tag_id=ids[name]) for uuid, tags in moved.items() for name in sorted(tags)]
    )


def _tags_differ(vm: VirtualMachine) -> bool:
    return vm.seen_tags is not None and set(vm.seen_tags) != set(_tag_names(vm))


def _tag_names(vm: VirtualMachine) -> list[str]:
    return [] if vm._state.adding else [tag.name for tag in vm.tags.all()]


def settle(vm: VirtualMachine, sightings: list[Sighting]) -> bool:
    """Say where the guest is and how it is, from all its sightings. True when lists of guests look different now."""
    before = (vm.name, vm.host_id, vm.power_state, vm.absent_since is None, vm.folder)
    is_new = vm._state.adding or vm.seen_at is None
    present = [s for s in sightings if s.absent_since is None]
    _watch_for_split_brain(vm, present)
    if not present:
        _take_absence(vm)
        return True
    best = max(present, key=lambda s: (PRECEDENCE[s.power_state], s.host.is_connected, s.since))
    _take_facts(vm, best)
    _take_state(vm, best, present)
    vm.search_text = search_text(vm, vm.seen_tags if vm.seen_tags is not None else _tag_names(vm))
    return is_new or before != (vm.name, vm.host_id, vm.power_state, True, vm.folder)


def _take_absence(vm: VirtualMachine) -> None:
    vm.absent_since = vm.absent_since or timezone.now()
    if vm.power_state != PowerState.UNKNOWN:
        vm.state_since = timezone.now()
    vm.power_state, vm.power_reason = PowerState.UNKNOWN, "gone"
    vm.cpu_percent = vm.memory_used = None


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
    for name in FROM_DEFINITION:
        setattr(vm, name, getattr(summary, name))
    vm.seen_tags = summary.tags


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
