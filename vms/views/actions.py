"""What can be done to a guest, as buttons: every kind that acts on guests, by right and state, with its command.

A new kind appears by itself, in the menu, with its label; :data:`LOOKS` only says how those we know look.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace
from typing import Any
from urllib.parse import urlencode

from django.urls import reverse
from django.utils.translation import gettext as _

from hosts import access
from hosts.models import User
from hosts.operations.kind import InvalidArguments, Refused, Subject, registry
from vms.copies import COPY, as_seen
from vms.forms import FORMS, MANY_FORMS
from vms.models import Sighting, VirtualMachine
from vms.operations.base import GuestKind
from vms.views.looks import BULK_MAIN, MAIN, ORDER, Look, look_of


@dataclass(frozen=True, slots=True)
class Action:
    """One button. ``arguments`` is JSON for hx-vals; a ``dialog`` is opened instead of posting."""

    name: str
    label: str
    look: Look
    url: str
    virsh: str = ""
    arguments: str = ""
    dialog: bool = False
    reason: str = ""
    confirm: str = ""
    confirm_type: str = ""
    primary: bool = False

    @property
    def danger(self) -> bool:
        """Whether it can lose data."""
        return self.look.danger


def guest_kinds() -> list[GuestKind]:
    """Every kind that acts on guests, those we know first and in our order."""
    kinds = [kind for kind in registry.values() if isinstance(kind, GuestKind)]
    return sorted(kinds, key=lambda kind: ORDER.index(kind.name) if kind.name in ORDER else len(ORDER))


def actions_of(vm: VirtualMachine, user: User, busy: str = "") -> dict[str, list[Action]]:
    """The buttons for ``vm``: ``main`` for the head, ``more`` and ``danger`` for the menu. ``busy``: why not now."""
    kinds = [kind for kind in guest_kinds() if not (kind.own_place or _is_of_a_part(kind))]
    found = [action for kind in kinds if (action := _action(kind, vm, user, busy)) is not None]
    main = [name for name in MAIN.get(vm.power_state, ()) if vm.absent_since is None]
    heads = sorted((a for a in found if a.name in main), key=lambda a: main.index(a.name))
    rest = [action for action in found if action.name not in main]
    return {
        "main": heads,
        "more": [action for action in rest if not action.danger],
        "danger": [action for action in rest if action.danger],
    }


def action(name: str, vm: VirtualMachine, user: User, busy: str = "") -> Action | None:
    """One of them by name."""
    kind = registry.get(name)
    return _action(kind, vm, user, busy) if isinstance(kind, GuestKind) else None


def of_copy(vm: VirtualMachine, sighting: Sighting, user: User, busy: str = "") -> list[Action]:
    """What can be done to the guest on the host of that sighting, wherever the pages say it is."""
    copy, host = as_seen(vm, sighting), sighting.host.name
    kinds = [kind for kind in guest_kinds() if kind.of_copies and sighting.power_state in kind.needs]
    found = [action for kind in kinds if (action := _action(kind, copy, user, busy)) is not None]
    return [
        replace(
            action,
            label=_("%(what)s on %(host)s") % {"what": action.label, "host": host},
            url=f"{action.url}?{urlencode({COPY: host})}",
        )
        for action in found
    ]


#: kinds that switch something of a guest on or off → the column that says how it is
SWITCHES = {"autostart": "autostart", "protect": "protected", "template": "template"}


def default_arguments(kind: GuestKind, vm: VirtualMachine) -> dict[str, Any]:
    """What a button asks for without asking back."""
    return {"enabled": not getattr(vm, SWITCHES[kind.name])} if kind.name in SWITCHES else {}


def _label(kind: GuestKind, vm: VirtualMachine) -> str:
    labels = {
        "autostart": (_("Start with the host"), _("Do not start with the host")),
        "protect": (_("Protect from deletion"), _("Take the protection away")),
        "template": (_("Make it a template"), _("Make it a guest again")),
    }
    return labels[kind.name][bool(getattr(vm, SWITCHES[kind.name]))] if kind.name in labels else str(kind.label)


def _action(kind: GuestKind, vm: VirtualMachine, user: User, busy: str) -> Action | None:
    if not access.may(user, kind.verb, vm):
        return None
    subject, arguments, look = kind.subject(vm), default_arguments(kind, vm), look_of(kind)
    dialog = kind.name in FORMS
    if not dialog and _needs_more(kind, arguments):
        return None
    command = "" if dialog else kind.virsh(subject, kind.clean(arguments))
    return Action(
        name=kind.name,
        label=_label(kind, vm),
        look=look,
        url=reverse("vms:act", args=[vm.uuid, kind.name]),
        virsh=command,
        arguments=json.dumps(arguments) if arguments else "",
        dialog=dialog,
        reason=(busy if kind.exclusive else "") or why_not(kind, subject, arguments),
        confirm=str(look.hint) or str(kind.label) if look.asks or look.danger else "",
        confirm_type=vm.name if look.danger else "",
    )


def _is_of_a_part(kind: GuestKind) -> bool:
    """Whether it acts on something the guest has many of, beside which its button stands."""
    return kind.name in FORMS and bool(FORMS[kind.name].asked_by_address)


def _needs_more(kind: GuestKind, arguments: Mapping[str, Any]) -> bool:
    try:
        kind.clean(arguments)
    except InvalidArguments:
        return True
    return False


def why_not(kind: GuestKind, subject: Subject, arguments: Mapping[str, Any]) -> str:
    """Why it makes no sense now; '' when it does."""
    try:
        if kind.name in FORMS:
            # What is asked for is not known yet, only whether the guest's state allows it.
            GuestKind.check(kind, subject, {})
        else:
            kind.check(subject, kind.clean(arguments))
    except Refused as error:
        return str(error)
    return ""


def bulk_actions(user: User) -> dict[str, list[dict[str, Any]]]:
    """What may be done to many: ``main`` as buttons, ``more`` and ``danger`` in the menu."""
    groups: dict[str, list[dict[str, Any]]] = {"main": [], "more": [], "danger": []}
    for kind in guest_kinds():
        if access.may(user, kind.verb) and (kind.name in MANY_FORMS or not _needs_more(kind, {})):
            look = look_of(kind)
            group = "danger" if look.danger else "main" if kind.name in BULK_MAIN else "more"
            groups[group].append(_bulk(kind.name, str(kind.label), look))
    return groups


def _bulk(name: str, label: str, look: Look) -> dict[str, Any]:
    return {"label": label, "look": look, "values": json.dumps({"kind": name})}


def busy_reason(operations: Iterable[Any]) -> str:
    """Why no other change may begin, when one of ``operations`` (presented) holds the guest."""
    for operation in operations:
        if operation["row"].exclusive and operation["is_active"]:
            return _("Busy: “%(what)s” has not ended.") % {"what": operation["label"]}
    return ""
