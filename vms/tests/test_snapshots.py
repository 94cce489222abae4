"""Snapshots: the tree, what is refused and why, and the test driver's own."""

import json

import pytest

from hosts.models import Operation
from hosts.operations import queue
from hosts.operations.kind import Refused
from vms import snapshots
from vms.definition import snapshot as xml
from vms.definition.xml import MalformedDefinition
from vms.models import Sighting, VirtualMachine
from vms.tests.making import HTMX, browser, make_guest, make_host
from vms.tests.test_mirror import there  # noqa: F401
from vms.tests.test_operations import do, finished, operator  # noqa: F401

WITH_DISK = (
    "<domain type='test'><name>{name}</name><memory unit='MiB'>64</memory><os><type>hvm</type></os><devices>"
    "<disk type='file' device='disk'><driver name='qemu' type='qcow2'/><source file='/images/{name}.qcow2'/>"
    "<target dev='vda' bus='virtio'/></disk></devices></domain>"
)


def snapshot(name, parent="", **facts):
    disks = [{"target": "vda", "where": facts.pop("where", "internal"), "file": ""}]
    whole = {"name": name, "parent": parent, "created": 1, "state": "shutoff", "memory": "no", "disks": disks}
    return {**whole, "description": "", "current": False, **facts}


# --- pure


def test_what_is_built_is_read_back():
    text = xml.build("before", "a <b> & c", {"vda": "external", "vdb": "no"}, "/images/a.before.memory")
    read = xml.read(text)
    assert (read["name"], read["description"], read["memory"]) == ("before", "a <b> & c", "external")
    assert [(disk["target"], disk["where"]) for disk in read["disks"]] == [("vda", "external"), ("vdb", "no")]


def test_a_new_description_changes_nothing_else():
    text = (
        "<domainsnapshot><name>a</name><creationTime>5</creationTime><!-- kept --><x:y xmlns:x='u'/></domainsnapshot>"
    )
    described = xml.describe(text, "why")
    assert described == text.replace("</name>", "</name><description>why</description>").replace("'u'", '"u"')
    assert xml.describe(described, "") == text.replace("'u'", '"u"')


@pytest.mark.parametrize("text", ["", "<domain/>", "<domainsnapshot>", "<!DOCTYPE a [<!ENTITY e 'x'>]><b>&e;</b>"])
def test_what_is_no_snapshot_is_malformed(text):
    with pytest.raises(MalformedDefinition):
        xml.read(text)


def test_the_tree_is_drawn_parents_first_and_a_lost_parent_makes_a_root():
    found = [snapshot("b", "a"), snapshot("a"), snapshot("d", "b"), snapshot("c", "a"), snapshot("e", "gone")]
    drawn = snapshots.tree(found)
    assert [(row["name"], row["depth"], row["children"]) for row in drawn] == [
        ("a", 0, 2), ("b", 1, 1), ("d", 2, 0), ("c", 1, 0), ("e", 0, 0),
    ]  # fmt: skip


# --- refusals, by the rows


@pytest.fixture
def known(db):
    return make_guest(make_host(libvirt_version="9.0.0"))


def hold(vm, *found):
    Sighting.objects.filter(vm=vm).update(snapshots=list(found))


@pytest.mark.parametrize(
    ("columns", "arguments", "why"),
    [
        ({"disks": []}, {}, "no disk"),
        ({"format": "raw"}, {}, "Only qcow2"),
        ({}, {"memory": False}, "holds its memory too"),
        ({"power_state": "shutoff"}, {"memory": True}, "no memory to keep"),
        ({"type": "network"}, {"where": "external"}, "disks that are files"),
        ({}, {"where": "external", "quiesce": True}, "guest agent"),
        ({}, {"quiesce": True}, "in files without memory only"),
        ({}, {"name": "../../etc/passwd"}, "Letters, digits"),
        ({}, {"name": "a\nb"}, "Letters, digits"),
        ({}, {"name": "a" * 300}, "Letters, digits"),
        ({}, {"name": "taken"}, "already"),
        ({}, {"where": "external", "name": "x"}, "mixing"),
        ({}, {"where": "sideways"}, "internal or external"),
        ({}, {"description": "bell \x07"}, "control characters"),
        ({}, {"shell": "true"}, "takes no argument"),
    ],
)
def test_a_snapshot_that_cannot_be_is_refused_with_the_reason(known, operator, columns, arguments, why):  # noqa: F811
    hold(known, snapshot("taken", where="external" if arguments.get("quiesce") and len(arguments) > 1 else "internal"))
    disk = {**known.disks[0], **{k: v for k, v in columns.items() if k in ("format", "type")}}
    columns = {"disks": [disk], **{k: v for k, v in columns.items() if k not in ("format", "type")}}
    VirtualMachine.objects.filter(pk=known.pk).update(**columns)
    known.refresh_from_db()
    with pytest.raises(Refused, match=why):
        queue.enqueue("snapshot-create", known, {"name": "new", **arguments}, operator)
    assert not Operation.objects.exists()


