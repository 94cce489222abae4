"""What a new guest can be made from and in, for people to choose from: rows of all hosts, each name once. Rows only."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from hosts import access, fillings
from hosts.models import Host, Network, StoragePool, StorageVolume, User
from hosts.operations.presenter import size
from hosts.storage_queries import written
from hosts.storage_selection import ISO
from vms.creation import databases
from vms.creation.osinfo import System
from vms.creation.placement import BEST
from vms.creation.plan import DEVICES, FILES
from vms.deleting import SEED
from vms.models import VirtualMachine

#: rows that are offered in one list
MOST = 500
#: how appliances are called; libvirt sees no more than bytes in them
OVA = ".ova"
Choice = tuple[str, str]


def hosts_of(user: User) -> QuerySet[Host]:
    """Hosts on which something can be made."""
    return access.visible_to(user, Host.objects.filter(enabled=True)).order_by("name")


def hosts(user: User) -> list[Choice]:
    """The best one, or one by name."""
    names = hosts_of(user).values_list("name", flat=True)
    return [(BEST, _("the best that fits")), *[(name, name) for name in names]]


def volumes(user: User, *, iso: bool) -> list[Choice]:
    """Images of disks, or of CDs, that are whole: pool/volume, with the hosts that have it."""
    rows = access.visible_to(user, StorageVolume.objects.filter(absent_since=None, trouble="", encrypted=False))
    rows = rows.filter(pool__active=True, pool__absent_since=None, pool__type__in=(*FILES, *DEVICES))
    # What a guest writes to is neither copied nor taken; a seed is for one guest alone.
    rows = (
        rows.filter(ISO).exclude(name__endswith=SEED)
        if iso
        else rows.exclude(ISO).exclude(written()).exclude(name__iendswith=OVA)
    )
    rows = fillings.whole_only(rows)
    found = rows.order_by("pool__name", "name").values_list("pool__name", "name", "capacity", "pool__host__name")
    return _once((f"{pool}/{name}", size(capacity), host) for pool, name, capacity, host in found[:MOST])


def appliances(user: User) -> list[Choice]:
    """Volumes that are called .ova, by their row: which file is read matters. What several hosts share is there once."""
    rows = access.visible_to(user, StorageVolume.objects.filter(absent_since=None, trouble="", name__iendswith=OVA))
    rows = fillings.whole_only(rows.filter(pool__active=True, pool__absent_since=None))
    found: dict[tuple[Any, str], Choice] = {}
    for row in rows.select_related("pool__host").order_by("pool__name", "name", "pool__host__name")[:MOST]:
        told = f"{row.pool.name}/{row.name} ({size(row.capacity)}, {row.pool.host.name})"
        found.setdefault((row.pool.shared_key or row.pool_id, row.name), (str(row.pk), told))
    return list(found.values())


def pools(user: User) -> list[Choice]:
    """Where disks can be made."""
    rows = access.visible_to(user, StoragePool.objects.filter(active=True, absent_since=None))
    rows = rows.filter(type__in=(*FILES, *DEVICES)).order_by("name", "host__name")
    return _once((name, "", host) for name, host in rows.values_list("name", "host__name")[:MOST])


def networks(user: User) -> list[Choice]:
    """What it can be plugged into."""
    rows = access.visible_to(user, Network.objects.filter(absent_since=None)).order_by("name", "host__name")
    return _once((name, "", host) for name, host in rows.values_list("name", "host__name")[:MOST])


def guests(user: User) -> list[Choice]:
    """What can be copied: templates first."""
    rows = access.visible_to(user, VirtualMachine.objects.filter(absent_since=None, persistent=True))
    rows = rows.filter(power_state__in=("shutoff", "crashed")).order_by("-template", "name")
    found = rows.values_list("uuid", "name", "template", "host__name")[:MOST]
    return [
        (
            str(key),
            _("%(name)s (template, %(host)s)") % {"name": name, "host": host} if is_template else f"{name} ({host})",
        )
        for key, name, is_template, host in found
    ]


def _once(rows: Iterable[tuple[str, str, Any]]) -> list[Choice]:
    """Each name with the hosts that have it."""
    found: dict[str, tuple[str, list[str]]] = {}
    for name, more, host in rows:
        found.setdefault(name, (more, []))[1].append(str(host))
    return [
        (name, f"{name} ({', '.join(part for part in (more, *names[:3]) if part)}{', …' if len(names) > 3 else ''})")
        for name, (more, names) in found.items()
    ]


def systems(today: str) -> list[tuple[str, list[Choice]]]:
    """Operating systems in groups; those that get no updates any more come last."""
    families = {"linux": "Linux", "winnt": "Windows", "darwin": "macOS"}
    groups: dict[str, list[System]] = {}
    for system in databases.current().systems.values():
        is_over = bool(system.ended) and system.ended < today
        groups.setdefault("" if is_over else families.get(system.family, "BSD …"), []).append(system)
    order = [*families.values(), "BSD …", ""]
    return [
        (name or _("No updates any more"), [(one.short_id, one.name) for one in sorted(groups[name], key=_newest)])
        for name in order
        if name in groups
    ]


def _newest(system: System) -> tuple[str, list[float]]:
    """By name, the newest of each first."""
    numbers = [float(part) for part in system.version.split(".") if part.isdecimal()]
    return system.name.lower().rstrip("0123456789. lts"), [-number for number in numbers]
