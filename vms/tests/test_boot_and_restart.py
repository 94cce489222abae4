"""The boot order, and what waits for the next boot applied by a restart, on libvirt's test driver."""

import libvirt
import pytest

from hosts.operations import queue
from hosts.operations.kind import InvalidArguments, Refused, registry
from hosts.operations.storage_base import NotNow
from vms.definition.domain import Definition
from vms.hardware import reading
from vms.models import Sighting, VirtualMachine
from vms.operations.hardware import seen
from vms.tests.making import HTMX, browser
from vms.tests.test_hardware import DRIVE, fresh, running, stored, with_drive  # noqa: F401
from vms.tests.test_mirror import there  # noqa: F401
from vms.tests.test_operations import becomes, do, guest, operator  # noqa: F401

pytestmark = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])
CARD = "interfaces[52:54:00:00:00:01]"


def boot(there, vm):  # noqa: F811
    definition = Definition.parse(stored(there, vm))
    return reading.boot_order(definition), definition.os.boot_menu


def test_devices_have_their_numbers_and_kinds_take_them_away(there, with_drive, operator, eventually):  # noqa: F811
    asked = {"devices": ["disks[sda]", CARD], "menu": True}
    ended = do(eventually, "boot-order", with_drive, operator, **asked)
    assert ended.state == "succeeded", ended.error
    assert boot(there, with_drive) == ([{"path": "disks[sda]", "number": 1}, {"path": CARD, "number": 2}], True)
    assert ended.virsh.splitlines()[0] == "virsh edit guest"
    eventually(lambda: "order='2'" in Sighting.objects.get(vm=with_drive).inactive_definition)
    ended = do(eventually, "boot-order", with_drive, operator, devices=[CARD])
    assert boot(there, with_drive) == ([{"path": CARD, "number": 1}], True)
    ended = do(eventually, "boot-order", with_drive, operator, firmware=["network", "cdrom"])
    assert ended.state == "succeeded", ended.error
    assert boot(there, with_drive) == ([{"firmware": "network"}, {"firmware": "cdrom"}], True)


@pytest.mark.parametrize(
    ("asked", "error", "words"),
    [
        ({}, InvalidArguments, "either"),
        ({"devices": [CARD], "firmware": ["hd"]}, NotNow, "either"),
        ({"devices": [CARD, CARD]}, NotNow, "once"),
        ({"devices": "disks[sda]"}, InvalidArguments, "A list"),
        ({"devices": ["disks[vdz]"]}, Refused, "no vdz"),
        ({"firmware": ["moon"]}, InvalidArguments, "hd, cdrom"),
        ({"devices": [CARD], "affect": "live"}, InvalidArguments, "config"),
    ],
)
def test_an_order_that_makes_no_sense_is_refused(guest, operator, asked, error, words):  # noqa: F811
    with pytest.raises(error, match=words):
        queue.enqueue("boot-order", guest, asked, operator)


def test_the_form_numbers_devices_and_refuses_the_same_number_twice(there, with_drive, people, eventually):  # noqa: F811
    client, address = browser(people["operator"]), f"/vms/{with_drive.pk}/do/boot-order/"
    page = client.get(address, headers=HTMX)
    sent = {field.html_name: str(field.value() or "") for field in page.context["form"]}
    assert {"disks[sda]", CARD} <= set(sent) and "affect" not in sent
    twice = sent | {"how": "devices", "disks[sda]": "1", CARD: "1"}
    assert "same number" in client.post(address, twice, headers=HTMX).content.decode()
    assert client.post(address, twice | {CARD: "2"}, headers=HTMX).status_code == 204
    eventually(lambda: len(boot(there, with_drive)[0]) == 2)


def test_a_restart_applies_what_waits_and_nothing_waits_then(there, running, people, operator, eventually):  # noqa: F811
    assert do(eventually, "vcpus", running, operator, count=4, maximum=4).state == "succeeded"

    def waiting():
        now = seen(VirtualMachine.objects.get(pk=running.pk))
        return len(reading.read(now.live, now.config).pending)

    eventually(lambda: waiting() == 1)
    page = browser(people["operator"]).get(f"/vms/{running.pk}/devices/").content.decode()
    assert "Apply by restart" in page and "Waiting for the next boot" in page
    ended = do(eventually, "restart", running, operator, wait=10)
    assert ended.state == "succeeded", ended.error
    assert ended.virsh == "virsh shutdown guest\nvirsh start guest" and ended.result["left"] == 0
    assert there.domain(str(running.pk)).vcpusFlags(libvirt.VIR_DOMAIN_AFFECT_LIVE) == 4
    eventually(lambda: waiting() == 0)
    page = browser(people["operator"]).get(f"/vms/{running.pk}/devices/").content.decode()
    assert "Apply by restart" not in page


def test_what_does_not_run_or_is_forgotten_when_it_stops_is_not_restarted(there, guest, operator, eventually):  # noqa: F811
    with pytest.raises(Refused, match="running"):
        queue.enqueue("restart", guest, {}, operator)
    there.domain(str(guest.pk)).create()
    eventually(becomes(guest, "running"))
    VirtualMachine.objects.filter(pk=guest.pk).update(persistent=False)
    with pytest.raises(Refused, match="no stored definition"):
        queue.enqueue("restart", VirtualMachine.objects.get(pk=guest.pk), {}, operator)
    assert registry["restart"].cancellable
