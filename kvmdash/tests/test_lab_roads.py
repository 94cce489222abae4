"""Every road to a new guest, walked in a real browser on real hosts: from the first click to a guest that boots."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from conftest import wait_until
from kvmdash.tests import installer
from kvmdash.tests.browsing import chromium, sign_in
from kvmdash.tests.test_lab_creating import MIB, backing, host_name, image, made, volumes  # noqa: F401
from vms.tests.appliance.packing import VIRTUALBOX_ITEMS, manifest, ovf, tar

pytestmark = [pytest.mark.lab, pytest.mark.browser]
#: what a guest of the lab is called inside when nobody told it
UNNAMED = "guest"
BOOTS = 120


@pytest.fixture(scope="module")
def page(program, image):  # noqa: F811
    with chromium() as browser:
        opened = sign_in(browser, program, viewport={"width": 1440, "height": 900})
        yield opened
        assert opened.complaints == []


@pytest.fixture
def brought(program, lab_cluster):
    """Lay a file into the folder that all hosts share, and wait until it is seen."""
    laid = []

    def bring(name: str, data: bytes) -> str:
        laid.append(lab_cluster.shared / name)
        laid[-1].write_bytes(data)
        program.refresh("pools/kvm1/shared")
        wait_until(lambda: program.get(f"pools/kvm1/shared/volumes?q={name}")["items"], 30, f"{name} to be seen")
        return f"shared/{name}"

    yield bring
    for file in laid:
        file.unlink()


def walk_to(page, road: str) -> None:
    page.goto("/vms/")
    page.click("text=New guest")
    page.click(f"#road-{road}")


def place(page, name: str, pool: str = "local") -> None:
    page.fill("#id_name", name)
    page.select_option("#id_host", "kvm1")
    page.select_option("#id_pool", pool)


def small(page, *, size: str = "") -> None:
    """As little as such a guest needs, and emulated as all guests of the lab."""
    page.fill("#id_memory", "128 MiB")
    page.fill("#id_vcpus", "1")
    if size:
        page.fill("#id_size", size)
    if not page.locator("#id_virt").is_visible():
        page.click("section[aria-labelledby=step-hardware] summary")
    page.select_option("#id_virt", "qemu")


def make(page, words: str) -> None:
    """Look what would be done, say so, and wait for the end."""
    page.wait_for_selector(f"#new-review code:has-text('{words}')")
    page.click("text=Make the guest")
    page.wait_for_url("**/operations/**")
    page.wait_for_selector("main >> text=succeeded", timeout=120_000)


def boots(lab, name: str, called: str = UNNAMED) -> None:
    wait_until(lambda: host_name(lab, name) == called, BOOTS, f"{name} to boot")


def an_appliance(lab, folder) -> bytes:
    """The lab's image as VirtualBox would pack it."""
    disk = folder / "disk.vmdk"
    command = ["qemu-img", "convert", "-O", "vmdk", "-o", "subformat=streamOptimized", lab.cloud_image(), disk]
    subprocess.run(command, check=True)
    told = subprocess.run(
        ["qemu-img", "info", "--output=json", disk], check=True, capture_output=True, text=True
    ).stdout
    assert '"virtual-size": 33554432' in told, told
    described = ovf(
        VIRTUALBOX_ITEMS, name="lab appliance",
        disks='<Disk ovf:diskId="vmdisk1" ovf:fileRef="file1" ovf:capacity="33554432" ovf:format="vmdk"/>',
        system='<OperatingSystemSection ovf:id="96"><Info>os</Info><Description>Debian11_64</Description></OperatingSystemSection>',
    )  # fmt: skip
    files = (("lab.ovf", described), ("disk1.vmdk", disk.read_bytes()))
    return tar([files[0], ("lab.mf", manifest(*files)), files[1]])


def test_an_appliance(page, program, lab_cluster, brought, made, tmp_path):  # noqa: F811
    made.append("packed-1")
    named = brought("lab-appliance.ova", an_appliance(lab_cluster, tmp_path))
    walk_to(page, "ova")
    chosen = page.locator("#id_volume option", has_text=named).get_attribute("value")
    page.select_option("#id_volume", chosen)
    page.click("text=Read it")
    page.wait_for_selector("#appliance", timeout=30_000)
    assert page.input_value("#id_name") == "lab-appliance" and page.input_value("#id_vcpus") == "2"
    assert "sata" in page.input_value("#id_bus") and page.input_value("#id_preset") == "debian11"
    assert "CD drives" in page.inner_text("#appliance")
    place(page, "packed-1")
    page.select_option("#id_net_0", "default")
    small(page)
    make(page, "qemu-img convert -f vmdk")
    boots(lab_cluster, "packed-1")
    assert not backing(lab_cluster, "packed-1.qcow2")
    assert {name for name in volumes(lab_cluster) if name.startswith("packed-1")} == {"packed-1.qcow2"}
    assert "default" in lab_cluster.virsh("kvm1", "domiflist", "packed-1")


