"""Where guests can move, as rows of the mirror tell it: the pages, the API, and the move that is refused by the same words."""

from __future__ import annotations

import uuid
from typing import Any

import pytest
from django.db import connection
from django.test.utils import CaptureQueriesContext
from django.utils import timezone

from hosts.audit import Actor
from hosts.models import (
    Host,
    HostInterfaces,
    HostProcessors,
    HostSupply,
    Network,
    Operation,
    StoragePool,
    StorageVolume,
)
from hosts.operations import queue
from hosts.operations.kind import Refused
from kvmdash.tests.cluster import ApiClient
from vms.models import Sighting, VirtualMachine
from vms.moving.preflight.engine import NAMES
from vms.tests.making import HTMX, browser, make_guest, make_host

pytestmark = pytest.mark.django_db(databases=["default", "metrics"])
TEXT = """<domain type='kvm'><name>{name}</name><os><type arch='x86_64' machine='pc-q35-7.2'>hvm</type></os>
<cpu mode='custom'><model>EPYC</model></cpu><devices><emulator>/usr/bin/qemu-system-x86_64</emulator>
<disk type='file' device='disk'><driver cache='none'/><source file='/shared/{name}.qcow2'/><target dev='vda'/></disk>
<interface type='network'><source network='{network}'/></interface></devices></domain>"""
CAPABILITIES = """<capabilities><host><topology><cells><cell id='0'><cpus><cpu id='0'/></cpus></cell></cells></topology></host>
<guest><os_type>hvm</os_type><arch name='x86_64'><emulator>/usr/bin/qemu-system-x86_64</emulator>
<machine canonical='pc-q35-7.2'>q35</machine><domain type='kvm'/></arch></guest></capabilities>"""


def full_host(name: str, **columns: Any) -> Host:
    """A host that has told everything."""
    now = timezone.now()
    facts: dict[str, Any] = {
        "capabilities": CAPABILITIES, "cpus": 8, "libvirt_version": "9.0.0", "hypervisor_version": "7.2.0", "reconciled_at": now,
        "memory_used": 2**33,
    }  # fmt: skip
    host = make_host(name, **facts | columns)
    HostProcessors.objects.create(
        host=host, arch="x86_64", virt="kvm", model="EPYC", features=["aes"], known_models={"EPYC": "yes"}, seen_at=now
    )
    Network.objects.create(host=host, name="default", uuid=uuid.uuid4(), active=True, seen_at=now)
    pool = {"type": "netfs", "path": "/shared", "shared_key": "nfs", "active": True, "available": 2**40}
    StoragePool.objects.create(host=host, name="shared", uuid=uuid.uuid4(), **pool)
    HostInterfaces.objects.create(host=host, interfaces=[], seen_at=now)
    return host


@pytest.fixture
def pair(db: None) -> tuple[Host, Host]:
    return full_host("kvm1"), full_host("kvm2")


def guest_on(host: Host, name: str = "web-1", network: str = "default", **columns: Any) -> VirtualMachine:
    vm = make_guest(host, name, **columns)
    Sighting.objects.filter(vm=vm).update(
        live_definition=TEXT.format(name=name, network=network), inactive_definition=""
    )
    return vm


def cells(people: dict[str, Any], vm: VirtualMachine, host: str) -> dict[str, Any]:
    told = ApiClient(people["viewer"]).get(f"vms/{vm.pk}/preflight")
    assert told.status_code == 200, told.content
    target = next(one for one in told.json()["targets"] if one["host"] == host)
    return {cell["check"]: cell for cell in target["cells"]} | {"verdict": target["verdict"]}


def test_hosts_that_have_all_a_guest_needs_are_told_from_the_rows(people, pair):
    vm = guest_on(pair[0])
    found = cells(people, vm, "kvm2")
    assert [name for name in NAMES if found[name]["verdict"] != "ok"] == ["road"], "nobody has taken that road yet"
    Operation.objects.create(
        kind="migrate", state="succeeded", host=pair[0], result={"host": "kvm2"}, finished_at=timezone.now()
    )
    assert cells(people, vm, "kvm2")["verdict"] == "ok"
    assert cells(people, vm, "kvm1")["host"]["reason"] == "It is already there."


def test_the_page_says_which_is_best_and_why_others_are_not_with_what_would_mend_it(people, pair):
    full_host("kvm3", state="unreachable", state_text="No route to host.")
    Network.objects.filter(host=full_host("kvm4")).delete()
    vm = guest_on(pair[0])
    text = browser(people["viewer"]).get(f"/vms/{vm.pk}/preflight/").content.decode()
    for words in (
        "Best: <strong>kvm2</strong>",
        "kvm4 has no network default.",
        "Make the network there",
        "No route to host.",
    ):
        assert words in text, words
    assert "Move it there" not in text and "Move it there" in (
        browser(people["operator"]).get(f"/vms/{vm.pk}/preflight/").content.decode()
    )
    assert text.index('id="host-kvm2"') < text.index('id="host-kvm4"'), "the best comes first"


