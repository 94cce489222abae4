"""What stands around every page: tree, alarms, drawer, counts. Pages include it, pushes render it again."""

from __future__ import annotations

from typing import Any

from django.db.models import Count, QuerySet
from django.urls import reverse

from hosts import access, alarms, fragments
from hosts.capacity import heavy_of
from hosts.models import Alarm, Host, Operation, User
from hosts.operations import presenter
from vms.models import VirtualMachine

DRAWER_ROWS = 12
#: guests that stand in the tree of every page: of one host, and of all together
TREE_GUESTS = 100
TREE_ALL_GUESTS = 1000


def tree(user: User) -> list[dict[str, Any]]:
    """Hosts with their guests, as plain data; where there are very many, the page reads those of open hosts itself."""
    hosts = list(access.visible_to(user, Host.objects.all()).only("id", "name", "state", "enabled"))
    counts = _guest_counts(_tree_guests(user).filter(host__in=hosts))
    most = TREE_GUESTS if sum(counts.values()) <= TREE_ALL_GUESTS else 0
    listed = [host.pk for host in hosts if counts.get(host.pk, 0) <= most]
    guests: dict[int | None, list[VirtualMachine]] = {pk: [] for pk in listed}
    for vm in _tree_guests(user).filter(host_id__in=[pk for pk in listed if counts.get(pk)]):
        guests[vm.host_id].append(vm)
    return [_tree_host(host, counts.get(host.pk, 0), guests.get(host.pk)) for host in hosts]


def _tree_guests(user: User) -> QuerySet[VirtualMachine]:
    columns = ("uuid", "name", "power_state", "host_id")
    return access.visible_to(user, VirtualMachine.objects.filter(absent_since=None)).only(*columns).order_by("name")


def _guest_counts(guests: QuerySet[VirtualMachine]) -> dict[int | None, int]:
    return dict(guests.order_by().values_list("host_id").annotate(n=Count("pk")))


def tree_host(host: Host, user: User) -> dict[str, Any]:
    """One host of the tree."""
    guests = _tree_guests(user).filter(host=host)
    count = guests.count()
    # Above the limit for all of them no host carries its guests: the row of one host must look as in the whole tree.
    fits = count <= TREE_GUESTS and _tree_guests(user).exclude(host=None).count() <= TREE_ALL_GUESTS
    return _tree_host(host, count, list(guests) if fits else None)


def _tree_host(host: Host, count: int, guests: list[VirtualMachine] | None) -> dict[str, Any]:
    found = {"id": host.pk, "name": host.name, "state": host.state, "url": host.get_absolute_url()}
    if guests is None and count:
        return found | {"lazy_url": reverse("tree_guests", args=[host.pk]), "count": count}
    return found | {"vms": [tree_vm(vm, host) for vm in guests or ()]}


def tree_vm(vm: VirtualMachine, host: Host | None) -> dict[str, Any]:
    """One guest of the tree; how it is cannot be told while its host is not connected."""
    state = vm.power_state if host is not None and host.is_connected else "unreachable"
    return {"uuid": str(vm.uuid), "name": vm.name, "power_state": state, "url": vm.get_absolute_url()}


def open_alarms(user: User) -> list[dict[str, Any]]:
    """Alarms that are not over, the worst first."""
    rows = (
        access.visible_to(user, Alarm.objects.filter(cleared_at=None)).select_related("host").defer(*heavy_of("host__"))
    )
    ordered = sorted(rows, key=lambda alarm: (alarm.level != Alarm.Level.CRITICAL, alarm.since))
    return [
        {
            "id": alarm.pk,
            "level": alarm.level,
            "text": alarms.sentence(alarm),
            "since": alarm.since,
            "url": _alarm_url(alarm),
        }
        for alarm in ordered
    ]


def _alarm_url(alarm: Alarm) -> str:
    if alarm.subject_uuid:
        return reverse("vms:detail", args=[alarm.subject_uuid])
    return alarm.host.get_absolute_url() if alarm.host else ""


def drawer(user: User) -> list[dict[str, Any]]:
    """The operations drawer: what runs, then what ended last."""
    rows = access.visible_to(user, Operation.objects.filter(parent=None))
    active = list(rows.filter(state__in=Operation.ACTIVE)[:DRAWER_ROWS])
    # One may end between the two readings: it must not be shown twice.
    over = rows.exclude(state__in=Operation.ACTIVE).exclude(pk__in=[operation.pk for operation in active])
    ended = list(over.order_by("-finished_at")[: DRAWER_ROWS - len(active)])
    return [presenter.present(operation, user) for operation in active + ended]


def running_count(user: User) -> int:
    """How many operations wait or run."""
    return access.visible_to(user, Operation.objects.filter(parent=None, state__in=Operation.ACTIVE)).count()


def shell_of(user: User) -> dict[str, Any]:
    """The whole of it."""
    may = access.rights_of(user)
    operations = drawer(user)
    return {
        "hosts": tree(user),
        "alarms": open_alarms(user),
        "operations": operations,
        "running": running_count(user),
        "may": {**may, "administer": may["people_manage"]},
    }


def register() -> None:
    """The shell's live pieces."""
    topics: dict[str, tuple[str, list[str], str]] = {
        "drawer": ("shell/_drawer.html", ["operations", "operations-progress"], "operation.view"),
        "operations-badge": ("shell/_operations_badge.html", ["operations"], "operation.view"),
        "alarms": ("shell/_alarms.html", ["alarms"], "alarm.view"),
        "alarms-badge": ("shell/_alarms_badge.html", ["alarms"], "alarm.view"),
    }
    parts = {
        "drawer": lambda user: {"operations": drawer(user)},
        "operations-badge": lambda user: {"running": running_count(user)},
        "alarms": lambda user: {"alarms": open_alarms(user)},
        "alarms-badge": lambda user: {"alarms": open_alarms(user)},
    }
    for name, (template, watched, verb) in topics.items():
        fragments.register(
            fragments.Fragment(
                name,
                template,
                verb,
                lambda _id, watched=watched: watched,  # type: ignore[misc]
                lambda _id, user, part=parts[name]: {"shell": part(user)},  # type: ignore[misc]
                late=True,
            )
        )
    fragments.register(
        fragments.Fragment(
            "tree-vm", "shell/_tree_vm.html", "vm.view", lambda i: [f"vm:{i}"], _tree_vm_context, late=True
        )
    )
    fragments.register(
        fragments.Fragment(
            "tree-host",
            "shell/_tree_host.html",
            "host.view",
            lambda i: [f"host:{i}", "vms"],
            _tree_host_context,
            late=True,
        )
    )
    fragments.register(
        fragments.Fragment(
            "tree",
            "shell/_tree.html",
            "host.view",
            lambda _id: ["hosts", "vms"],
            lambda _i, user: {"shell": {"hosts": tree(user)}},
            late=True,
        )
    )


def _tree_vm_context(identifier: str, user: User) -> fragments.Context:
    rows = VirtualMachine.objects.filter(uuid=identifier, absent_since=None).select_related("host")
    vm = access.visible_to(user, rows).first()
    return {"vm": tree_vm(vm, vm.host)} if vm is not None else None


def _tree_host_context(identifier: str, user: User) -> fragments.Context:
    host = access.visible_to(user, Host.objects.filter(pk=identifier)).first()
    return {"host": tree_host(host, user)} if host is not None else None
