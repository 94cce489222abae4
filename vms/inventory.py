"""Rows of guests made equal to what was seen on the hosts. Records are handed in; libvirt is never called here.

A domain is one VirtualMachine however many hosts hold it. Each host's look writes that host's Sighting; :func:`settle` then says
where the guest is and how it is, from all its sightings. Nothing vanishes: what was not there at the last look is marked.
"""

from __future__ import annotations

import hashlib
import uuid as uuid_module
from collections.abc import Iterable, Sequence
from datetime import UTC, datetime
from typing import Any

import structlog
from django.core.cache import cache
from django.db import connection, transaction
from django.db.models import QuerySet
from django.utils import timezone

from hosts import bulk, notify, supervisor_sinks
from hosts.hypervisor.records import Address, GuestRecord
from hosts.models import Host
from vms import history, networks, storage
from vms.definition import snapshot as snapshot_xml
from vms.definition.xml import MalformedDefinition
from vms.models import Sighting, Tag, VirtualMachine
from vms.pictures import to_png
from vms.settling import ACTIVE, FROM_DEFINITION, SETTLED, Noticed, search_text, settle, tag_names

log = structlog.get_logger(__name__)

PowerState = VirtualMachine.PowerState
PICTURE_WANTED_SECONDS = 20
#: of one host, in one round (hosts.figure_taker.PICTURE_SECONDS): the others come in the next
PICTURES_AT_ONCE = 12
#: guests written in one transaction
CHUNK = 500
#: columns of a sighting that every look says, and those of its definition
CLAIMED = (
    "power_state", "power_reason", "name", "persistent", "autostart", "managed_save", "digest", "seen_at", "since",
    "absent_since",
)  # fmt: skip
DEFINED = ("live_definition", "inactive_definition", "version", "snapshots")
#: characters of a digest that are of the definitions alone
OF_DEFINITIONS = 32


def register() -> None:
    """Become the sink of the hosts' watchers."""
    supervisor_sinks.add(Sink())


class Sink:
    """What the watchers call."""

    def guests_seen(self, host_id: int, records: list[GuestRecord], *, complete: bool) -> None:
        guests_seen(host_id, records, complete=complete)

    def guests_listed(self, host_id: int, uuids: set[str]) -> None:
        guests_listed(host_id, uuids)

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


def guests_seen(host_id: int, records: Sequence[GuestRecord], *, complete: bool) -> None:
    """Take in one look: every domain of the host (``complete``) or some of them."""
    host = Host.objects.only("name", "state").filter(pk=host_id).first()
    if host is None:
        return  # It was removed while it was looked at.
    now = timezone.now()
    for start in range(0, len(records), CHUNK):
        _take_in(host, records[start : start + CHUNK], now)
    if complete:
        guests_listed(host_id, {record.uuid for record in records})


def guests_listed(host_id: int, uuids: set[str]) -> None:
    """These are all that the host holds: what else it held is gone from it."""
    _settle_all(_mark_absent(host_id, uuids, timezone.now()))


def guest_gone(host_id: int, uuid: str) -> None:
    """The host does not hold the domain any more."""
    now = timezone.now()
    if Sighting.objects.filter(host_id=host_id, vm__uuid=uuid, absent_since=None).update(absent_since=now):
        storage.released(host_id, [uuid])
        networks.released(host_id, [uuid])
        _settle_all([uuid])


def _mark_absent(host_id: int, present: set[str], now: datetime) -> list[str]:
    known = Sighting.objects.filter(host_id=host_id, absent_since=None)
    if known.count() == len(present):
        return []  # All that are there were just written.
    gone = [uuid for uuid in known.values_list("vm_id", flat=True) if str(uuid) not in present]
    Sighting.objects.filter(host_id=host_id, vm_id__in=gone).update(absent_since=now)
    if gone:
        storage.released(host_id, gone)
        networks.released(host_id, gone)
    return [str(uuid) for uuid in gone]


def digest_of(record: GuestRecord) -> str:
    """What, when it is equal, means that nothing we keep has changed; its first half tells that of the definitions."""
    facts = (record.name, record.state, record.reason, record.persistent, record.autostart, record.managed_save)
    snapshots = [f"{snapshot.current} {snapshot.definition}" for snapshot in record.snapshots]
    texts = (record.live_definition, record.inactive_definition, str(record.persistent), *snapshots)
    return _hash("\0".join(texts)) + _hash("\0".join(map(str, facts)))


