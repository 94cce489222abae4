"""Who watches a console: drawn in the page, pushed when somebody comes or goes."""

from __future__ import annotations

from typing import Any

from hosts import access, fragments
from hosts.fragments import Context, Fragment
from hosts.models import User
from vms.models import ConsoleSession, VirtualMachine
from vms.views import rows


def register() -> None:
    """Make the live piece known."""
    fragments.register(
        Fragment("console-watchers", "vms/console/_watchers.html", "vm.view", _topics, _of_identifier),
    )


def watchers(vm: VirtualMachine, user: User) -> dict[str, Any]:
    """The consoles of the machine that are open now, the longest first."""
    open_now = ConsoleSession.objects.filter(vm=vm, closed_at=None).select_related("user").order_by("opened_at", "pk")
    return {"vm": vm, "watchers": list(access.visible_to(user, open_now))}


def _topics(identifier: str) -> list[str]:
    return [f"console:{identifier}"]


def _of_identifier(identifier: str, user: User) -> Context:
    vm = rows.find(identifier, user)
    return watchers(vm, user) if vm is not None else None
