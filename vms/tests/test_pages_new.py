"""The pages on which a guest is made: who sees them, what they offer, and what is said at which field."""

from __future__ import annotations

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils.html import escape

from hosts.models import Network, Operation, OperationSecret
from hosts.tests.storage_making import make_claim, make_host, make_pool, make_volume
from vms.tests.making import HTMX, browser, make_guest

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])
GIB = 1 << 30
NEW, LOOK = "/vms/new/", "/vms/new/look/"
FILLED = {
    "name": "web-1", "host": "kvm1", "pool": "images", "network": "default", "image": "images/base.qcow2", "memory": "1 GiB",
    "vcpus": "2", "user": "ada", "password": "hunter2-hunter2", "start": "on",
}  # fmt: skip
ROADS = ("cloud", "install", "import", "ova", "clone")


@pytest.fixture
def host(db):
    made = make_host(memory=8 * GIB, cpus=4, hypervisor_type="QEMU")
    make_volume(make_pool(made), "base.qcow2", capacity=2 * GIB)
    make_volume(made.pools.get(), "debian.iso", format="iso")
    Network.objects.create(host=made, name="default", uuid="00000000-0000-0000-0000-000000000051", active=True)
    return made


@pytest.mark.parametrize("road", ["", *ROADS])
def test_the_page_is_for_those_who_may_make_guests(people, host, road):
    address = f"{NEW}?road={road}" if road else NEW
    assert browser(people["operator"]).get(address).status_code == 200
    for nobody in ("viewer", "viewer-watching"):
        assert browser(people[nobody]).get(address).status_code == 403
        assert browser(people[nobody]).post(address, FILLED).status_code == 403
        assert browser(people[nobody]).post(f"{LOOK}?road={road}", FILLED, **HTMX).status_code == 403
    assert not Operation.objects.exists()


def test_the_buttons_are_shown_to_those_who_may(people, host):
    for address in ("/vms/", "/hosts/kvm1/"):
        assert NEW in browser(people["operator"]).get(address).content.decode(), address
        assert NEW not in browser(people["viewer"]).get(address).content.decode(), address


def test_a_guest_is_asked_for(people, host):
    answer = browser(people["operator"]).post(f"{NEW}?road=cloud", FILLED)
    operation = Operation.objects.get(kind="create")
    assert (answer.status_code, answer["Location"]) == (302, operation.get_absolute_url())
    assert operation.host == host and operation.subject_name == "web-1"
    assert operation.arguments["memory"] == GIB and operation.arguments["seed"]["user"] == "ada"
    assert "hunter2" not in str(operation.arguments) and OperationSecret.objects.filter(operation=operation).exists()


def test_several_are_asked_for_by_a_pattern_and_the_best_host(people, host):
    other = make_host("kvm2", memory=64 * GIB, memory_used=GIB, cpus=8, hypervisor_type="QEMU")
    make_volume(make_pool(other), "base.qcow2", capacity=2 * GIB)
    Network.objects.create(host=other, name="default", uuid="00000000-0000-0000-0000-000000000052", active=True)
    browser(people["operator"]).post(f"{NEW}?road=cloud", FILLED | {"name": "web-{1..3}", "host": "best"})
    parent = Operation.objects.get(kind="bulk")
    made = {child.subject_name: child.host.name for child in parent.children.all()}
    assert sorted(made) == ["web-1", "web-2", "web-3"] and "kvm2" in made.values()


def test_while_nothing_fits_the_host_that_has_the_image_says_what_is_still_to_be_chosen(people, host):
    make_host("kvm2", memory=64 * GIB, memory_used=GIB, cpus=8, hypervisor_type="QEMU")
    host.memory_used = 6 * GIB
    host.save()
    filled = FILLED | {"host": "best", "pool": "", "user": "", "password": ""}
    text = browser(people["operator"]).post(f"{LOOK}?road=cloud", filled, **HTMX).content.decode()
    assert text.index("In which pool?") < text.index("kvm2 has no")