def test_names_from_hosts_and_definitions_are_shown_as_text(people, pair):
    vm = guest_on(pair[0], network="&lt;script&gt;alert(1)&lt;/script&gt;")
    VirtualMachine.objects.update(name="<b>evil")
    text = browser(people["viewer"]).get(f"/vms/{vm.pk}/preflight/").content.decode()
    assert "<script>alert" not in text and "<b>evil" not in text and "&lt;script&gt;alert(1)" in text


def test_a_selection_is_a_table_of_guests_and_hosts(people, pair):
    good, bad = guest_on(pair[0], "good"), guest_on(pair[0], "bad", network="dmz")
    address = f"/vms/preflight/?vm={good.pk}&vm={bad.pk}"
    text = browser(people["viewer"]).get(address).content.decode()
    assert "kvm2 has no network dmz." in text and "1 of them can go nowhere" in text
    for broken, status in (("", 200), ("?vm=x", 422), (f"?vm={uuid.uuid4()}", 409)):
        assert browser(people["viewer"]).get(f"/vms/preflight/{broken}").status_code == status, broken
    sent = browser(people["viewer"]).get("/vms/preflight/", {"ids": [str(good.pk)]}, headers=HTMX)
    assert sent.status_code == 204 and sent["HX-Redirect"] == f"/vms/preflight/?vm={good.pk}"
    told = ApiClient(people["viewer"]).get("preflight", uuid=[str(bad.pk)]).json()
    assert [(one["name"], one["targets"][0]["verdict"], one["targets"][0]["reason"]) for one in told] == [
        ("bad", "no", "kvm2 has no network dmz.")
    ]


def test_only_those_who_may_see_guests_look(people, pair):
    vm = guest_on(pair[0])
    for address in (f"/vms/{vm.pk}/preflight/", f"/vms/preflight/?vm={vm.pk}", "/vms/processors/"):
        assert browser(None).get(address).status_code == 302, address
    for address in (f"vms/{vm.pk}/preflight", f"preflight?uuid={vm.pk}", "processors"):
        assert ApiClient().get(address).status_code == 401, address


def test_a_move_that_cannot_be_is_refused_by_the_words_of_the_page(people, pair):
    vm = guest_on(pair[0], network="dmz")
    refused = ApiClient(people["operator"]).post(f"vms/{vm.pk}/migrate", {"host": "kvm2"})
    assert refused.status_code == 409 and "kvm2 has no network dmz." in refused.json()["detail"], refused.json()
    assert not Operation.objects.exists()
    dialog = browser(people["operator"]).get(f"/vms/{vm.pk}/do/migrate/", headers=HTMX).content.decode()
    assert "kvm2 has no network dmz." in dialog and f"/vms/{vm.pk}/preflight/" in dialog
    Network.objects.filter(host=pair[1]).update(name="dmz")
    assert ApiClient(people["operator"]).post(f"vms/{vm.pk}/migrate", {"host": "kvm2"}).status_code == 202


def test_a_disk_of_one_host_alone_is_refused_unless_it_is_copied(people, pair):
    StoragePool.objects.update(shared_key="", type="dir")
    vm = guest_on(pair[0])
    source = StoragePool.objects.get(host=pair[0])
    StorageVolume.objects.create(pool=source, name="a", path="/shared/web-1.qcow2", capacity=2**30)
    api = ApiClient(people["operator"])
    refused = api.post(f"vms/{vm.pk}/migrate", {"host": "kvm2"})
    assert refused.status_code == 409 and "not shared" in refused.json()["detail"]
    dialog = browser(people["operator"]).get(f"/vms/{vm.pk}/do/migrate/?host=kvm2", headers=HTMX).content.decode()
    assert 'value="kvm2"' in dialog and "not shared" in dialog, "it can be chosen: the box below mends it"
    assert api.post(f"vms/{vm.pk}/migrate", {"host": "kvm2", "copy_storage": True}).status_code == 202


def test_the_processors_page_shows_what_is_common_and_who_blocks_moves(people, pair):
    HostProcessors.objects.filter(host=pair[1]).update(features=["aes", "avx"])
    guest_on(pair[1], "stays")
    Sighting.objects.update(live_definition=TEXT.format(name="stays", network="default").replace(
        "</model>", "</model><feature policy='require' name='avx'/>"))  # fmt: skip
    text = browser(people["viewer"]).get("/vms/processors/").content.decode()
    assert "+ avx" in text and "can go nowhere" in text and "cannot have on kvm1: avx." in text
    (told,) = ApiClient(people["viewer"]).get("processors").json()
    assert told["features"] == ["aes"] and [one["more"] for one in told["hosts"]] == [[], ["avx"]]


