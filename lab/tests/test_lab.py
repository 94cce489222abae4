"""The lab itself: one lab for the whole module, with a name of its own."""

from __future__ import annotations

import base64
import json
import os
import shutil
import socket
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from lab import Lab, LabError
from lab.commands import attempt, wait_until

NEEDED = ("ip", "libvirtd", "virsh", "qemu-system-x86_64", "qemu-nbd", "iptables", "sshd", "gcc")


def why_not() -> str:
    """What keeps the lab from running here, if anything does."""
    if os.geteuid() != 0:
        return "the lab needs root"
    path = f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin"
    missing = [name for name in NEEDED if not shutil.which(name, path=path)]
    return f"not installed: {', '.join(missing)}" if missing else ""


pytestmark = [
    pytest.mark.lab,
    pytest.mark.skipif(bool(why_not()), reason=why_not() or "everything is there"),
]


@pytest.fixture(scope="module")
def lab() -> Iterator[Lab]:
    made = Lab(f"test-{os.getpid()}")
    try:
        made.up(hosts=3, guests=6)
        yield made
    finally:
        made.down()


def agent(lab: Lab, host: str, guest: str, command: str, **arguments: Any) -> Any:
    """One call of the guest agent; None while it does not answer."""
    call = json.dumps({"execute": command, "arguments": arguments})
    done = lab.host(host).virsh("qemu-agent-command", guest, call, timeout=20)
    return json.loads(done.stdout)["return"] if done.returncode == 0 else None


def wait_for_agent(lab: Lab, host: str, guest: str) -> None:
    """Until the guest has booted."""
    wait_until(lambda: agent(lab, host, guest, "guest-ping") is not None, f"the agent of {guest} answers", 90, step=0.3)


def run_in_guest(lab: Lab, host: str, guest: str, *command: str) -> str:
    """A program in the guest, started by the agent; returns what it printed."""
    started = agent(lab, host, guest, "guest-exec", path=command[0], arg=list(command[1:]), **{"capture-output": True})
    result: dict[str, Any] = {}

    def ended() -> bool:
        result.update(agent(lab, host, guest, "guest-exec-status", pid=started["pid"]))
        return bool(result["exited"])

    wait_until(ended, f"{command[0]} ends in {guest}", 30, step=0.2)
    return base64.b64decode(result.get("out-data", "")).decode()


def migrate(lab: Lab, guest: str, source: str, target: str, *flags: str) -> None:
    """Peer to peer and live, with its definition."""
    peer = lab.hosts[target].peer_uri
    lab.virsh(source, "migrate", "--live", "--p2p", "--persistent", "--undefinesource", *flags, guest, peer)


def reachable(lab: Lab, host: str) -> bool:
    """Whether libvirtd answers over the network."""
    return attempt(["virsh", "-c", lab.hosts[host].peer_uri, "uri"], timeout=4).returncode == 0


def test_the_guests_boot_and_answer_the_agent(lab: Lab) -> None:
    for guest, facts in lab.facts["guests"].items():
        if facts["running"]:
            wait_for_agent(lab, facts["host"], guest)
            assert run_in_guest(lab, facts["host"], guest, "/bin/hostname").strip() == guest


def test_the_other_guests_are_defined_and_shut_off(lab: Lab) -> None:
    states = {guest: lab.state(facts["host"], guest) for guest, facts in lab.facts["guests"].items()}
    assert {guest for guest, state in states.items() if state == "shut off"} == {"build-1", "dirty-1"}


def test_every_host_answers_on_its_own_transport(lab: Lab) -> None:
    for name, facts in lab.facts["hosts"].items():
        uri = facts["uri"]
        if facts["transport"] == "ssh":
            # The plain URI would look for the host key in the caller's own known_hosts.
            uri += f"&command={facts['ssh']['command']}"
        done = attempt(["virsh", "-c", uri, "hostname"], timeout=20)
        assert done.stdout.strip() == name, done.stderr


def test_a_guest_gets_an_address_by_dhcp(lab: Lab) -> None:
    prefix = lab.facts["hosts"]["kvm1"]["nat_subnet"].rsplit(".", 1)[0]
    mac = lab.facts["guests"]["web-1"]["mac"]

    def leased() -> bool:
        lines = [line for line in lab.virsh("kvm1", "net-dhcp-leases", "default").splitlines() if mac in line]
        return any(f" {prefix}." in line for line in lines)

    wait_until(leased, "web-1 has a lease", 60, step=0.3)
    wait_for_agent(lab, "kvm1", "web-1")

    def has_set_it() -> bool:
        return f"inet {prefix}." in run_in_guest(lab, "kvm1", "web-1", "/bin/ip", "-4", "address", "show", "eth0")

    wait_until(has_set_it, "web-1 has set its address", 20, step=0.3)


