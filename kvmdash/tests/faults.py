"""Every kind of operation on a host of its own, all hit in their middle at once, and what became of each."""

from __future__ import annotations

import datetime as dt
import json
import os
import signal
import sys
import time
import uuid
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from typing import Any

import libvirt
import pytest

from conftest import wait_until
from hosts.operations.kind import registry
from kvmdash.tests.program import Program
from kvmdash.tests.wire import Wire
from lab.testhosts import TestHost

XML = (
    "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>"
    "<os><type>hvm</type></os><devices><disk type='file' device='disk'><driver name='qemu' type='qcow2'/>"
    "<source file='/{name}.qcow2'/><target dev='vda' bus='virtio'/></disk><disk type='file' device='cdrom'>"
    "<source file='/old.iso'/><target dev='sda' bus='sata'/><readonly/></disk></devices></domain>"
)
POOL, POOL_XML = (
    "default-pool",
    "<pool type='dir'><name>default-pool</name><target><path>/default-pool</path></target></pool>",
)
NETWORK = "hit-network"
NETWORK_XML = f"<network><name>{NETWORK}</name><bridge name='virbr77'/><ip address='10.77.0.1' prefix='24'/></network>"
VOLUME_XML = "<volume><name>v</name><capacity>1048576</capacity></volume>"
#: deadlines short enough for a test to see what happens when they have run out
HASTY = {
    "KVMDASH_KEEPALIVE_SECONDS": "1", "KVMDASH_KEEPALIVE_COUNT": "3", "KVMDASH_CONNECT_SECONDS": "4",
    "KVMDASH_CALL_SECONDS": "8", "KVMDASH_LEASE_SECONDS": "3", "KVMDASH_TICK_SECONDS": "5", "KVMDASH_LOST_SECONDS": "30",
}  # fmt: skip
#: between two questions to a program that has more to do than to answer
POLL_SECONDS = 0.3
ENDED = ("succeeded", "refused", "failed", "cancelled", "unknown")


def _is(state: int) -> Callable[[Stand], bool]:
    return lambda stand: bool(stand.domain().state()[0] == state)


def _has_snapshot(stand: Stand) -> bool:
    return "s" in stand.domain().snapshotListNames()


def _pool(stand: Stand, name: str = POOL) -> Any:
    return next((pool for pool in stand.raw.listAllStoragePools() if pool.name() == name), None)


def _network(stand: Stand) -> Any:
    return stand.raw.networkLookupByName(NETWORK)


def _networks(stand: Stand) -> list[str]:
    return [network.name() for network in stand.raw.listAllNetworks()]


def _has_in_network(text: str) -> Callable[[Stand], bool]:
    return lambda stand: text in _network(stand).XMLDesc(0)


def _retitled(stand: Stand) -> dict[str, Any]:
    """The guest's definition with another title, made from the one it has."""
    from vms.history import INACTIVE, meaning

    now = stand.domain().XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)
    return {"definition": now.replace("<memory", "<title>hit</title><memory", 1), "base": meaning(INACTIVE, now)}


def _is_marked(mark: str) -> Callable[[Stand], bool]:
    return lambda stand: f"{mark}/>" in stand.domain().XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)


def _stored(stand: Stand) -> str:
    return str(stand.domain().XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE))


def _is_titled(stand: Stand) -> bool:
    return "<title>hit</title>" in stand.domain().XMLDesc(libvirt.VIR_DOMAIN_XML_INACTIVE)


@dataclass(frozen=True)
class Trial:
    """How a kind is tried.

    ``of``: what it acts on; ``begins``: the state its guest (or pool) must be in; ``done``: whether libvirt shows that it was
    done, where that can be seen. ``told``: whether that is also enough for ``recover`` to say so. ``known``: whether the test
    driver can do it; else it refuses.
    """

    of: str = "vm"
    begins: str = "running"
    arguments: dict[str, Any] | Callable[[Stand], dict[str, Any]] | None = None
    done: Callable[[Stand], bool] | None = None
    told: bool = True
    known: bool = True
    #: changes that it consists of, each asked for once
    calls: int = 1


