"""What each live piece of a machine's page shows. Page and push use the same functions."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime
from typing import Any

from django.core.cache import cache
from django.urls import reverse

from hosts import access
from hosts.models import Operation, User
from hosts.operations import presenter
from hosts.operations.queue import BULK
from vms import deleting, inventory, linked
from vms.models import Sighting, VirtualMachine
from vms.moving.leftovers import leftovers_of
from vms.views import moves, rows
from vms.views.actions import action, actions_of, busy_reason, of_copy

PowerState = VirtualMachine.PowerState
ACTIVE_STATES = (PowerState.RUNNING, PowerState.PAUSED, PowerState.MIGRATING, PowerState.PMSUSPENDED)
Context = dict[str, Any]
Part = Callable[[VirtualMachine, User], Context]


def head(vm: VirtualMachine, user: User) -> Context:
    """Name, state, where, how old that is, and what can be done."""
    busy = busy_reason(active(vm, user))
    return {
        "vm": vm,
        "state": rows.shown_state(vm),
        "verified_at": verified_at(vm),
        "actions": actions_of(vm, user, busy),
        "console": console(vm, user),
        "may_forget": vm.absent_since is not None and access.may(user, deleting.FORGET, vm),
    }


def verified_at(vm: VirtualMachine) -> datetime | None:
    """When the facts were last known to be so: a connected host tells every change, so its last sign of life counts."""
    if vm.host is None or not vm.host.is_connected or vm.absent_since is not None or vm.host.seen_at is None:
        return vm.seen_at
    return max(vm.seen_at, vm.host.seen_at) if vm.seen_at else vm.host.seen_at


def console(vm: VirtualMachine, user: User) -> Context | None:
    """The console button: None without the right; disabled while there is nothing to see."""
    if not (access.may(user, "vm.console", vm) or access.may(user, "vm.console_view", vm)):
        return None
    live = vm.power_state in ACTIVE_STATES and not vm.is_stale and vm.absent_since is None
    return {"url": reverse("vms:tab", args=[vm.uuid, "console"]), "enabled": live}


def _operations(vm: VirtualMachine, user: User) -> Any:
    wanted = Operation.objects.filter(subject_uuid=vm.uuid).exclude(kind=BULK)
    return access.visible_to(user, wanted).select_related("host")


def active(vm: VirtualMachine, user: User) -> list[Context]:
    """What is being done to it, oldest first."""
    found = _operations(vm, user).filter(state__in=Operation.ACTIVE).order_by("created_at")
    return [presenter.present(operation, user) for operation in found]


def operation(vm: VirtualMachine, user: User) -> Context:
    """What is being done to it, and how the last thing ended."""
    last = _operations(vm, user).exclude(state__in=Operation.ACTIVE).order_by("-finished_at").first()
    return {
        "vm": vm,
        "active": [_with_move(one) for one in active(vm, user)],
        "last": presenter.present(last, user) if last is not None else None,
        "force": _force(vm, user, last),
        "moved_in": _moved_in(last),
    }


def _with_move(operation: Context) -> Context:
    return {**operation, "move": moves.watched(operation["row"])} if operation["kind"] == "migrate" else operation


def _moved_in(last: Operation | None) -> float | None:
    """Seconds a migration took."""
    milliseconds = last.result.get("total_ms") if last is not None and last.kind == "migrate" else None
    return float(milliseconds) / 1000 if milliseconds is not None else None


def _force(vm: VirtualMachine, user: User, last: Operation | None) -> Any:
    """The offer to force it off, when the guest did not obey the last request to shut down."""
    if last is None or last.kind not in ("shutdown", "restart") or last.state != Operation.State.FAILED:
        return None
    offer = action("destroy", vm, user)
    return offer if offer is not None and not offer.reason else None


def sightings(vm: VirtualMachine, user: User) -> Context:
    """Where else it was sighted, and whether that is trouble."""
    found = Sighting.objects.filter(vm=vm, absent_since=None).select_related("host")
    present = list(found.defer("live_definition", "inactive_definition").order_by("host__name"))
    for sighting in present:
        # A connected host tells every change, so that what it told last holds as long as it answers.
        if sighting.host.is_connected and sighting.host.seen_at is not None:
            sighting.seen_at = max(sighting.seen_at or sighting.host.seen_at, sighting.host.seen_at)
    running = [sighting for sighting in present if sighting.power_state == PowerState.RUNNING]
    copies = [s for s in present if s.power_state == PowerState.PAUSED and s.power_reason == "migration"]
    unfinished = len(present) > 1 and bool(copies) and not is_moving(vm) and _is_given_up(present, copies)
    arriving = not unfinished and (bool(copies) or (len(present) > 1 and is_moving(vm)))
    return {
        "vm": vm,
        "sightings": _with_actions(vm, present, user, arriving) if len(present) > 1 else [],
        "split_brain": len(running) > 1 and vm.suspected_at is not None,
        "arriving": arriving,
        "unfinished": unfinished,
        "gone_over": any(sighting.power_reason.startswith("post-copy") for sighting in present),
        **_left_behind(vm, user),
    }


def _left_behind(vm: VirtualMachine, user: User) -> Context:
    leftovers = leftovers_of(vm)
    return (
        {"leftovers": leftovers, "tidy": action("tidy", vm, user, busy_reason(active(vm, user)))} if leftovers else {}
    )


def _is_given_up(present: list[Sighting], copies: list[Sighting]) -> bool:
    """Whether nothing can come any more for the copies of a move: all others are reached, and off."""
    others = [sighting for sighting in present if sighting not in copies]
    return all(s.host.is_connected and s.power_state not in ACTIVE_STATES for s in others)


def _with_actions(vm: VirtualMachine, present: list[Sighting], user: User, arriving: bool) -> list[Context]:
    """Each copy with what can be done to it, where more than one may be at work; nothing while it is being moved."""
    if arriving or sum(sighting.power_state in ACTIVE_STATES for sighting in present) < 2:
        return [{"row": sighting, "actions": []} for sighting in present]
    busy = busy_reason(active(vm, user))
    return [{"row": sighting, "actions": of_copy(vm, sighting, user, busy)} for sighting in present]


def is_moving(vm: VirtualMachine) -> bool:
    """Whether a move of it is under way, ours or somebody else's: the target then holds a copy that does not run yet."""
    if vm.power_state == PowerState.MIGRATING:
        return True
    moves = Operation.objects.filter(subject_uuid=vm.uuid, kind="migrate", state=Operation.State.RUNNING)
    return moves.exists()


