"""The road of an appliance: which one, its reading, and the form that was filled in with what was found."""

from __future__ import annotations

import pytest
from django.utils import timezone
from django.utils.html import escape

from hosts.models import Filling, Network, Operation
from hosts.operations.volume_base import lock_of_volume
from hosts.tests.storage_making import make_host, make_pool, make_volume
from vms.appliance.descriptor import Card
from vms.appliance.reading import Appliance, Part
from vms.creation import appliances, databases, guessing
from vms.creation.osinfo import VIRTIO_BLOCK, VIRTIO_NET, Database, System
from vms.tests.making import HTMX, browser

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])
GIB = 1 << 30
NEW, LOOK, READ = "/vms/new/", "/vms/new/look/", "/vms/new/read/"
APPLIANCE = Appliance(
    name="Web <front>", product="Example 1.0", systems=["ubuntu64Guest", "Ubuntu 22.04"], vcpus=2, memory=GIB, firmware="efi",
    disks=[Part("web.vmdk", 4096, 300_000, "vmdk", 4 * GIB, 200_000, "scsi", "lsilogic", "")],
    cards=[Card("VM Network", "VmxNet3"), Card("<b>Backup", "E1000"), Card("VM Network", "VmxNet3")],
    notes=["A device is not understood and left out: “<script>”."],
)  # fmt: skip


@pytest.fixture
def pool(db):
    host = make_host(memory=8 * GIB, cpus=4, hypervisor_type="QEMU")
    for number, name in enumerate(("default", "back")):
        Network.objects.create(host=host, name=name, uuid=f"00000000-0000-0000-0000-00000000006{number}", active=True)
    return make_pool(host)


@pytest.fixture
def row(pool):
    return make_volume(pool, "web.ova", format="raw", capacity=400_000)


def reading(row, appliance=APPLIANCE, **columns):
    result = {
        "version": appliances.version_of(row), "image": f"{row.pool.name}/{row.name}", "appliance": appliance.plain(),
        "suggested": appliances.suggestion(appliance, databases.current()),
    }  # fmt: skip
    facts = {"state": "succeeded", "result": result, "finished_at": timezone.now()} | columns
    return Operation.objects.create(
        kind="volume-read-ova", host=row.pool.host, host_name=row.pool.host.name, subject_name=f"images/{row.name}",
        subject_uuid=lock_of_volume(row.pool, row.name), **facts,
    )  # fmt: skip


def at(operation, address=NEW):
    return f"{address}?road=ova&reading={operation.pk}"


FILLED = {
    "name": "web-1", "host": "kvm1", "pool": "images", "image": "images/web.ova", "net_0": "default", "net_1": "back",
    "memory": "1 GiB",
}  # fmt: skip


def test_only_who_may_reads_appliances_and_makes_guests_of_them(people, row):
    done = reading(row)
    for name in ("viewer", "viewer-watching"):
        client = browser(people[name])
        assert client.get(f"{NEW}?road=ova").status_code == 403 and client.get(at(done)).status_code == 403
        assert client.post(READ, {"volume": row.pk}).status_code == 403
        assert client.post(at(done), FILLED).status_code == 403
        assert client.post(at(done, LOOK), FILLED, **HTMX).status_code == 403
        assert client.get(f"{READ}{done.pk}/", **HTMX).status_code == 403
    assert Operation.objects.count() == 1


def test_which_appliances_there_are_is_offered_and_reading_one_is_asked_for(people, row, pool):
    make_volume(pool, "base.qcow2")
    half = make_volume(pool, "half.OVA", format="raw")
    upload = Operation.objects.create(kind="volume-upload", state="running", host=pool.host, subject_name="u")
    Filling.objects.create(operation=upload, pool=pool, name=half.name, partial=True)
    client = browser(people["operator"])
    page = client.get(f"{NEW}?road=ova").content.decode()
    assert "images/web.ova" in page and "base.qcow2" not in page and "half.OVA" not in page
    assert "web.ova" not in client.get(f"{NEW}?road=cloud").content.decode(), "it is no disk"
    answer = client.post(READ, {"volume": row.pk})
    operation = Operation.objects.get(kind="volume-read-ova")
    assert (answer.status_code, answer["Location"]) == (302, at(operation)) and operation.host == pool.host
    assert client.post(READ, {"volume": half.pk}).status_code == 409
    for bad in ("", "0", "999999", "<b>", "9" * 40):
        assert client.post(READ, {"volume": bad}).status_code == 404


