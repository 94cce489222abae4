"""Guests made on real hosts: from a cloud image with a seed, through the API and from the first click on the page."""

from __future__ import annotations

import json
import shutil

import pytest

from conftest import wait_until
from kvmdash.tests.browsing import chromium, sign_in
from vms.creation import seed

pytestmark = pytest.mark.lab
MIB = 1 << 20
IMAGE = "cloud-image.qcow2"
SEED = {"user": "ada", "password": "hunter2-hunter2", "packages": ["htop"]}


@pytest.fixture(scope="module")
def image(program, lab_cluster):
    """The lab's image in the folder that all hosts share, and seen there."""
    target = lab_cluster.shared / IMAGE
    shutil.copyfile(lab_cluster.cloud_image(), target)
    for host in lab_cluster.hosts:
        lab_cluster.virsh(host, "pool-refresh", "shared")
    program.refresh("pools/kvm1/shared")
    wait_until(lambda: program.get(f"pools/kvm1/shared/volumes?q={IMAGE}")["items"], 30, "the image to be seen")
    yield f"shared/{IMAGE}"
    target.unlink()


@pytest.fixture
def made(program, lab_cluster):
    """Names of guests of kvm1 that are gone afterwards, with their disks."""
    names: list[str] = []
    yield names
    for name in names:
        if name in lab_cluster.virsh("kvm1", "list", "--name").split():
            lab_cluster.virsh("kvm1", "destroy", name)
        if name in lab_cluster.virsh("kvm1", "list", "--all", "--name").split():
            lab_cluster.virsh("kvm1", "undefine", name)
    for volume in volumes(lab_cluster):
        if volume.startswith(tuple(names)):
            lab_cluster.virsh("kvm1", "vol-delete", volume, "--pool", "local")


def body(image: str, name: str, **changed):
    common = {"name": name, "host": "kvm1", "road": "cloud", "image": image, "pool": "local", "network": "default"}
    # Emulated, as all guests of the lab: KVM within virtual machines is not to be relied on.
    hardware = {"memory": 128 * MIB, "vcpus": 1, "size": 96 * MIB, "virt": "qemu"}
    return common | hardware | {"seed": SEED, "start": True} | changed


def do(program, address, /, **given):
    status, answer = program.api(address, given)
    assert status == 202, answer
    return program.ended(answer["id"])


def host_name(lab, name):
    """What the guest agent says that it is called; '' while it says nothing."""
    ask = json.dumps({"execute": "guest-get-host-name"})
    done = lab.execute("kvm1", ["virsh", "qemu-agent-command", name, ask])
    return json.loads(done.stdout)["return"]["host-name"] if done.returncode == 0 else ""


def volumes(lab, pool="local"):
    rows = [line.split() for line in lab.virsh("kvm1", "vol-list", pool).splitlines()]
    return {row[0] for row in rows if len(row) == 2 and row[1].startswith("/")}


def test_a_guest_made_from_a_cloud_image_boots_and_knows_its_name(program, lab_cluster, image, made):
    made.append("cloud-1")
    ended = do(program, "vms", **body(image, "cloud-1"))
    assert ended["state"] == "succeeded", ended
    assert "running" in lab_cluster.virsh("kvm1", "domstate", "cloud-1")
    assert {"cloud-1.qcow2", "cloud-1-seed.iso"} <= volumes(lab_cluster)
    wait_until(lambda: host_name(lab_cluster, "cloud-1") == "cloud-1", 90, "the guest to have read its seed")
    info = json.loads(
        lab_cluster.execute(
            "kvm1", ["qemu-img", "info", "-U", "--output=json", "/var/lib/libvirt/images/cloud-1.qcow2"]
        ).stdout
    )
    assert info["virtual-size"] == 96 * MIB and "backing-filename" not in info
    assert "hunter2" not in program.log() and "hunter2" not in json.dumps(ended)
    assert program.vm("cloud-1")["power_state"] == "running"


def test_a_volume_that_came_meanwhile_is_left_alone_and_nothing_is_made(program, lab_cluster, image, made):
    made.append("cloud-2")
    lab_cluster.virsh("kvm1", "vol-create-as", "local", "cloud-2-seed.iso", "1M")  # Not seen by the mirror yet.
    ended = do(program, "vms", **body(image, "cloud-2"))
    assert ended["state"] == "refused" and "cloud-2-seed.iso" in ended["error"]["message"]
    assert "cloud-2.qcow2" not in volumes(lab_cluster)
    assert "cloud-2" not in lab_cluster.virsh("kvm1", "list", "--all", "--name").split()


