"""Make a volume: thin or allocated, empty or on top of another image."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.db import IntegrityError, transaction
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import fillings
from hosts.hypervisor.errors import Failed
from hosts.hypervisor.sentences import say
from hosts.models import Operation, StoragePool, StorageVolume, User
from hosts.operations.kind import InvalidArguments, Refused, Subject, Uncertain
from hosts.operations.presenter import size
from hosts.operations.storage_base import NotNow, StorageKind, virsh
from hosts.operations.task import Task
from hosts.operations.volume_base import (
    check_pool,
    find_volume,
    follow_growth,
    lock_of_volume,
    look_again,
    new_name,
    only,
    place_of,
    refuse_long,
    refuse_taken,
    size_of,
    until_seen,
    volumes_of,
    wait_until_made,
)
from hosts.storage_types import type_of
from hosts.storage_volume_xml import volume


class VolumeCreate(StorageKind):
    """Make a volume of ``capacity`` bytes under a ``name``. ``backing`` is the path of an image that it lies on (qcow2 only)."""

    name = "volume-create"
    label = gettext_lazy("New volume")
    verb = "volume.create"
    role = User.Role.OPERATOR
    # What is locked is the new volume's name, in keep().
    exclusive = False
    many = False

    def subject(self, row: StoragePool) -> Subject:
        return Subject(host=row.host, name=row.name, row=row)

    def page(self, operation: Operation) -> str:
        row = find_volume(operation)
        return row.get_absolute_url() if row is not None else ""

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("name", "capacity", "format", "allocate", "backing"))
        cleaned: dict[str, Any] = {"name": new_name(arguments), "capacity": size_of(arguments)}
        cleaned["format"] = str(arguments.get("format") or "qcow2")
        if not isinstance(arguments.get("allocate", False), bool):
            raise InvalidArguments("allocate", _("Either true or false."))
        cleaned["allocate"] = bool(arguments.get("allocate", False))
        if arguments.get("backing"):
            cleaned["backing"] = str(arguments["backing"])[:2000]
            if cleaned["format"] != "qcow2":
                raise InvalidArguments("backing", _("Only a qcow2 image lies on another one."))
            if cleaned["allocate"]:
                raise InvalidArguments(
                    "allocate", _("An image that lies on another one holds only what differs: it grows.")
                )
        return cleaned

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        pool: StoragePool = subject.row
        check_pool(self, pool)
        formats = type_of(pool.type).creates
        if not formats:
            raise Refused(_("Volumes of a pool of type %(type)s are not made by libvirt.") % {"type": pool.type})
        if arguments["format"] not in formats:
            raise NotNow("format", _("Here: %(words)s.") % {"words": ", ".join(formats)})
        refuse_taken(pool, arguments["name"])
        refuse_long(pool, arguments["name"])
        at_once = arguments["allocate"] or is_block(pool)
        if at_once and arguments["capacity"] > pool.available:
            raise NotNow("capacity", _("Only %(free)s are free there.") % {"free": size(pool.available)})
        if "backing" in arguments:
            _backing(pool, arguments["backing"])

    def keep(self, operation: Operation, given: Mapping[str, Any]) -> None:
        pool = StoragePool.objects.get(host=operation.host, name=operation.subject_name, absent_since=None)
        name = operation.arguments["name"]
        try:
            with transaction.atomic():
                Operation.objects.filter(pk=operation.pk).update(
                    subject_uuid=lock_of_volume(pool, name), subject_name=f"{pool.name}/{name}", exclusive=True
                )
        except IntegrityError:
            raise Refused(_("A volume of that name is being made or changed just now.")) from None
        operation.refresh_from_db()

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        pool: StoragePool = subject.row
        words = ["--format", arguments["format"]] if len(type_of(pool.type).creates) > 1 else []
        words += ["--allocation", str(arguments["capacity"])] if arguments["allocate"] else []
        if "backing" in arguments:
            words += [
                "--backing-vol",
                arguments["backing"],
                "--backing-vol-format",
                _backing(pool, arguments["backing"]).format,
            ]
        return virsh("vol-create-as", pool.name, arguments["name"], str(arguments["capacity"]), *words)

    def run(self, task: Task) -> dict[str, Any]:
        pool, name = self._place(task)
        arguments = task.arguments
        with task.looking():
            if volumes_of(task, pool).exists(name):
                raise Refused(_("There is a volume of that name by now; nothing was done."))
        volumes = volumes_of(task, pool)
        allocate = arguments["allocate"] and arguments["capacity"]
        text = volume_xml(pool, arguments)
        try:
            metadata = bool(allocate) and arguments["format"] == "qcow2"
            follow_growth(task, volumes, volumes.begin_create(text, metadata=metadata), name, int(allocate or 0))
        finally:
            look_again(pool)
        until_seen(task, pool, name)
        return {"path": volumes.read(name).path}

    def recover(self, task: Task) -> dict[str, Any]:
        pool, name = self._place(task)
        volumes = volumes_of(task, pool)
        look_again(pool)
        if not volumes.exists(name):
            raise Failed(say("kvmdash was interrupted before the volume was made; nothing of it is there."))
        wait_until_made(task, volumes, name)
        record = volumes.read(name)
        if record.capacity < task.arguments["capacity"]:
            raise Uncertain(_("kvmdash was interrupted; the volume is there, but smaller than asked. Look at it."))
        return {"path": record.path, "recovered": True}

    def _place(self, task: Task) -> tuple[StoragePool, str]:
        pool, name = place_of(task.operation)
        if pool is None:
            raise Refused(_("kvmdash does not know this pool any more; nothing was done."))
        return pool, name


def volume_xml(pool: StoragePool, arguments: dict[str, Any]) -> str:
    """What libvirt is told to make."""
    one_format = len(type_of(pool.type).creates) == 1
    form = "" if one_format else arguments["format"]
    allocation = arguments["capacity"] if arguments["allocate"] or is_block(pool) else 0
    whole: dict[str, Any] = {"allocation": allocation}
    if "backing" in arguments:
        whole |= {"backing_path": arguments["backing"], "backing_format": _backing(pool, arguments["backing"]).format}
    return volume(arguments["name"], arguments["capacity"], form, **whole)


def is_block(pool: StoragePool) -> bool:
    """Whether its volumes are devices, which take their whole size at once."""
    return pool.type in ("logical", "disk", "zfs")


def _backing(pool: StoragePool, path: str) -> StorageVolume:
    """The volume of the same host at that path; a file outside all pools is nobody's to name."""
    rows = StorageVolume.objects.filter(pool__host=pool.host, path=path, absent_since=None, pool__active=True)
    row = rows.exclude(format="").first()
    if row is None:
        raise NotNow("backing", _("There is no volume at that path on the host."))
    if why := fillings.why_not_whole(row):
        raise NotNow("backing", why)
    return row
