"""The page of text consoles: what it shows, in the guest's tab and in a window of its own."""

from __future__ import annotations

import shlex
from typing import Any

from hosts import access
from hosts.models import User
from vms.console.access import text_consoles_of
from vms.console.fragments import watchers
from vms.definition.serial import TextConsole
from vms.models import VirtualMachine


def context(vm: VirtualMachine, user: User, wanted: str) -> dict[str, Any]:
    """The guest's text consoles, and the one that is shown: the wanted, or the first that can be opened."""
    consoles = text_consoles_of(vm)
    shown = chosen(consoles, wanted)
    return {
        **watchers(vm, user),
        "allowed": access.may(user, "vm.console", vm) or access.may(user, "vm.console_view", vm),
        "text_consoles": consoles,
        "text_console": shown,
        "command": shlex.join(["virsh", "console", vm.name, "--devname", shown.alias]) if shown else "",
    }


def chosen(consoles: list[TextConsole], wanted: str) -> TextConsole | None:
    """The one of that alias; without a wish the first that can be opened, or the first of all."""
    openable = [one for one in consoles if one.is_openable]
    named = [one for one in consoles if one.alias == wanted]
    return next(iter([*named, *openable, *consoles]), None)
