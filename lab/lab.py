"""The lab as a whole: up and down. What can be done to its hosts is in deeds.py."""

from __future__ import annotations

import fcntl
import json
import re
import shutil
import signal
import subprocess
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import asdict
from pathlib import Path
from typing import Any

from lab import cloud, facts, guests, image, install, keys, network
from lab.commands import attempt, run, say, wait_until
from lab.deeds import Deeds
from lab.errors import LabError
from lab.host import Host, Options
from lab.names import MACHINE, Names, address, base_directory, cache_directory, check_name
from lab.processes import Process

DISK_SIZE = "64M"


class Lab(Deeds):
    """One lab, up or not. `Lab("name").up()` brings it up; the other methods act on it."""

    def __init__(self, name: str = "lab") -> None:
        self.name = check_name(name)
        self.names = Names(self.name)
        self.directory = self.names.directory
        self.shared = self.directory / "shared"
        self.children: list[subprocess.Popen[bytes]] = []

    # --- what is known about it ---------------------------------------------------------------------------------

    @property
    def exists(self) -> bool:
        """Whether `up` was begun and `down` has not yet finished."""
        return (self.directory / "options.json").exists()

    @property
    def options(self) -> Options:
        """What it was brought up with."""
        try:
            return Options(**json.loads((self.directory / "options.json").read_text()))
        except FileNotFoundError:
            raise LabError(
                f"there is no lab {self.name!r}; bring it up with: python3 -m lab up --name {self.name}"
            ) from None

    @property
    def hosts(self) -> dict[str, Host]:
        """Its hosts by name."""
        options = self.options
        found = [Host(self.names, number, options) for number in range(1, options.hosts + 1)]
        return {host.name: host for host in found}

    def host(self, name: str) -> Host:
        """One host."""
        hosts = self.hosts
        if name not in hosts:
            raise LabError(f"lab {self.name!r} has no host {name!r}; it has {', '.join(hosts)}")
        return hosts[name]

    @property
    def plans(self) -> dict[str, guests.Plan]:
        """Its guests as they were planned."""
        options = self.options
        return {plan.name: plan for plan in guests.plans(options.guests, options.hosts)}

    @property
    def facts(self) -> dict[str, Any]:
        """lab.json."""
        try:
            found: dict[str, Any] = json.loads((self.directory / "lab.json").read_text())
        except FileNotFoundError:
            raise LabError(f"lab {self.name!r} is not up") from None
        return found

    def cloud_image(self) -> Path:
        """A disk image that boots by itself and takes its name from a cloud-init seed; to be copied, not used."""
        with self.all_labs_locked():
            return cloud.build(" ".join(guests.COMMAND_LINE))

    def signed_image(self) -> Path:
        """The same for guests with UEFI; everything in it is signed, so that it boots under Secure Boot."""
        with self.all_labs_locked():
            return cloud.build(" ".join(guests.COMMAND_LINE), cloud.by_uefi)

    # --- up and down --------------------------------------------------------------------------------------------

    def up(self, hosts: int = 3, guests: int = 6, sasl: bool = False, no_peer: str = "") -> dict[str, Any]:
        """Bring up the lab, or whatever is missing of it; returns what lab.json says."""
        with self.locked():
            fresh = not self.exists
            try:
                self.bring_up(hosts, guests, sasl, no_peer)
            except KeyboardInterrupt:
                if fresh:
                    say("lab: interrupted; taking down what was made")
                    self.take_down()
                raise
        return self.facts

    def bring_up(self, hosts: int, guests: int, sasl: bool, no_peer: str) -> None:
        """The steps of `up`."""
        began = time.monotonic()
        self.choose_options(hosts, guests, sasl, no_peer)
        with self.all_labs_locked():
            install.install()
            picture = image.build()
        say(f"lab: {self.name} uses {address(self.options.subnet, 0)}/24, files in {self.directory}")
        self.make_keys()
        network.add_bridge(self.names, self.options.subnet)
        self.serve_disks()
        self.each_host(self.bring_up_host)
        next(iter(self.hosts.values())).keep_capabilities()
        say(f"lab: every libvirtd answers ({time.monotonic() - began:.1f} s)")
        self.define_guests(picture)
        self.write_facts()
        say(f"lab: up ({time.monotonic() - began:.1f} s)")

    def choose_options(self, hosts: int, guests: int, sasl: bool, no_peer: str) -> None:
        """Fix what this lab is, or check that it is what is asked for."""
        if hosts < 1 or hosts > 100 or guests < 0:
            raise LabError("a lab has 1 to 100 hosts and no fewer than 0 guests")
        if self.exists:
            old = self.options
            if old != Options(old.subnet, hosts, guests, sasl, no_peer):
                raise LabError(f"lab {self.name!r} is up with other options ({asdict(old)}); take it down first")
            return
        with self.all_labs_locked():
            subnet = network.choose_subnet(self.names.preferred_subnet, taken_subnets())
            self.directory.mkdir(parents=True, exist_ok=True)
            self.shared.mkdir(exist_ok=True)
            options = Options(subnet, hosts, guests, sasl, no_peer)
            (self.directory / "options.json").write_text(json.dumps(asdict(options)))

    def make_keys(self) -> None:
        """Certificates, ssh keys and passwords, made once."""
        authority = self.directory / "pki" / "authority"
        ssh = self.directory / "ssh"
        keys.make_ssh_key(ssh / "id_ed25519", f"lab {self.name}")
        if not (self.directory / "sasl-password").exists():
            keys.write_secret(self.directory / "sasl-password", keys.new_password() + keys.new_password())
        if not (self.directory / "vnc-password").exists():
            keys.write_secret(self.directory / "vnc-password", keys.new_password())
        done = self.directory / "pki" / ".complete"
        if not done.exists():
            keys.make_authority(authority)
            keys.issue(authority, self.directory / "pki" / "client", "client", "lab client")
            for host in self.hosts.values():
                alternatives = f"IP:{host.address},DNS:{host.name}"
                keys.issue_for_qemu(authority, self.directory / "pki" / f"{host.name}-qemu", host.name, alternatives)
                if host.transport == "tls":
                    keys.issue(authority, self.directory / "pki" / host.name, "server", host.name, alternatives)
            done.touch()
        self.write_ssh_client()

    def write_ssh_client(self) -> None:
        """An ssh that knows the lab's host keys and leaves the caller's own known_hosts alone."""
        ssh = self.directory / "ssh"
        known = [f"{host.address} {host.ssh_host_key}\n" for host in self.hosts.values() if host.transport == "ssh"]
        (ssh / "known_hosts").write_text("".join(known))
        lines = [
            f"UserKnownHostsFile {ssh / 'known_hosts'}",
            "StrictHostKeyChecking yes",
            f"IdentityFile {ssh / 'id_ed25519'}",
        ]
        (ssh / "config").write_text("\n".join([*lines, "IdentitiesOnly yes", "BatchMode yes"]) + "\n")
        (ssh / "ssh").write_text(f'#!/bin/sh\nexec ssh -F {ssh / "config"} "$@"\n')
        (ssh / "ssh").chmod(0o755)

    def each_host(self, action: Callable[[Host], None]) -> None:
        """Do the same on all hosts at once."""
        hosts = list(self.hosts.values())
        with ThreadPoolExecutor(max_workers=min(len(hosts), 8)) as pool:
            list(pool.map(action, hosts))

    def bring_up_host(self, host: Host) -> None:
        """Boot a host that is not running; undo what was done to one that is."""
        if not host.running:
            say(f"lab: booting {host.name} ({host.transport}, {host.address})")
            host.configure()
            host.boot()
        network.set_link(self.names, host.number, up=True)
        process = host.libvirtd
        if process:
            process.send(signal.SIGCONT)
        host.start_libvirtd()
        self.define_resources(host)

    def define_resources(self, host: Host) -> None:
        """The network and the two pools every host has."""
        folder = host.directory / "define"
        folder.mkdir(exist_ok=True)
        pools = {"local": "/var/lib/libvirt/images", "shared": str(self.shared)}
        for name, path in pools.items():
            (folder / f"{name}.xml").write_text(guests.pool_xml(name, path))
            self.define(host, "pool", name, folder / f"{name}.xml")
        (folder / "network.xml").write_text(guests.network_xml(host.number))
        self.define(host, "net", "default", folder / "network.xml")

    def define(self, host: Host, kind: str, name: str, file: Path) -> None:
        """Define, start and autostart a network or a pool."""
        if host.virsh(f"{kind}-info", name).returncode != 0:
            self.virsh(host.name, f"{kind}-define", str(file))
            self.virsh(host.name, f"{kind}-autostart", name)
        active = re.compile(r"^(Active: +yes|State: +running)$", re.MULTILINE)
        if not active.search(host.virsh(f"{kind}-info", name).stdout):
            self.virsh(host.name, f"{kind}-start", name)

    def serve_disks(self) -> None:
        """Make the guests' disks, and serve the network disk from the machine's own address."""
        for plan in self.plans.values():
            file = self.shared / f"{plan.name}.qcow2" if plan.disk == "shared" else self.nbd_file(plan)
            if plan.disk and not file.exists():
                run(["qemu-img", "create", "-q", "-f", "qcow2", file, DISK_SIZE])
            if plan.disk == "nbd":
                self.serve(plan, file)

    def nbd_file(self, plan: guests.Plan) -> Path:
        """What the disk server of a guest has open; no host's pool shows it."""
        (self.directory / "nbd").mkdir(exist_ok=True)
        return self.directory / "nbd" / f"{plan.name}.qcow2"

    def serve(self, plan: guests.Plan, file: Path) -> None:
        """Start a disk server unless it is running. It takes several clients: a migration needs two at once."""
        pid_file = file.with_suffix(".pid")
        old = Process.read(pid_file)
        if old and old.alive:
            return
        where = ["--bind", address(self.options.subnet, MACHINE), "--port", str(guests.NBD_PORT)]
        what = ["--export-name", plan.name, "--format", "qcow2", "--persistent", "--shared", "0", str(file)]
        with (self.directory / "nbd" / "server.log").open("ab") as log:
            server = subprocess.Popen(
                ["qemu-nbd", *where, *what], stdin=subprocess.DEVNULL, stdout=log, stderr=log, start_new_session=True
            )
        self.children.append(server)
        process = Process.of(server.pid)
        process.write(pid_file)
        socket = ["qemu-img", "info", f"nbd://{where[1]}:{guests.NBD_PORT}/{plan.name}"]

        def answers() -> bool:
            if server.poll() is not None:
                raise LabError(f"qemu-nbd ended at once; see {self.directory / 'nbd' / 'server.log'}")
            return attempt(socket).returncode == 0

        wait_until(answers, "the disk server answers", 10)

    def define_guests(self, picture: image.Image) -> None:
        """Define the guests that no host knows, and start those that are meant to run."""
        known = self.whereabouts()
        todo: dict[str, list[guests.Plan]] = {}
        for plan in self.plans.values():
            todo.setdefault(known.get(plan.name, f"kvm{plan.host}"), []).append(plan)

        def work(host: Host) -> None:
            for plan in todo.get(host.name, []):
                self.define_guest(host, plan, picture, plan.name in known)

        self.each_host(work)

    def define_guest(self, host: Host, plan: guests.Plan, picture: image.Image, known: bool) -> None:
        """One guest on one host."""
        password = (self.directory / "vnc-password").read_text() if plan.password else ""
        if not known:
            nbd = address(self.options.subnet, MACHINE)
            text = guests.domain_xml(plan, self.name, picture, self.shared, nbd, password)
            file = host.directory / "define" / f"{plan.name}.xml"
            keys.write_secret(file, text)
            self.virsh(host.name, "define", "--validate", str(file))
        if plan.running and self.state(host.name, plan.name) == "shut off":
            self.virsh(host.name, "start", plan.name)
            say(f"lab: {plan.name} started on {host.name}")

    def whereabouts(self) -> dict[str, str]:
        """Guest → host; where a guest is running counts more than where it is only defined."""
        found: dict[str, str] = {}
        for extra in ("--all", "--state-running"):
            for host in self.hosts.values():
                for name in host.virsh("list", "--name", extra).stdout.split():
                    found[name] = host.name
        return found

    def down(self) -> None:
        """Take everything down; safe after a half-failed `up`, and safe to do twice."""
        with self.locked():
            self.take_down()

    def take_down(self) -> None:
        """The steps of `down`."""
        if self.exists:
            self.each_host(lambda host: host.unplug())
        for file in sorted((self.directory / "nbd").glob("*.pid")):
            process = Process.read(file)
            if process:
                process.end(signal.SIGTERM)
        while self.children:
            # Only their parent can clear up those that this very program started.
            server = self.children.pop()
            server.terminate()
            server.wait(timeout=10)
        network.remove_bridge(self.names)
        shutil.rmtree(self.directory, ignore_errors=True)
        say(f"lab: {self.name} is down")

    @contextmanager
    def locked(self) -> Iterator[None]:
        """One `up` or `down` of this lab at a time."""
        with lock(cache_directory() / "locks" / self.name):
            yield

    @contextmanager
    def all_labs_locked(self) -> Iterator[None]:
        """Two labs that come up at the same time must not take the same subnet, or both fill the cache."""
        with lock(cache_directory() / "locks" / ".all"):
            yield

    def write_facts(self) -> None:
        """Write lab.json."""
        keys.write_secret(self.directory / "lab.json", json.dumps(facts.of(self), indent=2) + "\n")

    def status(self) -> dict[str, Any]:
        """What is up now, asked of the hosts and not of lab.json."""
        return facts.status(self)


@contextmanager
def lock(path: Path) -> Iterator[None]:
    """Hold a lock file; the kernel lets go of it when this process ends, however it ends."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield


def taken_subnets() -> set[int]:
    """The subnets of all labs here, those without a bridge at the moment included."""
    taken: set[int] = set()
    for file in base_directory().glob("*/options.json"):
        # A lab that is going down may be gone by now.
        with suppress(LabError):
            taken.add(Lab(file.parent.name).options.subnet)
    return taken
