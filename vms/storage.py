"""Which guest uses which storage: rows made of the definitions that were sighted. libvirt is never called here."""

from __future__ import annotations

import uuid as uuid_module
from collections.abc import Iterable

from lxml import etree

from hosts import bulk, notify
from hosts.models import StorageClaim
from vms.definition.storage import Claim, claims_of
from vms.definition.xml import MalformedDefinition, parse
from vms.models import Sighting
from vms.settling import domain_of

#: states in which a hypervisor process has the images open
OPEN = ("running", "paused", "pmsuspended")


def claimed(host_id: int, sightings: list[Sighting]) -> None:
    """Take in what these sightings' definitions name, in place of what they named before."""
    StorageClaim.objects.filter(host_id=host_id, owner__in=[sighting.vm_id for sighting in sightings]).delete()
    rows = [_row(sighting, claim) for sighting in sightings for claim in _claims(sighting)]
    bulk.insert(rows)
    if sightings:
        notify.changed("storage-claims")


def released(host_id: int, owners: Iterable[str | uuid_module.UUID]) -> None:
    """The host does not hold these guests any more."""
    StorageClaim.objects.filter(host_id=host_id, owner__in=list(owners)).delete()
    notify.changed("storage-claims")


def _claims(sighting: Sighting) -> list[Claim]:
    return claims_of(domains_of(sighting))


def domains_of(sighting: Sighting) -> list[etree._Element]:
    """Its definitions as it runs and as it will start, read once for all who want to know what they name."""
    found: list[etree._Element] | None = sighting.__dict__.get("_domains")
    if found is None:
        found = sighting.__dict__["_domains"] = _read(sighting)
    return found


def _read(sighting: Sighting) -> list[etree._Element]:
    domains: list[etree._Element] = []
    for text in dict.fromkeys((sighting.live_definition, sighting.inactive_definition)):
        try:
            if text:
                domains.append(domain_of(sighting) if text == sighting.live_definition else parse(text))
        except MalformedDefinition:
            continue  # vms.inventory says so; what the other one names is known all the same.
    return domains


def _row(sighting: Sighting, claim: Claim) -> StorageClaim:
    return StorageClaim(
        host_id=sighting.host_id,
        owner=sighting.vm_id,
        owner_name=sighting.name[:255],
        active=sighting.power_state in OPEN,
        path=claim.path[:2000],
        pool_name=claim.pool[:255],
        volume_name=claim.volume[:1000],
        device=claim.device[:20],
        target=claim.target[:40],
        depth=claim.depth,
        readonly=claim.readonly,
    )
