"""Which hosts a guest fits on, and which is the best: the one that has the largest share of its memory free afterwards."""

from __future__ import annotations

import uuid
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from hosts.models import Host
from hosts.operations.presenter import size
from vms.creation.checks import Review, review
from vms.creation.wanted import Place
from vms.models import VirtualMachine

BEST = "best"
#: what a guest is made of: a host without it is farther from fitting than one for which something is still to be chosen
MADE_OF = ("image", "iso", "drivers", "source")


@dataclass(frozen=True, slots=True)
class Candidate:
    """A host with the reason against it ('' when it fits), or what speaks for it."""

    host: Host
    reason: str
    note: str
    score: float
    review: Review

    @property
    def fits(self) -> bool:
        """Whether the guest can be made there."""
        return not self.reason

    @property
    def lacks_origin(self) -> bool:
        """Whether what the guest is to be made of is not there."""
        return any(finding.field in MADE_OF for finding in self.review.wrong)


def candidates(hosts: QuerySet[Host], name: str, arguments: dict[str, Any]) -> list[Candidate]:
    """All hosts: those that fit come first, the best of them at the top; then those that have what the guest is made of."""
    rows = hosts.prefetch_related("abilities").defer(
        "tls_ca", "tls_certificate", "tls_key", "ssh_key", "ssh_host_key", "cells"
    )
    found = [candidate(host, name, arguments) for host in rows]
    return sorted(found, key=lambda one: (not one.fits, one.lacks_origin, -one.score, one.host.name))


def candidate(host: Host, name: str, arguments: dict[str, Any], identity: uuid.UUID | None = None) -> Candidate:
    """One host."""
    looked = review(Place(host, identity or uuid.uuid4(), name), arguments)
    wrong = looked.wrong
    free, score = _free(host, looked)
    warned = sum(
        finding.level == "warning" and finding.field in ("memory", "pool", "vcpus") for finding in looked.findings
    )
    return Candidate(host, wrong[0].text if wrong else "", free, score - warned, looked)


def _free(host: Host, looked: Review) -> tuple[str, float]:
    """Memory that is free now, in words, and the share of it that would be left."""
    if host.memory_used is None or not host.memory:
        return "", 0.0
    free = max(0, host.memory - host.memory_used)
    takes = looked.plan.frame.memory if looked.plan is not None else 0
    return _("%(free)s memory free") % {"free": size(free)}, (free - takes) / host.memory


def hosts_for(rows: QuerySet[Host], arguments: dict[str, Any]) -> QuerySet[Host]:
    """Where it can be at all: a copy is made where the first is."""
    if arguments.get("road") != "clone":
        return rows
    return rows.filter(pk__in=VirtualMachine.objects.filter(pk=arguments["source"]).values("host_id"))
