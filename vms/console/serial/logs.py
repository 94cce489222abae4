"""Fetching the log of a text console: who may, recorded, and under which name."""

from __future__ import annotations

import re

from django.utils import timezone

from hosts import access, audit
from hosts.audit import Actor
from vms.console.access import which
from vms.console.serial import journal
from vms.models import SerialLog, VirtualMachine


class Unknown(Exception):
    """Nothing was kept of such a console."""


def fetch(vm: VirtualMachine, device: str, actor: Actor, *, raw: bool) -> bytes:
    """What was kept of what the guest wrote. Raises access.Denied, or Unknown."""
    if actor.user is None:
        raise access.Denied
    access.require(actor.user, "vm.console_view", vm)
    if not device or not SerialLog.objects.filter(vm=vm, device=device).exists():
        raise Unknown
    data = journal.read(vm.uuid, device)
    audit.record(actor, "console.log", vm, subject_uuid=vm.uuid, bytes=len(data), **which(device))
    return data if raw else journal.plain(data).encode()


def file_name(vm: VirtualMachine, device: str, *, raw: bool) -> str:
    """Of plain characters, whatever the guest is called."""
    name = re.sub(r"[^\w.-]+", "_", f"{vm.name}-{device}", flags=re.ASCII)[:120]
    return f"{name}-{timezone.now():%Y%m%d-%H%M%S}.{'raw' if raw else 'log'}"
