"""Room for the guest: memory, huge pages, processors, and what it is pinned to."""

from __future__ import annotations

from vms.moving.preflight.facts import Guest, Hosts, Machine, Pages
from vms.moving.preflight.finding import Finding, listed, no, ok, sentence, unknown, warning, worst

Pins = tuple[int, tuple[int, ...], tuple[int, ...], str, str]


def memory_needs(guest: Guest) -> tuple[int, tuple[Pages, ...], tuple[int, ...]]:
    """Of memory."""
    return guest.memory, guest.pages, guest.nodes if guest.pages else ()


def memory(need: tuple[int, tuple[Pages, ...], tuple[int, ...]], host: Machine, _hosts: Hosts) -> Finding:
    """Enough in all, enough that is free now, and pages of the wanted size."""
    wanted, pages, nodes = need
    if not host.memory:
        return unknown(sentence("%(host)s has not told how much memory it has."), host=host.name)
    if wanted > host.memory:
        text = sentence("It needs %(wanted)s, and %(host)s has %(whole)s in all.")
        return no(text, sentence("Make the guest's memory smaller."), wanted=wanted, host=host.name, whole=host.memory)
    if pages:
        found = [_pages(one, nodes, host) for one in pages]
        return worst(found, found[0])
    if host.free is None:
        return unknown(sentence("How much memory of %(host)s is free is not known."), host=host.name)
    if wanted > host.free:
        text = sentence(
            "It needs %(wanted)s, and only %(free)s are free on %(host)s: it would swap, or guests be killed."
        )
        mend = sentence("Move or stop other guests there first.")
        return warning(text, mend, wanted=wanted, free=host.free, host=host.name)
    return ok(sentence("It needs %(wanted)s of %(free)s that are free."), wanted=wanted, free=host.free)


def _pages(wanted: Pages, nodes: tuple[int, ...], host: Machine) -> Finding:
    """Of all NUMA cells, or of those that its memory is bound to."""
    mend = sentence("Set huge pages aside on %(host)s.")
    counts = [cell["pages"] for number, cell in host.cells.items() if not nodes or number in nodes]
    if not counts:
        return unknown(sentence("Which huge pages %(host)s has is not known."), host=host.name)
    sizes = [wanted.size] if wanted.size else sorted({size for pages in counts for size in pages if size > 4096})[:1]
    have = sum(size * pages.get(size, 0) for pages in counts for size in sizes)
    if have < wanted.bytes:
        text = sentence("It needs %(wanted)s in huge pages, and %(host)s has set %(whole)s aside.")
        return no(text, mend, wanted=wanted.bytes, host=host.name, whole=have)
    words = {"wanted": wanted.bytes, "host": host.name, "whole": have}
    if host.free_pages is None:
        text = sentence(
            "It needs %(wanted)s in huge pages; %(host)s has set %(whole)s aside, and how many are free is not known."
        )
        return warning(text, mend, **words)
    cells = [pages for number, pages in host.free_pages.items() if not nodes or number in nodes]
    free = sum(size * pages.get(size, 0) for pages in cells for size in sizes)
    if free < wanted.bytes:
        # They come and go with guests, and what was counted is some seconds old: libvirt has the last word.
        text = sentence("It needs %(wanted)s in huge pages, and of %(whole)s on %(host)s only %(free)s were free.")
        return warning(text, sentence("Move or stop other guests there first."), **words, free=free)
    return ok(sentence("It needs %(wanted)s of %(free)s that are free in huge pages."), **words, free=free)


def vcpu_needs(guest: Guest) -> Pins:
    """Of processors and pins."""
    return guest.vcpus, guest.pins, guest.nodes, guest.arch, _family(guest.machine)


def _family(machine: str) -> str:
    return "q35" if "q35" in machine else "pc" if machine == "pc" or "i440fx" in machine else machine


def vcpus(need: Pins, host: Machine, _hosts: Hosts) -> Finding:
    """As many as QEMU can give, and the processors and NUMA cells that it is pinned to."""
    count, pins, nodes, arch, family = need
    if not host.cpus:
        return unknown(sentence("%(host)s has not told how many processors it has."), host=host.name)
    found = [*_pinned(pins, nodes, host)]
    ability = host.abilities.get((arch, family))
    if ability is not None and ability.most_vcpus and count > ability.most_vcpus:
        text = sentence("It has %(count)s processors; a guest has at most %(most)s there.")
        found.append(no(text, "", count=count, most=ability.most_vcpus))
    if count > host.cpus:
        text = sentence("It has %(count)s processors, and %(host)s only %(cpus)s: it will be slow there.")
        found.append(warning(text, "", count=count, host=host.name, cpus=host.cpus))
    return worst(found, ok(sentence("%(count)s of %(cpus)s processors."), count=count, cpus=host.cpus))


def _pinned(pins: tuple[int, ...], nodes: tuple[int, ...], host: Machine) -> list[Finding]:
    mend = sentence("Change or take away its pinning.")
    found: list[Finding] = []
    known = host.processors_of
    if pins and not known:
        found.append(
            unknown(sentence("Which processors %(host)s has is not known, and it is pinned."), mend, host=host.name)
        )
    elif missing := [pin for pin in pins if pin not in known]:
        if len(missing) == len(pins):
            text = sentence("It is pinned to processors that %(host)s does not have: %(list)s.")
            found.append(no(text, mend, host=host.name, list=listed(missing)))
        else:
            text = sentence("Of the processors that it is pinned to, %(host)s does not have %(list)s.")
            found.append(warning(text, mend, host=host.name, list=listed(missing)))
    if lacking := [node for node in nodes if node not in host.cells]:
        text = sentence("Its memory is bound to NUMA cells that %(host)s does not have: %(list)s.")
        found.append(no(text, mend, host=host.name, list=listed(lacking)))
    return found