def test_a_console_with_a_password_asks_for_it(lab: Lab) -> None:
    display = int(lab.virsh("kvm1", "vncdisplay", "web-2").rpartition(":")[2])
    with socket.create_connection((lab.hosts["kvm1"].address, 5900 + display), timeout=5) as connection:
        connection.sendall(connection.recv(12))
        count, *kinds = connection.recv(16)
    assert (count, kinds) == (1, [2])  # one way to log in: "VNC authentication"


def test_kvm3_shows_its_consoles_on_its_own_loopback_only(lab: Lab) -> None:
    assert lab.virsh("kvm3", "vncdisplay", "cache-1").startswith("127.0.0.1:")


def test_peer_to_peer_live_migration_moves_a_guest(lab: Lab) -> None:
    wait_for_agent(lab, "kvm3", "cache-1")
    before = float(run_in_guest(lab, "kvm3", "cache-1", "/bin/cat", "/proc/uptime").split()[0])
    migrate(lab, "cache-1", "kvm3", "kvm2")
    assert lab.state("kvm2", "cache-1") == "running"
    assert "cache-1" not in lab.virsh("kvm3", "list", "--all", "--name").split()
    wait_for_agent(lab, "kvm2", "cache-1")
    assert float(run_in_guest(lab, "kvm2", "cache-1", "/bin/cat", "/proc/uptime").split()[0]) >= before
    migrate(lab, "cache-1", "kvm2", "kvm3")


def test_a_guest_on_a_network_disk_migrates_without_unsafe(lab: Lab) -> None:
    wait_for_agent(lab, "kvm2", "db-1")
    assert "/dev/vda /data" in run_in_guest(lab, "kvm2", "db-1", "/bin/cat", "/proc/mounts")
    migrate(lab, "db-1", "kvm2", "kvm1")
    wait_for_agent(lab, "kvm1", "db-1")
    run_in_guest(lab, "kvm1", "db-1", "/bin/sh", "-c", "echo moved > /data/moved; sync")
    migrate(lab, "db-1", "kvm1", "kvm2")
    wait_for_agent(lab, "kvm2", "db-1")
    assert run_in_guest(lab, "kvm2", "db-1", "/bin/cat", "/data/moved") == "moved\n"


def test_a_guest_in_the_shared_folder_migrates_only_as_unsafe(lab: Lab) -> None:
    wait_for_agent(lab, "kvm1", "web-1")
    with pytest.raises(LabError, match="Unsafe migration"):
        migrate(lab, "web-1", "kvm1", "kvm2")
    migrate(lab, "web-1", "kvm1", "kvm2", *lab.facts["guests"]["web-1"]["migratable_with"]["flags"])
    assert lab.state("kvm2", "web-1") == "running"
    migrate(lab, "web-1", "kvm2", "kvm1", "--unsafe")


def test_the_power_button_shuts_a_guest_down(lab: Lab) -> None:
    wait_for_agent(lab, "kvm1", "web-1")
    lab.virsh("kvm1", "shutdown", "web-1", "--mode", "acpi")
    wait_until(lambda: lab.state("kvm1", "web-1") == "shut off", "web-1 shuts down", 60, step=0.3)
    lab.up(hosts=3, guests=6)
    assert lab.state("kvm1", "web-1") == "running"


def test_the_memory_dirtier_dirties_memory(lab: Lab) -> None:
    lab.virsh("kvm1", "start", "dirty-1")
    wait_for_agent(lab, "kvm1", "dirty-1")
    agent(lab, "kvm1", "dirty-1", "guest-exec", path="/sbin/dirty", arg=["50", "100"])

    def rate() -> int:
        lab.virsh("kvm1", "domdirtyrate-calc", "dirty-1", "--seconds", "1")
        wait_until(lambda: "calc_status=2" in lab.virsh("kvm1", "domstats", "--dirtyrate", "dirty-1"), "a rate", 10)
        shown = lab.virsh("kvm1", "domstats", "--dirtyrate", "dirty-1")
        return int(shown.partition("megabytes_per_second=")[2].split()[0])

    wait_until(lambda: rate() >= 25, "memory is dirtied at half the rate asked for, at least", 20)
    lab.virsh("kvm1", "destroy", "dirty-1")


