"""Another size of memory: at once through the balloon up to what the guest was started with, else at its next boot."""

from __future__ import annotations

import time
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.hypervisor.sentences import say
from hosts.operations.kind import InvalidArguments, Subject
from hosts.operations.presenter import size
from hosts.operations.storage_base import NotNow
from hosts.operations.task import Task
from vms.definition.domain import Definition
from vms.definition.place import InvalidValue
from vms.operations.base import virsh
from vms.operations.hardware import HardwareKind, Now, Step

LEAST, MOST = 2**20, 2**60
#: seconds the guest is watched while it gives memory back
WATCHED = 5.0


class Memory(HardwareKind):
    """``memory`` bytes of ``maximum``, which the balloon of a guest that runs can give it."""

    name = "memory"
    label = gettext_lazy("Set memory")
    verb = "vm.hardware"
    fields = ("memory", "maximum")

    def cleaned(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        found = {"memory": _bytes("memory", arguments.get("memory"))}
        if arguments.get("maximum") not in (None, "", 0):
            found["maximum"] = _bytes("maximum", arguments["maximum"], 1)
            if found["maximum"] < found["memory"]:
                raise NotNow("maximum", _("The maximum is no less than the memory of now."))
        return found

    def steps(self, now: Now, arguments: Mapping[str, Any]) -> list[Step]:
        wanted, live = arguments["memory"], Definition.parse(now.live)
        if wanted == (live.current_memory or live.memory):
            return []
        if not _fits(live, wanted):
            if arguments["affect"] == "live":
                raise InvalidValue("memory", say("It was started with %(most)s.", most=size(live.memory or 0)))
            return []

        def act(task: Task, hardware: Any) -> None:
            hardware.set_memory(wanted)
            _watch(task, hardware, wanted)

        return [Step(say("%(size)s of memory", size=size(wanted)), act)]

    def edit(self, config: str, arguments: Mapping[str, Any]) -> str:
        definition = Definition.parse(config)
        most = arguments.get("maximum") or definition.memory or 0
        if arguments["memory"] > most:
            raise InvalidValue(
                "memory", say("The maximum is %(most)s; raise it too, for the next boot.", most=size(most))
            )
        if most != definition.memory:
            _resize(definition, most)
        if arguments["memory"] != (definition.current_memory or most):
            definition.current_memory = arguments["memory"]
        return definition.to_xml()

    def later(self, now: Now, arguments: Mapping[str, Any]) -> list[str]:
        live = Definition.parse(now.live)
        found = []
        if arguments["affect"] == "config" or not _fits(live, arguments["memory"]):
            found.append(say("%(size)s of memory", size=size(arguments["memory"])))
        if arguments.get("maximum") not in (None, live.memory):
            found.append(say("room for %(size)s of memory", size=size(arguments["maximum"])))
        return found

    def commands(self, subject: Subject, now: Now, arguments: Mapping[str, Any], flags: list[str]) -> list[str]:
        fits = not now.live or _fits(Definition.parse(now.live), arguments["memory"])
        flags = flags if fits else [flag for flag in flags if flag != "--live"]
        lines = [virsh("setmem", subject, str(arguments["memory"] // 1024), *flags)] if flags else []
        if "maximum" in arguments and "--config" in flags:
            lines.insert(0, virsh("setmaxmem", subject, str(arguments["maximum"] // 1024), "--config"))
        return lines


def _bytes(name: str, value: Any, least: int = LEAST) -> int:
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or not least <= int(text[:20]) <= MOST:
        raise InvalidArguments(name, _("A size in bytes, from %(least)d up.") % {"least": least})
    return int(text) // 1024 * 1024


def _fits(live: Definition, wanted: int) -> bool:
    return wanted <= (live.memory or 0)


def _resize(definition: Definition, most: int) -> None:
    """Another maximum; the one NUMA cell has what the modules have not."""
    cells = list(definition.cpu.cells)
    if len(cells) > 1:
        raise InvalidValue("maximum", say("Its memory is shared out among NUMA cells: edit its definition."))
    if cells:
        modules = sum(module.target.size or 0 for module in definition.devices.memory_modules)
        if most <= modules:
            raise InvalidValue("maximum", say("Its memory modules alone have %(size)s.", size=size(modules)))
        cells[0].memory = most - modules
    definition.memory = most
    if (definition.current_memory or 0) > most:
        definition.current_memory = most


def _watch(task: Task, hardware: Any, wanted: int) -> None:
    """The guest gives memory back as it can: say how far it is."""
    until = time.monotonic() + WATCHED
    while True:
        live = Definition.parse(hardware.guest.definition())
        has = live.current_memory or live.memory or 0
        if has == wanted:
            return
        if time.monotonic() > until:
            break
        task.wait(0.3)
    text = say(
        "The balloon was asked; the guest has %(has)s so far, and %(wanted)s is wanted.",
        has=size(has),
        wanted=size(wanted),
    )
    task.log(text, "warning")
