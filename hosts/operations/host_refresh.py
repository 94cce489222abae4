"""Read everything of a host again."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy as _

from hosts import notify
from hosts.hypervisor.sentences import say
from hosts.models import Host, User
from hosts.operations.kind import Kind, Refused, Subject
from hosts.operations.task import Task


class HostKind(Kind):
    """A kind that acts on a host."""

    role = User.Role.ADMINISTRATOR

    def subject(self, row: Host) -> Subject:
        return Subject(host=row, name=row.name, row=row)

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        if subject.host is not None and not subject.host.enabled:
            raise Refused(_("The host is disabled."))


class HostRefresh(HostKind):
    """Ask the mirror to read the host again, and see that it answers."""

    name = "host-refresh"
    label = _("Refresh")
    verb = "host.refresh"
    exclusive = False
    changes = False

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return "virsh list --all"

    def run(self, task: Task) -> dict[str, Any]:
        from hosts.hypervisor.host import read_facts

        facts = read_facts(task.connection)
        task.log(say("%(host)s answers: libvirt %(version)s.", host=facts.hostname, version=facts.libvirt_version))
        notify.look_again(task.host.pk)
        return {"hostname": facts.hostname}

    recover = run
