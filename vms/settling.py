"""Where a guest is and how it is, said from all its sightings. Rows are handed in and changed; nothing is written here."""

from __future__ import annotations

from enum import IntEnum

import structlog
from django.utils import timezone
from lxml import etree

from hosts import alarms, notify
from vms.definition.summary import Summary, summarize
from vms.definition.xml import MalformedDefinition, parse
from vms.models import Sighting, VirtualMachine

log = structlog.get_logger(__name__)

PowerState = VirtualMachine.PowerState
#: which sighting tells best where a guest is
PRECEDENCE = {"running": 5, "paused": 4, "pmsuspended": 3, "crashed": 2, "shutoff": 1, "unknown": 0}
ACTIVE = {"running", "paused", "pmsuspended"}
#: columns of a guest that come straight out of its definition
FROM_DEFINITION = tuple(name for name in Summary.__slots__ if name != "tags")
#: columns that are said whenever a guest is settled; those of its definition only when that was read
SETTLED = (
    "name", "host", "power_state", "power_reason", "state_since", "seen_at", "absent_since", "persistent", "autostart",
    "managed_save", "addresses", "search_text", "suspected_at", "cpu_percent", "memory_used",
)  # fmt: skip


class Noticed(IntEnum):
    """Who sees that a guest was settled: its own pieces; lists that choose or sort by its state; all that list guests."""

    ITSELF = 0
    BY_STATE = 1
    IN_LISTS = 2


def settle(vm: VirtualMachine, sightings: list[Sighting], *, moved: bool = True) -> Noticed:
    """Say it. ``moved``: a definition may be another than at the last look; otherwise only that of a new place is read."""
    listed, state = (vm.name, vm.host_id, vm.folder, vm.absent_since), vm.power_state
    is_new = vm._state.adding or vm.seen_at is None
    present = [s for s in sightings if s.absent_since is None]
    _watch_for_split_brain(vm, present)
    if not present:
        _take_absence(vm)
        return Noticed.IN_LISTS
    best = max(present, key=lambda s: (PRECEDENCE[s.power_state], s.host.is_connected, s.since))
    found_by = (vm.name, vm.host_id, vm.addresses)
    if moved or is_new or vm.host_id != best.host_id:
        _take_definition(vm, best)
    _take_state(vm, best, present)
    if vm.seen_tags is not None or found_by != (vm.name, vm.host_id, vm.addresses):
        vm.search_text = search_text(vm, vm.seen_tags if vm.seen_tags is not None else tag_names(vm))
    if is_new or listed != (vm.name, vm.host_id, vm.folder, None):
        return Noticed.IN_LISTS
    return Noticed.ITSELF if state == vm.power_state else Noticed.BY_STATE


def _take_absence(vm: VirtualMachine) -> None:
    vm.absent_since = vm.absent_since or timezone.now()
    if vm.power_state != PowerState.UNKNOWN:
        vm.state_since = timezone.now()
    vm.power_state, vm.power_reason = PowerState.UNKNOWN, "gone"
    vm.cpu_percent = vm.memory_used = None


def _take_state(vm: VirtualMachine, best: Sighting, present: list[Sighting]) -> None:
    arriving = any(s.power_state == "paused" and s.power_reason == "migration" for s in present if s is not best)
    state = PowerState.MIGRATING if best.power_state == "running" and arriving else PowerState(best.power_state)
    if vm.power_state != state or vm.host_id != best.host_id:
        vm.state_since = best.since
    vm.name = best.name
    vm.persistent = best.persistent
    vm.autostart = best.autostart
    vm.managed_save = best.managed_save
    vm.power_state = state
    vm.power_reason = best.power_reason
    vm.host = best.host
    vm.seen_at = best.seen_at
    vm.absent_since = None
    if best.power_state not in ACTIVE:
        vm.cpu_percent = vm.memory_used = None
        vm.addresses = []


def domain_of(sighting: Sighting) -> etree._Element:
    """The definition as it runs, read once for all who want to know something of it. Raises MalformedDefinition."""
    found: etree._Element | None = sighting.__dict__.get("_domain")
    if found is None:
        found = sighting.__dict__["_domain"] = parse(sighting.live_definition)
    return found


def _take_definition(vm: VirtualMachine, sighting: Sighting) -> None:
    """Read what pages show of it, and the tags."""
    try:
        summary = summarize(domain_of(sighting))
    except MalformedDefinition as error:
        log.warning("a definition could not be read", vm=str(vm.uuid), host=sighting.host.name, error=str(error))
        return
    for name in FROM_DEFINITION:
        setattr(vm, name, getattr(summary, name))
    vm.seen_tags = summary.tags


def tag_names(vm: VirtualMachine) -> list[str]:
    """The tags that are tied to it."""
    return [] if vm._state.adding else [tag.name for tag in vm.tags.all()]


def search_text(vm: VirtualMachine, tags: list[str]) -> str:
    """Everything a guest may be found by, in lower case."""
    words = [vm.name, vm.title, str(vm.uuid), vm.folder, vm.host.name if vm.host else "", *tags]
    words += [nic["mac"] for nic in vm.nics] + [address["address"] for address in vm.addresses]
    return "\n".join(word for word in words if word).lower()


def _watch_for_split_brain(vm: VirtualMachine, present: list[Sighting]) -> None:
    """Running twice is an alarm, once both hosts were read again after it was first suspected.

    In the last moment of a migration both hosts' rows may say 'running' because one of them has not been read yet.
    """
    running = [s for s in present if s.power_state == "running"]
    key = f"split-brain-{vm.uuid}"
    if len(running) < 2:
        if vm.suspected_at is not None:
            vm.suspected_at = None
            alarms.clear(key)
        return
    if vm.suspected_at is None:
        vm.suspected_at = timezone.now()
        for sighting in running:
            notify.look_again(sighting.host_id, str(vm.uuid))
        return
    if all(s.seen_at > vm.suspected_at for s in running):
        hosts = sorted(s.host.name for s in running)
        alarms.raise_alarm(
            key, "split-brain", level="critical", subject_uuid=vm.uuid, subject_name=vm.name, hosts=hosts
        )
