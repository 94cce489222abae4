"""What the kinds on snapshots have in common: a snapshot is named, and named right."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from hosts.operations.kind import InvalidArguments, Refused, Subject, no_argument
from hosts.operations.task import Task
from vms import snapshots
from vms.models import VirtualMachine
from vms.operations.base import GuestKind, PowerState

if TYPE_CHECKING:
    from concurrent.futures import Future

#: it becomes part of file names
_NAME = re.compile(r"^[\w][\w.:+-]{0,62}\Z")


def clean_name(arguments: Mapping[str, Any]) -> str:
    """The argument ``name``. Raises InvalidArguments."""
    name = str(arguments.get("name", "")).strip()
    if not _NAME.match(name):
        text = _(
            "Letters, digits, dots, colons, dashes and underscores; begins with a letter or digit; at most 63 characters."
        )
        raise InvalidArguments("name", text)
    return name


def clean_description(arguments: Mapping[str, Any]) -> str:
    """The argument ``description``. Raises InvalidArguments."""
    text = str(arguments.get("description", "")).replace("\r\n", "\n").strip()
    if len(text) > 2000 or any(ord(letter) < 32 and letter not in "\n\t" for letter in text):
        raise InvalidArguments("description", _("At most 2000 characters, and no control characters."))
    return text


def clean_flag(arguments: Mapping[str, Any], name: str) -> bool:
    """A yes or no that is no unless it is said. Raises InvalidArguments."""
    value = arguments.get(name, False)
    if not isinstance(value, bool):
        raise InvalidArguments(name, _("%(name)s is true or false.") % {"name": name})
    return value


def refuse_others(kind: str, arguments: Mapping[str, Any], known: set[str]) -> None:
    """Raises InvalidArguments for an argument that the kind does not take."""
    unknown = set(arguments) - known
    if unknown:
        raise InvalidArguments(min(unknown), no_argument(kind, min(unknown)))


class SnapshotKind(GuestKind):
    """Base of the kinds that act on a snapshot there is."""

    needs = (PowerState.RUNNING, PowerState.PAUSED, PowerState.SHUTOFF, PowerState.CRASHED)
    own_connection = True

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        found = snapshots.find(subject.row, arguments["name"])
        if found is None:
            raise Refused(
                _("%(guest)s has no snapshot called %(name)s.") % {"guest": subject.name, "name": arguments["name"]}
            )
        self.check_snapshot(subject.row, found, arguments)

    def check_snapshot(self, vm: VirtualMachine, snapshot: snapshots.Snapshot, arguments: dict[str, Any]) -> None:
        """Raises Refused when it is not possible with this one."""

    def names(self, task: Task) -> set[str]:
        """The names of the guest's snapshots, by its host."""
        from hosts.hypervisor import snapshot

        return snapshot.names(task.connection, task.uuid)

    def finish(self, task: Task, future: Future[Any]) -> bool:
        """Follow the call to its end; True when it was aborted by request. Raises what libvirt raised otherwise."""
        from hosts.hypervisor.errors import HypervisorError, Unreachable
        from vms.operations.following import follow

        guest = self.guest(task)
        aborted = follow(task, guest, future)
        try:
            guest.connection.outcome(future)
        except Unreachable:
            raise
        except HypervisorError:
            if not aborted:
                raise
            return True
        return False
