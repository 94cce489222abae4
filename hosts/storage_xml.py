"""XML of pools, of secrets and of what to look for, built from checked plain data. lxml and nothing else."""

from __future__ import annotations

import shlex
import uuid
from collections.abc import Mapping
from typing import Any

from lxml import etree

from hosts.storage_types import TYPES

Arguments = Mapping[str, Any]
#: libvirt's kinds of secrets, and the element that names what one is for
USAGE = {"chap": ("iscsi", "target"), "ceph": ("ceph", "name")}


def pool(arguments: Arguments) -> str:
    """``<pool>`` from the arguments of a pool-define."""
    kind = TYPES[arguments["type"]]
    root = etree.Element("pool", type=kind.name)
    _text(root, "name", arguments["name"])
    _text(root, "uuid", arguments["uuid"])
    source = _source(arguments)
    if len(source):
        root.append(source)
    path = _target_path(arguments)
    if path:
        _text(etree.SubElement(root, "target"), "path", path)
    return etree.tostring(root, encoding="unicode", pretty_print=True)


def source_spec(arguments: Arguments) -> str:
    """``<source>`` that says where to look for pools' sources."""
    return etree.tostring(_source(arguments), encoding="unicode")


def secret(arguments: Arguments) -> str:
    """``<secret>`` that holds the password of a pool."""
    usage, element = USAGE[TYPES[arguments["type"]].auth]
    # private: libvirt itself never tells it again.
    root = etree.Element("secret", ephemeral="no", private="yes")
    _text(root, "uuid", secret_uuid(arguments["uuid"]))
    _text(root, "description", f"kvmdash: pool {arguments['name']}")
    _text(etree.SubElement(root, "usage", type=usage), element, f"kvmdash-{arguments['uuid']}")
    return etree.tostring(root, encoding="unicode")


def secret_uuid(pool_uuid: str) -> str:
    """The secret of a pool is found by the pool's own UUID."""
    return str(uuid.uuid5(uuid.UUID(pool_uuid), "secret"))


def _source(arguments: Arguments) -> etree._Element:
    kind = TYPES[arguments["type"]]
    source = etree.Element("source")
    for host in arguments.get("hosts") or ([arguments["host"]] if arguments.get("host") else []):
        name, port = _port(host)
        element = etree.SubElement(source, "host", name=name)
        if port or arguments.get("port"):
            element.set("port", str(port or arguments["port"]))
    for device in arguments.get("devices") or [arguments[name] for name in ("device", "target") if arguments.get(name)]:
        etree.SubElement(source, "device", path=device)
    if arguments.get("folder"):
        etree.SubElement(source, "dir", path=arguments["folder"])
    _adapter(source, arguments)
    if arguments.get("initiator"):
        etree.SubElement(etree.SubElement(source, "initiator"), "iqn", name=arguments["initiator"])
    if arguments.get("username"):
        auth = etree.SubElement(source, "auth", type=kind.auth, username=arguments["username"])
        etree.SubElement(auth, "secret", uuid=secret_uuid(arguments["uuid"]))
    if arguments.get("source_name"):
        _text(source, "name", arguments["source_name"])
    if arguments.get("format"):
        etree.SubElement(source, "format", type=arguments["format"])
    elif kind.name == "logical":
        etree.SubElement(source, "format", type="lvm2")
    return source


def _port(host: str) -> tuple[str, str]:
    """``name:port`` of a Ceph monitor; colons of an IPv6 address belong to its name, which stands in brackets then."""
    if host.startswith("["):
        name, _bracket, rest = host[1:].partition("]")
        return name, rest.removeprefix(":")
    if host.count(":") == 1:
        name, _colon, port = host.partition(":")
        return name, port
    return host, ""


def _adapter(source: etree._Element, arguments: Arguments) -> None:
    if arguments.get("adapter"):
        etree.SubElement(source, "adapter", type="scsi_host", name=arguments["adapter"].removeprefix("scsi_"))
    elif arguments.get("wwnn"):
        etree.SubElement(source, "adapter", type="fc_host", wwnn=arguments["wwnn"], wwpn=arguments["wwpn"])


def _target_path(arguments: Arguments) -> str:
    kind = arguments["type"]
    if kind == "logical":
        return f"/dev/{arguments['source_name']}"
    if kind == "mpath":
        return "/dev/mapper"
    return str(arguments.get("path") or TYPES[kind].path) if "path" in TYPES[kind].fields else ""


def _text(parent: etree._Element, tag: str, text: str) -> None:
    etree.SubElement(parent, tag).text = text


def virsh(arguments: Arguments) -> str:
    """The commands that define the pool, without its password."""
    options = {
        "--source-host": ",".join(arguments.get("hosts") or []) or arguments.get("host"),
        "--source-path": arguments.get("folder"),
        "--source-dev": arguments.get("device") or arguments.get("target") or ",".join(arguments.get("devices") or []),
        "--source-name": arguments.get("source_name"),
        "--source-format": arguments.get("format"),
        "--source-initiator": arguments.get("initiator"),
        "--adapter-name": arguments.get("adapter"),
        "--adapter-wwnn": arguments.get("wwnn"),
        "--adapter-wwpn": arguments.get("wwpn"),
        "--auth-type": TYPES[arguments["type"]].auth if arguments.get("username") else None,
        "--auth-username": arguments.get("username"),
        "--secret-uuid": secret_uuid(arguments["uuid"]) if arguments.get("username") else None,
        "--target": _target_path(arguments),
    }
    name = arguments["name"]
    words = [word for option, value in options.items() if value for word in (option, str(value))]
    lines = [shlex.join(["virsh", "pool-define-as", name, arguments["type"], *words])]
    if arguments.get("username"):
        lines[:0] = [
            "virsh secret-define secret.xml",
            f"virsh secret-set-value {secret_uuid(arguments['uuid'])} --interactive",
        ]
    for wanted, command in (("build", "pool-build"), ("start", "pool-start"), ("autostart", "pool-autostart")):
        lines += [shlex.join(["virsh", command, name])] if arguments.get(wanted) else []
    return "\n".join(lines)
