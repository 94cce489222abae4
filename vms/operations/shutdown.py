"""Ask the guest to shut down, and wait for it."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.hypervisor.errors import Failed, NotFound
from hosts.operations.kind import Cancelled, InvalidArguments, Subject, Uncertain, no_argument
from hosts.operations.task import Task
from vms.models import VirtualMachine
from vms.operations.base import GuestKind, PowerState, until_seen, virsh

DEFAULT_WAIT = 120
MOST_WAIT = 3600
ASK_AGAIN_SECONDS = 15


class Shutdown(GuestKind):
    """Ask, wait up to ``wait`` seconds, and say so when the guest does not obey (forcing it off is another operation)."""

    name = "shutdown"
    label = gettext_lazy("Shut down")
    verb = "vm.shutdown"
    of_copies = True
    defines = False
    needs = (PowerState.RUNNING,)
    cancellable = True
    patient = True

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        unknown = set(arguments) - {"wait"}
        if unknown:
            raise InvalidArguments(min(unknown), no_argument("shutdown", min(unknown)))
        try:
            wait = int(arguments.get("wait") or DEFAULT_WAIT)
        except (TypeError, ValueError):
            raise InvalidArguments("wait", _("The wait is a number of seconds.")) from None
        if not 1 <= wait <= MOST_WAIT:
            raise InvalidArguments("wait", _("The wait is between 1 and 3600 seconds."))
        return {"wait": wait}

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("shutdown", subject)

    def run(self, task: Task) -> dict[str, Any]:
        self.require_state(task, self.needs)
        self.guest(task).shutdown()
        task.log("The guest was asked to shut down.")
        return self._wait(task)

    def recover(self, task: Task) -> dict[str, Any]:
        """It had been asked, or not; asking again does no harm, so it is only waited for and asked as before."""
        return self._wait(task)

    def _wait(self, task: Task) -> dict[str, Any]:
        wait = task.arguments.get("wait", DEFAULT_WAIT)
        began = asked = time.monotonic()
        while True:
            if self._is_off(task):
                waited = round(time.monotonic() - began, 1)
                until_seen(task, (PowerState.SHUTOFF, PowerState.CRASHED))
                return {"waited": waited}
            if task.cancel_requested():
                raise Cancelled(_("Waiting was stopped; the guest may still shut down, since it was asked to."))
            waited = time.monotonic() - began
            if waited >= wait:
                raise Failed(_("The guest did not shut down within %(wait)s s. It can be forced off.") % {"wait": wait})
            if time.monotonic() - asked >= ASK_AGAIN_SECONDS:
                # A guest still booting loses the first request.
                asked = time.monotonic()
                self._ask_again(task)
            task.progress(percent=round(100 * waited / wait), waited=round(waited), wait=wait, offer="destroy")
            task.wait(0.5)

    def _ask_again(self, task: Task) -> None:
        if not self._is_off(task):
            self.guest(task).shutdown()

    def _is_off(self, task: Task) -> bool:
        try:
            return bool(self.guest(task).state()[0] in (PowerState.SHUTOFF, PowerState.CRASHED))
        except NotFound:
            if VirtualMachine.objects.filter(pk=task.uuid, persistent=False).exists():
                return True  # A transient guest is gone once it is off.
            raise Uncertain(
                _("%(name)s is not on %(host)s any more; whether it shut down before cannot be told.")
                % {"name": task.operation.subject_name, "host": task.host.name}
            ) from None
