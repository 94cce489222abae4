"""A disk of an appliance becomes a volume: its bytes go into a temporary one, which libvirtd converts.

The bytes come from the host and go back to it through this process, a section at a time; nothing is laid by. What the image says
of itself is looked at in the very bytes that are sent, and again as libvirt sees them: an image that names other files of the host
must never be converted.
"""

from __future__ import annotations

import hashlib
import time
from typing import Any

from hosts import fillings
from hosts.hypervisor.errors import Conflict, Failed, HypervisorError, NotFound, Unreachable
from hosts.hypervisor.records import VolumeRecord
from hosts.hypervisor.sentences import say
from hosts.operations.kind import Cancelled
from hosts.operations.presenter import size as size_words
from hosts.operations.storage_base import follow
from hosts.operations.task import Task
from hosts.operations.volume_base import follow_growth, look_again
from hosts.operations.volume_fill import Speed
from hosts.storage_volume_xml import volume as volume_xml
from vms.appliance import image
from vms.appliance.errors import BadAppliance
from vms.appliance.reading import Part
from vms.creation.plan import NewVolume

#: bytes that are read at once: libvirt keeps what has come and was not taken, without a limit of its own
SECTION = 16 * 2**20
#: what a disk may be larger than the descriptor says, which often rounds
ROUNDED = 2**30
#: seconds until the pool has looked what a volume is that was just written
LOOK_SECONDS = 30.0
SUFFIX = ".unpacking"


