"""Pages in a real browser on real hosts: they change by themselves, and nothing they need is refused."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from conftest import wait_until
from kvmdash.tests.browsing import chromium, sign_in
from kvmdash.tests.test_lab_cluster import other_host

pytestmark = [pytest.mark.lab, pytest.mark.browser]

SIZES = {"wide": {"width": 1440, "height": 900}, "phone": {"width": 360, "height": 780}}


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser, program):
    program.running("web-2")
    opened = sign_in(browser, program, viewport=SIZES["wide"])
    yield opened
    opened.context.close()


def row(page, uuid):
    return page.locator(f'[data-live="vm-row:{uuid}"]')


def paths(program):
    vm = program.vm("web-2")["uuid"]
    moves = [one for one in program.get("operations?page_size=100")["items"] if one["kind"] == "migrate"]
    # The page of a move shows most.
    guest = program.running("cache-1")
    move = moves[0] if moves else program.do(guest, "migrate", host=other_host(program, guest))
    found = {
        "overview": "/", "machines": "/vms/", "machine": f"/vms/{vm}/", "devices": f"/vms/{vm}/devices/",
        "machine-operations": f"/vms/{vm}/operations/", "definition": f"/vms/{vm}/definition/",
        "console": f"/vms/{vm}/console/", "hosts": "/hosts/", "host": "/hosts/kvm1/", "host-settings": "/hosts/kvm1/settings/",
        "add-host": "/hosts/add/", "new": "/vms/new/", "new-cloud": "/vms/new/?road=cloud", "new-install": "/vms/new/?road=install",
        "storage": "/hosts/storage/", "networks": "/hosts/networks/", "operations": "/operations/",
        "users": "/administration/", "audit": "/administration/audit/", "tokens": "/administration/tokens/",
        "api": "/api/v1/docs", "policies": "/vms/policies/", "plans": "/vms/plans/", "balance": "/vms/balance/",
        "processors": "/vms/processors/", "preflight": f"/vms/{vm}/preflight/", "wall": f"/vms/wall/?ids={vm}",
        "migrate": f"/vms/{vm}/do/migrate/", "text-console": f"/vms/{vm}/serial/",
    }  # fmt: skip
    return found | {"operation": f"/operations/{move['id']}/"}


def test_a_change_by_virsh_is_on_the_page_without_a_reload(page, program, lab_cluster):
    vm = program.vm("web-2")
    page.goto("/vms/")
    page.evaluate("window.neverReloaded = true")
    page.wait_for_selector("body:not(.is-offline)")
    row(page, vm["uuid"]).locator('[data-state="running"], .state-running').first.wait_for()
    wait_until(lambda: page.evaluate("performance.getEntriesByType('resource').length") > 0)
    lab_cluster.virsh(vm["host"], "suspend", "web-2")
    row(page, vm["uuid"]).locator('[data-state="paused"], .state-paused').first.wait_for(timeout=10000)
    lab_cluster.virsh(vm["host"], "resume", "web-2")
    row(page, vm["uuid"]).locator('[data-state="running"], .state-running').first.wait_for(timeout=10000)
    assert page.evaluate("window.neverReloaded") is True


def test_selection_and_typed_text_outlive_a_push(page, program, lab_cluster):
    vm = program.vm("web-2")
    page.goto("/vms/")
    tick = row(page, vm["uuid"]).locator("input[type=checkbox]")
    tick.check()
    search = page.locator("input[name=q]").first
    search.focus()
    page.keyboard.type("we")
    lab_cluster.virsh(vm["host"], "suspend", "web-2")
    row(page, vm["uuid"]).locator('[data-state="paused"], .state-paused').first.wait_for(timeout=10000)
    assert tick.is_checked()
    assert "we" in search.input_value() and search.evaluate("element => element === document.activeElement")
    lab_cluster.virsh(vm["host"], "resume", "web-2")


def test_a_lost_connection_is_said_at_once_and_caught_up_after(page, program):
    page.goto("/vms/")
    page.wait_for_selector("body:not(.is-offline)")
    program.stop()
    page.wait_for_selector("body.is-offline", timeout=15000)
    assert page.locator("#offline-bar").is_visible()
    program.start()
    page.wait_for_selector("body:not(.is-offline)", timeout=60000)


def test_a_guest_is_paused_and_resumed_from_its_page(page, program, lab_cluster):
    vm = program.vm("web-2")
    wait_until(lambda: program.vm("web-2")["power_state"] == "running")
    page.goto(f"/vms/{vm['uuid']}/")
    for verb, state in (("suspend", "paused"), ("resume", "running")):
        form = page.locator(f'form[action$="/do/{verb}/"], [hx-post$="/do/{verb}/"]').first
        form.evaluate("element => (element.requestSubmit ? element.requestSubmit() : element.click())")
        dialog = page.locator(
            "dialog[open] button[type=submit], dialog[open] [data-confirm-yes], dialog[open] .btn-primary"
        ).first
        try:
            dialog.wait_for(timeout=1500)
            dialog.click()
        except Exception:
            pass
        wait_until(lambda state=state: lab_cluster.state(vm["host"], "web-2") == state, 20, f"virsh to see {state}")
        page.locator(f'#page [data-state="{state}"], #page .state-{state}').first.wait_for(timeout=10000)


def test_the_palette_finds_a_guest_by_keyboard_alone(page, program):
    page.goto("/")
    page.keyboard.press("Control+k")
    page.keyboard.type("web-2")
    page.locator("dialog[open] a", has_text="web-2").first.wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url(f"**/vms/{program.vm('web-2')['uuid']}/**")


@pytest.mark.parametrize("theme", ["light", "dark"])
@pytest.mark.parametrize("size", ["wide", "phone"])
def test_every_page_is_sound_in_this_theme_and_size(browser, program, theme, size):
    from axe_playwright_python.sync_playwright import Axe

    page = sign_in(browser, program, viewport=SIZES[size], color_scheme=theme)
    kept = os.environ.get("KVMDASH_SCREENSHOTS")
    for name, path in paths(program).items():
        answer = page.goto(path)
        assert answer.status == 200, path
        page.wait_for_load_state("load")
        if kept:
            Path(kept).mkdir(parents=True, exist_ok=True)
            page.wait_for_timeout(400)
            page.screenshot(path=str(Path(kept) / f"{name}-{theme}-{size}.png"), full_page=False)
        overflow = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
        assert overflow <= 0, f"{path} scrolls sideways by {overflow}px at {size}"
        found = Axe().run(page).response["violations"]
        assert not found, (path, [(v["id"], [n["html"][:160] for n in v["nodes"][:3]]) for v in found])
    assert not page.complaints, page.complaints
    page.context.close()