@pytest.mark.parametrize(
    ("road", "changed", "field"),
    [
        ("cloud", {"name": "<b>"}, "name"),
        ("cloud", {"name": ""}, "name"),
        ("cloud", {"memory": "much"}, "memory"),
        ("cloud", {"memory": "9 GiB"}, "memory"),
        ("cloud", {"vcpus": "-1"}, "vcpus"),
        ("cloud", {"size": "1 GiB"}, "size"),
        ("cloud", {"image": "images/none"}, "image"),
        ("cloud", {"pool": ""}, "pool"),
        ("cloud", {"host": "kvm9"}, "host"),
        ("cloud", {"user": "Root!"}, "user"),
        ("cloud", {"ssh_keys": "ssh-ed25519 short"}, "ssh_keys"),
        ("cloud", {"user_data": "#!/bin/sh"}, "user_data"),
        ("cloud", {"user_data": "#cloud-config\nruncmd: [<script>"}, "user_data"),
        ("cloud", {"address": "192.0.2.300/24"}, "address"),
        ("install", {"iso": ""}, "iso"),
        ("clone", {"source": ""}, "source"),
    ],
)
def test_what_is_wrong_is_said_at_its_field_and_nothing_is_asked(people, host, road, changed, field):
    answer = browser(people["operator"]).post(f"{NEW}?road={road}", FILLED | changed)
    assert answer.status_code == 422 and not Operation.objects.exists()
    assert list(answer.context["form"].errors) == [field], answer.context["form"].errors
    page = answer.content.decode()
    assert f'id="id_{field}_error"' in page and "hunter2" not in page and "<script>" not in page.partition("<main")[2]


def look(people, road="cloud", **changed):
    return browser(people["operator"]).post(f"{LOOK}?road={road}", FILLED | changed, **HTMX).content.decode()


def test_what_would_be_done_is_told_beside_the_form(people, host):
    page = look(people)
    assert "virt-install --name web-1" in page and "images/web-1.qcow2" in page and "web-1-seed.iso" in page
    assert "hunter2" not in page and not Operation.objects.exists()
    assert "Name" in look(people, name="") and "virt-install" not in look(people, name="")
    assert "in all" in look(people, memory="900 GiB")
    make_guest(host, "web-1")
    assert "has a guest of that name" in look(people)


def test_hostile_words_are_shown_as_words(people, host):
    bad = "<img src=x onerror=alert(1)>"
    for name in ("name", "memory", "user", "user_data", "host", "image"):
        page = look(people, **{name: bad})
        assert bad not in page, name
    answer = browser(people["operator"]).get(f"{NEW}?road=cloud&name={bad}&source={bad}&image={bad}")
    assert answer.status_code == 200 and bad not in answer.content.decode() and escape(bad) in answer.content.decode()
    for road in ("nothing", "cloud%00", "<b>"):
        assert browser(people["operator"]).get(f"{NEW}?road={road}").status_code == 200


def test_the_lists_offer_what_fits_and_what_is_whole(people, host):
    pool = host.pools.get()
    make_volume(pool, "used.qcow2")
    make_claim(host, "db", "/pools/images/used.qcow2", active=True)
    make_volume(pool, "web-9-seed.iso", format="iso")
    page = browser(people["operator"]).get(f"{NEW}?road=cloud").content.decode()
    assert "images/base.qcow2" in page and "images/used.qcow2" not in page and "debian.iso" not in page
    page = browser(people["operator"]).get(f"{NEW}?road=install").content.decode()
    assert "images/debian.iso" in page and "web-9-seed.iso" not in page and "Microsoft Windows 11" in page


def test_more_hosts_images_and_guests_are_no_queries_more(people, host):
    def count(road):
        client = browser(people["operator"])
        client.get(f"{NEW}?road={road}")
        with CaptureQueriesContext(connection) as queries:
            client.get(f"{NEW}?road={road}")
        return len(queries)

    make_guest(host, "first")
    before = [count(road) for road in ROADS]
    for number in range(3):
        other = make_host(f"more{number}")
        make_volume(make_pool(other, f"pool{number}"), "x.qcow2")
        make_guest(other, f"guest-{number}", power_state="shutoff")
    assert [count(road) for road in ROADS] == before
