"""One host: its folders and settings, its processes, and running things inside it."""

from __future__ import annotations

import json
import shutil
import signal
import subprocess
import sys
import uuid
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from lab import cgroups, guests, keys, network
from lab.commands import attempt, wait_until
from lab.errors import LabError
from lab.names import Names, address, cache_directory
from lab.processes import Process

TRANSPORTS = ("tcp", "tls", "ssh")


def setting(value: str | int | list[str]) -> str:
    """A value in libvirt's configuration syntax, which for these three types is JSON's."""
    return json.dumps(value)


@dataclass(frozen=True)
class Options:
    """What `up` was asked for; the same again when a host is plugged in later."""

    subnet: int
    hosts: int
    guests: int
    sasl: bool = False
    no_peer: str = ""  # "", "drop" or "reject"


class Host:
    """A host of the lab, whether it is running or not."""

    def __init__(self, names: Names, number: int, options: Options) -> None:
        self.names = names
        self.number = number
        self.options = options
        self.name = f"kvm{number}"
        self.address = address(options.subnet, number)
        self.transport = TRANSPORTS[number - 1] if number <= len(TRANSPORTS) else "tcp"
        self.directory = names.directory / "hosts" / self.name
        self.pki = names.directory / "pki"
        self.ssh = names.directory / "ssh"

    # --- what it is ---------------------------------------------------------------------------------------------

    @property
    def sasl(self) -> bool:
        """Whether its tcp port asks for the lab's user and password."""
        return self.options.sasl and self.number == 1

    @property
    def uri(self) -> str:
        """How the product reaches it."""
        if self.transport == "tls":
            return f"qemu+tls://{self.address}/system?pkipath={self.pki / 'client'}"
        if self.transport == "ssh":
            return f"qemu+ssh://root@{self.address}/system?keyfile={self.ssh / 'id_ed25519'}"
        return self.peer_uri

    @property
    def peer_uri(self) -> str:
        """How the other hosts reach it (peer-to-peer migration)."""
        return f"qemu+tcp://{self.address}/system"

    @property
    def vnc_listen(self) -> str:
        """kvm3's consoles answer only on its own loopback, as on a host that is reached by ssh alone."""
        return "127.0.0.1" if self.transport == "ssh" else self.address

    @property
    def ssh_host_key(self) -> str:
        """The public host key of its sshd."""
        return keys.make_ssh_key(self.directory / "ssh_host_ed25519_key", self.name)

    @property
    def netns(self) -> str:
        """Its network namespace."""
        return self.names.netns(self.number)

    # --- its folders and settings -------------------------------------------------------------------------------

    def configure(self) -> None:
        """Write everything its daemons read. The guests' definitions that are there already stay."""
        for folder in ("etc", "lib/images", "log/qemu", "cache/qemu/capabilities", "sasl", "tpm-ca"):
            (self.directory / folder).mkdir(parents=True, exist_ok=True)
        nwfilter = Path("/etc/libvirt/nwfilter")
        if nwfilter.is_dir():
            shutil.copytree(nwfilter, self.directory / "etc" / "nwfilter", dirs_exist_ok=True)
        self.write_libvirtd()
        self.write_qemu()
        self.write_sasl()
        everyone = [f"{address(self.options.subnet, n)} kvm{n}" for n in range(1, self.options.hosts + 1)]
        (self.directory / "hosts").write_text("\n".join(["127.0.0.1 localhost", *everyone]) + "\n")
        if self.transport == "ssh":
            self.write_sshd()
        # Asking QEMU what it can do takes libvirtd seconds; the answer is the same on every host of this machine.
        for file in (cache_directory() / "capabilities").glob("*.xml"):
            shutil.copy2(file, self.directory / "cache/qemu/capabilities" / file.name)

    def write_settings(self, name: str, values: dict[str, str | int | list[str]]) -> None:
        """One of libvirt's configuration files."""
        lines = [f"{key} = {setting(value)}\n" for key, value in values.items()]
        (self.directory / "etc" / name).write_text("".join(lines))

    def write_libvirtd(self) -> None:
        """libvirtd.conf: every host listens on tcp for its peers, kvm2 also on tls."""
        identity = uuid.uuid5(guests.SPACE, f"{self.names.lab}/{self.name}")
        values: dict[str, str | int | list[str]] = {
            "host_uuid": str(identity),
            "listen_addr": self.address,
            "listen_tcp": 1,
            "auth_tcp": "sasl" if self.sasl else "none",
            "listen_tls": 1 if self.transport == "tls" else 0,
            "unix_sock_rw_perms": "0700",
            "auth_unix_rw": "none",
            "auth_unix_ro": "none",
            "log_outputs": "2:file:/var/log/libvirt/libvirtd.log",
        }
        if self.transport == "tls":
            server = self.pki / self.name
            values["ca_file"] = str(server / "cacert.pem")
            values["cert_file"] = str(server / "servercert.pem")
            values["key_file"] = str(server / "serverkey.pem")
        self.write_settings("libvirtd.conf", values)

    def write_qemu(self) -> None:
        """qemu.conf: guests run as root and unconfined, and migrate over the lab's own network."""
        self.write_settings(
            "qemu.conf",
            {
                "user": "root",
                "group": "root",
                "security_driver": "none",
                "namespaces": [],
                "stdio_handler": "file",
                "remember_owner": 0,
                "swtpm_user": "root",
                "swtpm_group": "root",
                "migration_host": self.address,
                "migration_address": self.address,
                # How soon a move gives a silent peer up: 10 s, where libvirt's own 5 x 5 would take half a minute.
                "keepalive_interval": 2,
                "keepalive_count": 4,
                "migrate_tls_x509_cert_dir": str(self.pki / f"{self.name}-qemu"),
                "vnc_listen": self.vnc_listen,
            },
        )

    def write_sasl(self) -> None:
        """The SASL user on kvm1, and the means for every host to log in there when it migrates a guest to it."""
        # Of the mechanisms that need no Kerberos only DIGEST-MD5 encrypts, and on bare tcp libvirt insists on that.
        lines = ["mech_list: digest-md5", "sasldb_path: /etc/sasl2/passwd.db"]
        (self.directory / "sasl" / "libvirt.conf").write_text("\n".join(lines) + "\n")
        if not self.options.sasl:
            return
        password = (self.names.directory / "sasl-password").read_text().strip()
        if self.sasl:
            keys.make_sasl_database(self.directory / "sasl" / "passwd.db", self.name, password)
        first = address(self.options.subnet, 1)
        auth = [
            "[credentials-lab]",
            f"authname={keys.SASL_USER}",
            f"password={password}",
            f"[auth-libvirt-{first}]",
            "credentials=lab",
        ]
        keys.write_secret(self.directory / "etc" / "auth.conf", "\n".join(auth) + "\n")

    def write_sshd(self) -> None:
        """An sshd of its own; it takes the lab's key and nothing else."""
        key = self.directory / "ssh_host_ed25519_key"
        keys.make_ssh_key(key, self.name)
        lines = [
            f"ListenAddress {self.address}:22",
            f"HostKey {key}",
            f"AuthorizedKeysFile {self.ssh / 'id_ed25519.pub'}",
            "PidFile none",
            "PermitRootLogin prohibit-password",
            "PasswordAuthentication no",
            "KbdInteractiveAuthentication no",
            "UsePAM no",
            # The key files lie below a folder that anyone may write to, which sshd would refuse.
            "StrictModes no",
            "AllowTcpForwarding yes",
            "MaxStartups 200",
            # bash reads root's .bashrc in the first shell under sshd only; what stands there may wait for ever.
            "SetEnv SHLVL=1",
            "MaxSessions 200",
            "UseDNS no",
        ]
        (self.directory / "sshd_config").write_text("\n".join(lines) + "\n")

    # --- its power ----------------------------------------------------------------------------------------------

    @property
    def pid_file(self) -> Path:
        """Where the host's first process is remembered."""
        return self.directory / "first.pid"

    @property
    def first(self) -> Process | None:
        """Its first process, if the host is running."""
        process = Process.read(self.pid_file)
        return process if process and process.alive else None

    @property
    def running(self) -> bool:
        """Whether it has power."""
        return self.first is not None

    def powered(self) -> Process:
        """Its first process; an error if it has no power."""
        first = self.first
        if first is None:
            raise LabError(f"{self.name} is unplugged")
        return first

    def boot(self) -> None:
        """Start it: network namespace, cgroups, first process, daemons. Does not wait for libvirtd."""
        self.remove_cgroups()
        network.add_host(self.names, self.number, self.options.subnet)
        if self.options.no_peer:
            network.refuse_peers(self.names, self.number, self.options.subnet, self.options.no_peer)
        made = cgroups.create(self.names.cgroup, self.name)
        (self.directory / "cgroups.json").write_text(json.dumps(made))
        config = self.directory / "boot.json"
        config.write_text(json.dumps(self.boot_config(made), indent=1))
        program = [sys.executable, "-I", str(Path(__file__).with_name("boot.py")), str(config)]
        done = subprocess.run(
            program, stdin=subprocess.DEVNULL, capture_output=True, text=True, check=False, start_new_session=True
        )
        if done.returncode != 0 or not done.stdout.strip():
            raise LabError(f"{self.name} did not boot: {done.stderr.strip()[-1000:]}")
        Process.of(int(done.stdout)).write(self.pid_file)

    def boot_config(self, made: dict[str, str]) -> dict[str, object]:
        """What boot.py is told."""
        folder = self.directory
        binds = [
            [str(folder / "etc"), "/etc/libvirt"],
            [str(folder / "lib"), "/var/lib/libvirt"],
            [str(folder / "log"), "/var/log/libvirt"],
            [str(folder / "cache"), "/var/cache/libvirt"],
            [str(folder / "hosts"), "/etc/hosts"],
            [str(folder / "sasl"), "/etc/sasl2"],
            [str(folder / "tpm-ca"), "/var/lib/swtpm-localca"],
        ]
        daemons = [{"command": ["/usr/sbin/libvirtd", "--listen"], "output": str(folder / "log" / "libvirtd.out")}]
        if self.transport == "ssh":
            command = ["/usr/sbin/sshd", "-D", "-e", "-f", str(folder / "sshd_config")]
            daemons.append({"command": command, "output": str(folder / "log" / "sshd.out")})
        return {
            "hostname": self.name,
            "netns": str(network.netns_path(self.netns)),
            "cgroups": made,
            "binds": binds,
            "daemons": daemons,
            "output": str(folder / "log" / "boot.out"),
        }

    def wait_ready(self, seconds: float = 60) -> None:
        """Until libvirtd answers."""
        first = self.powered()
        run = Path(f"/proc/{first.pid}/root/run")

        def answers() -> bool:
            if not first.alive:
                raise LabError(f"{self.name} died while it booted: {self.last_words('boot.out')}")
            if not (run / "daemons-started").exists():
                return False
            if not first.child("libvirtd"):
                raise LabError(f"libvirtd of {self.name} ended at once: {self.last_words('libvirtd.out')}")
            return (run / "libvirt/libvirt-sock").exists() and attempt(
                self.inside(["virsh", "-c", "qemu:///system", "uri"]), timeout=10
            ).returncode == 0

        wait_until(answers, f"libvirtd of {self.name} answers", seconds)

    def last_words(self, log: str) -> str:
        """The end of one of its logs."""
        try:
            return (self.directory / "log" / log).read_text()[-1000:]
        except FileNotFoundError:
            return "there is no log"

    def keep_capabilities(self) -> None:
        """Put what libvirtd learnt about QEMU into the cache, for the next host."""
        target = cache_directory() / "capabilities"
        target.mkdir(parents=True, exist_ok=True)
        for file in (self.directory / "cache/qemu/capabilities").glob("*.xml"):
            shutil.copy2(file, target / file.name)

    def unplug(self) -> None:
        """Cut the power. The cable goes first: a machine without power does not say goodbye on the network."""
        if network.link_exists(self.names.link(self.number)):
            network.set_link(self.names, self.number, up=False)
        process = Process.read(self.pid_file)
        if process:
            process.end(signal.SIGKILL)
        self.remove_cgroups()
        network.remove_host(self.names, self.number)
        self.pid_file.unlink(missing_ok=True)

    def cgroup(self, controller: str) -> Path:
        """Its cgroup in one controller; an error where the machine does not have that controller."""
        made = json.loads((self.directory / "cgroups.json").read_text())
        if controller not in made:
            raise LabError(f"this machine has no cgroup controller {controller!r}")
        return Path(made[controller])

    def remove_cgroups(self) -> None:
        """Kill whatever is left of the host and remove its cgroups."""
        file = self.directory / "cgroups.json"
        if file.exists():
            made = [Path(path) for path in json.loads(file.read_text()).values()]
            cgroups.empty_and_remove(made)
            cgroups.remove_if_empty([path.parent for path in made])
            file.unlink()

    # --- its libvirtd -------------------------------------------------------------------------------------------

    @property
    def libvirtd(self) -> Process | None:
        """The libvirtd process, if it is running."""
        first = self.first
        return first.child("libvirtd") if first else None

    def stop_libvirtd(self, number: signal.Signals) -> None:
        """End libvirtd and nothing else."""
        first = self.powered()
        process = first.child("libvirtd")
        if process:
            process.send(signal.SIGCONT)
            process.end(number, seconds=30)

    def start_libvirtd(self) -> None:
        """Have the host's first process start libvirtd again."""
        first = self.powered()
        # The first process may not yet have noticed that the old one ended; it is asked until there is a new one.

        def started() -> bool:
            if first.child("libvirtd"):
                return True
            first.send(signal.SIGHUP)
            return False

        wait_until(started, f"libvirtd of {self.name} starts", 15, step=0.1)
        self.wait_ready()

    def signal_libvirtd(self, number: signal.Signals) -> None:
        """Freeze or thaw it."""
        process = self.powered().child("libvirtd")
        if process is None:
            raise LabError(f"{self.name} runs no libvirtd")
        process.send(number)

    # --- inside it ----------------------------------------------------------------------------------------------

    def inside(self, command: Sequence[str | Path]) -> list[str]:
        """The same command, run in the host's namespaces."""
        first = self.powered()
        prefix = ["nsenter", "-t", str(first.pid), "-m", "-u", "-n", "-p", "-C", "--"]
        return [*prefix, *(str(word) for word in command)]

    def virsh(self, *arguments: str, timeout: float = 120) -> subprocess.CompletedProcess[str]:
        """virsh inside the host, against its own libvirtd."""
        return attempt(self.inside(["virsh", "-q", "-c", "qemu:///system", *arguments]), timeout)
