"""Devices added, changed and removed through the queue and the runner, on libvirt's test driver; and the dialogs' pages."""

import pytest

from hosts.audit import Actor
from hosts.models import StorageClaim, StoragePool, StorageVolume
from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Refused
from hosts.operations.storage_base import NotNow
from vms.definition.domain import Definition
from vms.hardware import editing
from vms.hardware.catalogue import TYPES, property_at
from vms.models import Sighting, VirtualMachine
from vms.tests.making import HTMX, browser
from vms.tests.test_hardware import fresh, live, stored
from vms.tests.test_mirror import there  # noqa: F401
from vms.tests.test_operations import becomes, do, guest, operator  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
MAC = "52:54:00:00:00:01"
CARD = f"interfaces[{MAC}]"


@pytest.fixture
def pool(there, eventually):  # noqa: F811
    return eventually(lambda: StoragePool.objects.filter(host=there.host, name="default-pool", active=True).first())


def dialog(people, guest, kind, query, role="operator"):  # noqa: F811
    return browser(people[role]).get(f"/vms/{guest.pk}/do/{kind}/?{query}", headers=HTMX).content.decode()


def test_every_field_of_every_type_is_a_declared_property_that_takes_what_is_offered() -> None:
    for type_ in TYPES.values():
        for one in type_.fields:
            if one.path == "device":
                continue
            declared = property_at(type_.node, one.path)
            for word in (*one.choices, *([one.first] if one.first and declared.form in ("choice", "text") else [])):
                declared.check(word)


@pytest.mark.parametrize("name", sorted(TYPES))
def test_every_type_has_a_dialog_that_adds_what_libvirts_schema_allows(name, people, there, guest, eventually):  # noqa: F811
    """The form as it opens, filled in where it must be, becomes a device that libvirt takes."""
    needed = {
        "hostdev": {"device": "0000:02:00.0"}, "filesystem": {"source.dir": "/srv", "target": "srv"},
        "memory": {"target.size": "128 MiB"}, "cdrom": {"image": ""}, "panic": {"model": "isa"},
    }.get(name, {})  # fmt: skip
    admin = browser(people["administrator"])
    page = admin.get(f"/vms/{guest.pk}/do/device-add/?type={name}", headers=HTMX)
    form = page.context["form"]
    sent = {field.html_name: str(field.value() or "") for field in form} | needed
    if name == "disk":
        pool = eventually(lambda: StoragePool.objects.filter(host=there.host, name="default-pool").first())
        StorageVolume.objects.create(pool=pool, name="a.qcow2", path="/default-pool/a.qcow2", format="qcow2")
        sent["image"] = "/default-pool/a.qcow2"
    answer = admin.post(f"/vms/{guest.pk}/do/device-add/", sent, headers=HTMX)
    assert answer.status_code == 204, answer.content.decode()
    operation = eventually(lambda: guest_operation(guest))
    if operation.state == "failed":
        # The test driver knows no machine that has this; what was sent fits libvirt's schema all the same.
        assert "schema" not in operation.error["message"], operation.error
        return
    assert operation.state == "succeeded", operation.error
    tag = {"cdrom": "disk", "floppy": "disk"}.get(name, name)
    assert f"<{tag}" in stored(there, guest)


def guest_operation(vm):
    from hosts.models import Operation

    return Operation.objects.filter(subject_uuid=vm.pk).exclude(state__in=Operation.ACTIVE).first()


def test_a_disk_is_made_with_its_volume_and_removed_without_it(there, guest, pool, operator, eventually):  # noqa: F811
    new = {"pool": pool.name, "name": "data.qcow2", "capacity": 2**20, "format": "qcow2"}
    values = {"driver.cache": "none", "driver.discard": "unmap", "iotune.total_bytes_sec": 10**6}
    ended = do(eventually, "device-add", guest, operator, type="disk", set=values, new_volume=new)
    assert ended.state == "succeeded", ended.error
    assert ended.virsh.splitlines()[0] == "virsh vol-create-as default-pool data.qcow2 1048576 --format qcow2"
    assert ended.virsh.splitlines()[1] == "virsh attach-device guest /dev/stdin --config <<'XML'"
    disk = Definition.parse(stored(there, guest)).devices.disks["vda"]
    assert (disk.source.file, disk.driver.format, disk.driver.cache) == ("/default-pool/data.qcow2", "qcow2", "none")
    assert disk.iotune.total_bytes_sec == 10**6
    eventually(lambda: "vda" in Sighting.objects.get(vm=guest).inactive_definition)
    ended = do(eventually, "device-remove", guest, operator, device="disks[vda]")
    assert ended.state == "succeeded", ended.error
    assert "vda" not in stored(there, guest)
    volumes = there.raw.storagePoolLookupByName("default-pool").listVolumes()
    assert "data.qcow2" in volumes


