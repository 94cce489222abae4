"""Rows of hosts' bridges and network devices, and who is plugged into which."""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from typing import Any

from django.utils import timezone

from hosts import access, notify
from hosts.hypervisor.records import InterfaceLook
from hosts.models import Host, HostInterfaces, NetworkClaim, User


def interfaces_seen(host_id: int, look: InterfaceLook) -> None:
    """Take in what the host told."""
    found = [asdict(record) for record in look.interfaces]
    before = HostInterfaces.objects.filter(host_id=host_id).first()
    HostInterfaces.objects.update_or_create(
        host_id=host_id, defaults={"interfaces": found, "trouble": look.trouble[:2000], "seen_at": timezone.now()}
    )
    if before is None or (before.interfaces, before.trouble) != (found, look.trouble[:2000]):
        notify.changed(f"host:{host_id}", "resources")


def interfaces_of(host: Host, user: User) -> dict[str, Any]:
    """For pages and the API: ``interfaces`` with ``networks`` (names) and ``cards`` (a number), ``trouble``, ``seen_at``."""
    row = HostInterfaces.objects.filter(host=host).first()
    networks: dict[str, list[str]] = {}
    for name, bridge in host.networks.filter(absent_since=None).order_by("name").values_list("name", "bridge"):
        networks.setdefault(bridge, []).append(name)
    claims = NetworkClaim.objects.filter(host=host, type__in=("bridge", "direct"))
    cards = Counter(access.visible_to(user, claims).values_list("source", flat=True))
    interfaces = [
        one | {"networks": networks.get(one["name"], []), "cards": cards[one["name"]]}
        for one in (row.interfaces if row is not None else [])
    ]
    trouble, seen_at = (row.trouble, row.seen_at) if row is not None else ("", None)
    return {"interfaces": interfaces, "trouble": trouble, "seen_at": seen_at}
