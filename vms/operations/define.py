"""Store another definition, or an old one again: what an administrator wrote as XML, merged with the secrets it does not name."""

from __future__ import annotations

import json
import shlex
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.hypervisor.errors import Failed, HypervisorError
from hosts.hypervisor.sentences import say
from hosts.models import Operation, User
from hosts.operations.kind import InvalidArguments, Refused, Subject, Uncertain, no_argument
from hosts.operations.task import Task
from vms import history
from vms.definition import changes, secrets
from vms.definition.domain import Definition
from vms.definition.xml import MalformedDefinition
from vms.history import INACTIVE, meaning, words
from vms.models import DefinitionVersion, TypedSecrets, VirtualMachine
from vms.operations.base import GuestKind, PowerState, virsh

#: bytes of a definition
MOST = 2**20
#: elements of one: comparing takes time that grows faster than their number
MOST_ELEMENTS = 20_000
#: losses and changes that are told
MOST_TOLD = 20
FIELDS = ("definition", "version", "base", "check_schema", "keep_secrets")
DIGEST_DIGITS = frozenset("0123456789abcdef")


class Define(GuestKind):
    """Store ``definition`` (XML), or that of the ``version`` of its history, for the next boot.

    ``base`` is the digest of the definition that this one was made from: when it is another by now, nothing is done.
    """

    name = "define"
    label = gettext_lazy("Edit definition")
    verb = "vm.define"
    role = User.Role.ADMINISTRATOR
    many = False

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        for name in arguments:
            if name not in FIELDS:
                raise InvalidArguments(name, no_argument(self.name, name))
        cleaned: dict[str, Any] = {"base": _base(arguments.get("base"))}
        if ("definition" in arguments) == ("version" in arguments):
            raise InvalidArguments("definition", _("Give either a definition or the number of a version."))
        if "version" in arguments:
            cleaned["version"] = _number(arguments["version"])
        else:
            cleaned["definition"] = read(arguments["definition"])[0]
        for name in ("check_schema", "keep_secrets"):
            cleaned[name] = _flag(name, arguments.get(name, True))
        return cleaned

    def keep(self, operation: Operation, given: Mapping[str, Any]) -> None:
        typed = read(given["definition"])[1] if "definition" in given else []
        if typed:
            TypedSecrets.objects.create(operation=operation, sealed=json.dumps(typed))

    def forget(self, operation: Operation) -> None:
        TypedSecrets.objects.filter(operation=operation).delete()

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        vm: VirtualMachine = subject.row
        if not vm.persistent:
            raise Refused(_("%(name)s is forgotten when it stops: it has no stored definition.") % {"name": vm.name})
        name = self._check_identity(vm, _text(vm, arguments))
        if name != vm.name and vm.power_state != PowerState.SHUTOFF:
            raise Refused(_("A guest is renamed while it is off; %(name)s is not.") % {"name": vm.name})
        sighting = history.sighting_of(vm)
        if sighting is not None and history.digest_now(sighting) != arguments["base"]:
            raise Refused(conflict(vm, arguments["base"], sighting.inactive_definition))

    def _check_identity(self, vm: VirtualMachine, text: str) -> str:
        """The name in the definition; the UUID must be the guest's."""
        definition = Definition.parse(text)
        if (definition.uuid or "").lower() != str(vm.uuid):
            raise InvalidArguments(
                "definition", _("The definition must keep the guest's UUID, %(uuid)s.") % {"uuid": vm.uuid}
            )
        if not definition.name:
            raise InvalidArguments("definition", _("The definition has no name."))
        return str(definition.name)

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        name = Definition.parse(_text(subject.row, arguments)).name or subject.name
        renaming = [virsh("domrename", subject, name)] if name != subject.name else []
        return "\n".join([*renaming, _define_command(name, arguments)])

    def run(self, task: Task) -> dict[str, Any]:
        arguments = task.arguments
        vm = VirtualMachine.objects.get(pk=task.uuid)
        text, typed = _text(vm, arguments), _typed(task.operation)
        with task.looking():
            guest = self.guest(task)
            plain = guest.definition(inactive=True)
            secure = guest.definition(inactive=True, secure=True)
        if meaning(INACTIVE, plain) != arguments["base"]:
            self._refuse(task, vm, plain)
        whole = secrets.put_in(text, typed)
        if arguments["keep_secrets"]:
            whole = secrets.carry_over(whole, plain, secure)
        old, new = (Definition.parse(definition).name for definition in (plain, whole))
        self._store(task, whole, new if new != old else None, old)
        return self._look(task, plain, whole, new if new != old else None)

    def _refuse(self, task: Task, vm: VirtualMachine, now: str) -> None:
        """Somebody else changed it: say what, and write nothing."""
        before = _version_of(vm, task.arguments["base"])
        if before is not None:
            task.log(changes.diff(before.text, now).text, "warning")
        raise Refused(conflict(vm, task.arguments["base"], now))

    def _store(self, task: Task, whole: str, new: str | None, old: str | None) -> None:
        guest = self.guest(task)
        if new is not None:
            self.require_state(task, (PowerState.SHUTOFF,))
            guest.rename(new)
            task.log(say("Renamed from %(old)s to %(new)s.", old=old, new=new))
        try:
            guest.define(whole, validate=task.arguments["check_schema"])
        except HypervisorError as error:
            _hide(error, whole)
            if new is not None:
                guest.rename(old)
                task.log(say("The definition was not taken; it is called %(old)s again.", old=old), "warning")
            raise

    def _look(self, task: Task, before: str, sent: str, renamed: str | None) -> dict[str, Any]:
        """What has become of it. libvirt has taken it: not being able to look does not make that untrue."""
        try:
            now = self.guest(task).definition(inactive=True)
            secure = self.guest(task).definition(inactive=True, secure=True)
        except HypervisorError as error:
            task.log(say("It was done; the guest could not be looked at afterwards: %(text)s", text=error), "warning")
            return {}
        different = changes.diff(before, now).changes
        for one in different[:MOST_TOLD]:
            task.log(words(one))
        lost = changes.lost(secrets.masked(sent), secrets.masked(secure))
        for one in lost[:MOST_TOLD]:
            task.log(say("libvirt dropped %(what)s", what=f"{one.path}: {_short(one.before)}"), "warning")
        result: dict[str, Any] = {"digest": meaning(INACTIVE, now), "changes": len(different)}
        if lost:
            result["lost"] = [[one.path, _short(one.before)] for one in lost[:MOST_TOLD]]
        return result | ({"renamed": renamed} if renamed else {})

    def recover(self, task: Task) -> dict[str, Any]:
        guest = self.guest(task)
        vm = VirtualMachine.objects.get(pk=task.uuid)
        text, typed = _text(vm, task.arguments), _typed(task.operation)
        now, secure = guest.definition(inactive=True), guest.definition(inactive=True, secure=True)
        digest, there = meaning(INACTIVE, now), {value for _number, _name, value in secrets.take_out(secure)[1]}
        missing = [one for one in changes.diff(text, now).changes if one.before is not None and one.after is not None]
        missing += changes.lost(text, now)
        if not missing and all(value in there for _number, _name, value in typed):
            return {"digest": digest, "recovered": True}
        if digest == task.arguments["base"]:
            raise Failed(say("kvmdash was interrupted before this was done; the definition is as it was."))
        raise Uncertain(
            _("kvmdash was interrupted while doing this; the definition is neither the old nor the new one: %(what)s.")
            % {"what": _told([words(one) for one in missing])}
        )


