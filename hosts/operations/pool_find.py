"""Ask a host which sources for pools there are: exports of a file server, targets, volume groups."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import storage_names
from hosts.models import Host, User
from hosts.operations.kind import InvalidArguments, Subject, no_argument
from hosts.operations.storage_base import StorageKind, follow, virsh
from hosts.operations.task import Task
from hosts.storage_types import TYPES
from hosts.storage_xml import source_spec

#: types whose sources are found at a server that must be named
AT_SERVER = ("netfs", "iscsi", "iscsi-direct", "gluster")


class PoolFind(StorageKind):
    """Find sources for pools of a ``type``, at a server (``host``) where the type has one. Changes nothing."""

    name = "pool-find"
    label = gettext_lazy("Find sources for pools")
    verb = "pool.find"
    role = User.Role.ADMINISTRATOR
    exclusive = False
    changes = False

    def subject(self, row: Host) -> Subject:
        return Subject(host=row, name=row.name, row=row)

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        for name in arguments:
            if name not in ("type", "host", "initiator"):
                raise InvalidArguments(name, no_argument(self.name, name))
        kind = TYPES.get(str(arguments.get("type", "")))
        if kind is None or not kind.finds:
            raise InvalidArguments("type", _("libvirt finds no sources for pools of this type."))
        cleaned = {"type": kind.name}
        for name, check in (("host", storage_names.host), ("initiator", storage_names.target)):
            if arguments.get(name):
                try:
                    cleaned[name] = check(str(arguments[name]))
                except ValueError as error:
                    raise InvalidArguments(name, str(error)) from None
        if kind.name in AT_SERVER and "host" not in cleaned:
            raise InvalidArguments("host", _("Which server is to be asked?"))
        return cleaned

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        self.require_host(subject.row)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        host = [arguments["host"]] if "host" in arguments else []
        initiator = ["--initiator", arguments["initiator"]] if "initiator" in arguments else []
        return virsh("find-storage-pool-sources-as", arguments["type"], *host, *initiator)

    def run(self, task: Task) -> dict[str, Any]:
        from hosts.hypervisor.pool import begin_find

        spec = source_spec({"uuid": "", **task.arguments})
        connection = task.connection
        return {"sources": follow(task, connection, begin_find(connection, task.arguments["type"], spec))}

    recover = run
