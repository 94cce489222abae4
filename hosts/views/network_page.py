"""One virtual network, as last seen: what it is, its leases, and who is connected to it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe
from lxml import etree

from hosts import access, network_tree, network_xml
from hosts.capacity import heavy_of
from hosts.models import Network, NetworkClaim, User
from hosts.network_labels import label_of
from hosts.network_modes import QOS, mode_of
from hosts.network_pending import pending
from hosts.network_updates import SECTIONS
from hosts.operations.network_base import users_of
from hosts.requests import user_of
from hosts.views.network_actions import network_actions

Context = dict[str, Any]
#: fields that have a place of their own on the page
OWN_PLACE = ("mode", "ipv4_ranges", "ipv6_ranges", "ipv4_hosts", "ipv6_hosts", "dns_hosts", "devices", *QOS)


def visible_networks(user: User) -> QuerySet[Network]:
    """The networks this user may see, with their hosts."""
    return access.visible_to(user, Network.objects.all()).select_related("host").defer(*heavy_of("host__"))


def network_or_404(request: HttpRequest, name: str, network: UUID) -> Network:
    """The network, if it is there and may be seen."""
    row = visible_networks(user_of(request)).filter(host__name=name[:63], uuid=network).first()
    if row is None:
        raise Http404(_("There is no such network."))
    return row


@require_safe
def page(request: HttpRequest, name: str, network: UUID) -> HttpResponse:
    """Facts, addresses, leases, users, and the definition as it is."""
    user, row = user_of(request), network_or_404(request, name, network)
    context: Context = {
        "network": row,
        "actions": network_actions(row, user),
        "pending": pending(row),
        "leases": [_lease(lease) for lease in row.leases] if row.active else [],
        "users": access.visible_to(
            user, NetworkClaim.objects.filter(pk__in=[claim.pk for claim in users_of(row)])
        ).order_by("-active", "owner_name", "mac"),
        "may_update": access.may(user, "network.update", row) and row.absent_since is None,
        "nav": "networks",
    }
    try:
        context |= _said(network_tree.parse(row.stored_definition))
    except network_tree.Malformed as error:
        context["trouble"] = str(error)
    return render(request, "networks/network.html", context)


def _lease(lease: dict[str, Any]) -> Context:
    expires = lease.get("expires")
    return {**lease, "expires_at": datetime.fromtimestamp(expires, UTC) if expires else None}


def _said(root: etree._Element) -> Context:
    """What its definition says, for tables."""
    fields = network_xml.read(root)
    facts = [(label_of(name), _words(value)) for name, value in fields.items() if name not in OWN_PLACE]
    parts = [_section(name, _elements(root, name)) for name in _sections(fields["mode"])]
    limits = [(label_of(name), fields[name]) for name in QOS if name in fields]
    return {"mode": mode_of(fields["mode"]), "fields": facts, "limits": limits, "parts": parts}


def _words(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    return ", ".join(map(str, value)) if isinstance(value, list) else str(value)


def _sections(mode: str) -> tuple[str, ...]:
    """What can be changed at once in a network of that kind."""
    if mode_of(mode).served:
        return "ip-dhcp-host", "ip-dhcp-range", "dns-host", "dns-txt", "portgroup"
    return ("forward-interface", "portgroup") if mode == "macvtap" else ("portgroup",)


def _section(name: str, elements: list[Context]) -> Context:
    section = SECTIONS[name]
    return {"name": name, "label": section.title, "elements": elements, "modifies": "modify" in section.commands}


def _elements(root: etree._Element, section: str) -> list[Context]:
    """The elements of a section: the key by which each is named, and words on it."""
    fields = network_xml.read(root)
    names = {
        "ip-dhcp-host": ("ipv4_hosts", "ipv6_hosts"), "ip-dhcp-range": ("ipv4_ranges", "ipv6_ranges"),
        "dns-host": ("dns_hosts",), "forward-interface": ("devices",),
    }.get(section)  # fmt: skip
    if names is not None:
        return [{"key": value, "words": ""} for name in names for value in fields.get(name, [])]
    if section == "dns-txt":
        return [{"key": txt.get("name"), "words": txt.get("value")} for txt in root.findall("dns/txt")]
    return [{"key": group.get("name"), "words": _group_words(group)} for group in root.findall("portgroup")]


def _group_words(group: etree._Element) -> str:
    words = [_("for cards that name none")] if group.get("default") == "yes" else []
    tags = [tag.get("id", "") for tag in group.findall("vlan/tag")]
    words += [_("VLAN %(tags)s") % {"tags": ", ".join(tags)}] if tags else []
    for way, label in (("inbound", _("in")), ("outbound", _("out"))):
        if average := network_tree.get(group, f"bandwidth/{way}@average"):
            words.append(f"{label} {average} KiB/s")
    return " · ".join(words)
