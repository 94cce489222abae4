"""Move a running guest to another host without stopping it.

Peer-to-peer first: the source's libvirtd does the work and goes on when we die. When the hosts cannot reach each other's libvirtd
we talk to both. However it ends, where the guest is now is found by looking at both hosts, not believed from the call's result.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.models import Host
from hosts.operations.kind import Refused, Subject, Uncertain
from hosts.operations.task import Task
from vms.moving import wanted
from vms.moving.move import Move, peer_uri
from vms.moving.places import look
from vms.operations.base import GuestKind, PowerState, virsh


class Migrate(GuestKind):
    """Live migration of a running guest to the host named ``host``."""

    name = "migrate"
    label = gettext_lazy("Migrate")
    verb = "vm.migrate"
    needs = (PowerState.RUNNING, PowerState.PAUSED)
    cancellable = True
    own_connection = True
    signals = tuple(wanted.SIGNALS)

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        return wanted.clean(arguments)

    def clean_signal(self, name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
        if name not in wanted.SIGNALS:
            return super().clean_signal(name, arguments)
        return wanted.clean_signal(name, arguments)

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        target = Host.objects.get(name=arguments["host"])
        if target == subject.host:
            raise Refused(_("%(name)s is on %(host)s already.") % {"name": subject.name, "host": target.name})
        if not target.enabled or not target.is_connected:
            raise Refused(_("Host %(host)s is not connected.") % {"host": target.name})
        twice = subject.row.sightings.filter(host=target, absent_since=None, power_state=PowerState.RUNNING).exists()
        if twice:
            raise Refused(
                _("%(name)s runs on %(host)s too; that must be settled first.")
                % {"name": subject.name, "host": target.name}
            )

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        target = Host.objects.get(name=arguments["host"])
        lines = [virsh("migrate", subject, peer_uri(target), *wanted.options(arguments))]
        if arguments.get("max_downtime"):
            lines.append(virsh("migrate-setmaxdowntime", subject, str(arguments["max_downtime"])))
        return "\n".join(lines)

    def run(self, task: Task) -> dict[str, Any]:
        self.require_state(task, self.needs)
        target_host = _target_host(task)
        with task.looking():
            target = task.connect(target_host)
            place = look(target, target_host, task.uuid)
            autostart = self.guest(task).read().autostart
        if place.runs:
            raise Refused(
                _("%(name)s runs on %(host)s too.") % {"name": task.operation.subject_name, "host": target_host}
            )
        # Kept in the row, for the one who recovers.
        task.progress(now=True, autostart=autostart)
        return Move(task, target_host, target).go()

    def recover(self, task: Task) -> dict[str, Any]:
        task.log("kvmdash was interrupted during this move; looking where the guest is.", "warning")
        try:
            target_host = _target_host(task)
        except Refused as error:
            raise Uncertain(f"{error} " + _("Look at the guest on %(host)s.") % {"host": task.host.name}) from error
        return Move(task, target_host, None).observe()


def _target_host(task: Task) -> Host:
    host = Host.objects.filter(name=task.arguments["host"]).first()
    if host is None:
        raise Refused(_("Host %(host)s was removed meanwhile.") % {"host": task.arguments["host"]})
    return host
