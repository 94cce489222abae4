"""What can be done with networks, as buttons: by right and state, with the equivalent command."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from hosts import access
from hosts.models import Network, User
from hosts.network_forms import FORMS
from hosts.operations.kind import Refused, registry
from hosts.views.storage_looks import look_of

Items = list[dict[str, Any]]


def list_actions(user: User) -> Items:
    """The buttons above the list of networks."""
    if not access.may(user, "network.define"):
        return []
    return [{"label": _("Add network"), "icon": "plus", "url": reverse("hosts:network_define"), "primary": True}]


def network_actions(network: Network, user: User) -> dict[str, Items]:
    """Buttons and menu of a network's page."""
    main = [] if network.active else [action("network-start", network, user)]
    main.append(_edit(network, user))
    auto = {"enabled": not network.autostart}
    words = _("Do not start with the host") if network.autostart else _("Start with the host")
    more = [action("network-stop", network, user)] if network.active else []
    more += [action("network-autostart", network, user, auto, words), action("network-delete", network, user)]
    return {"main": [item for item in main if item], "more": [item for item in more if item]}


def _edit(network: Network, user: User) -> dict[str, Any]:
    if not access.may(user, "network.edit", network):
        return {}
    url = reverse("hosts:network_edit", args=[network.host.name, network.uuid])
    return {"label": _("Edit"), "icon": "pencil", "url": url}


def action(
    name: str, row: Network, user: User, arguments: dict[str, Any] | None = None, label: str = ""
) -> dict[str, Any]:
    """One button on a network; {} for those who may not."""
    kind = registry[name]
    if not access.may(user, kind.verb, row):
        return {}
    look = look_of(name)
    query = "".join(f"?{key}={str(value).lower()}" for key, value in (arguments or {}).items())
    item: dict[str, Any] = {
        "label": label or kind.label, "icon": look.icon, "danger": look.danger,
        "method": "dialog" if name in FORMS else "post",
        "url": f"{row.get_absolute_url()}do/{name}/{query}",
    }  # fmt: skip
    try:
        if name not in FORMS:
            kind.check(kind.subject(row), arguments or {})
            item["virsh"] = kind.virsh(kind.subject(row), arguments or {})
    except Refused as error:
        item |= {"disabled": True, "reason": str(error)}
    return item


def tabs(current: str) -> Items:
    """The parts of the pages of networks."""
    return [
        {"label": _("Networks"), "url": reverse("hosts:networks"), "current": current == "networks"},
        {"label": _("Filters"), "url": reverse("hosts:filters"), "current": current == "filters"},
    ]
