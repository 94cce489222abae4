"""The libvirt boundary against libvirt's own test driver."""

import queue
import socket
import threading
import uuid

import libvirt
import pytest

from hosts.hypervisor import errors, guest, host
from hosts.hypervisor.connection import Connection
from hosts.hypervisor.events import subscribe
from hosts.hypervisor.network import read_networks
from hosts.hypervisor.records import Target
from hosts.hypervisor.stats import read_guest_counters
from hosts.hypervisor.storage import StorageReader
from hosts.hypervisor.translate import _meaning

XML = (
    "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>"
    "<os><type>hvm</type></os></domain>"
)


@pytest.fixture
def connection(test_host):
    with Connection.open(Target(test_host.uri)) as opened:
        yield opened


@pytest.fixture
def domain(connection):
    name, identity = f"b-{uuid.uuid4().hex[:8]}", str(uuid.uuid4())
    connection.call(lambda raw: raw.defineXML(XML.format(name=name, uuid=identity)))
    yield guest.Guest(connection, identity)
    if guest.Guest(connection, identity).exists():
        if guest.Guest(connection, identity).state()[0] != "shutoff":
            guest.Guest(connection, identity).destroy()
        connection.call(lambda raw: raw.lookupByUUIDString(identity).undefine())


def test_a_daemon_that_does_not_run_is_told_from_a_machine_that_cannot_be_reached(tmp_path):
    dead = tmp_path / "libvirt-sock"
    with socket.socket(socket.AF_UNIX) as bound:
        bound.bind(str(dead))
        for path in (dead, tmp_path / "nothing"):
            with pytest.raises(errors.Refused, match="is libvirtd running"):
                Connection.open(Target(f"qemu+unix:///system?socket={path}"))


@pytest.mark.parametrize(
    ("words", "kind"),
    [
        ("Connection refused: Input/output error", errors.Refused),
        ("No such file or directory: Input/output error", errors.Refused),
        ("Permission denied: Input/output error", errors.AuthenticationFailed),
    ],
)
def test_what_the_helper_behind_ssh_says_of_the_daemon_is_understood(words, kind):
    path = "/var/run/libvirt/libvirt-sock"
    text = f"virt-ssh-helper: cannot connect to '{path}': Failed to connect socket to '{path}': {words}"
    found = _meaning(libvirt.VIR_ERR_SYSTEM_ERROR, libvirt.VIR_FROM_RPC, f"End of file while reading data: {text}")[0]
    assert found is kind


def test_the_facts_of_a_host_are_read(connection):
    facts = host.read_facts(connection)
    assert facts.hypervisor_type == "TEST" and facts.cpus == 16 and facts.memory == 3072 * 1024 * 1024


def test_all_guests_are_read_with_their_states(connection, domain):
    record = next(record for record in guest.read_guests(connection) if record.uuid == domain.uuid)
    assert (record.state, record.persistent, record.is_active) == ("shutoff", True, False)


def test_one_guest_read_alone_equals_the_same_read_in_bulk(connection, domain):
    domain.start()
    bulk = next(record for record in guest.read_guests(connection) if record.uuid == domain.uuid)
    assert domain.read() == bulk


def define(connection, count):
    identities = [str(uuid.uuid4()) for _ in range(count)]
    for identity in identities:
        connection.call(lambda raw, key=identity: raw.defineXML(XML.format(name=f"p-{key}", uuid=key)))
    return identities


def test_many_guests_are_read_in_parts_that_are_all_of_them(make_test_host):
    with Connection.open(Target(make_test_host().uri)) as connection:
        assert list(guest.read_guests_in_parts(connection)) == []
        identities = define(connection, 5)
        parts = [[record.uuid for record in part] for part in guest.read_guests_in_parts(connection, most=2)]
        assert [len(part) for part in parts] == [2, 2, 1]
        assert sorted(key for part in parts for key in part) == sorted(identities)


def test_a_guest_that_goes_while_others_are_read_is_left_out(make_test_host):
    with Connection.open(Target(make_test_host().uri)) as connection:
        identities = set(define(connection, 6))
        reading = guest.read_guests_in_parts(connection, most=2)
        seen = {record.uuid for record in next(reading)}
        # The second part may be read already, the third is not.
        connection.call(lambda raw: [raw.lookupByUUIDString(key).undefine() for key in identities - seen])
        seen |= {record.uuid for part in reading for record in part}
        assert 2 <= len(seen) <= 4