def test_without_any_the_page_says_how_to_bring_one(people, pool):
    page = browser(people["operator"]).get(f"{NEW}?road=ova").content.decode()
    assert "No appliance is there" in page and "/storage/" in page


def test_its_volume_leads_to_the_road(people, row, pool):
    address = f"{NEW}?road=ova&amp;volume={row.pk}"
    assert address in browser(people["operator"]).get(row.get_absolute_url()).content.decode()
    assert address not in browser(people["viewer"]).get(row.get_absolute_url()).content.decode()
    assert (
        f'value="{row.pk}" selected' in browser(people["operator"]).get(address.replace("&amp;", "&")).content.decode()
    )
    other = make_volume(pool, "base.qcow2")
    assert "road=ova" not in browser(people["operator"]).get(other.get_absolute_url()).content.decode()


def test_while_it_is_read_the_page_asks_again_and_then_goes_on(people, row):
    client = browser(people["operator"])
    runs = reading(row, state="running", result={}, finished_at=None)
    assert f"{READ}{runs.pk}/" in client.get(at(runs)).content.decode()
    assert "is being read" in client.get(f"{READ}{runs.pk}/", **HTMX).content.decode()
    Operation.objects.filter(pk=runs.pk).update(state="refused", error={"message": "It is no appliance: <b>."})
    for address in (at(runs), f"{READ}{runs.pk}/"):
        page = client.get(address, **HTMX).content.decode()
        assert "cannot be made into a guest" in page and "&lt;b&gt;" in page and f"{READ}{runs.pk}/" not in page
    assert client.get(f"{READ}{reading(row).pk}/", **HTMX)["HX-Redirect"].startswith("/vms/new/?road=ova&reading=")
    assert client.get(f"{READ}00000000-0000-0000-0000-000000000000/").status_code == 404
    for bad in ("", "x", "00000000-0000-0000-0000-000000000000", "<script>"):
        assert "Which appliance?" in client.get(f"{NEW}?road=ova&reading={bad}").content.decode()


def test_the_form_is_filled_in_and_what_was_not_understood_is_named(people, row):
    page = browser(people["operator"]).get(at(reading(row))).content.decode()
    for words in ('value="Web-front"', 'value="2"', 'value="1024 MiB"', '<option value="efi" selected',
    '<option value="ubuntu22.04" selected',
                  'name="net_1"', "lsilogic", escape("“<script>”"), escape("<b>Backup")):  # fmt: skip
        assert words in page, words
    assert 'name="net_2"' not in page and 'name="network"' not in page and 'name="size"' not in page
    assert "<script>”" not in page


def test_a_guest_is_asked_for_and_what_would_be_done_is_told_before(people, row):
    client, done = browser(people["operator"]), reading(row)
    page = client.post(at(done, LOOK), FILLED, **HTMX).content.decode()
    assert "qemu-img convert -f vmdk" in page and "images/web-1.qcow2" in page and "default, back, default" in page
    answer = client.post(at(done), FILLED)
    operation = Operation.objects.get(kind="create")
    assert (answer.status_code, answer["Location"]) == (302, operation.get_absolute_url())
    assert operation.arguments["networks"] == {"VM Network": "default", "<b>Backup": "back"}
    assert operation.arguments["image"] == "images/web.ova"


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"name": "../x"}, "name"), ({"pool": ""}, "pool"), ({"image": "images/other.ova"}, "image"), ({"net_0": "nowhere"},
        "net_0"),
        ({"memory": "900 GiB"}, "memory"),
    ],
)  # fmt: skip
def test_what_is_wrong_is_said_at_its_field(people, row, changed, field):
    answer = browser(people["operator"]).post(at(reading(row)), FILLED | changed)
    assert answer.status_code == 422 and list(answer.context["form"].errors) == [field]
    assert not Operation.objects.filter(kind="create").exists()


def test_one_that_changed_since_it_was_read_is_refused(people, row):
    done = reading(row)
    row.capacity += 512
    row.save()
    answer = browser(people["operator"]).post(at(done), FILLED)
    assert answer.status_code == 422 and "has changed since" in answer.content.decode()


# --- what is suggested

KNOWN = Database(
    "1",
    {
        name: System(f"http://x/{name}", name, name, devices=VIRTIO_BLOCK | VIRTIO_NET)
        for name in ("debian12", "ubuntu22.04", "win10", "win2k19", "linux2022", "centos7.0", "rhel9.0", "alpinelinux3.18",
        "freebsd13.2",
                     "win11", "fedora39", "rocky9-unknown")
    },
)  # fmt: skip