#: A kind that is not here fails the tests: whoever adds one says here how it is tried.
TRIALS = {
    "autostart": Trial(arguments={"enabled": True}, done=lambda stand: bool(stand.domain().autostart())),
    # One change and no more: a guest of a disk that is there. What takes several steps is tried by vms/tests/test_creating.py.
    "create": Trial(
        "place",
        arguments={"name": "hit", "road": "import", "image": f"{POOL}/v", "memory": 2**26, "vcpus": 1},
        done=lambda stand: "hit" in [domain.name() for domain in stand.raw.listAllDomains()],
    ),
    "define": Trial(begins="shutoff", arguments=_retitled, done=_is_titled),
    "destroy": Trial(done=_is(libvirt.VIR_DOMAIN_SHUTOFF)),
    "boot-order": Trial(
        begins="shutoff",
        arguments={"devices": ["disks[sda]", "disks[vda]"]},
        done=lambda stand: "<boot order='2'/>" in _stored(stand),
    ),
    "device-add": Trial(
        begins="shutoff",
        arguments={"type": "watchdog", "set": {"model": "ib700"}},
        done=lambda stand: "<watchdog model='ib700'" in _stored(stand),
    ),
    "device-change": Trial(
        begins="shutoff",
        arguments={"device": "disks[vda]", "set": {"driver.cache": "none"}},
        done=lambda stand: "cache='none'" in _stored(stand),
    ),
    "device-remove": Trial(
        begins="shutoff", arguments={"device": "disks[sda]"}, done=lambda stand: "dev='sda'" not in _stored(stand)
    ),
    "host-refresh": Trial("host"),
    "host-test": Trial("host"),
    "managed-save": Trial(done=lambda stand: bool(stand.domain().hasManagedSaveImage())),
    "managed-save-remove": Trial(begins="saved", done=lambda stand: not stand.domain().hasManagedSaveImage()),
    "media": Trial(
        begins="shutoff",
        arguments={"device": "disks[sda]", "source": ""},
        done=lambda stand: "/old.iso" not in _stored(stand),
    ),
    "memory": Trial(
        begins="shutoff", arguments={"memory": 2**25}, done=lambda stand: ">32768</currentMemory>" in _stored(stand)
    ),
    # The test driver cannot move guests: test_faults_lab.py has that.
    "migrate": Trial(arguments={"host": "destroy"}, known=False),
    "network-autostart": Trial(
        "network", arguments={"enabled": True}, done=lambda stand: bool(_network(stand).autostart())
    ),
    "network-define": Trial(
        "host", arguments={"mode": "isolated", "name": "hit"}, done=lambda stand: "hit" in _networks(stand)
    ),
    "network-delete": Trial("network", begins="shutoff", done=lambda stand: NETWORK not in _networks(stand)),
    "network-edit": Trial(
        "network",
        begins="shutoff",
        arguments={"mode": "isolated", "bridge": "virbr77", "ipv4": "10.77.0.1/24", "domain": "hit.example"},
        done=_has_in_network("hit.example"),
    ),
    "network-start": Trial("network", begins="shutoff", done=lambda stand: bool(_network(stand).isActive())),
    "network-stop": Trial("network", done=lambda stand: NETWORK not in stand.raw.listNetworks()),
    "network-update": Trial(
        "network",
        arguments={"section": "dns-host", "command": "add", "record": "10.77.0.9 hit"},
        done=_has_in_network("10.77.0.9"),
    ),
    "pool-autostart": Trial("pool", arguments={"enabled": True}, done=lambda stand: bool(_pool(stand).autostart())),
    "pool-define": Trial(
        "host",
        arguments={"type": "dir", "name": "hit", "path": "/hit"},
        done=lambda stand: _pool(stand, "hit") is not None,
    ),
    "pool-delete": Trial("pool", begins="shutoff", done=lambda stand: stand.is_pool_gone()),
    "pool-find": Trial("host", arguments={"type": "netfs", "host": "files.example"}),
    "pool-refresh": Trial("pool"),
    "pool-start": Trial("pool", begins="shutoff", done=lambda stand: bool(_pool(stand).isActive())),
    "pool-stop": Trial("pool", done=lambda stand: not _pool(stand).isActive()),
    "protect": Trial(arguments={"enabled": True}, done=_is_marked("protected")),
    "reboot": Trial(),
    "reset": Trial(),
    # Whether it was shut down and started again cannot be seen of a guest that runs.
    "restart": Trial(arguments={"wait": 4}, calls=2),
    "resume": Trial(begins="paused", done=_is(libvirt.VIR_DOMAIN_RUNNING)),
    "set-metadata": Trial(arguments={"title": "hit"}, done=_is_titled),
    "shutdown": Trial(arguments={"wait": 4}, done=_is(libvirt.VIR_DOMAIN_SHUTOFF)),
    "snapshot-create": Trial(begins="shutoff", arguments={"name": "s"}, done=_has_snapshot),
    "snapshot-delete": Trial(begins="snapshot", arguments={"name": "s"}, done=lambda stand: not _has_snapshot(stand)),
    "snapshot-describe": Trial(
        begins="snapshot",
        arguments={"name": "s", "description": "hit"},
        done=lambda stand: "hit" in stand.domain().snapshotLookupByName("s").getXMLDesc(),
    ),
    "snapshot-revert": Trial(
        begins="snapshot", arguments={"name": "s"}, done=_is(libvirt.VIR_DOMAIN_RUNNING), told=False
    ),
    "template": Trial(begins="shutoff", arguments={"enabled": True}, done=_is_marked("template")),
    "undefine": Trial(begins="shutoff", arguments={"confirm": "undefine"}, done=lambda stand: stand.is_guest_gone()),
    "volume-clone": Trial("volume", arguments={"name": "hit"}, done=lambda stand: "hit" in stand.volumes()),
    "volume-create": Trial(
        "pool",
        arguments={"name": "hit", "capacity": 1048576, "format": "raw"},
        done=lambda stand: "hit" in stand.volumes(),
    ),
    "volume-delete": Trial("volume", done=lambda stand: "v" not in stand.volumes()),
    "volume-resize": Trial("volume", arguments={"capacity": 2097152}, known=False),
    "volume-wipe": Trial("volume", arguments={"confirm": "v"}, known=False),
    "start": Trial(begins="shutoff", done=_is(libvirt.VIR_DOMAIN_RUNNING)),
    "vcpus": Trial(
        begins="shutoff", arguments={"count": 2, "maximum": 4}, done=lambda stand: "current='2'>4<" in _stored(stand)
    ),
    "suspend": Trial(done=_is(libvirt.VIR_DOMAIN_PAUSED)),
}
#: those whose bytes need a daemon that stores them: hosts/tests/test_uploads.py, test_fetching.py
#: and vms/tests/test_appliances.py try them so
ELSEWHERE = {"volume-fetch", "volume-read-ova", "volume-upload"}
#: those that need QEMU, or an agent in the guest: test_lab_disks.py and test_lab_agent.py try them so
ELSEWHERE |= {"block-copy", "block-resize", "fs-freeze", "fs-thaw", "fs-trim", "guest-info", "set-user-password"}
#: moves leave nothing behind where there are no moves: test_lab_move_ways.py tries it
ELSEWHERE |= {"tidy"}
#: the test driver has no network filters: test_lab_filters.py tries them
ELSEWHERE |= {"filter-define", "filter-delete", "filter-edit"}
#: daemons of the whole run that may crash of themselves (libvirt 9.0's test driver does, now and then, when its clients are lost)
MOST_CRASHES = 3
KINDS = sorted(registry.keys() - ELSEWHERE)
#: those that may be asked again because twice is the same as once
REPEATABLE = {name for name, kind in registry.items() if type(kind).recover is type(kind).run}


