"""Asking for one guest or several: where each is made, and the operations that make them."""

from __future__ import annotations

import uuid
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from django.db.models import QuerySet
from django.utils.translation import gettext as _

from hosts.audit import Actor
from hosts.models import Host, Operation
from hosts.operations import queue
from hosts.operations.storage_base import NotNow
from vms.creation import command, wanted
from vms.creation.placement import BEST, Candidate, candidates, hosts_for
from vms.creation.wanted import Place


def ask(hosts: QuerySet[Host], host: str, given: Mapping[str, Any], actor: Actor) -> Operation:
    """Ask for the guests that ``given`` names, on ``host`` (a name, or 'best'). Raises Denied, Refused.

    One guest is one operation; several are the children of one, each with a result of its own.
    """
    one_each = each(given)
    places = placed(hosts, host, one_each)
    if len(one_each) == 1:
        return queue.enqueue(wanted.KIND, places[0], one_each[0], actor)
    return queue.enqueue_each(wanted.KIND, list(zip(places, one_each, strict=True)), actor)


@dataclass(frozen=True, slots=True)
class Preview:
    """What asking would do: the guests' names, every host with what speaks for or against it, and the one that is taken."""

    names: list[str]
    found: list[Candidate]
    chosen: Candidate

    @property
    def definition(self) -> str:
        """Of the first guest; '' when it cannot be made."""
        plan = self.chosen.review.plan
        return plan.definition() if plan is not None else ""

    @property
    def command(self) -> str:
        """The same as commands that a person could type."""
        plan = self.chosen.review.plan
        return command.command(plan) if plan is not None else ""


def preview(hosts: QuerySet[Host], host: str, given: Mapping[str, Any]) -> Preview:
    """Look what :func:`ask` would do. Raises Refused."""
    one_each = each(given)
    first = wanted.clean(one_each[0])
    found = candidates(hosts_for(hosts, first), first["name"], first)
    chosen = next((one for one in found if one.host.name == host), None) if host != BEST else next(iter(found), None)
    if chosen is None:
        raise NotNow("host", nowhere(found) if host == BEST else _nothing_there(host))
    return Preview([str(arguments["name"]) for arguments in one_each], found, chosen)


def _nothing_there(host: str) -> str:
    return _("There is no host %(name)s for this.") % {"name": host[:63]}


def each(given: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The arguments of each guest that the name stands for. Raises NotNow for what cannot be had several times."""
    names = wanted.expand(str(given.get("name") or ""))
    if len(names) == 1:
        return [dict(given)]
    seed = given.get("seed")
    if isinstance(seed, dict) and seed.get("address"):
        raise NotNow("address", _("Several guests cannot have one address."))
    if given.get("road") == "import" and not given.get("pool"):
        raise NotNow("name", _("One disk is of one guest; choose a pool, and each gets a copy."))
    alone = {key: value for key, value in seed.items() if key != "hostname"} if isinstance(seed, dict) else seed
    common = dict(given) | ({"seed": alone} if seed is not None else {})
    return [common | {"name": name} for name in names]


def placed(hosts: QuerySet[Host], host: str, one_each: list[dict[str, Any]]) -> list[Place]:
    """Where each is made. Raises NotNow when it fits nowhere."""
    first = wanted.clean(one_each[0])
    rows = hosts_for(hosts, first)
    names = [str(arguments["name"]) for arguments in one_each]
    if host != BEST:
        row = rows.filter(name=host).first()
        if row is None:
            raise NotNow("host", _nothing_there(host))
        return [Place(row, uuid.uuid4(), name) for name in names]
    found = [one for one in candidates(rows, first["name"], first) if one.fits]
    if not found:
        raise NotNow("host", nowhere(candidates(rows, first["name"], first)))
    return [
        Place(chosen, uuid.uuid4(), name) for chosen, name in zip(_shared_out(found, len(names)), names, strict=True)
    ]


def nowhere(found: list[Candidate]) -> str:
    """Why it fits on no host."""
    reasons = [f"{one.host.name}: {one.reason}" for one in found[:5]]
    return _("It fits on no host. %(reasons)s") % {"reasons": " ".join(reasons)}


def _shared_out(found: list[Candidate], count: int) -> list[Host]:
    """Each to the host that has most left by then."""
    scores = {one.host: one.score for one in found}
    takes = {
        one.host: one.review.plan.frame.memory / max(1, one.host.memory) for one in found if one.review.plan is not None
    }
    chosen = []
    for _number in range(count):
        best = max(scores, key=lambda host: scores[host])
        chosen.append(best)
        scores[best] -= takes.get(best, 0.0) or 0.001
    return chosen