def test_a_new_volume_goes_when_its_disk_is_not_taken(there, guest, pool, operator, eventually):  # noqa: F811
    there.domain(str(guest.pk)).create()
    eventually(becomes(guest, "running"))
    new = {"pool": pool.name, "name": "data.qcow2", "capacity": 2**20, "format": "qcow2"}
    before = stored(there, guest)
    ended = do(eventually, "device-add", guest, operator, type="disk", set={}, new_volume=new)
    assert ended.state == "failed" and "The running guest did not take it" in ended.error["message"]
    assert "data.qcow2" not in there.raw.storagePoolLookupByName("default-pool").listVolumes()
    assert stored(there, guest) == before and "vda" not in live(there, guest)


def test_an_image_that_another_guest_writes_to_is_refused_unless_it_is_shared(there, guest, pool, operator):  # noqa: F811
    StorageVolume.objects.create(pool=pool, name="a.qcow2", path="/default-pool/a.qcow2", format="qcow2")
    StorageClaim.objects.create(
        host=there.host, owner="00000000-0000-4000-8000-000000000009", owner_name="other", path="/default-pool/a.qcow2",
        device="disk", target="vda",
    )  # fmt: skip
    asked = {"type": "disk", "source": "/default-pool/a.qcow2"}
    with pytest.raises(NotNow, match="used by other"):
        queue.enqueue("device-add", guest, asked, operator)
    operation = queue.enqueue("device-add", guest, {**asked, "set": {"shareable": True}}, operator)
    assert operation.arguments["set"]["driver.format"] == "qcow2"


def test_a_card_is_changed_by_what_is_named_alone(there, guest, operator, eventually):  # noqa: F811
    ended = do(eventually, "device-change", guest, operator, device=CARD, set={"model": "e1000e", "link": "down"})
    assert ended.state == "succeeded", ended.error
    card = Definition.parse(stored(there, guest)).devices.interfaces[MAC]
    assert (card.model, card.link, card.source.network) == ("e1000e", "down", "default")
    eventually(lambda: "e1000e" in Sighting.objects.get(vm=guest).inactive_definition)
    ended = do(eventually, "device-change", guest, operator, device=CARD, set={"link": None})
    assert ended.state == "succeeded" and "<link" not in stored(there, guest)
    assert ended.virsh == f"virsh domif-setlink guest {MAC} up --config"


@pytest.mark.parametrize(
    ("kind", "asked", "error", "words"),
    [
        ("device-add", {"type": "teleporter"}, InvalidArguments, "Say disk"),
        ("device-add", {"type": "rng", "set": {"speed": 9}}, NotNow, "no property speed"),
        ("device-add", {"type": "interface", "set": {"mac": "nonsense"}}, NotNow, "hexadecimal"),
        ("device-add", {"type": "interface", "set": {"mac": MAC}}, NotNow, "already"),
        ("device-add", {"type": "disk"}, NotNow, "one image"),
        ("device-add", {"type": "graphics", "set": {"password": "x"}}, NotNow, "Passwords"),
        ("device-change", {"device": "disks[vdz]", "set": {"readonly": True}}, Refused, "no disks\\[vdz\\]"),
        ("device-change", {"device": CARD, "set": {"mtu": 99999999}}, NotNow, "between"),
        ("device-change", {"device": CARD, "set": {}}, InvalidArguments, "Nothing"),
        ("device-change", {"device": CARD, "set": {"link": "down"}, "affect": "live"}, Refused, "does not run"),
        ("device-remove", {"device": "nothing[1]"}, Refused, "no nothing"),
        ("device-remove", {"device": "][.."}, Refused, "There is no"),
    ],
)
def test_what_makes_no_sense_is_refused_with_the_reason(guest, operator, kind, asked, error, words):  # noqa: F811
    with pytest.raises(error, match=words):
        queue.enqueue(kind, guest, asked, operator)


