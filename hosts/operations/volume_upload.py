"""Make a volume of what somebody sends."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from django.conf import settings
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.hypervisor.errors import Failed
from hosts.hypervisor.sentences import say
from hosts.models import Filling, StoragePool
from hosts.operations.kind import InvalidArguments, Subject
from hosts.operations.storage_base import virsh
from hosts.operations.task import Task
from hosts.operations.volume_base import MOST, new_name, only, volumes_of
from hosts.operations.volume_fill import FillKind, Speed, State
from hosts.transfer import checksums

#: seconds between two looks at how far it came
LOOK_SECONDS = 0.3
_HEX = frozenset("0123456789abcdef")


class VolumeUpload(FillKind):
    """Make a volume of ``size`` bytes under a ``name`` and fill it with what is then sent in pieces.

    ``checksum`` is what all of it must have; ``fingerprint`` is kept for whoever sends, to know the file again.
    """

    name = "volume-upload"
    label = gettext_lazy("Upload volume")
    verb = "volume.upload"
    patient = True

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("name", "size", "checksum", "fingerprint"))
        cleaned: dict[str, Any] = {"name": new_name(arguments), "size": _size(arguments)}
        if arguments.get("checksum"):
            cleaned["checksum"] = checksum_of(arguments)
        fingerprint = str(arguments.get("fingerprint") or "").lower()
        if fingerprint and (len(fingerprint) != 64 or not _HEX.issuperset(fingerprint)):
            raise InvalidArguments("fingerprint", _("64 hexadecimal digits."))
        return cleaned | ({"fingerprint": fingerprint} if fingerprint else {})

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        pool: StoragePool = subject.row
        name = arguments["name"]
        make = virsh("vol-create-as", pool.name, name, str(arguments["size"]), "--format", "raw")
        return f"{make} && {virsh('vol-upload', name, name, '--pool', pool.name)}"

    def run(self, task: Task) -> dict[str, Any]:
        pool, name = self._place(task)
        self.make(task, pool, name, task.arguments["size"])
        return self._await(task, pool, name)

    def recover(self, task: Task) -> dict[str, Any]:
        """The bytes go another way than through us: nothing of them is lost with the process that waited for them."""
        pool, name = self._place(task)
        filling = Filling.objects.get(operation=task.operation)
        if filling.state == State.BEGINNING:
            if not volumes_of(task, pool).exists(name):
                Filling.objects.filter(pk=filling.pk).update(partial=False)
                raise Failed(say("kvmdash was interrupted before the volume was made; nothing of it is there."))
            Filling.objects.filter(pk=filling.pk).update(state=State.OPEN)
        return self._await(task, pool, name)

    def _await(self, task: Task, pool: StoragePool, name: str) -> dict[str, Any]:
        speed, told = Speed(0), ""
        task.close()  # Somebody may take an hour for a slow line; the host need not hold a connection for that.
        while True:
            filling = Filling.objects.get(operation=task.operation)
            if filling.state in (State.WHOLE, State.BAD):
                return self.finish(task, pool, name)
            if filling.state == State.ENDED:
                # We were interrupted between giving it up and saying so.
                self.give_up(task, pool, name)
                raise Failed(say("It was given up; what had come was deleted."))
            self.heed_cancel(task, pool, name)
            self._lose_patience(task, pool, name, filling)
            if filling.trouble and filling.trouble != told:
                task.log(filling.trouble, "warning")
            told = filling.trouble
            task.progress(**speed.figures(filling.offset, filling.size))
            task.wait(LOOK_SECONDS)

    def _lose_patience(self, task: Task, pool: StoragePool, name: str, filling: Filling) -> None:
        idle = timezone.now() - max(filling.moved_at, task.operation.started_at or filling.moved_at)
        if idle < timedelta(seconds=settings.UPLOAD_SECONDS):
            return
        self.give_up(task, pool, name)
        raise Failed(
            say(
                "Nothing came for %(minutes)d minutes; what had come was deleted.",
                minutes=settings.UPLOAD_SECONDS // 60,
            )
        )


def _size(arguments: Mapping[str, Any]) -> int:
    given = arguments.get("size")
    if isinstance(given, bool) or not isinstance(given, int) or not 1 <= given <= MOST:
        raise InvalidArguments("size", _("The number of bytes that are to come."))
    return given


def checksum_of(arguments: Mapping[str, Any]) -> str:
    """``checksum`` as sha256:… or sha512:…"""
    try:
        return checksums.wanted(str(arguments["checksum"])[:200])
    except ValueError as error:
        raise InvalidArguments("checksum", str(error)) from None