class Unpacking:
    """One disk. Raises what went wrong; the temporary volume is gone then, or noted in the operation's progress."""

    def __init__(self, task: Task, volume: NewVolume) -> None:
        assert volume.source is not None
        assert volume.part is not None
        self.task, self.volume = task, volume
        self.part: Part = volume.part
        self._source = (str(volume.source.pool.uuid), volume.source.name)
        self._name = f"{volume.name}{SUFFIX}"
        self._entry = [str(volume.pool.uuid), self._name, volume.pool.name]

    def make(self) -> None:
        """The new volume, as qcow2."""
        from hosts.hypervisor.volume import Volumes

        volumes = Volumes(self.task.connection, str(self.volume.pool.uuid))
        if volumes.exists(self._name):
            raise Failed(say("There is a volume %(name)s already, which is needed meanwhile.", name=self._name))
        self._begin(volumes)
        self._send()
        record = self._as_libvirt_sees_it(volumes)
        self.task.log(say("%(name)s is there, and is converted.", name=self.part.file))
        text = volume_xml(self.volume.name, record.capacity, self.volume.format)
        future = volumes.begin_copy(text, str(self.volume.pool.uuid), self._name)
        follow_growth(self.task, volumes, future, self.volume.name, max(self.part.populated, self.part.size))
        self._delete(volumes)

    def _begin(self, volumes: Any) -> None:
        """The temporary volume, empty."""
        note(self.task, self._entry)
        fillings.mark(self.task.operation, self.volume.pool, self._name)
        text = volume_xml(self._name, self.part.size, "raw")
        try:
            follow(self.task, volumes.connection, volumes.begin_create(text))
        except Unreachable:
            raise
        except HypervisorError:
            # libvirt takes away itself what it could not make; what is there now is somebody else's.
            self._let_go()
            raise

    def _let_go(self) -> None:
        """It is not there any more."""
        forget(self.task, self._entry)
        fillings.gone([self.volume.pool], [self._name])

    def _send(self) -> None:
        """The disk's bytes out of the appliance and into the temporary volume, checked on the way."""
        from hosts.hypervisor.volume_stream import VolumeWriter

        part, passed = self.part, _digest(self.part.digest)
        speed, at = Speed(0), 0
        writer = VolumeWriter(self.task.connection, str(self.volume.pool.uuid), self._name, 0, part.size)
        try:
            while at < part.size:
                if self.task.cancel_requested():
                    raise Cancelled(say("Stopped as asked for."))
                data = self._section(at)
                if at == 0:
                    self._require_whole(data)
                if passed is not None:
                    passed.update(data)
                writer.send(data)
                at += len(data)
                self.task.progress(**speed.figures(at, part.size))
        except BaseException:
            writer.abort()
            raise
        writer.finish()
        look_again(self.volume.pool)
        if passed is not None and passed.hexdigest() != part.digest.partition(":")[2]:
            raise Failed(
                say(
                    "The checksum is wrong: the manifest says %(wanted)s of “%(name)s”, and it has %(found)s.",
                    name=part.file, wanted=part.digest.partition(":")[2], found=passed.hexdigest(),
                )
            )  # fmt: skip

    def _section(self, at: int) -> bytes:
        """On a connection of its own for each call: a stream that is written to is not held up by one that is read."""
        from hosts.hypervisor.volume_stream import read_range

        wanted = min(SECTION, self.part.size - at)
        data = read_range(self.task.connection, *self._source, self.part.offset + at, wanted)
        if len(data) != wanted:
            raise Failed(say("The appliance ended in the middle of “%(name)s”.", name=self.part.file))
        return data

    def _require_whole(self, data: bytes) -> None:
        try:
            form = image.format_of(data[: image.HEAD], self.part.file)
        except BadAppliance as error:
            raise Failed(str(error)) from None
        if form != self.part.format:
            raise Failed(say("“%(name)s” is not what it was when the appliance was read.", name=self.part.file))

    def _as_libvirt_sees_it(self, volumes: Any) -> VolumeRecord:
        """The temporary volume, once the pool has looked what it is. Raises Failed for what must not be converted."""
        until = time.monotonic() + LOOK_SECONDS
        while True:
            try:
                follow(self.task, volumes.connection, volumes.begin_refresh_pool())
            except Conflict:
                pass  # It is being refreshed already: libvirt does so itself when bytes have come.
            record: VolumeRecord = volumes.read(self._name)
            if record.format == self.part.format or time.monotonic() > until:
                break
            self.task.wait(0.3)
        if record.format != self.part.format or record.backing_path or record.encrypted:
            raise Failed(say("libvirt found something else in “%(name)s” than a disk of its own.", name=self.part.file))
        if record.capacity > self.part.capacity + ROUNDED:
            words = {
                "name": self.part.file,
                "size": size_words(record.capacity),
                "told": size_words(self.part.capacity),
            }
            raise Failed(say("“%(name)s” is a disk of %(size)s, and the descriptor says %(told)s.", **words))
        return record

    def _delete(self, volumes: Any) -> None:
        """The temporary volume is of no use any more. One that cannot be deleted is named, and stays marked as not whole."""
        until = time.monotonic() + LOOK_SECONDS
        while True:
            try:
                follow(self.task, volumes.connection, volumes.begin_delete(self._name))
                break
            except NotFound:
                break  # Somebody else has deleted it.
            except Unreachable:
                raise
            except HypervisorError as error:
                # Nothing is deleted from a pool that is just being refreshed, which takes a moment.
                if time.monotonic() > until:
                    self.task.log(say("%(disk)s is still there: %(why)s", disk=self._name, why=error), "warning")
                    return
            self.task.wait(0.5)
        self._let_go()


def _digest(told: str) -> Any:
    algorithm, _colon, _digest = told.partition(":")
    return hashlib.new(algorithm, usedforsecurity=False) if algorithm else None


def note(task: Task, entry: list[str]) -> None:
    """Write down that a volume of that name (pool's UUID, name, pool's name) is about to be made."""
    task.progress(now=True, made=[*task.operation.progress.get("made", []), entry])


def forget(task: Task, entry: list[str]) -> None:
    """It is not there any more, or never was."""
    made = [one for one in task.operation.progress.get("made", []) if list(one) != entry]
    task.progress(now=True, made=made)
