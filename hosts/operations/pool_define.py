"""Define a pool of any type, with its password in a libvirt secret, and where that is wanted build and start it."""

from __future__ import annotations

import base64
import binascii
import uuid
from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import notify, storage_names, storage_xml
from hosts.hypervisor.errors import Failed, HypervisorError, NotFound
from hosts.hypervisor.sentences import say
from hosts.models import Host, Operation, OperationSecret, StoragePool, StorageTypes, User
from hosts.operations.kind import InvalidArguments, Refused, Subject, Uncertain, no_argument
from hosts.operations.seen import until_seen
from hosts.operations.storage_base import NotNow, StorageKind, follow
from hosts.operations.task import Task
from hosts.storage_types import TYPES, PoolType

CHECKS: dict[str, Callable[[str], str]] = {
    "host": storage_names.host,
    "folder": storage_names.path,
    "device": storage_names.path,
    "target": storage_names.target,
    "source_name": storage_names.source,
    "adapter": storage_names.adapter,
    "wwnn": storage_names.wwn,
    "wwpn": storage_names.wwn,
    "initiator": storage_names.target,
    "username": storage_names.username,
    "path": storage_names.path,
}
LISTS: dict[str, Callable[[str], str]] = {"hosts": storage_names.monitor, "devices": storage_names.path}
FLAGS = ("build", "start", "autostart")
MOST_LISTED = 32
LONGEST_PASSWORD = 1000


class PoolDefine(StorageKind):
    """Define a pool of a ``type`` under a ``name``; what else is needed depends on the type."""

    name = "pool-define"
    label = gettext_lazy("Add pool")
    verb = "pool.define"
    role = User.Role.ADMINISTRATOR
    exclusive = False

    def subject(self, row: Host) -> Subject:
        return Subject(host=row, name=row.name, row=row)

    def page(self, operation: Operation) -> str:
        row = StoragePool.objects.filter(host=operation.host, uuid=operation.arguments.get("uuid")).first()
        return row.get_absolute_url() if row is not None else ""

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        kind = TYPES.get(str(arguments.get("type", "")))
        if kind is None:
            raise InvalidArguments("type", _("There is no such type of pool."))
        for name in arguments:
            if name not in ("type", "name", *kind.fields, *FLAGS):
                raise InvalidArguments(name, no_argument(f"{self.name} ({kind.name})", name))
        cleaned: dict[str, Any] = {"type": kind.name, "uuid": str(uuid.uuid4())}
        cleaned["name"] = _checked("name", arguments.get("name"), storage_names.name)
        for name in kind.fields:
            _take(cleaned, kind, name, arguments.get(name))
        for name in FLAGS:
            if not isinstance(arguments.get(name, False), bool):
                raise InvalidArguments(name, _("Either true or false."))
            cleaned[name] = bool(arguments.get(name, False))
        _check_together(cleaned, kind, arguments)
        return cleaned

    def keep(self, operation: Operation, given: Mapping[str, Any]) -> None:
        if given.get("password"):
            OperationSecret.objects.create(operation=operation, sealed=str(given["password"]))

    def forget(self, operation: Operation) -> None:
        OperationSecret.objects.filter(operation=operation).delete()

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        host: Host = subject.row
        self.require_host(host)
        types = StorageTypes.objects.filter(host=host).first()
        if types is not None and types.types.get(arguments["type"]) is False:
            raise Refused(no_driver(host.name, TYPES[arguments["type"]]))
        if len(arguments["name"].encode()) > storage_names.LONGEST_BYTES:
            raise NotNow("name", _("The name is too long for the file system."))
        if StoragePool.objects.filter(host=host, name=arguments["name"], absent_since=None).exists():
            raise NotNow("name", _("%(host)s has a pool of that name.") % {"host": host.name})

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return storage_xml.virsh(arguments)

    def run(self, task: Task) -> dict[str, Any]:
        from hosts.hypervisor import pool as hypervisor_pool

        arguments = task.arguments
        with task.looking():
            try:
                hypervisor_pool.uuid_of(task.connection, arguments["name"])
            except NotFound:
                pass
            else:
                raise Refused(_("There is a pool of that name by now; nothing was done."))
        connection = task.connection
        pool = hypervisor_pool.Pool(connection, arguments["uuid"])
        try:
            self._make(task, pool)
        except HypervisorError:
            self._take_back(task, pool)
            raise
        finally:
            notify.look_again(task.host.pk, f"pool:{arguments['uuid']}")
        there = StoragePool.objects.filter(host=task.host, uuid=arguments["uuid"], absent_since=None)
        until_seen(task, there.filter(active=arguments["start"], autostart=arguments["autostart"]))
        return {"pool": arguments["uuid"], "active": arguments["start"]}

    def _make(self, task: Task, pool: Any) -> None:
        from hosts.hypervisor import pool as hypervisor_pool

        arguments = task.arguments
        if arguments.get("username"):
            value = _value(task.operation, arguments["type"])
            hypervisor_pool.define_secret(pool.connection, storage_xml.secret(arguments), value)
            task.log(say("The password is kept by the host's libvirt."))
        hypervisor_pool.define(pool.connection, storage_xml.pool(arguments))
        task.log(say("The pool is defined."))
        if arguments["build"]:
            follow(task, pool.connection, pool.begin_build())
            task.log(say("Its storage is built."))
        if arguments["start"]:
            follow(task, pool.connection, pool.begin_start())
            task.log(say("The pool is started."))
        if arguments["autostart"]:
            pool.set_autostart(True)

    def _take_back(self, task: Task, pool: Any) -> None:
        """Leave nothing half made; what was built on the storage itself stays, and libvirt's words say what failed."""
        from hosts.hypervisor.pool import drop_secret

        try:
            if pool.exists():
                if pool.facts()["active"]:
                    follow(task, pool.connection, pool.begin_stop())
                pool.undefine()
                task.log(say("The definition was taken back."), "warning")
            if task.arguments.get("username"):
                drop_secret(pool.connection, storage_xml.secret_uuid(task.arguments["uuid"]))
        except HypervisorError as error:
            task.log(say("The definition could not be taken back: %(text)s", text=error), "error")

    def recover(self, task: Task) -> dict[str, Any]:
        from hosts.hypervisor.pool import Pool, drop_secret

        pool, arguments = Pool(task.connection, task.arguments["uuid"]), task.arguments
        notify.look_again(task.host.pk, f"pool:{arguments['uuid']}")
        if not pool.exists():
            if arguments.get("username"):
                drop_secret(pool.connection, storage_xml.secret_uuid(arguments["uuid"]))
            raise Failed(say("kvmdash was interrupted before the pool was defined; nothing of it is there."))
        facts = pool.facts()
        if facts["active"] is arguments["start"] and facts["autostart"] is arguments["autostart"]:
            return {"pool": arguments["uuid"], "active": facts["active"], "recovered": True}
        raise Uncertain(
            _("kvmdash was interrupted: the pool is defined, but not started or set up as asked. Look at it.")
        )


