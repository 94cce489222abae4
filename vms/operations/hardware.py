"""What all changes of a guest's hardware have in common: the running guest first, then the definition that it boots with.

Each kind says, of the two definitions as they are, what is to be asked of the running guest (``steps``) and what the stored
definition becomes (``edit``). A part that is already so asks for nothing: that is how an interrupted change is observed.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any, ClassVar

from django.utils.translation import gettext as _

from hosts import access, notify
from hosts.hypervisor.errors import Failed, HypervisorError, Unreachable
from hosts.hypervisor.sentences import say
from hosts.models import Operation
from hosts.operations.kind import InvalidArguments, Refused, Subject, Uncertain, no_argument
from hosts.operations.storage_base import NotNow
from hosts.operations.task import Task
from vms import history
from vms.definition import changes, secrets
from vms.definition.nodes import UnknownProperty
from vms.definition.place import InvalidValue
from vms.definition.xml import MalformedDefinition
from vms.history import INACTIVE, meaning
from vms.models import DefinitionVersion, VirtualMachine
from vms.operations.base import GuestKind, PowerState
from vms.operations.define import MOST_TOLD, conflict

LIVE = DefinitionVersion.Kind.LIVE
#: libvirt's words for what a change is made to
AFFECTS = ("both", "live", "config")
COMMON = ("affect", "base", "live_base")
ACTIVE = (PowerState.RUNNING, PowerState.PAUSED, PowerState.PMSUSPENDED)
#: what names files, folders, devices or addresses of the host is for those who manage hosts
HOST_VERB = "host.manage"


@dataclass(frozen=True, slots=True)
class Now:
    """A guest's definitions; '' for the one that is not there."""

    live: str
    config: str


@dataclass(frozen=True, slots=True)
class Step:
    """One thing asked of the running guest: ``act`` with its Hardware; ``words`` say what it is."""

    words: str
    act: Callable[[Task, Any], None] = field(repr=False)


