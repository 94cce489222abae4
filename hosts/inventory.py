"""Rows of hosts and networks made equal to what was seen. Records are handed in; libvirt is never called here."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime
from typing import Any

from django.db import transaction
from django.utils import timezone

from hosts import alarms, notify
from hosts.hypervisor.records import Ability, HostFacts, NetworkRecord, Processors, Supply
from hosts.models import Host, HostAbility, HostProcessors, HostSupply, Network
from hosts.models.resources import Seen

#: states in which the host itself is in trouble, worth an alarm
TROUBLE = set(Host.State) - {Host.State.CONNECTED, Host.State.CONNECTING, Host.State.DISABLED}


def state_changed(host_id: int, state: Host.State, text: str = "", detail: str = "") -> None:
    """Record what the connection is like; guests and figures stay as last seen."""
    with transaction.atomic():  # The state and its alarm are seen together.
        now = timezone.now()
        host = Host.objects.filter(pk=host_id).first()
        if host is None:
            return
        if (host.state, host.state_text) != (state, text):
            Host.objects.filter(pk=host_id).update(state=state, state_text=text, state_detail=detail, state_since=now)
            notify.changed(f"host:{host_id}", "hosts", "vms-host-state")
        key = f"host-{host_id}"
        if state in TROUBLE:
            alarms.raise_alarm(key, "host-lost", level="critical", host=host, state=state, text=text)
        elif state in (Host.State.CONNECTED, Host.State.DISABLED):
            alarms.clear(key)


def facts_seen(host_id: int, facts: HostFacts) -> None:
    """Record what the host is."""
    columns: dict[str, Any] = {name: getattr(facts, name) for name in HostFacts.__slots__}
    changed = Host.objects.filter(pk=host_id).exclude(**{k: v for k, v in columns.items() if k != "cells"}).exists()
    Host.objects.filter(pk=host_id).update(**columns)
    if changed:
        notify.changed(f"host:{host_id}", "hosts")


def abilities_seen(host_id: int, found: list[Ability]) -> None:
    """Record what guests can have on the host."""
    rows = [HostAbility(host_id=host_id, **{name: getattr(one, name) for name in Ability.__slots__}) for one in found]
    known = list(HostAbility.objects.filter(host_id=host_id).values(*Ability.__slots__))
    if known == [{name: getattr(row, name) for name in Ability.__slots__} for row in rows]:
        return
    with transaction.atomic():
        HostAbility.objects.filter(host_id=host_id).delete()
        HostAbility.objects.bulk_create(rows)
    notify.changed(f"host:{host_id}", "resources")


def processors_seen(host_id: int, found: list[Processors]) -> None:
    """Record which processors guests can have on the host."""
    now = timezone.now()
    with transaction.atomic():
        kept = [(one.arch, one.virt) for one in found]
        for row in HostProcessors.objects.filter(host_id=host_id).only("arch", "virt"):
            if (row.arch, row.virt) not in kept:
                row.delete()
        for one in found:
            columns = {name: getattr(one, name) for name in Processors.__slots__} | {"seen_at": now}
            keys = {"arch": columns.pop("arch"), "virt": columns.pop("virt")}
            HostProcessors.objects.update_or_create(host_id=host_id, **keys, defaults=columns)
    notify.changed(f"host:{host_id}")


def supply_seen(host_id: int, found: Supply) -> None:
    """Record what the host has at hand for guests now."""
    secrets = None if found.secrets is None else [list(one) for one in found.secrets]
    columns = {"pages": found.pages, "secrets": secrets, "seen_at": timezone.now()}
    HostSupply.objects.update_or_create(host_id=host_id, defaults=columns)


def twin_of(host_id: int, machine_uuid: str) -> Host | None:
    """Another enabled host that is the same machine: mirrored twice, every guest would seem to run twice."""
    if not machine_uuid:
        return None
    return (
        Host.objects.filter(machine_uuid=machine_uuid, enabled=True, state=Host.State.CONNECTED)
        .exclude(pk=host_id)
        .first()
    )


def looked_at(host_id: int, *, complete: bool = False) -> None:
    """The host answered just now."""
    now = timezone.now()
    Host.objects.filter(pk=host_id).update(seen_at=now, **({"reconciled_at": now} if complete else {}))


def networks_seen(host_id: int, records: list[NetworkRecord]) -> None:
    """All networks of the host, as seen at one look."""
    rows = {
        record.uuid: {
            "name": record.name, "active": record.active, "autostart": record.autostart,
            "persistent": record.persistent, "definition": record.definition, "bridge": record.bridge,
            "forward": record.forward, "addresses": record.addresses, "next_definition": record.next_definition,
        }
        for record in records
    }  # fmt: skip
    _mirror(Network, host_id, rows)
    leases_seen(host_id, records)


def leases_seen(host_id: int, records: list[NetworkRecord]) -> None:
    """The DHCP leases of those networks of the host that are known already."""
    known = {str(row.uuid): row for row in Network.objects.filter(host_id=host_id).only("uuid", "leases")}
    rows = [(known[record.uuid], record) for record in records if record.uuid in known]
    Network.objects.filter(pk__in=[row.pk for row, _record in rows]).update(leases_seen_at=timezone.now())
    moved = False
    for row, record in rows:
        leases = [asdict(lease) for lease in sorted(record.leases, key=lambda lease: (lease.address, lease.mac))]
        if leases != row.leases:
            Network.objects.filter(pk=row.pk).update(leases=leases)
            moved = True
    if moved:
        notify.changed("network-leases")


def _mirror(model: type[Any], host_id: int, rows: dict[str, dict[str, Any]]) -> None:
    """Insert, update and mark absent; nothing is deleted."""
    now = timezone.now()
    with transaction.atomic():
        known: dict[str, Any] = {str(row.uuid): row for row in model.objects.filter(host_id=host_id)}
        touched = [_update_row(model, known.get(uuid), host_id, uuid, columns, now) for uuid, columns in rows.items()]
        gone = [row for uuid, row in known.items() if uuid not in rows and row.absent_since is None]
        for row in gone:
            model.objects.filter(pk=row.pk).update(absent_since=now, active=False)
        model.objects.filter(host_id=host_id, uuid__in=list(rows)).update(seen_at=now)
    if any(touched) or gone:
        notify.changed(f"host:{host_id}", "resources")


def _update_row(
    model: type[Any], row: Seen | None, host_id: int, uuid: str, columns: dict[str, Any], now: datetime
) -> bool:
    columns = {**columns, "absent_since": None}
    if row is None:
        model.objects.create(host_id=host_id, uuid=uuid, seen_at=now, **columns)
        return True
    if all(getattr(row, name) == value for name, value in columns.items()):
        return False
    model.objects.filter(pk=row.pk).update(**columns)
    return True
