"""Say in other words what a snapshot is for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext_lazy

from hosts.operations.kind import Subject
from hosts.operations.task import Task
from vms.definition import snapshot as xml
from vms.operations.base import virsh
from vms.operations.snapshot import SnapshotKind, clean_description, clean_name, refuse_others


class SnapshotDescribe(SnapshotKind):
    """Only the description: libvirt cannot rename a snapshot without cutting it off from its data in the images."""

    name = "snapshot-describe"
    label = gettext_lazy("Describe a snapshot")
    verb = "vm.snapshot"
    own_connection = False

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        refuse_others(self.name, arguments, {"name", "description"})
        return {"name": clean_name(arguments), "description": clean_description(arguments)}

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return virsh("snapshot-edit", subject, "--snapshotname", arguments["name"])

    def run(self, task: Task) -> dict[str, Any]:
        from hosts.hypervisor import snapshot

        name = task.arguments["name"]
        with task.looking():
            text, current = snapshot.definition(task.connection, task.uuid, name)
        described = xml.describe(text, task.arguments["description"])
        snapshot.redefine(task.connection, task.uuid, described, current=current)
        return {"snapshot": name}

    # Describing it twice is the same as describing it once.
    recover = run
