"""The one gate: who may do what. Pages, the API, pushes and consoles all ask here; what is not named is denied.

A verb is a dotted name such as ``vm.start``. Operation kinds add theirs with :func:`register`; everything else is named below.
"""

from __future__ import annotations

from typing import Any, TypeVar

from django.contrib.auth.models import AnonymousUser
from django.db.models import Model, QuerySet
from django.utils.translation import gettext as _

from hosts.models import User

AnyUser = User | AnonymousUser
M = TypeVar("M", bound=Model)

RANK = {User.Role.VIEWER: 1, User.Role.OPERATOR: 2, User.Role.ADMINISTRATOR: 3}

#: verb → the least role that may
VERBS: dict[str, User.Role] = {
    "vm.view": User.Role.VIEWER,
    "host.view": User.Role.VIEWER,
    "operation.view": User.Role.VIEWER,
    "alarm.view": User.Role.VIEWER,
    "token.own": User.Role.VIEWER,
    "vm.console": User.Role.OPERATOR,
    "vm.console_view": User.Role.OPERATOR,
    "vm.forget": User.Role.OPERATOR,
    "vm.snapshot_schedule": User.Role.OPERATOR,
    "volume.download": User.Role.OPERATOR,
    "host.maintenance": User.Role.OPERATOR,
    "vm.plan": User.Role.OPERATOR,
    "host.manage": User.Role.ADMINISTRATOR,
    "pool.manage": User.Role.ADMINISTRATOR,
    "people.manage": User.Role.ADMINISTRATOR,
    "systems.manage": User.Role.ADMINISTRATOR,
    "audit.view": User.Role.ADMINISTRATOR,
}


class Denied(Exception):
    """The user may not; the message is fit to be shown."""


def register(verb: str, role: User.Role) -> None:
    """Name a verb and the least role that may; naming it twice differently is a mistake."""
    if VERBS.setdefault(verb, role) != role:
        raise ValueError(f"The verb {verb} has two rules.")


def may(user: AnyUser, verb: str, subject: object = None) -> bool:
    """Whether ``user`` may do ``verb`` (to ``subject``; roles are cluster-wide, so it does not narrow them yet)."""
    if not isinstance(user, User) or not user.is_active:
        return False
    least = VERBS.get(verb)
    if least is None:
        return False
    if verb == "vm.console_view" and user.may_watch_consoles:
        return True
    return RANK.get(User.Role(user.role), 0) >= RANK[least]


def require(user: AnyUser, verb: str, subject: object = None) -> None:
    """Raise Denied unless :func:`may`."""
    if not may(user, verb, subject):
        raise Denied(_("You do not have the right to do this."))


def visible_to(user: AnyUser, rows: QuerySet[M]) -> QuerySet[M]:
    """Those of ``rows`` that ``user`` may see, filtered in SQL."""
    verb = VIEW_VERBS.get(rows.model._meta.label_lower, "")
    return rows if may(user, verb) else rows.none()


#: model label → the verb that lets see its rows; anything else is invisible
VIEW_VERBS = {
    "hosts.host": "host.view",
    "hosts.hostability": "host.view",
    "hosts.hostprocessors": "host.view",
    "hosts.storagepool": "host.view",
    "hosts.storagevolume": "host.view",
    "hosts.filling": "host.view",
    "hosts.storageclaim": "vm.view",
    "hosts.network": "host.view",
    "hosts.networkclaim": "vm.view",
    "hosts.networkfilter": "host.view",
    "hosts.hostinterfaces": "host.view",
    "hosts.operation": "operation.view",
    "hosts.alarm": "alarm.view",
    "hosts.auditentry": "audit.view",
    "hosts.user": "people.manage",
    "vms.virtualmachine": "vm.view",
    "vms.sighting": "vm.view",
    "vms.definitionversion": "vm.view",
    "vms.consolesession": "vm.view",
    "vms.snapshotschedule": "vm.view",
    "vms.moveplan": "vm.view",
    "vms.planstep": "vm.view",
}


def right_class(user: AnyUser) -> str:
    """Users of one class see the same fragment; it is rendered once for all of them."""
    if not isinstance(user, User) or not user.is_active:
        return "nobody"
    return f"{user.role}{'+watch' if user.may_watch_consoles else ''}"


def rights_of(user: AnyUser) -> dict[str, Any]:
    """Every verb with its answer, dots as underscores, for templates."""
    return {verb.replace(".", "_"): may(user, verb) for verb in VERBS}
