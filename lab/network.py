"""Bridge, network namespaces, cables, firewall rules and rate limits."""

from __future__ import annotations

import json
from collections.abc import Iterable
from pathlib import Path

from lab.commands import attempt, run
from lab.errors import LabError, UnsupportedError
from lab.names import MACHINE, Names, address

LIBVIRT_PORTS = (16509, 16514)


def link_exists(name: str) -> bool:
    """Whether the machine has this network device."""
    return Path("/sys/class/net", name).exists()


def netns_path(name: str) -> Path:
    """Where `ip netns` keeps a namespace."""
    return Path("/run/netns", name)


def used_subnets() -> set[int]:
    """The 10.199.x of every address and route the machine has now."""
    used: set[int] = set()
    found: list[str] = []
    for device in json.loads(run(["ip", "-j", "-4", "address", "show"])):
        found += [item["local"] for item in device.get("addr_info", []) if "local" in item]
    found += [item["dst"] for item in json.loads(run(["ip", "-j", "-4", "route", "show"]))]
    for text in found:
        parts = text.split("/")[0].split(".")
        if parts[:2] == ["10", "199"] and len(parts) == 4:
            used.add(int(parts[2]))
    return used


def choose_subnet(preferred: int, taken: Iterable[int]) -> int:
    """The first free subnet from the preferred one on."""
    used = used_subnets() | set(taken)
    for step in range(250):
        subnet = (preferred - 1 + step) % 250 + 1
        if subnet not in used:
            return subnet
    raise LabError("all of 10.199.1.0/24 to 10.199.250.0/24 are in use")


def add_bridge(names: Names, subnet: int) -> None:
    """The bridge and the machine's own address on it."""
    if not link_exists(names.bridge):
        run(["ip", "link", "add", names.bridge, "type", "bridge"])
        leave_without_ipv6(names.bridge)
    run(["ip", "address", "replace", f"{address(subnet, MACHINE)}/24", "dev", names.bridge])
    run(["ip", "link", "set", names.bridge, "up"])


def add_host(names: Names, number: int, subnet: int) -> None:
    """A fresh network namespace with a cable to the bridge."""
    netns, link, inner = names.netns(number), names.link(number), names.inner_link(number)
    remove_host(names, number)
    run(["ip", "netns", "add", netns])
    run(["ip", "link", "add", link, "type", "veth", "peer", "name", inner, "netns", netns])
    leave_without_ipv6(link)
    run(["ip", "-n", netns, "link", "set", inner, "name", "eth0", "address", names.hardware_address(number)])
    run(["ip", "-n", netns, "link", "set", "lo", "up"])
    run(["ip", "-n", netns, "address", "add", f"{address(subnet, number)}/24", "dev", "eth0"])
    run(["ip", "-n", netns, "link", "set", "eth0", "up"])
    run(["ip", "link", "set", link, "master", names.bridge, "up"])


def leave_without_ipv6(device: str) -> None:
    """Give a device of the machine no link-local address: a browser drops what it loads whenever one comes or goes.

    A kernel without IPv6 does not know the word, and makes no such address.
    """
    attempt(["ip", "link", "set", device, "addrgenmode", "none"])


def remove_host(names: Names, number: int) -> None:
    """Remove the cable and the namespace; neither needs to be there."""
    for link in (names.link(number), names.inner_link(number)):
        if link_exists(link):
            run(["ip", "link", "delete", link])
    if netns_path(names.netns(number)).exists():
        run(["ip", "netns", "delete", names.netns(number)])


def remove_bridge(names: Names) -> None:
    """Remove the bridge if it is there."""
    if link_exists(names.bridge):
        run(["ip", "link", "delete", names.bridge])


def set_link(names: Names, number: int, up: bool) -> None:
    """Plug a host's cable in or pull it out."""
    if not link_exists(names.link(number)):
        raise LabError(f"kvm{number} has no link: it is unplugged")
    run(["ip", "link", "set", names.link(number), "up" if up else "down"])


def link_is_up(names: Names, number: int) -> bool:
    """Whether the cable is plugged in."""
    try:
        flags = int(Path("/sys/class/net", names.link(number), "flags").read_text(), 16)
    except FileNotFoundError:
        return False
    return bool(flags & 1)


def refuse_peers(names: Names, number: int, subnet: int, how: str) -> None:
    """Let only the machine itself reach this host's libvirtd; other hosts are dropped or rejected."""
    verdict = ["DROP"] if how == "drop" else ["REJECT", "--reject-with", "tcp-reset"]
    for port in LIBVIRT_PORTS:
        rule = ["-i", "eth0", "-p", "tcp", "--dport", str(port), "!", "-s", address(subnet, MACHINE)]
        run(["ip", "netns", "exec", names.netns(number), "iptables", "-A", "INPUT", *rule, "-j", *verdict])


def throttle(names: Names, number: int, rate: str) -> None:
    """Limit a host's cable in both directions (tc's token bucket)."""
    bucket = ["root", "tbf", "rate", rate, "burst", "64kb", "latency", "400ms"]
    for place in (["tc", "qdisc", "replace", "dev", names.link(number)], inner_tc(names, number, "replace")):
        done = attempt([*place, *bucket])
        if done.returncode == 0:
            continue
        reason = done.stderr.strip().replace("\n", " ")
        if "kind is unknown" in reason or "not found" in reason:
            raise UnsupportedError(f"this kernel has no token bucket filter (sch_tbf): {reason}")
        raise LabError(f"the rate {rate!r} could not be set: {reason}")


def unthrottle(names: Names, number: int) -> None:
    """Remove the limit, if there is one."""
    for place in (["tc", "qdisc", "delete", "dev", names.link(number)], inner_tc(names, number, "delete")):
        attempt([*place, "root"])


def inner_tc(names: Names, number: int, verb: str) -> list[str]:
    """tc on the host's own end of the cable."""
    return ["tc", "-n", names.netns(number), "qdisc", verb, "dev", "eth0"]