class HardwareKind(GuestKind):
    """A change of hardware. ``affect``: 'both' (the running guest where QEMU takes it, and its definition), 'live' or 'config'
    (the next boot). ``base`` and ``live_base``: digests of the definitions it was made from; when one moved, nothing is done.
    """

    many = False
    fields: ClassVar[tuple[str, ...]] = ()
    #: whether a guest that runs can take it at all
    takes_live: ClassVar[bool] = True

    # --- what a kind says

    def cleaned(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        """The kind's own arguments as checked plain data. Raises InvalidArguments."""
        raise NotImplementedError

    def steps(self, now: Now, arguments: Mapping[str, Any]) -> list[Step]:
        """What is asked of the running guest; [] where nothing is, or it is so already. Raises InvalidValue, UnknownProperty."""
        raise NotImplementedError

    def edit(self, config: str, arguments: Mapping[str, Any]) -> str:
        """The stored definition as it is to be; one that means the same where it is so already. Raises as ``steps``."""
        raise NotImplementedError

    def later(self, now: Now, arguments: Mapping[str, Any]) -> list[str]:
        """What a guest that runs has only after its next boot, in words."""
        return []

    def of_host(self, vm: VirtualMachine, now: Now, arguments: Mapping[str, Any]) -> bool:
        """Whether it names something of the host, which is for administrators."""
        return False

    def commands(self, subject: Subject, now: Now, arguments: Mapping[str, Any], flags: list[str]) -> list[str]:
        """virsh's equivalent; ``flags`` are --live and --config as they apply."""
        raise NotImplementedError

    # --- what all do

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        for name in arguments:
            if name not in (*self.fields, *COMMON):
                raise InvalidArguments(name, no_argument(self.name, name))
        affect = str(arguments.get("affect") or ("both" if self.takes_live else "config"))
        if affect not in AFFECTS or (affect != "config" and not self.takes_live):
            allowed = AFFECTS if self.takes_live else ("config",)
            raise InvalidArguments("affect", _("Say %(words)s.") % {"words": ", ".join(allowed)})
        given = {name: value for name, value in arguments.items() if name not in COMMON}
        cleaned = {**self.cleaned(given), "affect": affect}
        for name in ("base", "live_base"):
            if arguments.get(name):
                cleaned[name] = _digest(name, arguments[name])
        return cleaned

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        super().check(subject, arguments)
        vm: VirtualMachine = subject.row
        if arguments["affect"] == "live" and vm.power_state not in ACTIVE:
            raise Refused(_("%(name)s does not run: there is only its next boot to change.") % {"name": vm.name})
        if arguments["affect"] == "config" and not vm.persistent:
            raise Refused(_("%(name)s is forgotten when it stops: it has no stored definition.") % {"name": vm.name})
        now = seen(vm)
        self.refuse_moved(vm, now, arguments)
        _steps, text = self.plan(now, arguments)
        if text:
            self.refuse_misfit(vm, text, arguments)

    def refuse_misfit(self, vm: VirtualMachine, definition: str, arguments: Mapping[str, Any]) -> None:
        """Raise Refused where libvirt would store ``definition``, but not start the guest with it on its host."""

    def keep(self, operation: Operation, given: Mapping[str, Any]) -> None:
        vm = VirtualMachine.objects.select_related("host").get(pk=str(operation.subject_uuid))
        actor = operation.actor
        if actor is None or access.may(actor, HOST_VERB, vm) or not self.of_host(vm, seen(vm), operation.arguments):
            return
        raise access.Denied(_("What names files, folders or devices of the host is for administrators."))

    def plan(self, now: Now, arguments: Mapping[str, Any]) -> tuple[list[Step], str]:
        """What is asked of the running guest, and its new definition ('' for none). Raises Refused."""
        try:
            steps = self.steps(now, arguments) if now.live and arguments["affect"] != "config" else []
            text = self.edit(now.config, arguments) if now.config and arguments["affect"] != "live" else ""
        except InvalidValue as error:
            raise NotNow(error.name, error.message) from error
        except UnknownProperty as error:
            raise Refused(_("There is no %(what)s in this guest.") % {"what": str(error)[:100]}) from error
        except MalformedDefinition as error:
            raise Refused(_("Its definition cannot be read: %(why)s") % {"why": error}) from error
        return steps, text

    def refuse_moved(self, vm: VirtualMachine, now: Now, arguments: Mapping[str, Any]) -> None:
        """Refuse what was made from other definitions than those of now."""
        base, live_base = arguments.get("base"), arguments.get("live_base")
        if base and now.config and base != meaning(INACTIVE, now.config):
            raise Refused(conflict(vm, base, now.config))
        if live_base and now.live and live_base != meaning(LIVE, now.live):
            raise Refused(_("The running guest's hardware was changed since you began. Nothing was done."))

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        now = seen(subject.row)
        flags = ["--live"] if now.live and arguments["affect"] != "config" else []
        flags += ["--config"] if now.config and arguments["affect"] != "live" else []
        try:
            return "\n".join(self.commands(subject, now, arguments, flags))
        except (InvalidValue, UnknownProperty, MalformedDefinition):
            return ""  # check() says what is wrong with it.

    def effect(self, subject: Subject, arguments: Mapping[str, Any]) -> list[str]:
        """What it would do, in sentences: at once, at the next boot. Raises Refused."""
        now, affect = seen(subject.row), arguments["affect"]
        steps, text = self.plan(now, arguments)
        if not now.live:
            return [_("It is off: this holds from its next start on.")]
        found = []
        if steps:
            found.append(_("At once: %(what)s.") % {"what": ", ".join(step.words for step in steps)})
        later = self.later(now, arguments) if text else []
        if later:
            found.append(_("Only at its next boot: %(what)s.") % {"what": ", ".join(later)})
        if steps and affect == "live":
            found.append(_("Its definition stays as it is: this is gone when it is shut down."))
        return found or [_("The running guest is so already.")]

    def run(self, task: Task) -> dict[str, Any]:
        arguments = task.arguments
        vm = VirtualMachine.objects.get(pk=task.uuid)
        with task.looking():
            now = self._look(task)
            self.refuse_moved(vm, self._look(task, secure=False), arguments)
            steps, text = self.plan(now, arguments)
            if arguments["affect"] == "live" and not now.live:
                raise Refused(_("It does not run any more; nothing was done."))
        later = self.later(now, arguments) if now.live and arguments["affect"] != "live" else []
        result: dict[str, Any] = {"live": [step.words for step in steps], "config": bool(text), "next_boot": later}
        try:
            self._ask(task, steps, bool(text))
            if text:
                result |= self._store(task, bool(steps))
        finally:
            # libvirt tells no event of some of these.
            notify.look_again(task.host.pk, task.uuid)
        for what in later:
            task.log(say("At the next boot: %(what)s", what=what))
        return result

    def _look(self, task: Task, *, secure: bool = True) -> Now:
        guest = self.guest(task)
        state, _reason = guest.state()
        live = guest.definition(secure=secure) if state not in (PowerState.SHUTOFF, PowerState.CRASHED) else ""
        persistent = not live or VirtualMachine.objects.filter(pk=task.uuid, persistent=True).exists()
        return Now(live, guest.definition(inactive=True, secure=secure) if persistent else "")

    def _ask(self, task: Task, steps: list[Step], stores: bool) -> None:
        from hosts.hypervisor.hardware import Hardware

        done: list[str] = []
        for step in steps:
            try:
                step.act(task, Hardware(self.guest(task)))
            except Unreachable:
                raise
            except HypervisorError as error:
                raise _half(error, done, step.words, stores) from error
            task.log(say("The running guest took it: %(what)s", what=step.words))
            done.append(step.words)

    def _store(self, task: Task, live_done: bool) -> dict[str, Any]:
        """Write the definition, made anew from how it is now: the guest may have taken its time."""
        guest, arguments = self.guest(task), task.arguments
        plain, secure = guest.definition(inactive=True), guest.definition(inactive=True, secure=True)
        text = self.edit(secure, arguments)
        if is_same(text, secure):
            return {"digest": meaning(INACTIVE, plain)}
        try:
            guest.define(text)
        except Unreachable:
            raise
        except HypervisorError as error:
            if not live_done:
                raise
            task.log(say("The running guest has it until it is shut down."), "warning")
            raise type(error)(
                say("The running guest took it, but the definition did not and is as it was: %(why)s", why=error),
                code=error.code, domain=error.domain, detail=error.detail,
            ) from error  # fmt: skip
        return self._afterwards(task, plain, text)

    def _afterwards(self, task: Task, before: str, sent: str) -> dict[str, Any]:
        """What has become of the definition. It was stored: not being able to look does not make that untrue."""
        guest = self.guest(task)
        try:
            now, secure = guest.definition(inactive=True), guest.definition(inactive=True, secure=True)
        except HypervisorError as error:
            task.log(say("It was done; the guest could not be looked at afterwards: %(text)s", text=error), "warning")
            return {}
        for one in changes.diff(before, now).changes[:MOST_TOLD]:
            task.log(history.words(one))
        lost = changes.lost(secrets.masked(sent), secrets.masked(secure))
        for one in lost[:MOST_TOLD]:
            task.log(say("libvirt dropped %(what)s", what=one.path), "warning")
        dropped = {"lost": [[one.path, (one.before or "")[:200]] for one in lost[:MOST_TOLD]]} if lost else {}
        return {"digest": meaning(INACTIVE, now), **dropped}

    def recover(self, task: Task) -> dict[str, Any]:
        now, arguments = self._look(task), task.arguments
        live, config = self.standing(now, arguments)
        wanted = [one for one in (live, config) if one is not None]
        if wanted and all(wanted):
            return {"recovered": True, "live": bool(live), "config": bool(config)}
        if not any(wanted):
            raise Failed(say("kvmdash was interrupted before this was done; nothing was changed."))
        raise Uncertain(
            _(
                "kvmdash was interrupted: the running guest has it, its definition does not. Ask again for the next boot."
            )
            if live
            else _("kvmdash was interrupted: the definition has it, the running guest does not.")
        )

    def standing(self, now: Now, arguments: Mapping[str, Any]) -> tuple[bool | None, bool | None]:
        """Whether the running guest and the definition are as they should be; None where neither was asked."""
        affect = arguments["affect"]
        live = not self.steps(now, arguments) if now.live and affect != "config" else None
        if not now.config or affect == "live":
            return live, None
        return live, is_same(self.edit(now.config, arguments), now.config)


def seen(vm: VirtualMachine) -> Now:
    """The definitions as the mirror has them, without secrets."""
    sighting = history.sighting_of(vm)
    if sighting is None:
        return Now("", "")
    live = sighting.live_definition if sighting.power_state not in (PowerState.SHUTOFF, PowerState.CRASHED) else ""
    return Now(live, sighting.inactive_definition if sighting.persistent else "")


def is_same(one: str, other: str) -> bool:
    """Whether two definitions mean the same, secrets included."""
    return one == other or changes.digest(one) == changes.digest(other)


def bases(vm: VirtualMachine) -> dict[str, str]:
    """The digests that a form begins with; '' for a definition that is not there."""
    now, sighting = seen(vm), history.sighting_of(vm)
    return {
        "base": history.digest_now(sighting) if sighting is not None and now.config else "",
        "live_base": meaning(LIVE, now.live) if now.live else "",
    }


def _half(error: HypervisorError, done: list[str], what: str, stores: bool) -> HypervisorError:
    """A failure at the running guest that says exactly what took and what did not."""
    why = str(error).strip().rstrip(".")
    if done:
        text = say(
            "The running guest took %(done)s, but not %(what)s: %(why)s.", done=", ".join(done), what=what, why=why
        )
    else:
        text = say("The running guest did not take it: %(why)s.", why=why)
    if stores:
        text += " " + say("Its definition is as it was; ask for the next boot alone to change that.")
    return type(error)(text, code=error.code, domain=error.domain, detail=error.detail)


def _digest(name: str, value: Any) -> str:
    text = str(value)
    if len(text) != 64 or not frozenset("0123456789abcdef").issuperset(text):
        raise InvalidArguments(name, _("The digest of the definition that it was made from."))
    return text