def test_an_installer_from_its_cd(page, lab_cluster, brought, made):  # noqa: F811
    made.append("installed-1")
    named = brought("boots.iso", installer.cd("installed-1"))
    walk_to(page, "install")
    page.select_option("#id_iso", named)
    place(page, "installed-1")
    page.select_option("#id_network", "default")
    small(page, size="64 MiB")
    make(page, "--cdrom")
    boots(lab_cluster, "installed-1", "installed-1")
    lab_cluster.virsh("kvm1", "destroy", "installed-1")  # What it holds open can be taken away.


def test_an_installer_from_the_network(page, program, lab_cluster, made):  # noqa: F811
    """A network that hands out what boots, as a PXE server does."""
    made.append("netboot-1")
    folder = lab_cluster.shared / "tftp"
    folder.mkdir(exist_ok=True)
    folder.chmod(0o755)
    first = installer.serve(folder, "netboot-1")
    definition = lab_cluster.shared / "pxe.xml"
    definition.write_text(
        "<network><name>pxe</name><bridge name='virbr88'/><ip address='10.88.0.1' prefix='24'>"
        f"<tftp root='{folder}'/><dhcp><range start='10.88.0.10' end='10.88.0.50'/><bootp file='{first}'/></dhcp></ip></network>"
    )
    lab_cluster.virsh("kvm1", "net-define", str(definition))
    try:
        lab_cluster.virsh("kvm1", "net-start", "pxe")
        wait_until(lambda: any(one["name"] == "pxe" and one["active"] for one in program.get("networks")["items"]), 30)
        walk_to(page, "install")
        page.select_option("#id_iso", "pxe")
        place(page, "netboot-1")
        page.select_option("#id_network", "pxe")
        small(page, size="64 MiB")
        make(page, "--pxe")
        boots(lab_cluster, "netboot-1", "netboot-1")
        lab_cluster.virsh("kvm1", "destroy", "netboot-1")
    finally:
        lab_cluster.virsh("kvm1", "net-destroy", "pxe")
        lab_cluster.virsh("kvm1", "net-undefine", "pxe")
        shutil.rmtree(folder)
        definition.unlink()


def test_a_disk_that_is_there_and_copies_of_the_guest_made_from_it(page, program, lab_cluster, image, made):  # noqa: F811
    """One guest from a disk, a whole copy of it, and one that lies on it once it is a template."""
    made += ["imported-1", "copied-1", "linked-1"]
    walk_to(page, "import")
    page.select_option("#id_image", image)
    place(page, "imported-1")
    page.select_option("#id_network", "default")
    small(page)
    make(page, "--import")
    boots(lab_cluster, "imported-1")
    assert not backing(lab_cluster, "imported-1.qcow2")
    lab_cluster.virsh("kvm1", "destroy", "imported-1")
    source = program.vm("imported-1")["uuid"]
    wait_until(lambda: program.vm("imported-1")["power_state"] == "shutoff", 30)

    walk_to(page, "clone")
    page.select_option("#id_source", source)
    page.fill("#id_name", "copied-1")
    page.check("#id_start")
    make(page, "virt-clone --original imported-1")
    boots(lab_cluster, "copied-1")
    lab_cluster.virsh("kvm1", "destroy", "copied-1")

    page.goto(f"/vms/{source}/")
    page.click(".page-actions [popovertarget]")
    page.click("[popover]:popover-open >> text=template")
    if page.locator("dialog[open] button[type=submit]").count():
        page.click("dialog[open] button[type=submit]")
    wait_until(lambda: program.vm("imported-1")["template"], 30, "it to be a template")

    walk_to(page, "clone")
    page.select_option("#id_source", source)
    page.fill("#id_name", "linked-1")
    page.check("#id_linked")
    page.check("#id_start")
    make(page, "--backing-vol")
    boots(lab_cluster, "linked-1")
    assert backing(lab_cluster, "linked-1.qcow2").endswith("/imported-1.qcow2")
    lab_cluster.virsh("kvm1", "destroy", "linked-1")
