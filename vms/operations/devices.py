"""What adding, changing and removing a device have in common: values by path, checked, and how a running guest lets go."""

from __future__ import annotations

import shlex
import time
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from hosts.hypervisor.errors import Failed
from hosts.hypervisor.sentences import say
from hosts.operations.kind import InvalidArguments, Subject
from hosts.operations.storage_base import NotNow
from hosts.operations.task import Task
from vms.definition.devices.disk import Disk
from vms.definition.devices.interface import Interface
from vms.definition.domain import Definition
from vms.definition.nodes import Node, UnknownProperty
from vms.definition.place import InvalidValue
from vms.hardware import editing, vlans
from vms.hardware.catalogue import SECRETS, Type, property_at
from vms.models import VirtualMachine
from vms.operations.base import virsh
from vms.operations.hardware import Now

#: paths that may be set at once
MOST_VALUES = 60
#: seconds a running guest has to let go of a device
LET_GO_SECONDS = 15.0
LOOK_EVERY = 0.3


def read_values(field: str, given: Any, type_: Type | None = None) -> dict[str, Any]:
    """Values by path as an argument has them. Raises InvalidArguments, and NotNow for one that does not fit."""
    if not isinstance(given, Mapping) or len(given) > MOST_VALUES:
        raise InvalidArguments(field, _("Values by the paths of properties, such as driver.cache."))
    found = {}
    for path, value in given.items():
        if isinstance(value, float) and value.is_integer():
            value = int(value)  # JSON knows no difference between 7 and 7.0.
        if value is not None and not isinstance(value, (str, int, bool)):
            raise InvalidArguments(field, _("Values by the paths of properties, such as driver.cache."))
        if path.rpartition(".")[2] in SECRETS:
            raise NotNow(path, _("Passwords are not kept in operations: edit the definition."))
        if path in editing.LINES:
            value = editing.LINES[path].in_order(value)
        if type_ is not None:
            check_value(type_, path, value)
        found[path] = value
    return found


def check_value(type_: Type, path: str, value: Any) -> None:
    """Raises NotNow for a path that the device has not, or a value that does not fit there."""
    if path == "device" and type_.name == "hostdev":
        if not isinstance(value, str):
            raise NotNow(path, _("A text is needed."))
        return
    try:
        declared = property_at(type_.node, path)
        if declared.form == "words":
            raise UnknownProperty(path)
        if value is not None:
            declared.check(value)
    except UnknownProperty:
        raise NotNow(path, _("%(type)s has no property %(path)s.") % {"type": type_.name, "path": path[:100]}) from None
    except InvalidValue as error:
        raise NotNow(path, error.message) from error


def refuse_vlans(vm: VirtualMachine, definition: str, path: str, changed: Mapping[str, Any]) -> None:
    """Raise NotNow where the card at ``path`` gets VLANs, or another connection, with which the guest would not start."""
    if vm.host is None or not {vlans.PATH, *vlans.CONNECTION} & changed.keys():
        return
    try:
        card = editing.find(Definition.parse(definition), path)
    except UnknownProperty:
        return  # Only the running guest has it: libvirt itself says so at once.
    if isinstance(card, Interface) and (why := vlans.why_not(card, vm.host)):
        raise NotNow(vlans.PATH, why)


def touches_host(type_: Type | None, values: Mapping[str, Any]) -> bool:
    """Whether it names something of the host, or says what no form offers to operators."""
    if type_ is None or type_.host:
        return True
    for path, value in values.items():
        asked = type_.field(path)
        if path in ("target.dev", "index") or value is None:
            continue
        if asked is None or asked.host or (asked.choices and str(value) not in asked.choices):
            return True
    return False


def detach(task: Task, hardware: Any, device: str, path: str, kind: str) -> None:
    """Ask the guest to let go of a device, and wait until it has. Raises Failed when it has not within the time."""
    hardware.detach(device)
    task.log(say("The guest was asked to let go of %(what)s.", what=path))
    until = time.monotonic() + LET_GO_SECONDS
    while is_there(hardware.guest.definition(), device, kind):
        if time.monotonic() > until:
            raise Failed(
                say(
                    "The guest did not let go of %(what)s within %(n)d s, so that it is still plugged in. A guest that is "
                    "paused, or has no system running, does not answer; it may still let go later",
                    what=path,
                    n=round(LET_GO_SECONDS),
                )
            )
        task.progress(waiting_for=path)
        task.wait(LOOK_EVERY)


def is_there(definition: str, device: str, home: str) -> bool:
    """Whether a running guest has that very device, by its alias or, where there is none, by what it says."""
    root = Definition.parse(definition).devices
    nodes = [part] if home in root.parts and (part := getattr(root, home)).exists else []
    nodes = list(getattr(root, home)) if home in root.lists else nodes
    return any(_mark(node) == _mark_of(device) for node in nodes)


def _mark(node: Node) -> str:
    alias = node.reach().find("alias")
    return str(alias.get("name")) if alias is not None else editing.bare(node).decode()


def _mark_of(device: str) -> str:
    from lxml import etree

    return _mark(Node(etree.fromstring(device)))


def is_line(text: str) -> bool:
    """Whether it holds no control characters."""
    return not any(character < " " for character in text)


def a_device(value: Any) -> str:
    """The path of a device. Raises InvalidArguments."""
    if not isinstance(value, str) or not is_line(value) or not 0 < len(value) <= 300:
        raise InvalidArguments("device", _("The device, such as disks[vda]."))
    return value


def running_one(now: Now, path: str) -> Node | None:
    """The running guest's device of that path in the definition, or in itself where the definition has none; None: not there."""
    if not now.live:
        return None
    live = Definition.parse(now.live)
    try:
        if now.config:
            return editing.twin(path, editing.find(Definition.parse(now.config), path), editing.devices(live))
    except UnknownProperty:
        pass  # One that only runs.
    try:
        return editing.find(live, path)
    except UnknownProperty:
        return None


def io_limits(disk: Disk) -> dict[str, int]:
    """A disk's limits as libvirt wants them all at once: 0 is none."""
    names = (
        "total_bytes_sec",
        "read_bytes_sec",
        "write_bytes_sec",
        "total_iops_sec",
        "read_iops_sec",
        "write_iops_sec",
    )
    return {name: disk.iotune.get(name) or 0 for name in names}


def device_command(command: str, subject: Subject, device: str, flags: list[str]) -> str:
    """virsh with the device's XML behind it, as a shell takes it."""
    return f"{virsh(command, subject, '/dev/stdin', *flags)} <<'XML'\n{device}\nXML"


def edit_command(subject: Subject, what: str) -> str:
    """What virsh has no command for is edited."""
    return f"{virsh('edit', subject)}  # {what}"


def quoted(*words: str) -> str:
    """A command line."""
    return shlex.join(words)
