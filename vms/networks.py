"""Which guest uses which network and which filter: rows made of the definitions that were sighted. libvirt is never called here."""

from __future__ import annotations

import uuid as uuid_module
from collections.abc import Iterable

from hosts import bulk, notify
from hosts.models import NetworkClaim
from vms.definition.network import Card, cards_of
from vms.models import Sighting
from vms.storage import OPEN, domains_of


def claimed(host_id: int, sightings: list[Sighting]) -> None:
    """Take in what these sightings' definitions name, in place of what they named before."""
    NetworkClaim.objects.filter(host_id=host_id, owner__in=[sighting.vm_id for sighting in sightings]).delete()
    bulk.insert([_row(sighting, card) for sighting in sightings for card in cards_of(domains_of(sighting))])
    if sightings:
        notify.changed("network-claims")


def released(host_id: int, owners: Iterable[str | uuid_module.UUID]) -> None:
    """The host does not hold these guests any more."""
    NetworkClaim.objects.filter(host_id=host_id, owner__in=list(owners)).delete()
    notify.changed("network-claims")


def _row(sighting: Sighting, card: Card) -> NetworkClaim:
    return NetworkClaim(
        host_id=sighting.host_id,
        owner=sighting.vm_id,
        owner_name=sighting.name[:255],
        active=sighting.power_state in OPEN,
        type=card.type[:20],
        source=card.source[:255],
        portgroup=card.portgroup[:255],
        mac=card.mac[:17],
        model=card.model[:40],
        target=card.target[:40],
        filter=card.filter[:255],
    )