def test_what_would_be_done_is_told_before(program, lab_cluster, image):
    best = body(image, "cloud-3") | {"host": "best"}
    wait_until(lambda: _says(program, best, "very slow"), 60, "the hosts to have told what guests can have there")
    status, plan = program.api("vms/plan", best)
    assert status == 200, plan
    assert plan["host"] in ("kvm1", "kvm2", "kvm3") and all(one["fits"] for one in plan["hosts"])
    assert "<name>cloud-3</name>" in plan["definition"] and "\nvirt-install --name cloud-3" in plan["command"]
    status, plan = program.api("vms/plan", body(image, "cloud-3", firmware="secure", tpm=True))
    assert plan["host"] == "kvm1", "it has OVMF and swtpm"
    status, plan = program.api("vms/plan", body(image, "cloud-3", firmware="secure", machine="pc"))
    assert plan["host"] is None
    assert {one["field"] for one in plan["findings"] if one["level"] == "wrong"} >= {"firmware", "machine"}


def test_a_guest_is_copied_whole_and_as_one_that_lies_on_a_template(program, lab_cluster, image, made):
    made += ["original", "whole", "linked"]
    assert do(program, "vms", **body(image, "original", start=False))["state"] == "succeeded"
    source = program.vm("original")["uuid"]
    ended = do(program, "vms", name="whole", host="kvm1", road="clone", source=source, seed={}, start=True)
    assert ended["state"] == "succeeded", ended
    status, answer = program.api(
        "vms", {"name": "linked", "host": "kvm1", "road": "clone", "source": source, "linked": True}
    )
    assert status == 409 and "template" in answer["detail"]
    program.done("original", "template", enabled=True)
    wait_until(lambda: program.vm("original")["template"], 30)
    ended = do(program, "vms", name="linked", road="clone", source=source, linked=True)
    assert ended["state"] == "succeeded", ended
    assert backing(lab_cluster, "linked.qcow2").endswith("/original.qcow2") and not backing(lab_cluster, "whole.qcow2")
    cards = {lab_cluster.virsh("kvm1", "domiflist", name).split()[-1] for name in ("original", "whole", "linked")}
    assert len(cards) == 3, "each has a MAC address of its own"
    wait_until(lambda: host_name(lab_cluster, "whole") == "whole", 90, "the copy to have taken its own name")


def _says(program, asked, words):
    return any(words in one["text"] for one in program.api("vms/plan", asked)[1]["findings"])


def backing(lab, name):
    """What the image lies on; '' when on nothing."""
    path = f"/var/lib/libvirt/images/{name}"
    told = lab.execute("kvm1", ["qemu-img", "info", "-U", "--output=json", path]).stdout
    return json.loads(told).get("backing-filename", "")


def test_an_installer_is_booted_from_its_cd_and_a_broken_one_is_refused(program, lab_cluster, image, made):
    made.append("installed")
    cd, broken = lab_cluster.shared / "installer.iso", lab_cluster.shared / "broken.iso"
    cd.write_bytes(seed.image({"hello": "world"}))
    broken.write_bytes(b"<html>404 Not Found</html>" * 5000)
    try:
        program.refresh("pools/kvm1/shared")
        wait_until(lambda: program.get("pools/kvm1/shared/volumes?q=broken.iso")["items"], 30, "the CDs to be seen")
        common = {"host": "kvm1", "road": "install", "pool": "local", "size": 8 * MIB, "memory": 64 * MIB, "vcpus": 1,
                  "virt": "qemu", "start": True}  # fmt: skip
        status, answer = program.api("vms", common | {"name": "installed", "iso": "shared/broken.iso"})
        assert status == 409 and "no image of a CD" in answer["detail"]
        assert do(program, "vms", **common, name="installed", iso="shared/installer.iso")["state"] == "succeeded"
        assert "installer.iso" in lab_cluster.virsh("kvm1", "domblklist", "installed")
        assert "running" in lab_cluster.virsh("kvm1", "domstate", "installed")
    finally:
        cd.unlink()
        broken.unlink()


@pytest.mark.browser
def test_from_the_first_click_to_a_guest_that_boots(program, lab_cluster, image, made):
    made.append("clicked-1")
    with chromium() as browser:
        page = sign_in(browser, program, viewport={"width": 1440, "height": 900})
        page.goto("/vms/")
        page.click("text=New guest")
        page.click("#road-cloud")
        page.select_option("#id_image", image)
        page.fill("#id_name", "clicked-1")
        page.select_option("#id_host", "kvm1")
        page.select_option("#id_pool", "local")
        page.select_option("#id_network", "default")
        page.fill("#id_memory", "128 MiB")
        page.fill("#id_vcpus", "1")
        page.click("section[aria-labelledby=step-hardware] summary")
        page.select_option("#id_virt", "qemu")
        page.fill("#id_user", "ada")
        page.fill("#id_password", "hunter2-hunter2")
        page.wait_for_selector("#new-review code:has-text('virt-install --name clicked-1')")
        page.click("text=Make the guest")
        page.wait_for_url("**/operations/**")
        page.wait_for_selector("main >> text=succeeded", timeout=90_000)
        assert page.complaints == []
    wait_until(lambda: host_name(lab_cluster, "clicked-1") == "clicked-1", 90, "the guest to have read its seed")
