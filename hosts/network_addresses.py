"""Addresses, DHCP and DNS of a network as fields: ``<ip>`` and ``<dns>`` read and written in place. lxml and nothing else."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from lxml import etree

from hosts import network_tree as tree

Element = etree._Element
Reader = Callable[[Element], Any]
Writer = Callable[[Element, Any], None]


def _addresses(family: str) -> dict[str, tuple[Reader, Writer]]:
    """Readers and writers of the three fields of a family."""

    def ip_read(root: Element) -> str:
        ip = tree.ip_of(root, family)
        return tree.network_of(ip) if ip is not None else ""

    def ip_write(root: Element, value: str | None) -> None:
        ip = tree.ip_of(root, family)
        if not value:
            tree.drop(ip)
            return
        if ip is None:
            ip = tree.add(root, "ip", **({"family": "ipv6"} if family == "ipv6" else {}))
        address, _slash, prefix = value.partition("/")
        tree.forget(ip, "netmask")
        ip.set("address", address)
        ip.set("prefix", prefix)

    def list_of(tag: str, say: Callable[[Element], str], unsay: Callable[[str], dict[str, str]]) -> Any:
        def read_list(root: Element) -> list[str]:
            ip = tree.ip_of(root, family)
            return [say(child) for child in ip.findall(f"dhcp/{tag}")] if ip is not None else []

        def write_list(root: Element, value: list[str] | None) -> None:
            ip = tree.ip_of(root, family)
            if ip is None or not (value or ip.find("dhcp") is not None):
                return
            dhcp = tree.make(ip, "dhcp")
            tree.same_list(dhcp, tag, value or [], say, unsay)
            tree.drop_if_empty(dhcp)

        return read_list, write_list

    return {
        family: (ip_read, ip_write),
        f"{family}_ranges": list_of("range", _range, _range_attributes),
        f"{family}_hosts": list_of("host", _host, host_attributes),
    }


def _range(child: Element) -> str:
    return f"{child.get('start', '')}-{child.get('end', '')}"


def _range_attributes(text: str) -> dict[str, str]:
    start, _dash, end = text.partition("-")
    return {"start": start, "end": end}


def _host(child: Element) -> str:
    words = (child.get("mac", "").lower(), child.get("name", ""), child.get("ip", ""))
    mac, name, ip = words
    return " ".join(word for word in ((mac, ip, name) if mac else (name, ip)) if word)


def host_attributes(text: str) -> dict[str, str]:
    """``MAC address name`` or ``name address`` of a lease that is always the same, as attributes."""
    words = text.split(" ")
    if words[0].count(":") == 5 and len(words[0]) == 17:
        return {"mac": words[0], **({"name": words[2]} if len(words) > 2 else {}), "ip": words[1]}
    return {"name": words[0], "ip": words[1]}


# --- DNS


def _dns(root: Element) -> bool | None:
    return False if tree.get(root, "dns@enable") == "no" else None


def _set_dns(root: Element, value: bool | None) -> None:
    tree.put(root, "dns@enable", "no" if value is False else "")


def _forwarder(child: Element) -> str:
    return "" if child.get("domain") else child.get("addr", "")


def _forwarders(root: Element) -> list[str]:
    return [said for child in root.findall("dns/forwarder") if (said := _forwarder(child))]


def _set_forwarders(root: Element, value: list[str] | None) -> None:
    if value or root.find("dns") is not None:
        dns = tree.make(root, "dns")
        tree.same_list(dns, "forwarder", value or [], _forwarder, lambda one: {"addr": one})
        tree.drop_if_empty(dns)


def _dns_host(child: Element) -> str:
    return " ".join([child.get("ip", ""), *[(name.text or "").strip() for name in child.findall("hostname")]])


def _dns_hosts(root: Element) -> list[str]:
    return [_dns_host(child) for child in root.findall("dns/host")]


def _set_dns_hosts(root: Element, value: list[str] | None) -> None:
    if not value and root.find("dns") is None:
        return
    dns, wanted = tree.make(root, "dns"), list(value or [])
    for child in dns.findall("host"):
        if _dns_host(child) in wanted:
            wanted.remove(_dns_host(child))
        else:
            dns.remove(child)
    for one in wanted:
        fill_dns_host(tree.add(dns, "host"), one)
    tree.drop_if_empty(dns)


def fill_dns_host(element: Element, text: str) -> None:
    """``address name name`` into a ``<host>``."""
    address, *names = text.split(" ")
    element.set("ip", address)
    for name in names:
        etree.SubElement(element, "hostname").text = name


#: field → how it is read and written
FIELDS: dict[str, tuple[Reader, Writer]] = {
    **_addresses("ipv4"),
    **_addresses("ipv6"),
    "dns": (_dns, _set_dns),
    "dns_forwarders": (_forwarders, _set_forwarders),
    "dns_hosts": (_dns_hosts, _set_dns_hosts),
}
