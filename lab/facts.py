"""What is told of a lab: lab.json for programs, and its state now."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from lab import guests, keys, network
from lab.host import Host
from lab.names import MACHINE, address
from lab.processes import Process

if TYPE_CHECKING:
    from lab.lab import Lab


def of(lab: Lab) -> dict[str, Any]:
    """What lab.json says."""
    return {
        "name": lab.name,
        "directory": str(lab.directory),
        "machine_address": address(lab.options.subnet, MACHINE),
        "bridge": lab.names.bridge,
        "no_peer": lab.options.no_peer,
        "hosts": {host.name: _host(lab, host) for host in lab.hosts.values()},
        "guests": {plan.name: _guest(lab, plan) for plan in lab.plans.values()},
        "nbd": {plan.name: _nbd(lab, plan) for plan in lab.plans.values() if plan.disk == "nbd"},
    }


def _host(lab: Lab, host: Host) -> dict[str, Any]:
    """A host in lab.json."""
    first = host.first
    facts: dict[str, Any] = {
        "address": host.address,
        "uri": host.uri,
        "transport": host.transport,
        "peer_uri": host.peer_uri,
        "pid": first.pid if first else None,
        "netns": host.netns,
        "link": lab.names.link(host.number),
        "vnc_listen": host.vnc_listen,
        "directory": str(host.directory),
        "nat_subnet": f"192.168.{120 + host.number}.0/24",
        "pools": {"local": "/var/lib/libvirt/images", "shared": str(lab.shared)},
    }
    if host.transport == "tls":
        client = host.pki / "client"
        files = {"cacert": "cacert.pem", "clientcert": "clientcert.pem", "clientkey": "clientkey.pem"}
        facts["tls"] = {"pkipath": str(client), **{key: str(client / name) for key, name in files.items()}}
    if host.transport == "ssh":
        facts["ssh_host_key"] = host.ssh_host_key
        facts["ssh"] = {
            "keyfile": str(host.ssh / "id_ed25519"),
            "host_key": host.ssh_host_key,
            "user": "root",
            "port": 22,
        }
        facts["ssh"] |= {"known_hosts": str(host.ssh / "known_hosts"), "command": str(host.ssh / "ssh")}
    if host.sasl:
        password = (lab.directory / "sasl-password").read_text()
        facts["sasl"] = {"user": keys.SASL_USER, "password": password, "mechanism": "DIGEST-MD5"}
    return facts


def _guest(lab: Lab, plan: guests.Plan) -> dict[str, Any]:
    """A guest in lab.json."""
    # libvirt takes the shared folder for a local one, because its file system is a local one.
    flags = ["--unsafe"] if plan.disk == "shared" else []
    facts: dict[str, Any] = {
        "uuid": guests.guest_uuid(lab.name, plan.name),
        "host": f"kvm{plan.host}",
        "running": plan.running,
        "memory_mib": plan.memory_mib,
        "machine": plan.machine,
        "mac": guests.mac(lab.name, plan.name),
        "disk": plan.disk or None,
        "migratable_with": {"flags": flags},
    }
    if plan.password:
        facts["vnc_password"] = (lab.directory / "vnc-password").read_text()
    return facts


def _nbd(lab: Lab, plan: guests.Plan) -> dict[str, Any]:
    """A served disk in lab.json."""
    process = Process.read(lab.nbd_file(plan).with_suffix(".pid"))
    where = address(lab.options.subnet, MACHINE)
    facts = {
        "address": where,
        "port": guests.NBD_PORT,
        "export": plan.name,
        "pid": process.pid if process else None,
    }
    return {**facts, "uri": f"nbd://{where}:{guests.NBD_PORT}/{plan.name}"}


def status(lab: Lab) -> dict[str, Any]:
    """What is up now, asked of the hosts and not of lab.json."""
    seen: dict[str, Any] = {}
    for host in lab.hosts.values():
        libvirtd = host.libvirtd
        entry: dict[str, Any] = {
            "power": host.running,
            "link": network.link_is_up(lab.names, host.number),
            "libvirtd": _libvirtd_word(libvirtd),
            "uri": host.uri,
            "guests": {},
        }
        if entry["libvirtd"] == "running":
            for name in host.virsh("list", "--all", "--name", timeout=10).stdout.split():
                entry["guests"][name] = host.virsh("domstate", name, timeout=10).stdout.strip()
        seen[host.name] = entry
    return {"name": lab.name, "directory": str(lab.directory), "hosts": seen}


def _libvirtd_word(process: Process | None) -> str:
    """libvirtd's state in one word."""
    if process is None:
        return "stopped"
    try:
        status = Path(f"/proc/{process.pid}/status").read_text()
    except FileNotFoundError:
        return "stopped"
    return "frozen" if "State:\tT" in status else "running"