@pytest.mark.parametrize(
    "asked",
    [
        {"type": "hostdev", "set": {"type": "pci", "device": "0000:02:00.0"}},
        {"type": "filesystem", "set": {"source.dir": "/etc", "target": "etc"}},
        {"type": "disk", "source": "/etc/shadow"},
        {"type": "disk", "set": {"source.file": "/etc/shadow"}, "source": "/etc/shadow"},
        {"type": "interface", "set": {"type": "bridge", "source.bridge": "br0"}},
        {"type": "rng", "set": {"backend": "random", "device": "/dev/sda"}},
        {"type": "serial", "set": {"type": "file", "source.path": "/etc/passwd"}},
        {"type": "channel", "set": {"type": "unix", "name": "x", "source.path": "/run/x"}},
        {"type": "tpm", "set": {"backend": "passthrough", "device": "/dev/tpm0"}},
        {"type": "graphics", "set": {"type": "vnc", "listen": "0.0.0.0"}},
    ],
    ids=lambda asked: f"{asked['type']} {' '.join(asked.get('set', {}))}",
)
def test_what_names_something_of_the_host_is_for_administrators(guest, people, operator, asked):  # noqa: F811
    with pytest.raises(Exception, match="administrators"):
        queue.enqueue("device-add", guest, asked, operator)
    assert queue.enqueue("device-add", guest, asked, Actor(people["administrator"])).state == "queued"


def test_of_two_who_change_a_card_the_second_sees_it_and_writes_its_own_part_alone(
    there,  # noqa: F811
    guest,  # noqa: F811
    people,
    operator,  # noqa: F811
    eventually,
):
    client = browser(people["operator"])
    page = client.get(f"/vms/{guest.pk}/do/device-change/?device={CARD}", headers=HTMX)
    sent = {field.html_name: str(field.value() or "") for field in page.context["form"]}
    base = fresh(guest)["base"]
    assert do(eventually, "device-change", guest, operator, device=CARD, set={"model": "e1000"}).state == "succeeded"
    eventually(lambda: fresh(guest)["base"] != base)
    sent["mtu"] = "1400"
    answer = client.post(f"/vms/{guest.pk}/do/device-change/", sent, headers=HTMX)
    assert answer.status_code == 422 and "e1000" in answer.content.decode()
    form = answer.context["form"]
    again = {field.html_name: str(field.value() or "") for field in form}
    assert (again["model"], again["mtu"]) == ("e1000", "1400")
    assert client.post(f"/vms/{guest.pk}/do/device-change/", again, headers=HTMX).status_code == 204
    eventually(lambda: "1400" in stored(there, guest))
    card = Definition.parse(stored(there, guest)).devices.interfaces[MAC]
    assert (card.model, card.mtu) == ("e1000", 1400)


def test_the_page_offers_what_can_be_done_to_each_device_to_those_who_may(people, guest):  # noqa: F811
    for role, offered in (("operator", True), ("viewer", False)):
        text = browser(people[role]).get(f"/vms/{guest.pk}/devices/").content.decode()
        assert ("do/device-change/?device=interfaces%5B52%3A54" in text) is offered
        assert ("do/device-add/?type=disk" in text) is offered
    text = dialog(people, guest, "device-change", f"device={CARD}")
    assert 'name="bandwidth.inbound.average"' in text and "Changes at" not in text
    VirtualMachine.objects.filter(pk=guest.pk).update(power_state="running")
    Sighting.objects.filter(vm=guest).update(power_state="running")
    text = dialog(people, guest, "device-change", f"device={CARD}")
    assert "Changes at once." in text and "Changes at the next boot." in text
    assert 'name="confirm"' not in dialog(people, guest, "device-remove", f"device={CARD}")


def test_devices_that_nothing_tells_apart_are_told_by_their_place() -> None:
    rngs = "<rng model='virtio'><backend model='random'>/dev/{}</backend></rng>"
    text = "<domain type='kvm'><devices>" + rngs.format("random") + rngs.format("urandom") + "</devices></domain>"
    definition = Definition.parse(text)
    assert [path for path, _node in editing.devices(definition)] == ["rngs[#0]", "rngs[#1]"]
    turned = Definition.parse(
        "<domain type='kvm'><devices>" + rngs.format("urandom") + rngs.format("random") + "</devices></domain>"
    )
    twin = editing.twin("rngs[#1]", editing.find(definition, "rngs[#1]"), editing.devices(turned))
    assert twin is not None and twin.get("device") == "/dev/urandom"


def test_of_two_that_are_alike_the_one_that_is_left_is_not_taken_for_the_one_that_went() -> None:
    """The definition has lost the first of two: what is done to the one that it has must not be done to the other."""
    both = "<rng model='virtio'><rate bytes='1'/><backend model='random'>/dev/a</backend></rng>" * 2
    both = both.replace("/dev/a", "/dev/b", 1)
    running = Definition.parse(f"<domain type='kvm'><devices>{both}</devices></domain>")
    left = "<rng model='virtio'><rate bytes='2'/><backend model='random'>/dev/a</backend></rng>"
    stored = Definition.parse(f"<domain type='kvm'><devices>{left}</devices></domain>")
    assert editing.twin("rngs[#0]", editing.find(stored, "rngs[#0]"), editing.devices(running)) is None