def read(given: Any) -> tuple[str, list[secrets.Typed]]:
    """A definition that somebody sent: the text without secrets, and these. Raises InvalidArguments with the place."""
    if not isinstance(given, str):
        raise InvalidArguments("definition", _("A definition is a text."))
    text = given.replace("\r\n", "\n")
    if len(text.encode(errors="replace")) > MOST:
        raise InvalidArguments("definition", _("A definition has at most 1 MiB."))
    try:
        plain, typed = secrets.take_out(text)
        count = sum(1 for _element in Definition.parse(plain).reach().iter())
    except MalformedDefinition as error:
        raise InvalidArguments("definition", placed(error)) from error
    if count > MOST_ELEMENTS:
        raise InvalidArguments("definition", _("A definition has at most %(n)d elements.") % {"n": MOST_ELEMENTS})
    return plain, typed


def placed(error: MalformedDefinition) -> str:
    """What is wrong, and where."""
    if not error.line:
        return str(error)
    return _("Line %(line)d, column %(column)d: %(what)s") % {
        "line": error.line, "column": error.column, "what": str(error).partition(", line ")[0],
    }  # fmt: skip


def conflict(vm: VirtualMachine, base: str, now: str) -> str:
    """Why a definition made from ``base`` is not taken: what somebody else has changed since."""
    before = _version_of(vm, base)
    if before is None:
        return _("The definition is another by now than the one this was made from. Nothing was written.")
    different = changes.diff(before.text, now).changes
    return _("The definition was changed since you began: %(what)s. Nothing was written.") % {
        "what": _told([words(one) for one in different])
    }


