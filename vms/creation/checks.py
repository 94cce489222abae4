"""What speaks against making a guest on a host, and what is worth knowing before. Rows only."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from django.db.models import Sum
from django.utils.translation import gettext as _

from hosts.models import Host, Network, Operation, StoragePool, StorageVolume
from hosts.operations.presenter import size
from hosts.operations.storage_base import NotNow
from vms.creation import wanted
from vms.creation.checks_hardware import Finding, abilities, system
from vms.creation.hardware import ability_for
from vms.creation.plan import Plan
from vms.creation.planning import plan
from vms.creation.wanted import Place
from vms.models import VirtualMachine

#: power states in which a guest holds memory on its host
ACTIVE = ("running", "paused", "migrating", "pmsuspended")


@dataclass(frozen=True, slots=True)
class Review:
    """What was found, and the plan when there is one."""

    findings: list[Finding]
    plan: Plan | None

    @property
    def wrong(self) -> list[Finding]:
        """What keeps it from being made."""
        return [finding for finding in self.findings if finding.level == "wrong"]


def review(place: Place, arguments: dict[str, Any]) -> Review:
    """Look at everything, so that all that is wrong is said at once."""
    found = [*_host(place.host), *_name(place)]
    try:
        made = plan(place.host, place.uuid, arguments)
    except NotNow as error:
        return Review([*found, Finding("wrong", error.field, str(error))], None)
    for look in (_memory, _processors, _space, _volumes, _image, _network, abilities, system):
        found += look(made)
    return Review(found, made)


def _host(host: Host) -> Iterator[Finding]:
    if host.in_maintenance:
        yield Finding("wrong", "host", _("%(host)s is in maintenance.") % {"host": host.name})
    elif not host.enabled:
        yield Finding("wrong", "host", _("Host %(host)s is disabled.") % {"host": host.name})
    elif not host.is_connected:
        why = {"host": host.name, "why": host.state_words or host.get_state_display()}
        yield Finding(
            "wrong", "host", _("Host %(host)s cannot be reached, so nothing can be asked of it: %(why)s") % why
        )


def _name(place: Place) -> Iterator[Finding]:
    same = VirtualMachine.objects.filter(name=place.name, absent_since=None).exclude(pk=place.uuid)
    hosts = sorted({vm.host.name for vm in same.select_related("host") if vm.host is not None})
    if place.host.name in hosts:
        yield Finding("wrong", "name", _("%(host)s has a guest of that name.") % {"host": place.host.name})
    elif hosts:
        text = _("There is a guest of that name on %(hosts)s: neither can be moved to the other's host.")
        yield Finding("warning", "name", text % {"hosts": ", ".join(hosts)})
    busy = Operation.objects.filter(
        kind=wanted.KIND, host=place.host, subject_name=place.name, state__in=Operation.ACTIVE
    )
    if busy.exclude(subject_uuid=place.uuid).exists():
        yield Finding("wrong", "name", _("A guest of that name is being made just now."))


def _memory(made: Plan) -> Iterator[Finding]:
    host, memory = made.host, made.frame.memory
    if not host.memory:
        return
    if memory > host.memory:
        text = _("The host has %(memory)s in all.") % {"memory": size(host.memory)}
        yield Finding("wrong", "memory", text)
        return
    active = host.vms.filter(absent_since=None, power_state__in=ACTIVE)
    promised = (active.aggregate(sum=Sum("memory"))["sum"] or 0) + memory
    if promised > host.memory:
        text = _("With it the host's active guests may take %(promised)s of its %(memory)s: memory is overcommitted.")
        yield Finding("warning", "memory", text % {"promised": size(promised), "memory": size(host.memory)})
    if host.memory_used is not None and (free := host.memory - host.memory_used) < memory:
        yield Finding("warning", "memory", _("Only %(free)s of the host's memory are free now.") % {"free": size(free)})


def _processors(made: Plan) -> Iterator[Finding]:
    host, count = made.host, made.frame.vcpus
    ability = ability_for(host, made.platform.machine)
    if ability is not None and ability.most_vcpus and count > ability.most_vcpus:
        text = _("A guest has at most %(most)d processors there.") % {"most": ability.most_vcpus}
        yield Finding("wrong", "vcpus", text)
    elif host.cpus and count > host.cpus:
        yield Finding("warning", "vcpus", _("The host has only %(cpus)d processors.") % {"cpus": host.cpus})


def _space(made: Plan) -> Iterator[Finding]:
    pools: dict[int, StoragePool] = {volume.pool.pk: volume.pool for volume in made.volumes}
    for pool in pools.values():
        mine = [volume for volume in made.volumes if volume.pool.pk == pool.pk]
        takes, grows = sum(volume.takes for volume in mine), sum(volume.capacity for volume in mine)
        # One disk after the other is unpacked: the room for the largest is enough.
        takes += max(volume.meanwhile for volume in mine)
        if takes > pool.available:
            text = _("%(takes)s are needed at once, and only %(free)s are free in %(pool)s.")
            yield Finding(
                "wrong", "pool", text % {"takes": size(takes), "free": size(pool.available), "pool": pool.name}
            )
            continue
        there = StorageVolume.objects.filter(pool=pool, absent_since=None)
        promised = (there.aggregate(sum=Sum("capacity"))["sum"] or 0) + grows
        if pool.capacity and promised > pool.capacity:
            text = _("Thin: with it the volumes of %(pool)s may grow to %(promised)s, and it has %(capacity)s.")
            words = {"pool": pool.name, "promised": size(promised), "capacity": size(pool.capacity)}
            yield Finding("warning", "pool", text % words)
        elif grows > takes:
            text = _("Thin: it takes %(takes)s now and may grow to %(grows)s; %(free)s are free.")
            yield Finding(
                "note", "pool", text % {"takes": size(takes), "grows": size(grows), "free": size(pool.available)}
            )


def _volumes(made: Plan) -> Iterator[Finding]:
    for volume in made.volumes:
        rows = StorageVolume.objects.filter(name=volume.name, absent_since=None)
        same = (
            rows.filter(pool__shared_key=volume.pool.shared_key)
            if volume.pool.shared_key
            else rows.filter(pool=volume.pool)
        )
        if same.exists():
            text = _("%(pool)s has a volume %(name)s already.") % {"pool": volume.pool.name, "name": volume.name}
            yield Finding("wrong", "name", text)


def _image(made: Plan) -> Iterator[Finding]:
    """An image that is used as it is has one guest: two who ask at once do not both get it."""
    arguments = made.arguments
    if arguments["road"] != "import" or arguments.get("pool"):
        return
    asked = Operation.objects.filter(kind=wanted.KIND, host=made.host, state__in=Operation.ACTIVE)
    same = asked.filter(arguments__road="import", arguments__image=arguments["image"]).exclude(subject_uuid=made.uuid)
    others = [row.subject_name for row in same if not row.arguments.get("pool")]
    if others:
        text = _("%(name)s is being made of this image just now.") % {"name": others[0]}
        yield Finding("wrong", "image", text)


def _network(made: Plan) -> Iterator[Finding]:
    if not made.frame.networks and not made.text:
        yield Finding("note", "network", _("It has no network card."))
    for name in dict.fromkeys(made.frame.networks):
        yield from _one_network(made, name)


def _one_network(made: Plan, name: str) -> Iterator[Finding]:
    network = Network.objects.filter(host=made.host, name=name, absent_since=None).first()
    if network is None:
        words = {"host": made.host.name, "name": name[:100]}
        yield Finding("wrong", "network", _("%(host)s has no network %(name)s.") % words)
    elif not network.active:
        yield Finding(
            "wrong" if made.arguments.get("start") else "warning",
            "network",
            _("The network %(name)s is off.") % {"name": name[:100]},
        )