def test_a_host_too_old_to_go_back_to_files_says_which_could(known, operator):  # noqa: F811
    hold(known, snapshot("files", where="external"))
    with pytest.raises(Refused, match=r"9\.9\.0"):
        queue.enqueue("snapshot-revert", known, {"name": "files"}, operator)
    with pytest.raises(Refused, match="no snapshot called"):
        queue.enqueue("snapshot-delete", known, {"name": "gone"}, operator)


def test_going_back_is_confirmed_by_typing_the_snapshots_name(known, people):
    hold(known, snapshot("old"))
    client = browser(people["operator"])
    address = f"/vms/{known.uuid}/do/snapshot-revert/"
    assert "Everything that its disks were told" in client.get(f"{address}?name=old", headers=HTMX).content.decode()
    assert client.post(address, {"name": "old", "confirm": "new"}, headers=HTMX).status_code == 422
    assert not Operation.objects.exists()
    answer = client.post(address, {"name": "old", "confirm": "old"}, headers=HTMX)
    assert answer.status_code == 204 and "toast" in json.loads(answer["HX-Trigger"])
    assert Operation.objects.get().arguments == {"name": "old"}


def test_the_page_draws_the_tree_and_offers_a_viewer_nothing(known, people):
    hold(known, snapshot("first", description="<b>before</b>"), snapshot("second", "first", current=True))
    address = f"/vms/{known.uuid}/snapshots/"
    page = browser(people["operator"]).get(address).content.decode()
    assert page.index("first") < page.index("second") and "snapshot-depth-1" in page
    assert "&lt;b&gt;before" in page and "the guest stands on it" in page and "snapshot-revert/?name=first" in page
    seen = browser(people["viewer"]).get(address).content.decode()
    assert "second" in seen and "snapshot-revert" not in seen and "snapshot-create" not in seen


# --- the test driver


@pytest.fixture
def guest(there, eventually):  # noqa: F811
    identity = there.raw.defineXML(WITH_DISK.format(name="snapped")).UUIDString()
    return eventually(lambda: VirtualMachine.objects.filter(uuid=identity).first())


def named(vm):
    return [s["name"] for s in snapshots.snapshots_of(VirtualMachine.objects.get(pk=vm.pk))]


@pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
def test_a_snapshot_is_taken_described_gone_back_to_and_deleted(there, guest, operator, eventually):  # noqa: F811
    taken = do(eventually, "snapshot-create", guest, operator, name="clean", description="fresh")
    assert taken.state == "succeeded", taken.error
    eventually(lambda: named(guest) == ["clean"])
    assert do(eventually, "snapshot-describe", guest, operator, name="clean", description="as new").state == "succeeded"
    domain = there.domain(str(guest.pk))
    assert "<description>as new</description>" in domain.snapshotLookupByName("clean", 0).getXMLDesc(0)
    domain.create()
    eventually(lambda: VirtualMachine.objects.get(pk=guest.pk).power_state == "running")
    assert do(eventually, "snapshot-revert", guest, operator, name="clean").state == "succeeded"
    assert not domain.isActive()
    eventually(lambda: VirtualMachine.objects.get(pk=guest.pk).power_state == "shutoff")
    do(eventually, "snapshot-create", guest, operator, name="second")
    eventually(lambda: named(guest) == ["clean", "second"])
    deleted = do(eventually, "snapshot-delete", guest, operator, name="clean", children=True)
    assert deleted.state == "succeeded" and domain.snapshotListNames(0) == []
    eventually(lambda: named(guest) == [])


@pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
def test_a_snapshot_taken_elsewhere_is_seen_at_the_next_full_look(there, guest, eventually):  # noqa: F811
    from hosts import notify

    there.domain(str(guest.pk)).snapshotCreateXML("<domainsnapshot><name>theirs</name></domainsnapshot>", 0)
    notify.look_again(guest.host_id)
    eventually(lambda: named(guest) == ["theirs"])


@pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
def test_a_name_taken_meanwhile_is_refused_and_nothing_is_overwritten(there, guest, operator, eventually):  # noqa: F811
    domain = there.domain(str(guest.pk))
    text = "<domainsnapshot><name>twice</name><description>theirs</description></domainsnapshot>"
    domain.snapshotCreateXML(text, 0)
    ended = eventually(finished(queue.enqueue("snapshot-create", guest, {"name": "twice"}, operator)))
    assert ended.state == "refused"
    assert "theirs" in domain.snapshotLookupByName("twice", 0).getXMLDesc(0)