def test_a_host_and_a_guest_more_are_no_query_more(people, pair):
    vms = [guest_on(pair[0], f"web-{number}") for number in range(2)]
    client = browser(people["viewer"])

    def queries(address: str) -> int:
        client.get(address)
        with CaptureQueriesContext(connection) as captured:
            assert client.get(address).status_code == 200
        return len(captured)

    few = queries(f"/vms/preflight/?vm={vms[0].pk}"), queries(f"/vms/{vms[0].pk}/preflight/")
    full_host("kvm3")
    assert (queries(f"/vms/preflight/?vm={vms[0].pk}&vm={vms[1].pk}"), queries(f"/vms/{vms[0].pk}/preflight/")) == few


SEALED = (
    "<encryption format='luks'><secret type='passphrase' uuid='11111111-2222-3333-4444-555555555555'/></encryption>"
)


def test_secrets_and_free_huge_pages_of_a_host_are_judged_from_its_rows_with_their_age(people, pair):
    vm, now = guest_on(pair[0]), timezone.now()
    text = (
        TEXT.format(name=vm.name, network="default")
        .replace("</source>", "")
        .replace("qcow2'/>", f"qcow2'>{SEALED}</source>")
    )
    text = text.replace("<os>", "<memory unit='MiB'>64</memory><memoryBacking><hugepages/></memoryBacking><os>")
    Sighting.objects.filter(vm=vm).update(live_definition=text)
    pair[1].cells = [{"id": 0, "cpus": 1, "memory": 2**33, "pages": [{"size": 2**21, "count": 64}]}]
    pair[1].save()
    found = cells(people, vm, "kvm2")
    assert found["secrets"]["verdict"] == "unknown" and "not known" in found["memory"]["reason"]
    row = HostSupply.objects.create(
        host=pair[1], pages=[{"cell": 0, "size": 2**21, "free": 8}], secrets=[], seen_at=now
    )
    found = cells(people, vm, "kvm2")
    assert found["secrets"]["verdict"] == "no" and "11111111-2222" in found["secrets"]["reason"]
    assert found["memory"]["verdict"] == "warning" and "only 16.0 MiB were free" in found["memory"]["reason"]
    row.pages[0]["free"] = 32
    row.secrets = [["11111111-2222-3333-4444-555555555555", "volume", "/shared/web-1.qcow2"]]
    row.save()
    found = cells(people, vm, "kvm2")
    assert found["secrets"]["verdict"] == "warning" and found["memory"]["verdict"] == "ok"
    told = ApiClient(people["viewer"]).get(f"vms/{vm.pk}/preflight").json()["targets"]
    ages = {one["host"]: one["supply_at"] for one in told}
    assert ages["kvm2"] and ages["kvm1"] is None


def asked_for_many(people, pair, count: int) -> tuple[Operation, int]:
    """So many guests of the first host are asked to move to the second; the operation, and how many queries that took."""
    vms = [guest_on(pair[0], f"many-{count}-{number}") for number in range(count)]
    vms[0].sightings.update(live_definition=TEXT.format(name=vms[0].name, network="only-here"))
    actor = Actor(people["operator"])
    with CaptureQueriesContext(connection) as taken:
        parent = queue.enqueue_many("migrate", vms, {"host": "kvm2"}, actor)
    return parent, len(taken)


def test_many_moves_at_once_are_judged_from_one_reading_and_each_by_itself(people, pair):
    small, few = asked_for_many(people, pair, 3)
    large, many = asked_for_many(people, pair, 23)
    # A savepoint and its end, and the row itself.
    assert many - few <= 20 * 4, (few, many)
    for parent, count in ((small, 3), (large, 23)):
        refused = parent.children.get(state="refused")
        assert refused.subject_name == f"many-{count}-0" and "only-here" in refused.error["message"]
        assert parent.children.filter(state="queued").count() == count - 1
        alone = VirtualMachine.objects.get(name=f"many-{count}-0")
        with pytest.raises(Refused) as said:
            queue.enqueue("migrate", alone, {"host": "kvm2"}, Actor(people["operator"]))
        assert str(said.value) == refused.error["message"], "alone it is refused by the same words"


def test_one_of_many_that_is_busy_is_refused_and_the_others_are_not(people, pair):
    vms = [guest_on(pair[0], f"busy-{number}") for number in range(3)]
    actor = Actor(people["operator"])
    queue.enqueue("shutdown", vms[1], {}, actor)
    parent = queue.enqueue_many("migrate", vms, {"host": "kvm2"}, actor)
    assert {child.subject_name: child.state for child in parent.children.all()} == {
        "busy-0": "queued", "busy-1": "refused", "busy-2": "queued",
    }  # fmt: skip
    assert "busy" in parent.children.get(state="refused").error["message"]
    running = VirtualMachine.objects.get(name="busy-2")
    Sighting.objects.create(vm=running, host=pair[1], name="busy-2", power_state="running", seen_at=timezone.now())
    Operation.objects.filter(subject_name="busy-2").update(state="succeeded")
    parent = queue.enqueue_many("migrate", [running], {"host": "kvm2"}, actor)
    assert "runs on kvm2 too" in parent.children.get().error["message"]
