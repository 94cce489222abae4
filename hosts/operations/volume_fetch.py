"""Make a volume of what lies at a URL."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from pathlib import PurePosixPath
from typing import Any, TypeVar
from urllib.parse import unquote, urlsplit

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import fillings, storage_names
from hosts.hypervisor.errors import Failed, HypervisorError, Unreachable
from hosts.hypervisor.sentences import say
from hosts.models import Filling, Operation, OperationSecret, StoragePool
from hosts.operations.kind import Interrupted, InvalidArguments, Refused, Subject
from hosts.operations.presenter import size
from hosts.operations.storage_base import virsh
from hosts.operations.task import Task
from hosts.operations.volume_base import new_name, only, volumes_of
from hosts.operations.volume_fill import FillKind, Speed, State
from hosts.operations.volume_upload import checksum_of
from hosts.transfer import checksums, source
from hosts.transfer.guard import Forbidden
from hosts.work import lend_back

T = TypeVar("T")
#: tries in a row without a byte, and the longest pause between two, in seconds
TRIES, LONGEST_PAUSE = 8, 30.0


class VolumeFetch(FillKind):
    """Make a volume of the file at ``url``, under ``name`` (left out: the file's own).

    ``checksum`` is the SHA-256 or SHA-512 it must have, or the address of a list that names it. The file's server must be on
    the public internet, or allowed by the settings.
    """

    name = "volume-fetch"
    label = gettext_lazy("Fetch volume from URL")
    verb = "volume.fetch"

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        only(self.name, arguments, ("url", "name", "checksum"))
        url = str(arguments.get("url") or "").strip()
        _address("url", url)
        cleaned: dict[str, Any] = {"url": _shown(url)}
        given = arguments if arguments.get("name") else {"name": file_of(url)}
        cleaned["name"] = new_name(given)
        checksum = str(arguments.get("checksum") or "").strip()
        if checksums.is_address(checksum):
            _address("checksum", checksum)
            cleaned["checksum"] = _shown(checksum)
        elif checksum:
            cleaned["checksum"] = checksum_of({"checksum": checksum})
        return cleaned

    def keep(self, operation: Operation, given: Mapping[str, Any]) -> None:
        """What follows the question mark of an address may be a key to it: it stays out of the arguments."""
        super().keep(operation, given)
        for name in ("url", "checksum"):
            text = str(given.get(name) or "").strip()
            if checksums.is_address(text):
                OperationSecret.objects.create(operation=operation, sealed=f"{name} {text}")

    def forget(self, operation: Operation) -> None:
        super().forget(operation)
        OperationSecret.objects.filter(operation=operation).delete()

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        pool: StoragePool = subject.row
        name = arguments["name"]
        return virsh("vol-upload", name, name, "--pool", pool.name)

    def run(self, task: Task) -> dict[str, Any]:
        pool, name = self._place(task)
        self._find_checksum(task)
        try:
            reply = _again(task, lambda: source.fetch(_kept(task, "url")))
        except (Forbidden, source.Impossible, source.Broke) as error:
            raise Refused(str(error)) from error
        try:
            if reply.size > pool.available:
                raise Refused(
                    _("The file has %(size)s, and only %(free)s are free there.")
                    % {"size": size(reply.size), "free": size(pool.available)}
                )
            self.make(task, pool, name, reply.size)
            fillings.set_by_operation(task.operation, version=reply.version)
        except BaseException:
            reply.close()
            raise
        return self._carry(task, pool, name, reply)

    def recover(self, task: Task) -> dict[str, Any]:
        """The same bytes are asked for again and written to the same place: that cannot do harm."""
        pool, name = self._place(task)
        filling = Filling.objects.get(operation=task.operation)
        if filling.state in (State.WHOLE, State.BAD):
            return self.finish(task, pool, name)
        if filling.state == State.ENDED or not volumes_of(task, pool).exists(name):
            self.give_up(task, pool, name)
            raise Failed(say("kvmdash was interrupted while fetching; nothing of it is there."))
        if filling.state == State.BEGINNING:
            Filling.objects.filter(pk=filling.pk).update(state=State.OPEN)
        return self._carry(task, pool, name, None)

    def _find_checksum(self, task: Task) -> None:
        """Look the checksum up where a list of them was named."""
        if not checksums.is_address(task.arguments.get("checksum", "")):
            return
        try:
            text = _again(task, lambda: source.text_of(_kept(task, "checksum")))
            found = checksums.listed(text, file_of(_kept(task, "url")))
        except (Forbidden, source.Impossible, source.Broke, ValueError) as error:
            raise Refused(str(error)) from error
        Filling.objects.filter(operation=task.operation).update(checksum=found)

    def _carry(self, task: Task, pool: StoragePool, name: str, reply: source.Reply | None) -> dict[str, Any]:
        from hosts.transfer.writer import FillingWriter, Place, read_back

        filling = fillings.take(Filling.objects.get(operation=task.operation).pk, task.operation.owner)
        place, connection = Place(filling), task.connect(task.host)
        known = filling.confirmed == 0 or bool(filling.checksum)
        lend_back()
        # On its way through here it costs little: what was fetched is recorded with its checksum in any case.
        passed = read_back(connection, place, filling.confirmed) if known else None
        writer = FillingWriter(place, task.operation.owner, connection, filling.confirmed, passed, _rows)
        try:
            self._pour(task, pool, name, writer, reply)
            writer.complete()
        except fillings.Lost:
            raise Interrupted from None
        except Unreachable:
            raise
        except (HypervisorError, Forbidden, source.Impossible, source.Broke) as error:
            writer.abandon()
            self.give_up(task, pool, name)
            raise error if isinstance(error, HypervisorError) else Failed(str(error)) from error
        finally:
            writer.abandon()
        return self.finish(task, pool, name)

    def _pour(self, task: Task, pool: StoragePool, name: str, writer: Any, reply: source.Reply | None) -> None:
        """Until all is there, however often the server breaks off."""
        speed, looked_at, failures = Speed(writer.offset), 0.0, 0
        version = Filling.objects.values_list("version", flat=True).get(operation=task.operation)
        while not writer.is_whole:
            before = writer.offset
            try:
                reply = reply or source.fetch(_kept(task, "url"), writer.offset, writer.place.size, version)
                for data in reply:
                    writer.write(data[: writer.place.size - writer.offset])
                    if time.monotonic() - looked_at > 0.5:
                        looked_at = time.monotonic()
                        self.heed_cancel(task, pool, name)
                        task.progress(**speed.figures(writer.offset, writer.place.size))
                    if writer.is_whole:
                        return
                raise source.Broke(say("The server broke off."))
            except source.Broke as error:
                failures = failures + 1 if writer.offset == before else 1
                if failures >= TRIES:
                    raise
                writer.settle()
                task.log(say("The server broke off, and is asked again: %(why)s", why=error), "warning")
            finally:
                if reply is not None:
                    reply.close()
                    reply = None
            self.heed_cancel(task, pool, name)
            task.wait(min(0.5 * 2.0**failures, LONGEST_PAUSE))


def _address(field: str, url: str) -> None:
    try:
        source.checked(url)
    except ValueError as error:
        raise InvalidArguments(field, str(error)) from None


def _shown(url: str) -> str:
    """An address as records may show it."""
    parts = urlsplit(url)
    return parts._replace(query="…" if parts.query else "", fragment="").geturl()


def file_of(url: str) -> str:
    """The name of the file at an address; '' where it has none that can be one."""
    name = PurePosixPath(unquote(urlsplit(url).path)).name
    try:
        return storage_names.name(name)
    except ValueError:
        return ""


def _kept(task: Task, name: str) -> str:
    """The whole address."""
    for row in OperationSecret.objects.filter(operation=task.operation):
        found, _space, text = str(row.sealed.open()).partition(" ")
        if found == name:
            lend_back()
            return text
    raise Refused(_("Its address is not kept any more; nothing was done."))


def _again(task: Task, ask: Callable[[], T]) -> T:
    """The server's answer, asked a few times. Raises what the last time raised."""
    for failures in range(3):
        try:
            return ask()
        except source.Broke as error:
            task.log(say("The server does not answer: %(why)s", why=error), "warning")
            task.wait(2.0**failures)
    return ask()


def _rows(work: Callable[..., Any], *arguments: Any) -> Any:
    found = work(*arguments)
    lend_back()
    return found
