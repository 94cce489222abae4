"""The mirror against libvirt's test driver: what is done at the host is seen in the rows, by events."""

import uuid

import libvirt
import pytest

from hosts import notify
from hosts.models import Alarm, Host
from vms.models import Sighting, VirtualMachine

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])

XML = (
    "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory><vcpu>2</vcpu>"
    "<os><type>hvm</type></os><devices><interface type='network'><mac address='52:54:00:00:00:01'/>"
    "<source network='default'/></interface></devices></domain>"
)


class There:
    """Somebody else acting on a host, with libvirt alone."""

    def __init__(self, uri):
        self.raw = libvirt.open(uri)

    def define(self, name, identity=None):
        identity = identity or str(uuid.uuid4())
        self.raw.defineXML(XML.format(name=name, uuid=identity))
        return identity

    def domain(self, identity):
        return self.raw.lookupByUUIDString(identity)


def add_host(name, test_host):
    host = Host.objects.create(name=name, uri=test_host.uri)
    notify.changed("hosts-configured")
    return host


@pytest.fixture
def there(make_test_host, roles, eventually):
    test_host = make_test_host()
    elsewhere = There(test_host.uri)
    elsewhere.domain(elsewhere.define("already-there")).create()
    host = add_host("one", test_host)
    eventually(lambda: Host.objects.get(pk=host.pk).is_connected, what="the host to be connected")
    elsewhere.host, elsewhere.test_host = host, test_host
    return elsewhere


def row(identity):
    return VirtualMachine.objects.filter(uuid=identity).first()


def state_is(identity, state):
    return lambda: VirtualMachine.objects.filter(uuid=identity, power_state=state).exists()


def test_what_was_there_before_is_mirrored(there, eventually):
    vm = VirtualMachine.objects.get(name="already-there")
    assert vm.power_state == "running" and vm.host == there.host
    assert there.host.networks.get().name == "default"
    # Storage is read beside, so that a pool that hangs delays nothing.
    assert eventually(lambda: there.host.pools.first()).name == "default-pool"


def test_a_guest_defined_elsewhere_appears_with_its_facts(there, eventually):
    identity = there.define("fresh")
    vm = eventually(lambda: row(identity))
    assert (vm.name, vm.power_state, vm.vcpus, vm.memory) == ("fresh", "shutoff", 2, 64 * 1024 * 1024)
    assert "52:54:00:00:00:01" in VirtualMachine.objects.get(pk=vm.pk).search_text


def test_every_change_of_state_is_seen(there, eventually):
    identity = there.define("states")
    there.domain(identity).create()
    eventually(state_is(identity, "running"))
    there.domain(identity).suspend()
    eventually(state_is(identity, "paused"))
    there.domain(identity).resume()
    eventually(state_is(identity, "running"))
    there.domain(identity).destroy()
    eventually(state_is(identity, "shutoff"))


def test_an_undefined_guest_is_marked_and_not_deleted(there, eventually):
    identity = there.define("gone")
    eventually(lambda: row(identity))
    there.domain(identity).undefine()
    eventually(lambda: row(identity).absent_since is not None)
    assert row(identity).power_state == "unknown"


def test_a_guest_that_comes_back_is_the_same_row(there, eventually):
    identity = there.define("back")
    eventually(lambda: row(identity))
    there.domain(identity).undefine()
    eventually(lambda: row(identity).absent_since)
    there.define("back", identity)
    eventually(lambda: row(identity).absent_since is None)


def test_a_renamed_guest_is_the_same_guest(there, eventually):
    identity = there.define("before")
    eventually(lambda: row(identity))
    there.domain(identity).rename("after")
    eventually(lambda: row(identity).name == "after")


def test_a_title_set_elsewhere_is_seen(there, eventually):
    identity = there.define("titled")
    eventually(lambda: row(identity))
    there.domain(identity).setMetadata(libvirt.VIR_DOMAIN_METADATA_TITLE, "Hello", None, None, 0)
    eventually(lambda: row(identity).title == "Hello")


def test_a_network_or_pool_stopped_elsewhere_is_seen(there, eventually):
    there.raw.networkLookupByName("default").destroy()
    eventually(lambda: not there.host.networks.get().active, what="the network to be seen stopped")
    there.raw.storagePoolLookupByName("default-pool").destroy()
    eventually(lambda: there.host.pools.filter(active=False).exists(), what="the pool to be seen stopped")


def test_autostart_has_no_event_and_is_found_by_looking_at_all(there, eventually):
    identity = there.define("auto")
    eventually(lambda: row(identity))
    there.domain(identity).setAutostart(1)
    notify.look_again(there.host.pk)
    eventually(lambda: row(identity).autostart)


def test_hostile_names_and_metadata_are_taken_as_they_are(there, eventually):
    identity = str(uuid.uuid4())
    name = "a &lt;b onmouseover=&quot;x&quot;&gt; 'q' ü"
    there.raw.defineXML(XML.format(name=name, uuid=identity))
    vm = eventually(lambda: row(identity))
    assert vm.name == "a <b onmouseover=\"x\"> 'q' ü"