def test_a_host_that_freezes_between_two_parts_is_silent(make_test_host):
    frozen = make_test_host()
    with Connection.open(Target(frozen.uri), keepalive=(1, 30)) as connection:
        define(connection, 6)
        reading = guest.read_guests_in_parts(connection, most=2, seconds=1.0)
        next(reading)
        frozen.freeze()
        with pytest.raises(errors.Unreachable):
            list(reading)
        frozen.thaw()


def test_pools_networks_and_counters_are_read(connection):
    look = StorageReader(lambda: connection).read([])
    assert look.complete and [reading.record.name for reading in look.readings] == ["default-pool"]
    assert [network.name for network in read_networks(connection)] == ["default"]
    assert isinstance(read_guest_counters(connection), list)


def test_a_guest_that_is_not_there_is_not_found(connection):
    with pytest.raises(errors.NotFound):
        guest.Guest(connection, str(uuid.uuid4())).state()


def test_a_verb_that_does_not_apply_fails_with_libvirts_code_and_words(domain):
    with pytest.raises((errors.Conflict, errors.Failed)) as caught:
        domain.suspend()
    assert caught.value.code and caught.value.domain and "not running" in caught.value.detail


def test_metadata_is_kept_in_the_definition(domain):
    domain.set_title("A title")
    domain.set_own_metadata("<guest><tag>prod</tag></guest>")
    definition = domain.definition()
    assert "<title>A title</title>" in definition
    assert "https://kvmdash.org/xmlns/1" in definition and "prod" in definition
    domain.set_own_metadata("")
    assert "prod" not in domain.definition()


def test_every_lifecycle_change_is_told_by_an_event(connection, domain):
    told: queue.SimpleQueue = queue.SimpleQueue()
    subscribe(connection, told.put)
    domain.start()
    domain.suspend()
    kinds = {told.get(timeout=5).kind, told.get(timeout=5).kind}
    assert kinds == {"started", "suspended"}


def test_a_closed_port_is_refused_and_a_bad_name_unreachable():
    from lab.testhosts import free_port

    with pytest.raises(errors.Refused):
        Connection.open(Target(f"test+tcp://127.0.0.1:{free_port()}/default"))
    with pytest.raises(errors.Unreachable, match="resolved"):
        Connection.open(Target("test+tcp://no-such-host.invalid/default"))


def test_a_host_that_freezes_while_connected_is_silent_not_a_hang(make_test_host):
    frozen = make_test_host()
    with Connection.open(Target(frozen.uri), call_seconds=1.0, keepalive=(1, 30)) as connection:
        frozen.freeze()
        with pytest.raises(errors.Unreachable):
            guest.read_guests(connection, seconds=1.0)
        assert not connection.is_alive
        frozen.thaw()


def test_a_frozen_host_is_noticed_by_keepalive_alone(make_test_host, eventually):
    frozen = make_test_host()
    with Connection.open(Target(frozen.uri), keepalive=(1, 1)) as connection:
        frozen.freeze()
        eventually(lambda: not connection.is_alive, 10, "keepalive to give up")
        frozen.thaw()


def test_who_waits_is_told_when_a_call_finds_the_connection_broken(make_test_host):
    frozen, told = make_test_host(), threading.Event()
    with Connection.open(Target(frozen.uri), keepalive=(1, 1)) as connection:
        connection.when_broken(told.set)
        frozen.freeze()
        with pytest.raises(errors.Unreachable):
            guest.read_guests(connection)
        assert told.is_set()
        frozen.thaw()


def test_opening_a_frozen_host_gives_up_and_does_not_pile_up_threads(make_test_host):
    frozen = make_test_host()
    frozen.freeze()
    for _ in range(3):
        with pytest.raises(errors.Silent):
            Connection.open(Target(frozen.uri), seconds=0.5)
    assert sum(thread.name == "libvirt-open" for thread in threading.enumerate()) <= 1
    frozen.thaw()


def test_an_open_that_never_ends_does_not_keep_the_host_away_for_ever(make_test_host, monkeypatch):
    """As when a machine loses power after it took the connection: nobody ever answers, and nobody says goodbye."""
    came_back = make_test_host()
    came_back.kill()
    with socket.create_server(("127.0.0.1", came_back.port)) as listener:
        with pytest.raises(errors.Silent):
            Connection.open(Target(came_back.uri), seconds=0.5)
        kept = [listener.accept()[0] for _ in range(2)]  # the look whether the port is open, and the open itself
    came_back.start()
    with pytest.raises(errors.Silent, match="since"):
        Connection.open(Target(came_back.uri), seconds=0.5)
    monkeypatch.setattr("hosts.hypervisor.connection.HANGING_SECONDS", 0.0)
    with Connection.open(Target(came_back.uri)) as connection:
        assert connection.is_alive
    for connected in kept:
        connected.close()


