"""A guest with Secure Boot and a TPM on real hosts, from its preset to its end: both are its own, and go where it goes."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from conftest import wait_until
from kvmdash.tests.browsing import chromium, sign_in
from kvmdash.tests.test_lab_disks import holder, output_of
from lab import LabError

#: emulated, each boot through UEFI and two boot loaders takes a busy machine minutes
pytestmark = [pytest.mark.lab, pytest.mark.timeout(900)]
MIB = 1 << 20
IMAGE, NAME, AGAIN = "signed-image.qcow2", "secure-1", "secure-2"
OWN_FILES = "only a live move takes them along"
#: asks the TPM for the public part of the key that it got when it was made: no two have the same
WHO = (
    r'exec 3<>/dev/tpm0; printf "\200\001\000\000\000\016\000\000\001\163\201\001\000\001" >&3;'
    " dd bs=4096 count=1 <&3 2>/dev/null | md5sum"
)


@pytest.fixture(scope="module")
def image(program, lab_cluster):
    """What boots under Secure Boot, in the folder that all hosts share, and seen there."""
    target = lab_cluster.shared / IMAGE
    shutil.copyfile(lab_cluster.signed_image(), target)
    program.refresh("pools/kvm1/shared")
    wait_until(lambda: program.get(f"pools/kvm1/shared/volumes?q={IMAGE}")["items"], 30, "the image to be seen")
    yield f"shared/{IMAGE}"
    target.unlink()


@pytest.fixture
def cleared(lab_cluster):
    """Guests of this file are gone afterwards, whatever became of them."""
    yield
    for name in (NAME, AGAIN):
        for host in lab_cluster.hosts:
            for words in (["destroy", name], ["undefine", name, "--nvram", "--tpm"]):
                lab_cluster.host(host).virsh(*words)
        for file in lab_cluster.shared.glob(f"{name}*"):
            file.unlink()


def asked(image, name, **changed):
    # The preset's disk and card are those that the installer of Windows knows; the lab's kernel knows virtio.
    hardware = {"memory": 256 * MIB, "vcpus": 1, "size": 64 * MIB, "virt": "qemu", "bus": "virtio", "card": "virtio"}
    place = {"name": name, "host": "kvm1", "road": "cloud", "image": image, "pool": "shared", "network": "default"}
    return place | hardware | {"preset": "win11", "seed": {"user": "ada"}, "start": True} | changed


def make(program, image, name, **changed):
    status, answer = program.api("vms", asked(image, name, **changed))
    assert status == 202, answer
    return program.ended(answer["id"])


def answers(lab, name):
    """Whether the system in it is up."""
    try:
        told = lab.virsh(holder(lab, name), "qemu-agent-command", name, '{"execute": "guest-get-host-name"}')
    except LabError:
        return False
    return json.loads(told)["return"]["host-name"] == name


def up(lab, name):
    wait_until(lambda: answers(lab, name), 400, f"{name} to be up")


def own_files(lab, host, name, uuid):
    """The file of its firmware's variables and the folder of its TPM, as far as the host has them."""
    folder = Path(lab.facts["hosts"][host]["directory"]) / "lib"
    return [path for path in (folder / f"qemu/nvram/{name}_VARS.fd", folder / "swtpm" / uuid) if path.exists()]


def cells(program, uuid, host):
    targets = program.get(f"vms/{uuid}/preflight")["targets"]
    return {cell["check"]: cell for cell in next(one for one in targets if one["host"] == host)["cells"]}


def test_secure_boot_and_tpm_hold_over_a_move_and_a_stop_and_go_with_the_guest(program, lab_cluster, image, cleared):
    ended = make(program, image, NAME)
    assert ended["state"] == "succeeded", ended
    uuid = program.vm(NAME)["uuid"]
    up(lab_cluster, NAME)
    told = output_of(lab_cluster, NAME, "/bin/dmesg")
    assert "secureboot: Secure boot enabled" in told and "Kernel is locked down from EFI Secure Boot" in told
    assert output_of(lab_cluster, NAME, "/bin/cat", "/sys/class/tpm/tpm0/tpm_version_major").strip() == "2"
    chip = output_of(lab_cluster, NAME, "/bin/sh", "-c", WHO)
    shown_on_its_page(program, uuid)

    status, answer = program.api(f"vms/{uuid}/migrate", {"host": "kvm2", "mode": "saved", "unsafe": True})
    assert status == 409 and OWN_FILES in answer["detail"]
    seen = cells(program, uuid, "kvm2")
    assert (seen["tpm"]["verdict"], seen["firmware"]["verdict"]) == ("ok", "ok"), seen
    assert "sent along" in seen["tpm"]["reason"] and "sent along" in seen["firmware"]["reason"]
    moved = program.do(NAME, "migrate", host="kvm2", unsafe=True)
    assert moved["state"] == "succeeded", moved
    assert holder(lab_cluster, NAME) == "kvm2" and answers(lab_cluster, NAME)
    assert output_of(lab_cluster, NAME, "/bin/sh", "-c", WHO) == chip, "another TPM than before"
    variables, _tpm = own_files(lab_cluster, "kvm2", NAME, uuid)

    program.done(NAME, "destroy")
    wait_until(lambda: program.vm(NAME)["power_state"] == "shutoff", 30, "the guest to be seen off")
    status, answer = program.api(f"vms/{uuid}/migrate", {"host": "kvm3", "unsafe": True})
    assert status == 409 and OWN_FILES in answer["detail"]
    assert cells(program, uuid, "kvm3")["firmware"]["verdict"] == "ok", "it chooses a file when it starts"
    before = variables.read_bytes()
    program.done(NAME, "start")
    up(lab_cluster, NAME)
    assert output_of(lab_cluster, NAME, "/bin/sh", "-c", WHO) == chip, "another TPM than before"
    template = Path("/usr/share/OVMF/OVMF_VARS_4M.ms.fd").read_bytes()
    assert before != template != variables.read_bytes(), "its variables were made anew"

    gone = program.do(NAME, "undefine", confirm=NAME, force=True, disks=[])
    assert gone["state"] == "succeeded" and "--nvram --tpm" in gone["virsh"], gone
    assert own_files(lab_cluster, "kvm2", NAME, uuid) == []


def shown_on_its_page(program, uuid):
    assert program.vm(NAME)["firmware"] == "secure"
    with chromium() as browser:
        page = sign_in(browser, program, viewport={"width": 1440, "height": 900})
        page.goto(f"/vms/{uuid}/")
        page.wait_for_selector("main >> text=UEFI with Secure Boot")
        assert "tpm-crb emulator 2.0" in " ".join(page.inner_text("main").split())
        page.goto(f"/vms/{uuid}/devices/")
        page.wait_for_selector("main >> text=Other devices")
        assert "Waiting for the next boot" not in page.inner_text("main"), "libvirt's choice of files is no change"
        assert page.complaints == []


def test_a_new_guest_does_not_boot_with_variables_that_another_of_its_name_left(program, lab_cluster, image, cleared):
    folder = Path(lab_cluster.facts["hosts"]["kvm1"]["directory"]) / "lib/qemu/nvram"
    folder.mkdir(parents=True, exist_ok=True)
    left = folder / f"{AGAIN}_VARS.fd"
    # With these Secure Boot would be off: they hold no keys.
    shutil.copyfile("/usr/share/OVMF/OVMF_VARS_4M.fd", left)
    assert b"Microsoft" not in left.read_bytes()
    assert make(program, image, AGAIN)["state"] == "succeeded"
    assert b"Microsoft" in left.read_bytes()