@dataclass(frozen=True)
class Outcome:
    """What the record says in the end, what libvirt says, and which changes had reached the host (libvirt's numbers)."""

    record: dict[str, Any]
    done: bool | None
    delivered: list[int]
    #: libvirtd crashed of itself: what its guest was and what became of it is gone
    crashed: bool = False
    #: it had ended before what was to hit it did
    too_late: bool = False

    @property
    def state(self) -> str:
        """The record's state."""
        return str(self.record["state"])

    def require_daemon(self) -> None:
        """Skip what cannot be told because libvirtd crashed of itself."""
        if self.crashed:
            pytest.skip("libvirtd crashed of itself in this trial")

    def check_truth(self) -> None:
        """Succeeded means that libvirt shows it, failed that it does not."""
        self.require_daemon()
        assert self.state in ENDED, self.record
        if self.done is not None and self.state in ("succeeded", "failed", "refused"):
            assert (self.state == "succeeded") == self.done, self.record


class Stand:
    """One kind's host, cable, guest and pool."""

    def __init__(self, kind: str) -> None:
        self.kind, self.trial = kind, TRIALS.get(kind, Trial())
        self.identity = str(uuid.uuid4())
        self.pool_identity = ""
        self.host: Any = None
        self.wire: Any = None
        self.raw: Any = None
        self.crashed = False

    @property
    def only_looks(self) -> bool:
        """Whether none of its calls can change anything, so that there is none to be hit at."""
        return self.kind.startswith("host-") and not registry[self.kind].changes

    def cannot_be_hit(self, record: dict[str, Any]) -> bool:
        """Whether none of its changes will come any more, or it waits for somebody else's host.

        What the test driver does not know changes nothing: a move then waits for its target, whose cable is another one's.
        """
        waits = not self.trial.known and bool(record["progress"].get("waiting_for"))
        return record["state"] in ENDED or waits or (self.only_looks and record["state"] == "running")

    def start(self) -> None:
        """Make the host and lay the cable; at once, because a port is free only at the moment when it is looked for."""
        self.host = TestHost.create(self.kind)
        self.host.start()
        self.wire = Wire(self.host.port)
        self.raw = libvirt.open(self.host.uri)

    def reconnect(self) -> None:
        """A daemon that was frozen for long has closed the connection."""
        if not self.raw.isAlive():
            self.raw = libvirt.open(self.host.uri)

    def domain(self) -> Any:
        """The guest as libvirt has it, not through the cable."""
        return self.raw.lookupByUUIDString(self.identity)

    def arguments(self) -> dict[str, Any]:
        """What is asked with."""
        given = self.trial.arguments
        return given(self) if callable(given) else given or {}

    def prepare(self) -> None:
        """Everything in the state in which the kind makes sense, whatever happened to it before."""
        (self._prepare_pool if self.trial.of in ("pool", "volume", "place") else self._prepare_guest)()
        for domain in self.raw.listAllDomains():
            if domain.name() == "hit":
                domain.undefine()
        if (pool := _pool(self, "hit")) is not None:
            pool.undefine()
        self._prepare_network()

    def _prepare_guest(self) -> None:
        self._clear_guest()
        self.raw.defineXML(XML.format(name=self.kind, uuid=self.identity))
        domain, begins = self.domain(), self.trial.begins
        if begins in ("running", "paused", "saved", "snapshot"):
            domain.create()
        if begins == "paused":
            domain.suspend()
        if begins == "saved":
            domain.managedSave()
        if begins == "snapshot":
            domain.snapshotCreateXML("<domainsnapshot><name>s</name></domainsnapshot>")
            domain.destroy()

    def _clear_guest(self) -> None:
        try:
            domain = self.domain()
        except libvirt.libvirtError:
            return
        if domain.isActive():
            domain.destroy()
        flags = libvirt.VIR_DOMAIN_UNDEFINE_MANAGED_SAVE | libvirt.VIR_DOMAIN_UNDEFINE_SNAPSHOTS_METADATA
        domain.undefineFlags(flags)

    def _prepare_pool(self) -> None:
        if _pool(self) is None:
            self.raw.storagePoolDefineXML(POOL_XML)
        pool = _pool(self)
        self.pool_identity = pool.UUIDString()
        pool.setAutostart(0)
        if bool(pool.isActive()) != (self.trial.begins != "shutoff"):
            pool.destroy() if pool.isActive() else pool.create()
        if pool.isActive():
            for volume in pool.listAllVolumes():
                volume.delete()
            pool.createXML(VOLUME_XML)

    def _prepare_network(self) -> None:
        for network in self.raw.listAllNetworks():
            if network.name() in ("hit", NETWORK):
                if network.isActive():
                    network.destroy()
                network.undefine()
        if self.trial.of == "network":
            network = self.raw.networkDefineXML(NETWORK_XML)
            if self.trial.begins != "shutoff":
                network.create()

    def is_guest_gone(self) -> bool:
        """Whether the host holds the guest no more."""
        return self.identity not in [domain.UUIDString() for domain in self.raw.listAllDomains()]

    def is_pool_gone(self) -> bool:
        """Whether the very pool is gone: a daemon that starts anew makes another of the same name."""
        return self.pool_identity not in [pool.UUIDString() for pool in self.raw.listAllStoragePools()]

    def volumes(self) -> list[str]:
        """Names of the volumes of its pool."""
        return [volume.name() for volume in _pool(self).listAllVolumes()]

    def power_cut(self) -> None:
        """The daemon is gone, with everything it knew, and comes back on the same port."""
        if not self.host.has_died():
            self.host.thaw()  # Closing a connection to a daemon that hangs hangs.
        self.raw = None
        self.host.kill()
        self.host.start()
        self.raw = libvirt.open(self.host.uri)

    def done(self) -> bool | None:
        """Whether libvirt shows that it was done; None when that cannot be seen."""
        if self.trial.done is None:
            return None
        try:
            return self.trial.done(self)
        except libvirt.libvirtError as error:
            if error.get_error_code() in (libvirt.VIR_ERR_NO_DOMAIN, libvirt.VIR_ERR_NO_NETWORK):
                return None
            if self.host.has_died():
                return None
            raise

    def remove(self) -> None:
        """Take it down."""
        self.raw = None
        if self.wire is not None:
            self.wire.close()
        if self.host is not None:
            self.host.remove()