def _version_of(vm: VirtualMachine, digest: str) -> DefinitionVersion | None:
    return history.versions_of(vm.pk).filter(digest=digest).first()


def _told(parts: list[str], most: int = 3) -> str:
    return "; ".join(parts[:most]) + ("; …" if len(parts) > most else "")


def _text(vm: VirtualMachine, arguments: Mapping[str, Any]) -> str:
    """What is to be stored, without typed secrets. Raises Refused for a version that is not there."""
    if "definition" in arguments:
        return str(arguments["definition"])
    version = history.versions_of(vm.pk).filter(pk=arguments["version"], kind=INACTIVE).first()
    if version is None:
        raise Refused(_("There is no such version of the definition of %(name)s.") % {"name": vm.name})
    return version.text


def _typed(operation: Operation) -> list[secrets.Typed]:
    row = TypedSecrets.objects.filter(operation=operation).first()
    return [(number, name, value) for number, name, value in json.loads(row.sealed.open())] if row is not None else []


def _hide(error: HypervisorError, whole: str) -> None:
    """libvirt may repeat what it did not like: not a secret."""
    for _number, _name, value in secrets.take_out(whole)[1]:
        if value:
            error.args = tuple(str(part).replace(value, secrets.MASK) for part in error.args)
            error.detail = error.detail.replace(value, secrets.MASK)


def _short(value: str | None) -> str:
    value = " ".join((value or "").split())
    return value if len(value) <= 200 else value[:199] + "…"


def _define_command(name: str, arguments: Mapping[str, Any]) -> str:
    return shlex.join(["virsh", "define", f"{name}.xml", *(["--validate"] if arguments["check_schema"] else [])])


def _base(value: Any) -> str:
    if not isinstance(value, str) or len(value) != 64 or not DIGEST_DIGITS.issuperset(value):
        raise InvalidArguments("base", _("The digest of the definition that it was made from."))
    return value


def _number(value: Any) -> int:
    if isinstance(value, bool) or not str(value).isascii() or not str(value).isdigit() or len(str(value)) > 18:
        raise InvalidArguments("version", _("The number of a version."))
    return int(value)


def _flag(name: str, value: Any) -> bool:
    if isinstance(value, bool):
        return value
    known = {"true": True, "on": True, "1": True, "false": False, "off": False, "0": False}
    if str(value).lower() not in known:
        raise InvalidArguments(name, _("Say true or false."))
    return known[str(value).lower()]
