"""Open vSwitch on one host of the lab, started only for those who ask for it.

It runs without its kernel module: packets go through the program itself (the "netdev" datapath). Database, sockets and logs are
in the host's own /run, so that they go with the host, and libvirt finds `ovs-vsctl` and its database where they usually are.
"""

from __future__ import annotations

import shlex
from pathlib import Path

from lab.commands import attempt, run
from lab.errors import LabError
from lab.host import Host
from lab.install import unpacked_directory

RUN = Path("/run/openvswitch")
#: on the path of libvirtd in the hosts, see boot.py
TOOLS = Path("/run/bin")


def files() -> dict[str, Path]:
    """Where the unpacked packages have what is needed."""
    common, own = (
        unpacked_directory() / "openvswitch-common" / "usr",
        unpacked_directory() / "openvswitch-switch" / "usr",
    )
    return {
        "ovsdb-server": common / "sbin/ovsdb-server",
        "ovsdb-tool": common / "bin/ovsdb-tool",
        "ovs-appctl": common / "bin/ovs-appctl",
        "ovs-vsctl": own / "bin/ovs-vsctl",
        "ovs-vswitchd": own / "lib/openvswitch-switch/ovs-vswitchd",
        "schema": own / "share/openvswitch/vswitch.ovsschema",
        "libraries": unpacked_directory() / "libxdp1/usr/lib/x86_64-linux-gnu",
    }


def start(host: Host, bridge: str) -> None:
    """Start it on the host with one bridge; once is enough until the host loses its power."""
    found = files()
    here = Path(f"/proc/{host.powered().pid}/root")
    for folder in (RUN, TOOLS):
        (here / folder.relative_to("/")).mkdir(exist_ok=True)
    for name in ("ovsdb-server", "ovsdb-tool", "ovs-appctl", "ovs-vsctl", "ovs-vswitchd"):
        tool = here / TOOLS.relative_to("/") / name
        words = f"LD_LIBRARY_PATH={shlex.quote(str(found['libraries']))} exec {shlex.quote(str(found[name]))}"
        tool.write_text(f'#!/bin/sh\n{words} "$@"\n')
        tool.chmod(0o755)

    def inside(tool: str, *words: str | Path) -> None:
        run(host.inside([TOOLS / tool, *words]))

    database, socket = RUN / "conf.db", f"unix:{RUN / 'db.sock'}"
    apart = ("--detach", "--no-chdir")
    inside("ovsdb-tool", "create", database, found["schema"])
    logs = [f"--log-file={RUN / 'ovsdb-server.log'}", f"--pidfile={RUN / 'ovsdb-server.pid'}"]
    inside("ovsdb-server", database, f"--remote=p{socket}", *logs, *apart)
    inside("ovs-vsctl", "--no-wait", "init")
    logs = [f"--log-file={RUN / 'ovs-vswitchd.log'}", f"--pidfile={RUN / 'ovs-vswitchd.pid'}"]
    inside("ovs-vswitchd", socket, *logs, *apart)
    inside("ovs-vsctl", "--timeout=30", "add-br", bridge, "--", "set", "bridge", bridge, "datapath_type=netdev")


def stop(host: Host) -> None:
    """End it, with its bridges."""
    for name in ("ovs-vswitchd", "ovsdb-server"):
        done = attempt(host.inside([TOOLS / "ovs-appctl", "-t", f"{RUN / name}.{_pid(host, name)}.ctl", "exit"]))
        if done.returncode != 0:
            raise LabError(f"{name} of {host.name} did not end: {done.stderr.strip()}")


def _pid(host: Host, name: str) -> str:
    return run(host.inside(["cat", f"{RUN / name}.pid"])).strip()


def ask(host: Host, *words: str) -> str:
    """What `ovs-vsctl` tells there."""
    return run(host.inside([TOOLS / "ovs-vsctl", "--timeout=10", *words])).strip()
