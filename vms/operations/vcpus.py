"""Another number of processors: at once up to the number that the guest was started with room for, else at its next boot."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts.hypervisor.sentences import say
from hosts.operations.kind import InvalidArguments, Subject
from hosts.operations.storage_base import NotNow
from vms.definition.domain import Definition
from vms.definition.place import InvalidValue
from vms.operations.base import virsh
from vms.operations.hardware import HardwareKind, Now, Step

MOST = 65535


class Vcpus(HardwareKind):
    """``count`` processors of ``maximum``, which a guest that runs can have without a restart."""

    name = "vcpus"
    label = gettext_lazy("Set processors")
    verb = "vm.hardware"
    fields = ("count", "maximum")

    def cleaned(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        found = {"count": whole("count", arguments.get("count"), MOST)}
        if arguments.get("maximum") not in (None, "", 0):
            found["maximum"] = whole("maximum", arguments["maximum"], MOST)
            if found["maximum"] < found["count"]:
                raise NotNow("maximum", _("The maximum is no less than the number of now."))
        return found

    def steps(self, now: Now, arguments: Mapping[str, Any]) -> list[Step]:
        count, live = arguments["count"], Definition.parse(now.live)
        if count == (live.vcpu.current or live.vcpu.count):
            return []
        if not _fits(live, count):
            if arguments["affect"] == "live":
                raise InvalidValue(
                    "count", say("It was started with room for %(most)s processors.", most=live.vcpu.count)
                )
            return []
        return [Step(say("%(n)s processors", n=count), lambda _task, hardware: hardware.set_vcpus(count))]

    def edit(self, config: str, arguments: Mapping[str, Any]) -> str:
        definition = Definition.parse(config)
        most = arguments.get("maximum") or definition.vcpu.count or 1
        if arguments["count"] > most:
            raise InvalidValue("count", say("The maximum is %(most)s; raise it too, for the next boot.", most=most))
        if most != definition.vcpu.count:
            _resize(definition, most)
        definition.vcpu.current = arguments["count"] if arguments["count"] < most else None
        _toggle(definition, arguments["count"])
        return definition.to_xml()

    def later(self, now: Now, arguments: Mapping[str, Any]) -> list[str]:
        live = Definition.parse(now.live)
        found = []
        if arguments["affect"] == "config" or not _fits(live, arguments["count"]):
            found.append(say("%(n)s processors", n=arguments["count"]))
        if arguments.get("maximum") not in (None, live.vcpu.count):
            found.append(say("room for %(n)s processors", n=arguments["maximum"]))
        return found

    def commands(self, subject: Subject, now: Now, arguments: Mapping[str, Any], flags: list[str]) -> list[str]:
        fits = not now.live or _fits(Definition.parse(now.live), arguments["count"])
        flags = flags if fits else [flag for flag in flags if flag != "--live"]
        lines = [virsh("setvcpus", subject, str(arguments["count"]), *flags)] if flags else []
        if "maximum" in arguments and "--config" in flags:
            lines.insert(0, virsh("setvcpus", subject, str(arguments["maximum"]), "--maximum", "--config"))
        return lines


def whole(name: str, value: Any, most: int, least: int = 1) -> int:
    """A whole number. Raises InvalidArguments."""
    text = str(value)
    if isinstance(value, bool) or not text.isascii() or not text.isdigit() or not least <= int(text[:20]) <= most:
        raise InvalidArguments(name, _("A whole number from %(least)d to %(most)d.") % {"least": least, "most": most})
    return int(text)


def _fits(live: Definition, count: int) -> bool:
    return count <= (live.vcpu.count or 1)


def _resize(definition: Definition, most: int) -> None:
    """Another maximum: sockets and NUMA cells follow where that is clear."""
    topology, cells = definition.cpu.topology, list(definition.cpu.cells)
    if topology.exists:
        each = (topology.dies or 1) * (topology.cores or 1) * (topology.threads or 1)
        if most % each:
            raise InvalidValue(
                "maximum", say("Each socket has %(n)s processors: a multiple of that is needed.", n=each)
            )
        topology.sockets = most // each
    if len(cells) > 1:
        raise InvalidValue("maximum", say("Its processors are shared out among NUMA cells: edit its definition."))
    if cells:
        cells[0].cpus = f"0-{most - 1}" if most > 1 else "0"
    definition.vcpu.count = most
    each_one = definition.reach().find("vcpus")
    if each_one is not None:
        definition.reach().remove(each_one)


def _toggle(definition: Definition, count: int) -> None:
    """Where each processor is written down by itself, so many are enabled: the first ones."""
    for number, one in enumerate(definition.reach().findall("vcpus/vcpu")):
        one.set("enabled", "yes" if number < count else "no")
