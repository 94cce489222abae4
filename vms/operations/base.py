"""What all kinds that act on a guest have in common."""

from __future__ import annotations

import shlex
from collections.abc import Iterable
from typing import Any, ClassVar

from django.db.models import Q
from django.utils.translation import gettext as _

from hosts.hypervisor.errors import HypervisorError
from hosts.hypervisor.sentences import say
from hosts.models import User
from hosts.operations import seen
from hosts.operations.kind import Kind, Refused, Subject, Uncertain
from hosts.operations.task import Task
from vms.models import VirtualMachine

PowerState = VirtualMachine.PowerState


class GuestKind(Kind):
    """A kind that acts on a guest where it is now. ``needs`` names the power states in which it makes sense."""

    role = User.Role.OPERATOR
    needs: tuple[str, ...] = ()
    #: whether it can change the definition: then it is named beside the version that it leads to (vms.history)
    defines: ClassVar[bool] = True
    #: whether its button stands in a place of its own, and not in the menu of the guest's page
    own_place: ClassVar[bool] = False
    #: whether it may be asked of a copy on another host than the one where the guest is said to be (vms.copies)
    of_copies: ClassVar[bool] = False

    def subject(self, row: VirtualMachine) -> Subject:
        return Subject(host=row.host, name=row.name, row=row, uuid=row.uuid)

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        vm: VirtualMachine = subject.row
        if vm.absent_since is not None or vm.host is None:
            raise Refused(_("%(name)s is on no host we can see.") % {"name": vm.name})
        if not vm.host.enabled:
            raise Refused(_("Host %(host)s is disabled.") % {"host": vm.host.name})
        if not vm.host.is_connected:
            raise Refused(
                _("Host %(host)s cannot be reached, so nothing can be asked of it: %(why)s")
                % {"host": vm.host.name, "why": vm.host.state_words or vm.host.get_state_display()}
            )
        if self.needs and vm.power_state not in self.needs:
            raise Refused(
                _("%(name)s is %(state)s; this needs it to be %(needs)s.")
                % {"name": vm.name, "state": vm.get_power_state_display(), "needs": self._needs_words()}
            )

    def _needs_words(self) -> str:
        return _(" or ").join(str(PowerState(state).label) for state in self.needs)

    def guest(self, task: Task) -> Any:
        """The live handle (hosts.hypervisor.guest.Guest); imported late, so that pages never load libvirt."""
        from hosts.hypervisor.guest import Guest

        return Guest(task.connection, task.uuid)

    def require_state(self, task: Task, states: Iterable[str]) -> None:
        """Look again, at the guest itself, right before changing it."""
        with task.looking():
            state, _reason = self.guest(task).state()
        self.refuse_unless(task, state, states)

    @staticmethod
    def refuse_unless(task: Task, state: str, states: Iterable[str]) -> None:
        """It was looked at a moment ago: nothing is done to a guest in another state."""
        if state not in states:
            raise Refused(
                _("%(name)s is %(state)s by now; nothing was done.")
                % {"name": task.operation.subject_name, "state": str(PowerState(state).label)}
            )


def until_seen(task: Task, states: Iterable[str]) -> None:
    """Wait until the pages show one of ``states``, or the guest as gone (:mod:`hosts.operations.seen`)."""
    shown = Q(power_state__in=tuple(states)) | Q(absent_since__isnull=False) | ~Q(host=task.operation.host_id)
    seen.until_seen(task, VirtualMachine.objects.filter(shown, pk=task.uuid))


def virsh(command: str, subject: Subject, *more: str) -> str:
    """A virsh command line about the subject, quoted for a shell."""
    return shlex.join(["virsh", command, subject.name, *more])


class StateKind(GuestKind):
    """A kind whose success shows in the guest's power state, so that recovering is looking."""

    defines = False
    #: states that mean it worked
    becomes: tuple[str, ...] = ()

    def change(self, task: Task) -> None:
        """Ask libvirt."""
        raise NotImplementedError

    def run(self, task: Task) -> dict[str, Any]:
        if self.needs:
            self.require_state(task, self.needs)
        self.change(task)
        state, reason = self._afterwards(task)
        task.log(f"{task.operation.subject_name} is {state} ({reason}).")
        until_seen(task, (state,))
        return {"state": state, "reason": reason}

    def _afterwards(self, task: Task) -> tuple[str, str]:
        """How it is now. libvirt has said that it was done: not seeing it any more does not make that untrue."""
        try:
            state, reason = self.guest(task).state()
        except HypervisorError as error:
            task.log(say("It was done; the guest could not be looked at afterwards: %(text)s", text=error), "warning")
            return str(PowerState.UNKNOWN), ""
        return str(state), str(reason)

    def recover(self, task: Task) -> dict[str, Any]:
        state, reason = self.guest(task).state()
        if state in self.becomes:
            task.log(f"Found {state} ({reason}) after an interruption.")
            return {"state": state, "reason": reason, "recovered": True}
        raise Uncertain(
            _("kvmdash was interrupted while doing this; the guest is %(state)s now. Ask again if that is not wanted.")
            % {"state": str(PowerState(state).label)}
        )