def no_driver(host: str, kind: PoolType) -> str:
    """Why a host cannot have pools of a type."""
    if kind.package:
        words = {"host": host, "type": kind.label, "package": kind.package}
        return _("%(host)s has no driver for %(type)s: install %(package)s (its name on Debian).") % words
    return _("%(host)s has no driver for %(type)s.") % {"host": host, "type": kind.label}


def _take(cleaned: dict[str, Any], kind: PoolType, name: str, given: Any) -> None:
    """Check one argument of the type and keep it; a password is only checked."""
    if given in (None, "", []):
        if name in kind.required:
            raise InvalidArguments(name, _("This is needed."))
    elif name == "password":
        _check_password(kind, given)
    elif name == "port":
        if isinstance(given, bool) or not isinstance(given, int) or not 0 < given < 65536:
            raise InvalidArguments(name, _("A port is a number from 1 to 65535."))
        cleaned[name] = given
    elif name == "format":
        if given not in kind.formats:
            raise InvalidArguments(name, _("One of %(words)s.") % {"words": ", ".join(kind.formats)})
        cleaned[name] = given
    elif name in LISTS:
        if not isinstance(given, list) or len(given) > MOST_LISTED:
            raise InvalidArguments(name, _("A list of at most %(most)d.") % {"most": MOST_LISTED})
        check = LISTS[name]
        cleaned[name] = [_checked(name, one, check) for one in given]
    else:
        cleaned[name] = _checked(name, given, CHECKS[name])


def _checked(name: str, given: Any, check: Callable[[str], str]) -> str:
    if not isinstance(given, str):
        raise InvalidArguments(name, _("This is needed.") if given is None else _("This is a text."))
    try:
        return check(given)
    except ValueError as error:
        raise InvalidArguments(name, str(error)) from None


def _check_password(kind: PoolType, given: Any) -> None:
    if not isinstance(given, str) or len(given) > LONGEST_PASSWORD:
        raise InvalidArguments("password", _("The password is too long or no text."))
    if kind.auth == "ceph":
        try:
            base64.b64decode(given, validate=True)
        except (binascii.Error, ValueError):
            raise InvalidArguments("password", _("A Ceph key is the text after “key =” in the keyring.")) from None


def _check_together(cleaned: dict[str, Any], kind: PoolType, arguments: Mapping[str, Any]) -> None:
    if ("username" in cleaned) != bool(arguments.get("password")):
        raise InvalidArguments("password", _("A user name and a password go together."))
    if kind.name == "scsi" and "adapter" not in cleaned and not {"wwnn", "wwpn"} <= set(cleaned):
        raise InvalidArguments("adapter", _("Name an adapter, or both world wide names of a port."))
    if cleaned["build"] and not kind.builds:
        raise InvalidArguments("build", _("There is nothing to build for this type."))
    if cleaned["build"] and kind.name in ("logical", "zfs") and not cleaned.get("devices"):
        raise InvalidArguments("devices", _("Of which devices is it to be built?"))


def _value(operation: Operation, kind: str) -> bytes:
    """The password as libvirt keeps it."""
    stored = OperationSecret.objects.filter(operation=operation).first()
    if stored is None:
        raise Refused(_("The password is not known any more; ask again."))
    text = stored.sealed.open()
    return base64.b64decode(text) if TYPES[kind].auth == "ceph" else text.encode()