def test_a_cut_host_is_out_of_reach_until_it_joins(lab: Lab) -> None:
    assert reachable(lab, "kvm2")
    lab.cut("kvm2")
    assert not reachable(lab, "kvm2")
    assert lab.state("kvm2", "db-1") == "running"
    lab.join("kvm2")
    wait_until(lambda: reachable(lab, "kvm2"), "kvm2 is back", 30)


def test_a_frozen_libvirtd_accepts_and_says_nothing_until_it_is_thawed(lab: Lab) -> None:
    lab.freeze("kvm1")
    with socket.create_connection((lab.hosts["kvm1"].address, 16509), timeout=5):
        assert not reachable(lab, "kvm1")
    assert lab.status()["hosts"]["kvm1"]["libvirtd"] == "frozen"
    lab.thaw("kvm1")
    assert reachable(lab, "kvm1")


def test_guests_survive_their_libvirtd(lab: Lab) -> None:
    wait_for_agent(lab, "kvm1", "web-2")
    lab.kill("kvm1")
    assert lab.status()["hosts"]["kvm1"]["libvirtd"] == "stopped"
    lab.restart("kvm1")
    assert lab.state("kvm1", "web-2") == "running"
    lab.restart("kvm1")
    assert lab.state("kvm1", "web-2") == "running"
    wait_for_agent(lab, "kvm1", "web-2")


def test_a_throttled_link_is_slow(lab: Lab) -> None:
    lab.throttle("kvm1", "8mbit")
    shown = attempt(["tc", "qdisc", "show", "dev", lab.facts["hosts"]["kvm1"]["link"]]).stdout
    assert "tbf" in shown and "8Mbit" in shown
    lab.unthrottle("kvm1")
    assert "tbf" not in attempt(["tc", "qdisc", "show", "dev", lab.facts["hosts"]["kvm1"]["link"]]).stdout


def test_a_host_without_power_comes_back_with_its_definitions(lab: Lab) -> None:
    guests = set(lab.virsh("kvm3", "list", "--all", "--name").split())
    lab.unplug("kvm3")
    assert not reachable(lab, "kvm3")
    assert lab.status()["hosts"]["kvm3"]["power"] is False
    with pytest.raises(LabError, match="unplugged"):
        lab.virsh("kvm3", "list")
    lab.plug("kvm3")
    assert reachable(lab, "kvm3")
    assert set(lab.virsh("kvm3", "list", "--all", "--name").split()) == guests
    assert lab.state("kvm3", "cache-1") == "shut off"
    assert "default" in lab.virsh("kvm3", "net-list", "--name")


def test_the_command_line_hands_on_output_and_exit_codes(lab: Lab) -> None:
    def command(*words: str) -> subprocess.CompletedProcess[str]:
        return attempt(["python3", "-m", "lab", words[0], "--name", lab.name, *words[1:]])

    assert command("virsh", "kvm1", "domstate", "web-2").stdout.strip() == "running"
    assert command("virsh", "kvm1", "domstate", "nobody").returncode == 1
    assert command("exec", "kvm2", "hostname").stdout.strip() == "kvm2"
    assert command("cut", "kvm9").returncode == 1


def test_down_leaves_nothing_behind(lab: Lab) -> None:
    names, directory = lab.names, str(lab.directory)
    shared = lab.facts["nbd"]["db-1"]["pid"]
    firsts = [facts["pid"] for facts in lab.facts["hosts"].values()]
    lab.down()
    assert not lab.directory.exists()
    # The machine's own first process clears up the hosts' ones, in its own time.
    pids = [Path(f"/proc/{pid}") for pid in (*firsts, shared)]
    wait_until(lambda: not any(pid.exists() for pid in pids), "the processes are gone", 10)
    assert [name for name in os.listdir("/sys/class/net") if name.startswith(names.short)] == []
    assert [name for name in os.listdir("/run/netns") if name.startswith(f"kvmdash-{lab.name}-")] == []
    assert list(Path("/sys/fs/cgroup").rglob(names.cgroup)) == []
    assert directory not in Path("/proc/self/mountinfo").read_text()
    assert processes_that_mention(directory) == []
    lab.down()


def processes_that_mention(text: str) -> list[str]:
    """The command lines that name a folder."""
    found = []
    for file in Path("/proc").glob("[0-9]*/cmdline"):
        try:
            line = file.read_bytes().replace(b"\0", b" ").decode(errors="replace")
        except (FileNotFoundError, ProcessLookupError):
            continue
        if text in line:
            found.append(line)
    return found