@pytest.mark.parametrize(
    ("words", "found"),
    [
        (["Debian12_64"], "debian12"), (["debian12_64Guest"], "debian12"), (["Debian GNU/Linux 12 (64-bit)"], "debian12"),
        (["ubuntu64Guest", "Ubuntu 22.04 Server"], "ubuntu22.04"), (["Ubuntu Linux (64-bit)"], "linux2022"),
        (["windows9_64Guest"], "win10"), (["Windows2019_64"], "win2k19"), (["Windows11_64"], "win11"), (["centos7_64Guest"],
        "centos7.0"),
        (["rhel9_64Guest"], "rhel9.0"), (["other5xLinux64Guest"], "linux2022"), (["Alpine Linux 3.18"], "alpinelinux3.18"),
        (["freebsd13_64Guest", "FreeBSD 13.2"], "freebsd13.2"), (["Rocky Linux 9"], "rocky9-unknown"), (["otherGuest"], ""),
        ([], ""),
        (["OpenBSD_64"], ""), (["Fedora_64"], "linux2022"), (["<b>" * 80], ""),
    ],
)  # fmt: skip
def test_systems_are_recognised_by_the_words_of_vmware_and_virtualbox(words, found):
    assert guessing.preset(words, KNOWN) == found


@pytest.mark.parametrize(
    ("bus", "firmware", "system", "wanted"),
    [
        ("ide", "bios", None, ("ide", "pc")), ("ide", "efi", None, ("sata", "q35")), ("sata", "bios", "debian12", ("sata", "q35")),
        ("scsi", "bios", None, ("sata", "q35")), ("scsi", "efi", "debian12", ("virtio", "q35")),
    ],
)  # fmt: skip
def test_disks_get_the_bus_that_the_system_will_look_for(bus, firmware, system, wanted):
    disk = Part("d", 0, 1, "vmdk", 1, 0, bus, "", "")
    one = Appliance("a", "", [], 1, GIB, firmware, [disk], [Card("n", "VmxNet3")], [])
    found = appliances.hints(one, KNOWN.systems.get(system))
    assert (found["bus"], found["machine"]) == wanted
    assert found["card"] == ("virtio" if system else "e1000e")


@pytest.mark.parametrize(
    ("name", "wanted"),
    [("Web <front>", "Web-front"), ("", "appliance"), ("…", "appliance"), ("x" * 200, "x" * 63), (".a b.", "a-b")],
)
def test_its_name_becomes_one_that_a_guest_may_have(name, wanted):
    assert appliances.guest_name(name) == wanted


# --- the API


def post(client, path, body):
    return client.post(f"/api/v1/{path}", body, content_type="application/json")


def test_the_api_reads_plans_and_makes_the_same(people, row):
    client = browser(people["operator"])
    asked = {"name": "web-1", "road": "ova", "image": "images/web.ova", "pool": "images", "network": "default"}
    plan = post(client, "vms/plan", asked | {"host": "kvm1"}).json()
    assert plan["host"] is None and [one["field"] for one in plan["findings"]] == ["image"]
    assert "not been read" in plan["findings"][0]["text"]
    answer = post(client, f"volumes/{row.pk}/read-ova", {})
    assert answer.status_code == 202 and Operation.objects.filter(kind="volume-read-ova", state="queued").exists()
    done = reading(row)
    told = client.get(f"/api/v1/operations/{done.pk}").json()["result"]
    assert told["suggested"]["preset"] == "ubuntu22.04" and told["appliance"]["disks"][0]["file"] == "web.vmdk"
    named = asked | {"host": "kvm1", "networks": {"<b>Backup": "back"}}
    plan = post(client, "vms/plan", named).json()
    assert plan["host"] == "kvm1" and plan["definition"].count("<interface ") == 3, plan["findings"]
    assert "tar -xf" in plan["command"] and plan["command"].count("network=default") == 2
    assert post(client, "vms", named).status_code == 202
    assert Operation.objects.get(kind="create").arguments["networks"] == {"<b>Backup": "back"}
    for wrong in ({"networks": {"VM Network": 7}}, {"networks": ["default"]}, {"road": "ovf"}):
        assert post(client, "vms", named | wrong).status_code == 422
    assert post(client, "vms", named | {"road": "import"}).status_code == 409