class Stands:
    """All kinds' stands and the program that looks after them."""

    def __init__(self, program: Program, kinds: Iterable[str] = KINDS) -> None:
        self.program = program
        self.all = {kind: Stand(kind) for kind in kinds}
        self.asked: dict[str, str] = {}
        #: daemons that ended of themselves
        self.died: list[str] = []
        #: the operations as they were seen last, and kinds that had ended before what was to hit them did
        self.last_records: dict[str, dict[str, Any]] = {}
        self.too_late: list[str] = []

    def start(self) -> None:
        """Switch the hosts on and tell the program of them, through their cables."""
        with ThreadPoolExecutor(4) as pool:
            list(pool.map(Stand.start, self.all.values()))
        self._shell("add", {stand.kind: stand.wire.uri for stand in self.all.values()})

    def _shell(self, function: str, given: Any) -> Any:
        code = f"from kvmdash.tests import faults; print(faults.{function}({json.dumps(given)!r}))"
        return json.loads(self.program.manage("shell", "-v0", "-c", code).splitlines()[-1])

    def prepare(self, *kinds: str) -> None:
        """Everything as its kind wants it (these, or all), and seen so by the program."""
        self.mend()
        self.too_late = []
        for stand in self.all.values():
            stand.crashed = False
            stand.reconnect()
        unseen = set(kinds or self.all)
        for kind in unseen:
            self.all[kind].prepare()
        since = dt.datetime.now(dt.UTC)
        for kind in unseen:
            wait_until(
                lambda kind=kind: self.program.api(f"hosts/{kind}/refresh", {})[0] == 202, 40, "hosts to be there"
            )

        def seen() -> bool:
            time.sleep(POLL_SECONDS)
            unseen.difference_update([kind for kind in unseen if self._is_seen(kind, since)])
            return not unseen

        wait_until(seen, 90, "every host to have been read")

    def _is_seen(self, kind: str, since: dt.datetime) -> bool:
        host = self.program.get(f"hosts/{kind}")
        return host["state"] == "connected" and dt.datetime.fromisoformat(host["reconciled_at"]) > since

    def ask(self, freezing: Callable[[Stand], bool] = lambda stand: False) -> None:
        """Ask for every kind, as soon as it is accepted; those with ``freezing`` right after their host was frozen."""
        given = {
            stand.kind: [stand.identity, stand.arguments(), stand.host.pid if freezing(stand) else 0]
            for stand in self.all.values()
        }
        self.asked = self._shell("ask", given)

    def ask_one(self, kind: str) -> None:
        """Ask for one of them."""
        stand = self.all[kind]
        self.asked = self._shell("ask", {kind: [stand.identity, stand.arguments(), 0]})

    def records(self) -> dict[str, dict[str, Any]]:
        """The operations that were asked for, by kind."""
        items = self.program.get(f"operations?page_size={3 * len(self.all)}")["items"]
        by_id = {item["id"]: item for item in items}
        return {kind: by_id[identity] for kind, identity in self.asked.items()}

    def wait_for_all(self, condition: Callable[[Stand, dict[str, Any]], Any], what: str, seconds: float = 60) -> None:
        """Wait until ``condition(stand, record)`` holds for every kind."""

        missing: list[str] = []

        def all_are() -> bool:
            time.sleep(POLL_SECONDS)
            self._revive()
            self.last_records = self.records()
            missing[:] = [kind for kind, stand in self.all.items() if not condition(stand, self.last_records[kind])]
            return not missing

        try:
            wait_until(all_are, seconds, what, longest=0.02)
        finally:
            if missing:
                told = [f"{kind} ({self.last_records[kind]['state']})" for kind in missing]
                sys.stderr.write(f"{what}: not {', '.join(told)}\n")

    def outcomes(self) -> dict[str, Outcome]:
        """Once all have ended."""
        self.wait_for_all(lambda _stand, record: record["state"] in ENDED, "every operation to end", 90)
        records = {kind: self.program.operation(identity) for kind, identity in self.asked.items()}
        return {
            kind: Outcome(
                records[kind],
                None if stand.crashed else stand.done(),
                list(stand.wire.delivered),
                stand.crashed,
                kind in self.too_late,
            )
            for kind, stand in self.all.items()
        }

    def mend(self) -> None:
        """Every host runs and every cable passes again.

        The test driver has crashed of itself once in many runs: to kvmdash that is a host that lost power.
        """
        for stand in self.all.values():
            stand.wire.mend()
        self._revive()
        for stand in self.all.values():
            stand.host.thaw()

    def _revive(self) -> None:
        for stand in self.all.values():
            if stand.host.has_died():
                self._replace(stand)

    def _replace(self, stand: Stand) -> None:
        """A new daemon in place of one that died of itself; many of those are not chance."""
        assert stand.host.process is not None
        self.died.append(f"{stand.kind}: libvirtd ended with {stand.host.process.returncode}")
        assert len(self.died) <= MOST_CRASHES, self.died
        sys.stderr.write(f"{self.died[-1]}\n")
        stand.crashed = True
        stand.power_cut()

    def remove(self) -> None:
        """Take all down."""
        for stand in self.all.values():
            stand.remove()


