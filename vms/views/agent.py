"""What the guest agent told, and what it can be asked to do."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from hosts.models import User
from vms import agent
from vms.models import VirtualMachine
from vms.views import parts
from vms.views.actions import action, busy_reason

ASKED = ("guest-info", "set-user-password", "fs-freeze", "fs-thaw", "fs-trim")


def context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    """The last answer with its age, and buttons for those who may."""
    busy = busy_reason(parts.active(vm, user))
    last = agent.last_told(vm)
    told = (last.result or {}).get("told", {}) if last is not None else {}
    return {
        "vm": vm,
        "why_not": agent.why_no_agent(vm),
        "has_channel": agent.has_channel(vm),
        "told": told,
        "told_at": last.finished_at if last is not None else None,
        "file_systems": told.get("filesystems", []),
        "guest_users": [{**one, "at": _at(one["since"])} for one in told.get("users", [])],
        "buttons": [button for name in ASKED if (button := action(name, vm, user, busy)) is not None],
        "frozen": agent.frozen_by(vm),
    }


def _at(since: int | None) -> datetime | None:
    return datetime.fromtimestamp(since, UTC) if since else None