def _hash(text: str) -> str:
    return hashlib.blake2b(text.encode(errors="surrogatepass"), digest_size=OF_DEFINITIONS // 2).hexdigest()


def _take_in(host: Host, records: Sequence[GuestRecord], now: datetime) -> None:
    """One transaction, so that nobody sees a guest that is nowhere yet; a handful of statements, however many guests."""
    digests = {record.uuid: digest_of(record) for record in records}
    suspects: list[str] = []
    with transaction.atomic():
        claims = _claims(list(digests), host)
        known = {uuid: one for uuid, all_of_it in claims.items() for one in all_of_it if one.host_id == host.pk}
        same = [uuid for uuid, s in known.items() if s.digest == digests[uuid] and s.absent_since is None]
        if same:
            suspects = _seen_unchanged(host, [known[uuid].pk for uuid in same], same, now)
        looks = [
            _Look(_sighting(host, record, digests[record.uuid], before, now), before)
            for record in _without(records, same)
            for before in [known.get(record.uuid)]
        ]
        settled, noticed = _write(host, looks, claims, now) if looks else ([], Noticed.ITSELF)
    _tell(settled, noticed)
    _settle_all(suspects)


def _without(records: Sequence[GuestRecord], uuids: Iterable[str]) -> list[GuestRecord]:
    unwanted = set(uuids)
    return [record for record in records if record.uuid not in unwanted]


def _seen_unchanged(host: Host, sightings: list[int], uuids: list[str], now: datetime) -> list[str]:
    """Note when they were seen; returns those that must be settled all the same."""
    Sighting.objects.filter(pk__in=sightings).update(seen_at=now)
    VirtualMachine.objects.filter(uuid__in=uuids, host=host).update(seen_at=now)
    suspects = VirtualMachine.objects.filter(uuid__in=uuids).exclude(suspected_at=None)
    return [str(pk) for pk in suspects.values_list("pk", flat=True)]


class _Look:
    """What a host claims of a guest now, and what it claimed before."""

    def __init__(self, sighting: Sighting, before: Sighting | None) -> None:
        self.sighting, self.before = sighting, before
        #: whether the definition may be another
        self.moved = before is None or before.digest[:OF_DEFINITIONS] != sighting.digest[:OF_DEFINITIONS]

    @property
    def uses_otherwise(self) -> bool:
        """Whether the guest may use other storage, or use it otherwise."""
        before, now = self.before, self.sighting
        if before is None or self.moved or before.absent_since is not None:
            return True
        return (before.name, before.power_state in ACTIVE) != (now.name, now.power_state in ACTIVE)


def _write(
    host: Host, looks: list[_Look], claims: dict[str, list[Sighting]], now: datetime
) -> tuple[list[VirtualMachine], Noticed]:
    """Settle guests by what this host claims now and the others claimed, and write it all."""
    vms = _rows(looks)
    if connection.features.has_select_for_update:
        # While we waited for the rows, another host's process may have written what it saw.
        claims = _claims([str(vm.uuid) for vm in vms], host)
    for look in looks:
        others = [one for one in claims.get(str(look.sighting.vm_id), []) if one.host_id != host.pk]
        claims[str(look.sighting.vm_id)] = [look.sighting, *others]
    moved = [look for look in looks if look.moved]
    settled, noticed = _settle(vms, claims, {look.sighting.vm_id for look in moved})
    if moved:
        before = [look.before for look in moved if look.before is not None]
        history.take_in(host.pk, [look.sighting for look in moved], before, now)
    _write_sightings(looks)
    using = [look.sighting for look in looks if look.uses_otherwise]
    if using:
        storage.claimed(host.pk, using)
        networks.claimed(host.pk, using)
    return settled, noticed


def _claims(uuids: list[str], own: Host | None = None) -> dict[str, list[Sighting]]:
    """All sightings of these guests with their hosts, without the long texts, which are read for few of them."""
    rows = Sighting.objects.defer("live_definition", "inactive_definition", "snapshots").filter(vm__uuid__in=uuids)
    found: dict[str, list[Sighting]] = {}
    for sighting in rows:
        found.setdefault(str(sighting.vm_id), []).append(sighting)
    hosts = {own.pk: own} if own is not None else {}
    others = {one.host_id for mine in found.values() for one in mine} - hosts.keys()
    if others:
        hosts |= {host.pk: host for host in Host.objects.only("name", "state").filter(pk__in=others)}
    for mine in found.values():
        for sighting in mine:
            sighting.host = hosts[sighting.host_id]
    return found


def _sighting(host: Host, record: GuestRecord, digest: str, before: Sighting | None, now: datetime) -> Sighting:
    """The host's claim as it is now; ``before`` is what it claimed at the last look."""
    as_before = before is not None and before.power_state == record.state and before.absent_since is None
    return Sighting(
        pk=before.pk if before else None,
        vm_id=uuid_module.UUID(record.uuid),
        host=host,
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


def _rows(looks: list[_Look]) -> list[VirtualMachine]:
    """The guests' rows, locked; new ones are made, and written only with what :func:`settle` says."""
    names = {str(look.sighting.vm_id): look.sighting.name for look in looks}
    # Tags are compared where a definition is read, and searched for where addresses go with a guest that stops.
    with_tags = any(look.moved or look.sighting.power_state not in ACTIVE for look in looks)
    if connection.features.has_select_for_update and any(look.before is None for look in looks):
        # Another host's process may be making the same row: whoever comes second waits here and then sees the first's.
        bare = [VirtualMachine(uuid=uuid_module.UUID(uuid), name=name) for uuid, name in names.items()]
        VirtualMachine.objects.bulk_create(bare, ignore_conflicts=True)
    known = {str(vm.uuid): vm for vm in _locked(list(names), with_tags=with_tags)}
    return [known.get(uuid) or VirtualMachine(uuid=uuid_module.UUID(uuid), name=name) for uuid, name in names.items()]


def _locked(uuids: list[str], *, with_tags: bool = True) -> QuerySet[VirtualMachine]:
    """In one order everywhere, so that two who lock the same rows do not wait for each other."""
    rows = VirtualMachine.objects.filter(uuid__in=uuids).order_by("uuid").select_for_update()
    return rows.prefetch_related("tags") if with_tags else rows


def _settle_all(uuids: list[str]) -> None:
    """Settle guests by what the rows say."""
    for start in range(0, len(uuids), CHUNK):
        some = uuids[start : start + CHUNK]
        with transaction.atomic():
            settled, noticed = _settle(list(_locked(some)), _claims(some), set())
        _tell(settled, noticed)


def _settle(
    vms: list[VirtualMachine], claims: dict[str, list[Sighting]], moved: set[uuid_module.UUID]
) -> tuple[list[VirtualMachine], Noticed]:
    """Settle and write the rows; ``moved`` are those whose definition may be another."""
    noticed = [settle(vm, claims.get(str(vm.uuid), []), moved=vm.uuid in moved) for vm in vms]
    tags = {vm.uuid: set(vm.seen_tags or ()) for vm in vms if _tags_differ(vm)}
    known = [vm for vm in vms if not vm._state.adding]
    bulk.insert([vm for vm in vms if vm._state.adding])
    bulk.update([vm for vm in known if vm.seen_tags is None], SETTLED)
    bulk.update([vm for vm in known if vm.seen_tags is not None], SETTLED + FROM_DEFINITION)
    _save_tags(tags)
    return vms, max(noticed, default=Noticed.ITSELF)


def _write_sightings(looks: list[_Look]) -> None:
    bulk.insert([look.sighting for look in looks if look.before is None])
    known = [look for look in looks if look.before is not None]
    bulk.update([look.sighting for look in known if look.moved], CLAIMED + DEFINED)
    bulk.update([look.sighting for look in known if not look.moved], CLAIMED)


def _tell(vms: list[VirtualMachine], noticed: Noticed) -> None:
    if vms:
        wider = ("vms-states", "vms")[: int(noticed)]
        notify.changed(*(f"vm:{vm.uuid}" for vm in vms), *wider, "vms-any")


def _save_tags(moved: dict[uuid_module.UUID, set[str]]) -> None:
    """Tie guests to the tags just read from their metadata."""
    if not moved:
        return
    names = set[str]().union(*moved.values())
    Tag.objects.bulk_create([Tag(name=name) for name in sorted(names)], ignore_conflicts=True)
    ids = dict(Tag.objects.filter(name__in=names).values_list("name", "pk"))
    ties = VirtualMachine.tags.through
    ties.objects.filter(virtualmachine_id__in=list(moved)).delete()
    bulk.insert(
        [ties(virtualmachine_id=uuid, tag_id=ids[name]) for uuid, tags in moved.items() for name in sorted(tags)]
    )


def _tags_differ(vm: VirtualMachine) -> bool:
    return vm.seen_tags is not None and set(vm.seen_tags) != set(tag_names(vm))


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
    """Running guests somebody looks at, those whose picture is oldest first, and no more than a host is asked for at once."""
    rows = VirtualMachine.objects.filter(host_id=host_id, power_state=PowerState.RUNNING, absent_since=None)
    keys = {f"picture-wanted:{uuid}": str(uuid) for uuid in rows.values_list("uuid", flat=True)}
    wanted = [keys[key] for key in cache.get_many(list(keys))]
    taken = cache.get_many([f"picture-at:{uuid}" for uuid in wanted])
    return sorted(wanted, key=lambda uuid: taken.get(f"picture-at:{uuid}", 0.0))[:PICTURES_AT_ONCE]


def picture_taken_at(uuid: str) -> datetime | None:
    """When the picture that is there was taken; None when there is none."""
    at = cache.get(f"picture-at:{uuid}")
    return datetime.fromtimestamp(at, UTC) if at else None


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
    cache.set(f"picture-at:{uuid}", timezone.now().timestamp(), 600)
    # Whoever shows how old it is hears of one that looks the same, too.
    notify.changed(f"picture-taken:{uuid}", *([f"picture:{uuid}"] if before != digest else ()))
