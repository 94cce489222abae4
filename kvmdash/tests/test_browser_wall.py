"""The console wall, virt-viewer's files and a plan of moves in a real browser, on real guests."""

from __future__ import annotations

import configparser

import pytest

from conftest import wait_until
from kvmdash.tests.browsing import chromium, sign_in

pytestmark = [pytest.mark.lab, pytest.mark.browser]


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser, program):
    opened = sign_in(browser, program)
    yield opened
    opened.context.close()


def picture(page, vm):
    """What the wall shows of the guest's screen, None without a picture."""
    return page.evaluate(
        "id => document.getElementById(id)?.querySelector('img')?.getAttribute('src') ?? null", f"tile-{vm['uuid']}"
    )


def wall_of(page, names):
    """The wall as one comes to it: guests marked in the list, the button below them."""
    page.goto("/vms/")
    for name in names:
        page.check(f"tr:has(.name-cell a:text-is('{name}')) [data-select]")
    page.click("[data-open-chosen]")
    page.wait_for_selector("#wall")


def test_the_wall_shows_what_its_guests_show_and_notices_what_virsh_does(page, program, lab_cluster):
    names = [program.running("web-1"), program.running("cache-1")]
    vms = [program.vm(name) for name in names]
    wall_of(page, names)
    first = [wait_until(lambda vm=vm: picture(page, vm), 40, f"a picture of {vm['name']}") for vm in vms]
    # The lab's guests show a clock: later pictures are others.
    wait_until(lambda: picture(page, vms[0]) not in (None, first[0]), 40, "a fresh picture")
    drawn = "id => document.getElementById(id).querySelector('img')?.naturalWidth ?? 0"
    assert page.evaluate(drawn, f"tile-{vms[0]['uuid']}"), "no picture goes before the next one can be drawn"
    host, name = program.vm("cache-1")["host"], "cache-1"
    lab_cluster.virsh(host, "suspend", name)
    page.wait_for_selector(f"#tile-{vms[1]['uuid']} .state:has-text('Paused')", timeout=20000)
    lab_cluster.virsh(host, "resume", name)
    page.wait_for_selector(f"#tile-{vms[1]['uuid']} .state:has-text('Running')", timeout=20000)
    page.click(f"#tile-{vms[1]['uuid']} a")
    page.wait_for_url(f"**/vms/{vms[1]['uuid']}/console/**")
    assert page.complaints == []


def test_a_guest_that_is_gone_from_the_wall_s_sight_leaves_no_old_picture(page, program, lab_cluster):
    name = program.running("cache-1")
    vm = program.vm(name)
    page.goto(f"/vms/wall/?ids={vm['uuid']}&ids=00000000-0000-0000-0000-000000000000&ids=%27%3Cb")
    assert page.locator(".tile").count() == 1
    wait_until(lambda: picture(page, vm), 40, "a picture")
    lab_cluster.virsh(vm["host"], "destroy", name)
    wait_until(lambda: picture(page, vm) is None, 20, "the picture to go")
    assert "off" in page.inner_text(f"#tile-{vm['uuid']}").lower()
    program.running(name)
    wait_until(lambda: picture(page, vm), 60, "a picture again")


def test_virt_viewer_gets_a_file_that_names_the_screen_and_no_password(page, program, lab_cluster):
    name = program.running("web-1")
    vm = program.vm(name)
    page.goto(f"/vms/{vm['uuid']}/console/")
    page.click("[data-dialog*='viewer']")
    page.wait_for_selector(".viewer-screen")
    with page.expect_download() as waiting:
        page.click(".viewer-screen button[type=submit]")
    assert waiting.value.suggested_filename.endswith(".vv")
    text = waiting.value.path().read_text()
    found = configparser.ConfigParser()
    found.read_string(text)
    display = lab_cluster.virsh(vm["host"], "domdisplay", name).strip()
    assert found["virt-viewer"]["type"] == "vnc" == display.partition(":")[0]
    assert "password" not in text.lower()
    address, _, number = display.removeprefix("vnc://").rpartition(":")
    port = str(5900 + int(number))
    told = page.inner_text(".viewer-screen")
    if address.startswith("127."):
        # Only its host reaches it: the port is in the command for the tunnel, the tunnel's end in the file.
        assert f":{port}" in told and f"{found['virt-viewer']['port']}:" in told
    else:
        assert (found["virt-viewer"]["host"], found["virt-viewer"]["port"]) == (address, port)
    assert page.complaints == []


def test_a_plan_is_made_changed_and_begun_with_the_mouse_and_followed_to_its_end(page, program, lab_cluster):
    name = program.running("cache-1")
    source = program.vm(name)["host"]
    page.goto("/vms/")
    page.check(f"tr:has(.name-cell a:text-is('{name}')) [data-select]")
    page.click("button:has-text('Plan their moves')")
    page.wait_for_url("**/vms/plans/**")
    target = next(host for host in lab_cluster.hosts if host != source)
    row = page.locator(f"tr:has-text('{name}')")
    row.locator("select[name^=target-]").select_option(target)
    page.check("[name=unsafe]")
    page.click("button[name=run]")
    page.wait_for_selector(".plan-steps [data-flash=succeeded]", timeout=90000)
    page.wait_for_selector("[data-flash=done]", timeout=20000)
    wait_until(lambda: program.vm(name)["host"] == target, 30, "it to be seen there")
    assert name in lab_cluster.virsh(target, "list", "--name").split()
    assert page.complaints == []
