"""Virtual networks mirrored and changed, through the queue and the runner, on libvirt's test driver."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import libvirt
import pytest

from hosts import access, inventory, notify
from hosts.audit import Actor
from hosts.hypervisor.records import LeaseRecord, NetworkRecord
from hosts.models import Host, Network, NetworkClaim, Operation
from hosts.network_pending import pending
from hosts.operations import presenter, queue
from hosts.operations.kind import InvalidArguments, Refused, Uncertain, registry
from hosts.operations.network_base import find_network
from hosts.operations.network_edit import mark
from hosts.operations.storage_base import NotNow
from hosts.operations.task import Hold, Task
from hosts.tests.network_making import WHOLE, definition, make_card, make_network
from hosts.tests.storage_making import make_host

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
GUEST = (
    "<domain type='test'><name>{name}</name><memory unit='MiB'>64</memory><os><type>hvm</type></os><devices>"
    "<interface type='network'><mac address='52:54:00:00:00:0A'/><source network='{network}' portgroup='dmz'/>"
    "<model type='virtio'/></interface></devices></domain>"
)


@pytest.fixture
def admin(people: dict[str, Any]) -> Actor:
    return Actor(people["administrator"], "192.0.2.1")


@pytest.fixture
def do(eventually, admin):
    def ask(kind: str, row: Any, **arguments: Any) -> Operation:
        row.refresh_from_db()
        asked = queue.enqueue(kind, row, arguments, admin)
        ended = Operation.objects.filter(pk=asked.pk).exclude(state__in=Operation.ACTIVE)
        return eventually(ended.first, what=f"{kind} to end")

    return ask


class There:
    """A host, and somebody else acting on it with libvirt alone."""

    def __init__(self, uri: str) -> None:
        self.uri, self.raw = uri, libvirt.open(uri)
        self.host = Host.objects.create(name="one", uri=uri)

    def network(self, name: str = "lan") -> Any:
        return self.raw.networkLookupByName(name)


@pytest.fixture
def there(make_test_host, roles, eventually):
    here = There(make_test_host().uri)
    here.raw.networkDefineXML(definition("lan")).create()
    notify.changed("hosts-configured")
    eventually(seen("lan", active=True, host__state="connected"), what="the network")
    here.host.refresh_from_db()
    return here


def seen(name: str, **columns: Any):
    return lambda: Network.objects.select_related("host").filter(name=name, **columns).first()


# --- the mirror


def test_a_network_is_mirrored_and_what_happens_to_it_elsewhere_is_seen(there, eventually):
    row = Network.objects.get(name="lan")
    assert (row.active, row.persistent, row.bridge, row.forward) == (True, True, "virbr1", "nat")
    assert row.addresses == ["10.1.0.1/24"]
    assert row.stored_definition == row.next_definition and "<name>lan</name>" in row.next_definition
    there.network().destroy()
    row = eventually(seen("lan", active=False))
    assert row.next_definition == "" and row.stored_definition == row.definition
    there.network().undefine()
    eventually(lambda: Network.objects.get(pk=row.pk).absent_since)


def test_an_error_that_is_no_missing_flag_is_not_taken_for_one():
    from hosts.hypervisor.network import definition_of

    raw = libvirt.open("test:///default")
    network = raw.networkLookupByName("default")
    assert definition_of(network, next_start=True) == network.XMLDesc(0)
    gone = raw.networkDefineXML(definition("gone"))
    gone.undefine()
    with pytest.raises(libvirt.libvirtError) as caught:
        definition_of(gone, next_start=True)
    assert caught.value.get_error_code() == libvirt.VIR_ERR_NO_NETWORK


def test_which_guests_are_connected_is_known_from_their_definitions(there, eventually):
    guest = there.raw.defineXML(GUEST.format(name="web", network="lan"))
    card = eventually(lambda: NetworkClaim.objects.filter(owner_name="web").first())
    assert (card.source, card.mac, card.portgroup, card.model, card.active) == (
        "lan", "52:54:00:00:00:0a", "dmz", "virtio", False,
    )  # fmt: skip
    guest.create()
    eventually(lambda: NetworkClaim.objects.filter(owner_name="web", active=True).exists())
    guest.destroy()
    guest.undefine()
    eventually(lambda: not NetworkClaim.objects.exists())


def test_leases_are_kept_as_last_seen_and_no_longer():
    host = make_host()
    row = make_network(host)
    lease = LeaseRecord("52:54:00:00:00:01", "10.1.0.9", 24, "web", "ff:01", 1_800_000_000)
    record = NetworkRecord(
        uuid=str(row.uuid), name="lan", active=True, autostart=True, persistent=True, bridge="virbr1", forward="nat",
        addresses=["10.1.0.1/24"], definition=row.definition, leases=[lease],
    )  # fmt: skip
    inventory.leases_seen(host.pk, [record])
    row.refresh_from_db()
    assert row.leases_seen_at is not None
    assert row.leases == [
        {"mac": "52:54:00:00:00:01", "address": "10.1.0.9", "prefix": 24, "hostname": "web", "client_id": "ff:01",
         "expires": 1_800_000_000}
    ]  # fmt: skip
    inventory.leases_seen(host.pk, [replace(record, leases=[])])
    row.refresh_from_db()
    assert row.leases == []


def test_what_waits_for_the_next_start_is_named():
    now, later = definition(ipv4="10.1.0.1/24", mtu=1500), definition(ipv4="10.1.0.1/24", mtu=9000, domain="x.example")
    row = make_network(make_host(), definition=now, next_definition=later.replace(uuid_in(later), uuid_in(now)))
    assert pending(row) == ["MTU", "DNS domain"]
    row.next_definition = now.replace("<ip ", "<ip localPtr='yes' ")
    assert pending(row) == ["parts that have no field here"]
    row.next_definition = now
    assert pending(row) == []
    started = "<forward mode='nat'><nat><port start='1024' end='65535'/></nat></forward>"
    row.definition = now.replace('<forward mode="nat"/>', started).replace("<network>", "<network connections='2'>")
    assert started in row.definition and pending(row) == [], "what libvirt says of a running one is no change"


def uuid_in(text: str) -> str:
    return text.partition("<uuid>")[2].partition("<")[0]


# --- changes


def test_a_network_is_stopped_started_and_set_to_start_with_the_host(there, do):
    row = Network.objects.get(name="lan")
    ended = do("network-stop", row)
    assert (ended.state, ended.virsh) == ("succeeded", "virsh net-destroy lan") and not there.network().isActive()
    assert seen("lan", active=False)()
    assert do("network-start", row).state == "succeeded" and there.network().isActive()
    assert seen("lan", active=True)()
    for enabled in (True, False):
        assert do("network-autostart", row, enabled=enabled).state == "succeeded"
        assert bool(there.network().autostart()) is enabled
        assert seen("lan", autostart=enabled)()


def test_a_network_is_defined_started_and_seen(there, do):
    fields = WHOLE["nat"] | {"bridge": "virbr9"}
    ended = do("network-define", there.host, mode="nat", name="fresh", start=True, autostart=True, **fields)
    assert ended.state == "succeeded", ended.error
    row = seen("fresh", active=True, autostart=True)()
    assert (str(row.uuid), row.bridge) == (ended.result["network"], "virbr9")
    assert "virsh net-define /dev/stdin" in ended.virsh and "virsh net-start fresh" in ended.virsh
    assert presenter.present(ended, ended.actor)["subject_url"] == row.get_absolute_url()


def test_a_name_that_is_taken_is_refused_by_the_rows_and_else_by_the_host(there, do, admin):
    fields = {"mode": "isolated", "name": "lan"}
    with pytest.raises(NotNow) as caught:
        queue.enqueue("network-define", there.host, fields, admin)
    assert caught.value.field == "name"
    before = there.network().UUIDString()
    Network.objects.filter(name="lan").update(absent_since="2026-01-31T00:00:00Z")
    assert do("network-define", there.host, **fields).state == "refused"
    assert there.network().UUIDString() == before


def test_a_bridge_of_another_network_is_refused_and_the_same_addresses_are_told(there, do, admin):
    with pytest.raises(NotNow, match="lan") as caught:
        queue.enqueue("network-define", there.host, {"mode": "isolated", "name": "n", "bridge": "virbr1"}, admin)
    assert caught.value.field == "bridge"
    ended = do("network-define", there.host, mode="isolated", name="n", ipv4="10.1.0.77/16")
    assert ended.state == "succeeded"
    assert "10.1.0.0/24" in str(list(ended.log.filter(level="warning").values_list("text", flat=True)))


def test_a_network_is_edited_and_what_no_field_knows_stays(there, do, eventually):
    row = Network.objects.get(name="lan")
    there.network().destroy()
    text = there.network().XMLDesc(0).replace("<ip ", "<mac address='52:54:00:11:22:33'/><ip ")
    there.raw.networkDefineXML(text)
    notify.look_again(row.host_id, "network:")
    row = eventually(lambda: Network.objects.filter(definition__contains="52:54:00:11:22:33", active=False).first())
    fields = {"mode": "nat", "bridge": "virbr1", "ipv4": "10.3.0.1/24", "ipv4_ranges": ["10.3.0.10-10.3.0.20"]}
    ended = do("network-edit", row, base=mark(row.stored_definition), **fields)
    assert ended.state == "succeeded", ended.error
    assert ended.result["lost"] == []
    after = there.network().XMLDesc(0)
    assert "10.3.0.20" in after and "52:54:00:11:22:33" in after and "10.1.0.1" not in after
    eventually(seen("lan", addresses=["10.3.0.1/24"]))


def test_the_second_of_two_editors_is_refused_before_and_at_the_host(there, do, admin, eventually):
    row = Network.objects.get(name="lan")
    base = mark(row.stored_definition)
    fields = {"mode": "nat", "bridge": "virbr1", "ipv4": "10.1.0.1/24"}
    Network.objects.filter(pk=row.pk).update(next_definition=row.next_definition.replace("lan", "lan "))
    with pytest.raises(NotNow) as caught:
        queue.enqueue("network-edit", seen("lan")(), fields | {"base": base}, admin)
    assert caught.value.field == "base"
    # The mirror has not seen yet what somebody did with virsh.
    there.network().destroy()
    eventually(seen("lan", active=False))
    row = seen("lan")()
    changed = there.network().XMLDesc(0).replace("10.1.0.1", "10.1.0.2")
    there.raw.networkDefineXML(changed)
    Network.objects.filter(pk=row.pk).update(definition=row.definition)
    ended = do("network-edit", row, base=mark(row.definition), **fields)
    assert ended.state == "refused" and "10.1.0.2" in there.network().XMLDesc(0)


def test_another_kind_needs_another_network(there, admin):
    with pytest.raises(NotNow) as caught:
        queue.enqueue("network-edit", seen("lan")(), {"mode": "isolated"}, admin)
    assert caught.value.field == "mode"


def test_one_element_is_added_changed_and_taken_away_while_it_is_on(there, do, admin, eventually):
    row = seen("lan")()

    def ask(command: str, **arguments: Any) -> Operation:
        return do("network-update", row, section="ip-dhcp-host", command=command, **arguments)

    range_ = do("network-update", row, section="ip-dhcp-range", command="add", range="10.1.0.10-10.1.0.20")
    assert range_.state == "succeeded", range_.error
    eventually(lambda: "10.1.0.20" in seen("lan")().next_definition)
    assert ask("add", lease="52:54:00:00:00:01 10.1.0.9 web").state == "succeeded"
    assert "10.1.0.9" in there.network().XMLDesc(0)
    eventually(lambda: "10.1.0.9" in seen("lan")().next_definition)
    for wrong in ({"command": "add", "lease": "52:54:00:00:00:01 10.1.0.9 web"},
                  {"command": "delete", "lease": "52:54:00:00:00:02 10.1.0.9"},
                  {"command": "add", "lease": "52:54:00:00:00:02 10.9.0.9"}):  # fmt: skip
        with pytest.raises(NotNow) as caught:
            queue.enqueue("network-update", seen("lan")(), {"section": "ip-dhcp-host"} | wrong, admin)
        assert caught.value.field == "lease"
    assert ask("modify", lease="52:54:00:00:00:01 10.1.0.8 web").state == "succeeded"
    eventually(lambda: "10.1.0.8" in seen("lan")().next_definition)
    assert ask("delete", lease="52:54:00:00:00:01 10.1.0.8 web").state == "succeeded"
    assert "10.1.0.8" not in there.network().XMLDesc(0)


def test_a_network_is_deleted_with_its_row(there, do):
    ended = do("network-delete", seen("lan")())
    assert (ended.state, ended.virsh) == ("succeeded", "virsh net-destroy lan\nvirsh net-undefine lan")
    assert not Network.objects.filter(name="lan").exists()
    with pytest.raises(libvirt.libvirtError):
        there.network()


# --- what is refused


def test_what_guests_are_connected_to_is_taken_away_only_with_its_name_typed(admin):
    host = make_host()
    row, other = make_network(host), make_network(host, "other", bridge="virbr2")
    make_card(row, "off")
    queue.enqueue("network-stop", row, {}, admin)
    Operation.objects.all().delete()
    with pytest.raises(NotNow, match="off"):
        queue.enqueue("network-delete", row, {}, admin)
    make_card(row, "web", active=True)
    for kind in ("network-stop", "network-delete"):
        for confirm in ("", "Lan", "lan "):
            with pytest.raises(NotNow, match="web") as caught:
                queue.enqueue(kind, row, {"confirm": confirm}, admin)
            assert caught.value.field == "confirm"
        queue.enqueue(kind, row, {"confirm": "lan"}, admin)
        Operation.objects.all().delete()
    queue.enqueue("network-delete", other, {}, admin)


def test_only_cards_of_the_same_host_and_of_that_type_count(admin):
    row = make_network(make_host("a"))
    make_card(make_network(make_host("b")), "elsewhere", active=True)
    make_card(row, "bridged", active=True, type="bridge")
    queue.enqueue("network-stop", row, {}, admin)


@pytest.mark.parametrize(
    ("kind", "arguments", "columns"),
    [
        ("network-start", {}, {"active": True}),
        ("network-stop", {}, {"active": False}),
        ("network-start", {}, {"active": False, "absent_since": "2026-01-31T00:00:00Z"}),
        ("network-autostart", {}, {"persistent": False}),
        ("network-edit", {"mode": "nat", "ipv4": "10.1.0.1/24"}, {"persistent": False}),
        ("network-edit", {"mode": "nat", "ipv4": "10.1.0.1/24"}, {"definition": "<x/>"}),
    ],
)
def test_what_makes_no_sense_now_is_refused(admin, kind, arguments, columns):
    with pytest.raises(Refused):
        queue.enqueue(kind, make_network(make_host(), **columns), arguments, admin)


def test_arguments_that_nobody_knows_are_refused(admin):
    row = make_network(make_host())
    for kind in ("network-start", "network-stop", "network-autostart", "network-delete"):
        with pytest.raises(InvalidArguments):
            queue.enqueue(kind, row, {"colour": "red"}, admin)


def test_two_people_do_not_change_one_network_at_once_and_others_are_not_in_the_way(admin):
    first, second = make_network(make_host("a")), make_network(make_host("b"))
    Network.objects.update(uuid=first.uuid)
    second.refresh_from_db()
    queue.enqueue("network-stop", first, {}, admin)
    with pytest.raises(Refused, match="busy"):
        queue.enqueue("network-delete", first, {}, admin)
    queue.enqueue("network-stop", second, {}, admin)


@pytest.mark.parametrize("role", ["viewer", "operator"])
def test_networks_are_an_administrators(people, role):
    row = make_network(make_host())
    for kind in ("network-stop", "network-delete", "network-autostart"):
        with pytest.raises(access.Denied):
            queue.enqueue(kind, row, {}, Actor(people[role]))


# --- after a crash: look, never repeat


def recovered(there: There, kind: str, row: Any, **arguments: Any) -> dict[str, Any]:
    from hosts.hypervisor.connection import Connection
    from hosts.hypervisor.records import Target

    subject = registry[kind].subject(row)
    operation = Operation.objects.create(
        kind=kind, host=there.host, subject_name=subject.name, subject_uuid=subject.uuid, state="running", owner="test",
        arguments=registry[kind].clean(arguments) if kind != "network-define" else arguments,
    )  # fmt: skip
    task = Task(operation, registry[kind], lambda _host, _own: Connection.open(Target(there.uri)), Hold())
    try:
        return registry[kind].recover(task)
    finally:
        task.close()


LEASE = {"section": "dns-host", "command": "add", "record": "10.1.0.9 web"}
ELEMENT = "<host ip='10.1.0.9'><hostname>web</hostname></host>"


@pytest.mark.parametrize(
    ("kind", "arguments", "before", "after"),
    [
        ("network-start", {}, ["destroy"], ["create"]),
        ("network-stop", {}, [], ["destroy"]),
        ("network-delete", {}, [], ["destroy", "undefine"]),
        ("network-update", LEASE, [], [("update", 3, 10, -1, ELEMENT, 0)]),
        ("network-edit", {"mode": "nat", "bridge": "virbr1", "ipv4": "10.1.0.1/24", "dns_hosts": ["10.1.0.9 web"]}, [],
         [("update", 3, 10, -1, ELEMENT, 0)]),
    ],
)  # fmt: skip
def test_an_interrupted_change_is_found_done_or_said_to_be_uncertain(there, kind, arguments, before, after):
    raw, row = there.network(), seen("lan")()
    for verb in before:
        getattr(raw, verb)()
    with pytest.raises(Uncertain):
        recovered(there, kind, row, **arguments)
    for verb in after:
        name, *rest = [verb] if isinstance(verb, str) else verb
        getattr(raw, name)(*rest)
    assert recovered(there, kind, row, **arguments)["recovered"]


def test_an_interrupted_definition_is_found_or_said_not_to_be_there(there):
    from hosts.hypervisor.errors import Failed
    from hosts.operations.network_define import definition_of

    arguments = registry["network-define"].clean({"mode": "isolated", "name": "half", "start": True})
    with pytest.raises(Failed):
        recovered(there, "network-define", there.host, **arguments)
    raw = there.raw.networkDefineXML(definition_of(arguments))
    with pytest.raises(Uncertain):
        recovered(there, "network-define", there.host, **arguments)
    raw.create()
    assert recovered(there, "network-define", there.host, **arguments)["recovered"]


def test_an_operation_finds_its_network_by_name_and_lock(admin):
    row = make_network(make_host())
    asked = queue.enqueue("network-stop", row, {}, admin)
    assert find_network(asked) == row
    Network.objects.filter(pk=row.pk).update(uuid="00000000-0000-0000-0000-000000000009")
    assert find_network(asked) is None
