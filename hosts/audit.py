"""Writing the audit list."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

import structlog
from django.utils.translation import pgettext_lazy

from hosts import notify
from hosts.models import AuditEntry, User

log = structlog.get_logger("audit")

#: by which way something was asked for
ROADS = {
    "page": pgettext_lazy("by way of", "page"),
    "api": pgettext_lazy("by way of", "API"),
    "console": pgettext_lazy("by way of", "console"),
    "command": pgettext_lazy("by way of", "command"),
    "plan": pgettext_lazy("by way of", "plan"),
    "schedule": pgettext_lazy("by way of", "schedule"),
}


@dataclass(frozen=True, slots=True)
class Actor:
    """Who asks, from where, by which road (page, api, console, command, plan, schedule)."""

    user: User | None
    address: str | None = None
    road: str = "page"
    name: str = ""

    @property
    def label(self) -> str:
        """The name for records; it outlives the user's row."""
        return self.user.username if self.user is not None else (self.name or "system")


def record(
    actor: Actor,
    action: str,
    subject: object = "",
    *,
    subject_uuid: uuid.UUID | str | None = None,
    result: str = "done",
    **detail: Any,
) -> AuditEntry:
    """Add one row. ``detail`` is plain data and must hold no secrets."""
    log.info(action, actor=actor.label, subject=str(subject), result=result)
    entry = AuditEntry.objects.create(
        actor=actor.user,
        actor_name=actor.label,
        address=actor.address,
        road=actor.road,
        action=action,
        subject=str(subject)[:300],
        subject_uuid=subject_uuid,
        result=result,
        detail=detail,
    )
    notify.changed("audit")
    return entry
