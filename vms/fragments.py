"""The guests' live pieces: the same templates that the pages include."""

from __future__ import annotations

from collections.abc import Callable

from hosts import fragments
from hosts.fragments import Context, Fragment
from hosts.models import User
from vms import inventory
from vms.console import fragments as console_fragments
from vms.views import agent, definition, devices, machine, parts, plans, rows, snapshots, wall


def register() -> None:
    """Make them known."""
    console_fragments.register()
    _register_tile()
    fragments.register(Fragment("vm-row", "vms/_row.html", "vm.view", _topics, rows.row_context))
    for name, template, part in (
        ("vm-head", "vms/_head.html", parts.head),
        ("vm-operation", "vms/_activity.html", parts.operation),
        ("vm-sightings", "vms/_sightings.html", parts.sightings),
        ("vm-facts", "vms/_facts.html", parts.facts),
        ("vm-hardware", "vms/_hardware.html", parts.hardware),
        ("vm-devices", "vms/_devices.html", devices.context),
        ("vm-snapshots", "vms/_snapshots.html", snapshots.context),
        ("vm-agent", "vms/_agent.html", agent.context),
        ("vm-definition", "vms/_definition.html", definition.context),
        ("vm-definitions", "vms/_definition_versions.html", definition.versions),
    ):
        fragments.register(Fragment(name, template, "vm.view", _topics, _of(part)))
    fragments.register(Fragment("plan", "vms/_plan.html", "vm.view", _plan_topics, plans.part))
    for tab in machine.COUNTS:
        name, counted = f"vm-{tab}-count", machine.count(tab)
        fragments.register(Fragment(name, "ui/_tab_count.html", "vm.view", _topics, _of(counted), late=True))
    fragments.register(
        Fragment(
            "vm-picture",
            "vms/_picture.html",
            "vm.view",
            lambda identifier: [*_topics(identifier), f"picture:{identifier}"],
            _of(parts.picture),
            keepalive=_keep_picture,
        )
    )


def _plan_topics(identifier: str) -> list[str]:
    """The operation of a plan has the plan's own id, and is told of what its children do."""
    return [f"plan:{identifier}", f"operation:{identifier}"]


def _register_tile() -> None:
    """A guest on the console wall."""
    fragments.register(
        Fragment(
            "vm-tile",
            "vms/_tile.html",
            "vm.console_view",
            lambda identifier: [*_topics(identifier), f"picture-taken:{identifier}"],
            _of(wall.tile),
            keepalive=_keep_picture,
        )
    )


def _topics(identifier: str) -> list[str]:
    """A guest shows its host's state too: what cannot be asked now is shown as last seen."""
    return [f"vm:{identifier}", "vms-host-state"]


def _of(part: parts.Part) -> Callable[[str, User], Context]:
    def context(identifier: str, user: User) -> Context:
        vm = rows.find(identifier, user, whole=True)
        return part(vm, user) if vm is not None else None

    return context


def _keep_picture(identifier: str) -> None:
    if rows.parse_uuid(identifier) is not None:
        inventory.want_picture(identifier)
