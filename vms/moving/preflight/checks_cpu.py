"""The guest's processor against those that guests can have on the target."""

from __future__ import annotations

from vms.moving.preflight.facts import Cpu, Guest, Hosts, Machine, Processors
from vms.moving.preflight.finding import Finding, listed, no, ok, sentence, unknown, warning

Need = tuple[Cpu, str, str, int | None]

NOT_TOLD = sentence("%(host)s has not told which processors guests can have there.")
ASK_AGAIN = sentence("Have %(host)s looked at again (Refresh on its page).")
LOWER = sentence("Give the guest a named model that all hosts have, and start it anew.")


def needs(guest: Guest) -> Need:
    """What of the guest it depends on."""
    return guest.cpu, guest.arch, guest.virt, guest.host


def look(need: Need, host: Machine, hosts: Hosts) -> Finding:
    """What runs on the source with the features that it has there must find all of them on the target."""
    cpu, arch, virt, source_id = need
    if not arch:
        return unknown(sentence("The guest's definition does not say what processor it needs."))
    there = host.processors.get((arch, virt))
    if there is None:
        return unknown(NOT_TOLD, ASK_AGAIN, host=host.name)
    source = hosts.get(source_id) if source_id is not None else None
    here = source.processors.get((arch, virt)) if source is not None else None
    if cpu.mode in ("host-passthrough", "maximum"):
        return _passed_through(source, here, host, there, virt)
    missing = sorted(cpu.needs - there.features) if there.features else []
    if missing:
        return no(
            sentence("The guest was given features that guests cannot have on %(host)s: %(features)s."),
            LOWER,
            host=host.name,
            features=listed(missing),
        )
    if cpu.needs and not there.features:
        return unknown(NOT_TOLD, ASK_AGAIN, host=host.name)
    if here is not None and here.features and here.features <= there.features:
        return ok(
            sentence("Guests can have every feature of %(source)s on %(host)s."), source=_name(source), host=host.name
        )
    return _named(cpu, host, there)


def _name(source: Machine | None) -> str:
    return source.name if source is not None else "?"


def _passed_through(
    source: Machine | None, here: Processors | None, host: Machine, there: Processors, virt: str
) -> Finding:
    if here is None or not here.features or not there.features:
        return unknown(NOT_TOLD, ASK_AGAIN, host=host.name if here is not None else _name(source))
    missing = here.features - there.features
    if missing:
        return no(
            sentence("The guest has the host's own processor, and %(host)s lacks of it: %(features)s."),
            LOWER,
            host=host.name,
            features=listed(missing),
        )
    if virt == "kvm" and source is not None and source.cpu != host.cpu:
        return warning(
            sentence("The guest has the host's own processor, and %(host)s has another one (%(model)s)."),
            LOWER,
            host=host.name,
            model=host.cpu,
        )
    return ok(sentence("The processors are alike."))


def _named(cpu: Cpu, host: Machine, there: Processors) -> Finding:
    if not cpu.model:
        return ok(sentence("It has QEMU's own default processor."))
    usable = there.models.get(cpu.model)
    if usable is None:
        return no(
            sentence("QEMU on %(host)s knows no processor model %(model)s."), LOWER, host=host.name, model=cpu.model
        )
    if usable == "yes":
        return ok(sentence("%(model)s can be had on %(host)s."), model=cpu.model, host=host.name)
    if usable == "no" and cpu.model in there.blockers:
        missing = set(there.blockers[cpu.model]) - cpu.without
        if missing:
            return no(
                sentence("The model %(model)s lacks on %(host)s: %(features)s."),
                LOWER,
                model=cpu.model,
                host=host.name,
                features=listed(missing),
            )
        return ok(sentence("%(model)s can be had on %(host)s, as the guest has it."), model=cpu.model, host=host.name)
    if usable == "no" and not cpu.without:
        return no(sentence("The model %(model)s cannot be had on %(host)s."), LOWER, model=cpu.model, host=host.name)
    return unknown(
        sentence(
            "Whether %(model)s can be had on %(host)s without the features that the guest does without, it does not say."
        ),
        sentence("Ask libvirt there: virsh hypervisor-cpu-compare."),
        model=cpu.model,
        host=host.name,
    )