def facts(vm: VirtualMachine, user: User) -> Context:
    """What it is."""
    volumes = linked.volumes_of(vm)
    return {
        "bases": linked.bases_of(vm, volumes),
        "clones": linked.clones_of(vm, volumes.values()),
        "vm": vm,
        "state": rows.shown_state(vm),
        "tpms": [device for device in vm.devices if device.get("kind") == "tpm"],
        "tags": [tag.name for tag in vm.tags.all()],
        "notes": action("set-metadata", vm, user),
        "autostart": action("autostart", vm, user),
    }


def hardware(vm: VirtualMachine, _user: User) -> Context:
    """Its disks and network cards."""
    addresses = addresses_of(vm)
    return {"vm": vm, "nics": [{**nic, "addresses": addresses.get(nic["mac"], [])} for nic in vm.nics]}


def addresses_of(vm: VirtualMachine) -> dict[str, list[str]]:
    """MAC → the addresses that were seen there."""
    addresses: dict[str, list[str]] = {}
    for address in vm.addresses:
        addresses.setdefault(address["mac"], []).append(address["address"])
    return addresses


def picture(vm: VirtualMachine, _user: User) -> Context:
    """Its screen. Who renders this is looking, so that the next picture is asked for."""
    live = vm.power_state in ACTIVE_STATES and not vm.is_stale
    if live:
        inventory.want_picture(str(vm.uuid))
    digest = cache.get(f"picture-digest:{vm.uuid}") if live else None
    return {"vm": vm, "live": live, "digest": digest, "has_screen": bool(vm.graphics)}


def figures(vm: VirtualMachine) -> Context:
    """The last frame of live figures, for the first paint; none when it is not live any more."""
    if rows.shown_state(vm) in ("unreachable", "absent"):
        return {}
    frame = cache.get(f"frame:{vm.host_id}") or {}
    found: Context = frame.get(f"vm:{vm.uuid}", {})
    return found