def test_a_connection_whose_daemon_dies_says_so(make_test_host, eventually):
    dying = make_test_host()
    with Connection.open(Target(dying.uri)) as connection:
        dying.kill()
        eventually(lambda: not connection.is_alive, 10, "the connection to break")
        with pytest.raises(errors.Unreachable):
            guest.read_guests(connection)


def established(port):
    """How many connections of this machine to that port are open (state 01 of /proc/net/tcp)."""
    from pathlib import Path

    rows = [line.split() for line in Path("/proc/net/tcp").read_text().splitlines()[1:]]
    return sum(row[2].endswith(f":{port:04X}") and row[3] == "01" for row in rows)


def test_a_closed_connection_leaves_nothing_open_even_after_subscribing(make_test_host, eventually):
    own = make_test_host()
    before = established(own.port)
    for _ in range(3):
        with Connection.open(Target(own.uri)) as connection:
            subscribe(connection, lambda event: None)
            guest.read_guests(connection)
            assert established(own.port) == before + 1
        eventually(lambda: established(own.port) == before, what="the connection to be closed")


def test_a_connection_closed_under_a_running_call_is_freed_only_after_it(make_test_host, eventually):
    own = make_test_host()
    before = established(own.port)
    begun, go_on = threading.Event(), threading.Event()

    def long_call(raw):
        begun.set()
        go_on.wait(20)
        return raw.getHostname()

    connection = Connection.open(Target(own.uri))
    subscribe(connection, lambda event: None)
    call = connection.submit(long_call)
    assert begun.wait(20)
    connection.close()
    with pytest.raises(errors.Unreachable):
        connection.call(lambda raw: raw.getHostname())
    assert not connection.is_alive
    go_on.set()
    assert call.result(20)
    eventually(lambda: established(own.port) == before, what="the connection to be closed")


def test_two_who_close_one_connection_free_it_once(make_test_host, eventually):
    own = make_test_host()
    before = established(own.port)
    connection = Connection.open(Target(own.uri))
    subscribe(connection, lambda event: None)
    undone = []
    connection.at_close(lambda: undone.append(threading.get_ident()))
    for _ in range(2):
        connection.close()
    eventually(lambda: established(own.port) == before, what="the connection to be closed")
    eventually(lambda: not [t for t in threading.enumerate() if t.name == "libvirt-close"], what="the closers to end")
    assert len(undone) == 1


def test_a_call_that_waited_when_the_connection_was_closed_says_so(make_test_host):
    own = make_test_host()
    begun, go_on = threading.Event(), threading.Event()

    def long_call(raw):
        begun.set()
        go_on.wait(20)

    connection = Connection.open(Target(own.uri), workers=1)
    connection.submit(long_call)
    assert begun.wait(20)
    waiting = connection.submit(lambda raw: raw.getHostname())
    connection.close()
    with pytest.raises(errors.Unreachable, match="closed"):
        connection.outcome(waiting)
    go_on.set()


def test_a_pool_or_network_that_changes_is_told_by_an_event(connection):
    told: queue.SimpleQueue = queue.SimpleQueue()
    subscribe(connection, told.put)
    connection.call(lambda raw: raw.storagePoolLookupByName("default-pool").refresh(0))
    assert told.get(timeout=5).kind == "pool"
    network = "<network><name>told</name><ip address='192.168.77.1' netmask='255.255.255.0'/></network>"
    connection.call(lambda raw: raw.networkDefineXML(network).undefine())
    assert told.get(timeout=5).kind == "network"


def test_calls_at_the_same_time_never_share_a_libvirt_connection(connection):
    """Two threads in one of libvirt's connections end the process when it breaks under them."""
    together = threading.Barrier(3, timeout=10)

    def work(raw):
        together.wait()
        return raw

    futures = [connection.submit(work) for _ in range(3)]
    raws = [connection.outcome(future) for future in futures]
    assert len({id(raw) for raw in raws}) == 3
    assert connection.call(lambda raw: raw) in raws, "a free one is used again"
