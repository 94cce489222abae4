"""Guests as the list shows them: one plain record for each row, read with a fixed number of queries."""

from __future__ import annotations

import uuid
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.http import HttpRequest
from django.utils.translation import gettext_lazy as _

from hosts import access
from hosts.models import Operation, User
from hosts.operations import presenter
from hosts.operations.queue import BULK
from vms.models import VirtualMachine

#: what a row shows; definitions, devices and the search text stay in the database
ROW_COLUMNS = (
    "uuid", "name", "title", "folder", "power_state", "power_reason", "state_since", "seen_at", "absent_since",
    "autostart", "managed_save", "os_type", "vcpus", "memory", "addresses", "cpu_percent", "memory_used",
    "host_id", "host__name", "host__state",
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Column:
    """One column of the list; ``fixed`` ones cannot be put away."""

    name: str
    label: Any
    css: str = ""
    shown: bool = True
    fixed: bool = False
    sort: str = ""


COLUMNS = (
    Column("select", "", "select-cell", fixed=True),
    Column("name", _("Name"), fixed=True, sort="name"),
    Column("state", _("State"), fixed=True, sort="state"),
    Column("operation", _("Activity"), fixed=True),
    Column("host", _("Host"), sort="host"),
    Column("addresses", _("Addresses"), sort="addresses"),
    Column("cpu", _("CPU"), "num", sort="cpu"),
    Column("memory_used", _("Memory used"), "num", sort="memory_used"),
    Column("memory", _("Memory"), "num", sort="memory"),
    Column("vcpus", _("vCPU"), "num", sort="vcpus"),
    Column("tags", _("Tags"), sort="tags"),
    Column("folder", _("Folder"), sort="folder"),
    Column("since", _("Since"), "num", sort="since"),
    Column("autostart", _("Autostart"), shown=False, sort="autostart"),
    Column("os", _("System"), shown=False, sort="os"),
    Column("seen", _("Verified"), "num", shown=False, sort="seen"),
)
ALL_COLUMNS = frozenset(column.name for column in COLUMNS)


@dataclass(frozen=True, slots=True)
class Row:
    """One guest with what is being done to it."""

    vm: VirtualMachine
    state: str
    operation: dict[str, Any] | None

    @property
    def is_stale(self) -> bool:
        """Whether what is shown is as last seen."""
        return self.state in ("unreachable", "absent")


def shown_columns(request: HttpRequest) -> frozenset[str]:
    """The columns this person has chosen (cookie), or the usual ones."""
    cookie = request.COOKIES.get("columns_vms")
    if cookie is None:
        return frozenset(column.name for column in COLUMNS if column.shown)
    chosen = set(cookie.split("."))
    return frozenset(column.name for column in COLUMNS if column.fixed or column.name in chosen)


def columns_of(shown: frozenset[str]) -> list[dict[str, Any]]:
    """The columns for ``ui/_columns.html``."""
    return [
        {"name": column.name, "label": column.label, "shown": column.name in shown, "fixed": column.fixed}
        for column in COLUMNS
    ]


def shown_state(vm: VirtualMachine) -> str:
    """The state mark to draw: what was seen, unless nobody can see it now."""
    if vm.absent_since is not None:
        return "absent"
    if vm.is_stale:
        return "unreachable"
    if vm.power_state == VirtualMachine.PowerState.RUNNING and vm.power_reason == "shutting down":
        return "shutdown"
    return str(vm.power_state)


def lean(rows: QuerySet[VirtualMachine]) -> QuerySet[VirtualMachine]:
    """Only the columns a row shows, with host and tags."""
    return rows.select_related("host").prefetch_related("tags").only(*ROW_COLUMNS)


def rows_of(vms: Iterable[VirtualMachine], user: User) -> list[Row]:
    """Records for ``vms`` in their order."""
    vms = list(vms)
    doing = active_operations([vm.uuid for vm in vms], user)
    return [
        Row(vm, shown_state(vm), presenter.present(doing[vm.uuid], user) if vm.uuid in doing else None) for vm in vms
    ]


def active_operations(uuids: list[uuid.UUID], user: User) -> dict[uuid.UUID, Operation]:
    """What waits or runs for each guest: the change that holds it, or else the newest."""
    wanted = Operation.objects.filter(subject_uuid__in=uuids, state__in=Operation.ACTIVE).exclude(kind=BULK)
    found: dict[uuid.UUID, Operation] = {}
    for operation in access.visible_to(user, wanted).order_by("exclusive", "created_at"):
        if operation.subject_uuid is not None:
            found[operation.subject_uuid] = operation
    return found


def parse_uuid(text: str) -> uuid.UUID | None:
    """A UUID, or None for anything else."""
    try:
        return uuid.UUID(text)
    except ValueError:
        return None


def find(identifier: str, user: User, *, whole: bool = False) -> VirtualMachine | None:
    """The guest of that UUID if the user may see it; without ``whole`` only what a row shows."""
    key = parse_uuid(identifier)
    if key is None:
        return None
    rows = access.visible_to(user, VirtualMachine.objects.filter(pk=key))
    return (rows.select_related("host").prefetch_related("tags") if whole else lean(rows)).first()


def row_context(identifier: str, user: User) -> dict[str, Any] | None:
    """The context of one row, for a push: with every column."""
    vm = find(identifier, user)
    return {"row": rows_of([vm], user)[0], "shown": ALL_COLUMNS} if vm is not None else None