def test_a_host_whose_daemon_dies_keeps_its_guests_and_comes_back_alone(there, eventually):
    identity = there.define("kept")
    eventually(lambda: row(identity))
    there.test_host.kill()
    eventually(lambda: not Host.objects.get(pk=there.host.pk).is_connected, what="the loss to be noticed")
    assert row(identity).absent_since is None and row(identity).is_stale
    eventually(lambda: Alarm.objects.filter(kind="host-lost", cleared_at=None).exists())
    there.test_host.start()
    eventually(lambda: Host.objects.get(pk=there.host.pk).is_connected, 40, "the host to come back")
    assert not Alarm.objects.filter(kind="host-lost", cleared_at=None).exists()
    eventually(lambda: row(identity).absent_since is not None, what="the new daemon's emptiness to be seen")


def test_a_frozen_host_is_noticed_and_stops_nothing_else(there, make_test_host, eventually):
    other = make_test_host()
    second = add_host("two", other)
    eventually(lambda: Host.objects.get(pk=second.pk).is_connected)
    there.test_host.freeze()
    eventually(lambda: not Host.objects.get(pk=there.host.pk).is_connected, 15, "the frozen host to be noticed")
    identity = There(other.uri).define("while-frozen")
    eventually(lambda: row(identity))
    there.test_host.thaw()
    eventually(lambda: Host.objects.get(pk=there.host.pk).is_connected, 60, lambda: what_there_is(there))


def what_there_is(there):
    """Of a host that does not come back: what kvmdash says of it, and what its daemon did."""
    host, daemon = Host.objects.get(pk=there.host.pk), there.test_host
    ended = f"ended with {daemon.process.returncode}" if daemon.has_died() else "runs"
    return f"the thawed host to come back: {host.state} ({host.state_text}); libvirtd {ended}\n{daemon.log()}"


def test_a_host_that_refuses_says_so_in_plain_words(roles, eventually):
    from lab.testhosts import free_port

    host = Host.objects.create(name="closed", uri=f"test+tcp://127.0.0.1:{free_port()}/default")
    notify.changed("hosts-configured")
    eventually(lambda: Host.objects.get(pk=host.pk).state == "refused")
    assert "refuses connections" in Host.objects.get(pk=host.pk).state_text


def test_a_changed_uri_is_taken_up_at_once(there, make_test_host, eventually):
    new = make_test_host()
    Host.objects.filter(pk=there.host.pk).update(uri=new.uri)
    notify.changed("hosts-configured")
    identity = There(new.uri).define("on-the-new-one")
    eventually(lambda: row(identity))


def test_a_disabled_host_is_left_alone(there, eventually):
    Host.objects.filter(pk=there.host.pk).update(enabled=False)
    notify.changed("hosts-configured")
    supervisor_forgets = lambda: Host.objects.get(pk=there.host.pk).state == "disabled"  # noqa: E731
    eventually(supervisor_forgets)


def test_one_uuid_running_on_two_hosts_is_an_alarm_until_it_is_over(there, make_test_host, eventually):
    other = make_test_host()
    second = add_host("two", other)
    eventually(lambda: Host.objects.get(pk=second.pk).is_connected)
    identity = there.define("twice")
    there.domain(identity).create()
    eventually(state_is(identity, "running"))
    twin = There(other.uri)
    twin.define("twice", identity)
    twin.domain(identity).create()
    alarm = eventually(lambda: Alarm.objects.filter(kind="split-brain", cleared_at=None).first())
    assert alarm.facts["hosts"] == ["one", "two"]
    assert Sighting.objects.filter(vm_id=identity, power_state="running").count() == 2
    twin.domain(identity).destroy()
    eventually(lambda: not Alarm.objects.filter(kind="split-brain", cleared_at=None).exists())


def test_a_stale_definition_left_behind_is_told_from_where_the_guest_runs(there, make_test_host, eventually):
    other = make_test_host()
    second = add_host("two", other)
    eventually(lambda: Host.objects.get(pk=second.pk).is_connected)
    identity = there.define("moved")
    There(other.uri).define("moved", identity)
    There(other.uri).domain(identity).create()
    eventually(lambda: row(identity) and row(identity).host_id == second.pk and row(identity).power_state == "running")
    eventually(lambda: Sighting.objects.filter(vm_id=identity, host=there.host, power_state="shutoff").exists())


def test_two_thousand_events_in_a_burst_end_in_true_rows(there, eventually):
    identities = [there.define(f"burst-{n}") for n in range(200)]
    for identity in identities:
        domain = there.domain(identity)
        for _ in range(2):
            domain.create()
            domain.suspend()
            domain.resume()
            domain.destroy()
        domain.create()
    eventually(
        lambda: VirtualMachine.objects.filter(uuid__in=identities, power_state="running").count() == 200,
        60,
        "every row to be true",
    )