def add(given: str) -> str:
    """In a process of the program's: add hosts."""
    from hosts import notify
    from hosts.models import Host

    for name, uri in json.loads(given).items():
        Host.objects.create(name=name, uri=uri)
    notify.changed("hosts-configured")
    return "null"


def ask(given: str) -> str:
    """In a process of the program's: ask for each kind until it is accepted; what the mirror has not seen yet is refused.

    Those whose host is to be frozen come last, so that nothing takes so long that the loss is known before they are asked for.
    """
    from django.core.exceptions import ObjectDoesNotExist

    from hosts.audit import Actor
    from hosts.models import User
    from hosts.operations import queue
    from hosts.operations.kind import Refused

    waiting, asked = dict(sorted(json.loads(given).items(), key=lambda item: item[1][2])), {}
    actor, until = Actor(User.objects.get(username="admin")), time.monotonic() + 40
    while waiting:
        for kind, (identity, arguments, pid) in list(waiting.items()):
            try:
                if pid:
                    os.kill(pid, signal.SIGSTOP)
                asked[kind] = str(queue.enqueue(kind, _row(kind, identity), arguments, actor).pk)
            except (Refused, ObjectDoesNotExist) as error:
                assert time.monotonic() < until, f"{kind}: {error}"
                continue
            del waiting[kind]
        time.sleep(0.2)
    return json.dumps(asked)


def _row(kind: str, identity: str) -> Any:
    from hosts.models import Host, Network, StoragePool
    from vms.creation.wanted import Place
    from vms.models import VirtualMachine

    of = TRIALS[kind].of if kind in TRIALS else "vm"
    if of == "vm":
        return VirtualMachine.objects.get(pk=identity)
    if of == "host":
        return Host.objects.get(name=kind)
    if of == "network":
        return Network.objects.get(host__name=kind, name=NETWORK, absent_since=None)
    pool = StoragePool.objects.get(host__name=kind, name=POOL, absent_since=None)
    if of == "place":
        return Place(pool.host, uuid.uuid4(), "hit")
    return pool if of == "pool" else pool.volumes.get(name="v", absent_since=None)
