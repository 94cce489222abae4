"""Every verb of a guest by keyboard alone, on libvirt's test driver: tab order, menus, dialogs, and focus that can be seen."""

from __future__ import annotations

import re
import shutil
import subprocess

import pytest

from conftest import wait_until
from kvmdash.tests.browsing import chromium, sign_in
from kvmdash.tests.program import Program
from lab.testhosts import TestHost, libvirtd_path

pytestmark = pytest.mark.browser

GUEST = "<domain type='test'><name>desk-1</name><memory>65536</memory><vcpu>1</vcpu><os><type>hvm</type></os></domain>"
#: in an order in which each makes sense; the test driver has no reset button and moves nothing: those are asked for and told
VERBS = (
    "start", "suspend", "resume", "reboot", "reset", "autostart", "set-metadata", "migrate", "managed-save",
    "managed-save-remove", "start", "shutdown", "start", "destroy",
)  # fmt: skip
#: how what has the focus shows it: an outline, a shadow, or (in the palette) the option that is chosen
FOCUS_SHOWS = """element => { const style = getComputedStyle(element);
  return (style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) >= 2) || style.boxShadow !== 'none'; }"""


@pytest.fixture(scope="module")
def desk():
    """kvmdash on two hosts of the test driver, with one guest."""
    if libvirtd_path() is None:
        pytest.skip("libvirtd is not installed")
    hosts, program = [], Program()
    try:
        program.manage("migrate_all")
        for name in ("left", "right"):
            hosts.append(TestHost.create(name))
            hosts[-1].start()
            program.manage("add_host", name, hosts[-1].uri)
        definition = hosts[0].folder / "guest.xml"
        definition.write_text(GUEST)
        subprocess.run(["virsh", "-q", "-c", hosts[0].uri, "define", str(definition)], check=True)
        program.start()
        wait_until(lambda: program.get("vms?q=desk-1")["count"], 30, "the guest to be mirrored")
        wait_until(lambda: all(host["state"] == "connected" for host in program.get("hosts")["items"]), 30, "the hosts")
        yield program
    finally:
        program.stop()
        for host in hosts:
            host.remove()
        shutil.rmtree(program.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture
def page(browser, desk):
    opened = sign_in(browser, desk, viewport={"width": 1280, "height": 800})
    opened.goto(f"/vms/{desk.vm('desk-1')['uuid']}/")
    opened.wait_for_selector("body:not(.is-offline)")
    # No mouse from here on.
    opened.mouse.click = opened.click = opened.fill = None
    yield opened
    assert not opened.complaints, opened.complaints
    opened.context.close()


def has_focus(page, selector):
    return page.evaluate("selector => Boolean(document.activeElement?.matches(selector))", selector)


def tab_to(page, selector, most=60):
    """Press Tab until what ``selector`` finds has the focus; all that is passed must show that it has it."""
    for _step in range(most):
        page.keyboard.press("Tab")
        focused = page.locator(":focus")
        if focused.count():
            assert focused.evaluate(FOCUS_SHOWS), focused.evaluate("element => element.outerHTML.slice(0, 200)")
        if has_focus(page, selector):
            return
    pytest.fail(f"{selector} is not reached with Tab")


def to_the_page(page):
    """By the first link of the page, which jumps over the navigation."""
    page.evaluate("document.activeElement?.blur()")
    page.keyboard.press("Tab")
    if not has_focus(page, ".skip-link"):
        page.locator(".skip-link").focus()
    page.keyboard.press("Enter")
    wait_until(lambda: has_focus(page, "#page"), 5, "the page to have the focus")


def button(verb):
    return f'[hx-post$="/do/{verb}/"], [data-dialog$="/do/{verb}/"]'


def press_verb(page, verb):
    """Find the verb's button in the head or in its menu and press Enter."""
    to_the_page(page)
    in_menu = page.locator(f"#vm-menu :is({button(verb)})").count()
    if not in_menu:
        tab_to(page, f"#vm-head :is({button(verb)})")
    else:
        tab_to(page, "[popovertarget=vm-menu]")
        page.keyboard.press("Enter")
        wait_until(lambda: has_focus(page, "#vm-menu .menu-item"), 5, "the menu to take the focus")
        for _step in range(40):
            if has_focus(page, button(verb)):
                break
            page.keyboard.press("ArrowDown")
        assert has_focus(page, button(verb)), verb
        assert page.locator(":focus").evaluate(FOCUS_SHOWS)
    page.keyboard.press("Enter")


def open_dialog(page):
    return page.locator("dialog[open]")


def ended(desk, verb, before):
    """The operation that came of it, once it is over."""
    rows = [row for row in desk.get("operations?page_size=100")["items"] if row["kind"] == verb]
    over = [row for row in rows if row["state"] not in ("queued", "running")]
    return over[0] if len(rows) == len(over) == before + 1 else None


def ready(page, verb):
    """The page has heard that the verb makes sense now."""
    page.wait_for_selector(f"#vm-head :is({button(verb)}):not([disabled])", state="attached", timeout=15000)


def asks(page, verb):
    """Whether the verb has a dialog."""
    looks = page.locator(f"#vm-head :is({button(verb)})").first
    return looks.evaluate("element => 'confirm' in element.dataset || 'dialog' in element.dataset")


def answer(page, verb):
    """Fill in and confirm the verb's dialog."""
    open_dialog(page).wait_for()
    if verb == "set-metadata":
        wait_until(lambda: has_focus(page, "dialog[open] input[name=title]"), 5, "the first field to have the focus")
        page.keyboard.press("Control+A")
        page.keyboard.type("By hand")
    elif verb == "migrate":
        wait_until(lambda: has_focus(page, "dialog[open] input"), 5, "the first field to have the focus")
        page.keyboard.press("Space")
        assert page.locator("dialog[open] input[name=host]:checked").count() == 1
    elif page.locator("dialog[open] #confirm-name").is_visible():
        assert has_focus(page, "#confirm-name")
        page.keyboard.press("Enter")
        assert open_dialog(page).count(), "it was confirmed without its name"
        page.keyboard.type("desk-1")
    page.keyboard.press("Enter")
    open_dialog(page).wait_for(state="detached")


def test_every_verb_of_a_guest_is_done_by_keyboard_alone(page, desk):
    kinds = [row["kind"] for row in desk.get("operations?page_size=100")["items"]]
    done: list[str] = []
    for verb in VERBS:
        ready(page, verb)
        before = kinds.count(verb) + done.count(verb)
        dialog = asks(page, verb)
        press_verb(page, verb)
        if dialog:
            answer(page, verb)
        row = wait_until(lambda verb=verb, before=before: ended(desk, verb, before), 30, f"{verb} to be done")
        if verb not in ("reset", "migrate"):
            assert row["state"] == "succeeded", row
        done.append(verb)
        assert not has_focus(page, "body"), f"the focus got lost while {verb} was done"
    assert desk.vm("desk-1")["title"] == "By hand"


def test_no_verb_of_the_page_is_out_of_the_keyboards_reach(page):
    """Also those that need more than a yes: their dialog takes the focus and gives it back."""
    addresses = page.eval_on_selector_all(
        "#vm-head [hx-post*='/do/'], #vm-head [data-dialog*='/do/']",
        "all => all.map(one => [one.getAttribute('hx-post') ?? one.dataset.dialog, one.disabled, 'dialog' in one.dataset])",
    )
    offered = {re.search(r"/do/([\w-]+)/", address)[1]: (disabled, dialog) for address, disabled, dialog in addresses}
    assert set(offered) >= set(VERBS)
    for verb, (disabled, dialog) in offered.items():
        if disabled or not dialog:
            continue
        press_verb(page, verb)
        open_dialog(page).wait_for()
        wait_until(lambda: page.evaluate("document.querySelector('dialog[open]').contains(document.activeElement)"), 5)
        page.keyboard.press("Escape")
        open_dialog(page).wait_for(state="detached")


def test_a_form_that_is_sent_the_moment_it_is_seen_does_not_leave_the_page(page, desk):
    page.evaluate(
        """() => document.addEventListener("htmx:afterSwap", ({ detail }) => {
          const form = detail.target.querySelector("form");
          form.title.value = "At once";
          setTimeout(() => form.requestSubmit());
        }, { once: true })"""
    )
    before = desk.get("operations?page_size=1")["count"]
    press_verb(page, "set-metadata")
    wait_until(lambda: desk.get("operations?page_size=1")["count"] == before + 1, 20, "it to be asked for")
    wait_until(lambda: desk.vm("desk-1")["title"] == "At once", 20)
    open_dialog(page).wait_for(state="detached")
    assert page.url.partition("#")[0].endswith(f"/vms/{desk.vm('desk-1')['uuid']}/")


def test_a_field_that_is_wrong_has_the_focus_when_the_dialog_comes_back(page):
    press_verb(page, "set-metadata")
    wait_until(lambda: has_focus(page, "dialog[open] input[name=title]"), 5, "the first field to have the focus")
    page.locator("dialog[open] input[name=tags]").focus()
    page.keyboard.press("Control+A")
    page.keyboard.type("no <tag>")
    page.keyboard.press("Enter")
    wait_until(
        lambda: has_focus(page, "dialog[open] input[name=tags].is-invalid"), 10, "the wrong field to have the focus"
    )
    page.keyboard.press("Escape")
    open_dialog(page).wait_for(state="detached")
    # The browser says in its console what the server refused.
    page.complaints[:] = [one for one in page.complaints if "422" not in one]


def test_a_dialog_keeps_the_focus_and_escape_gives_it_back(page, desk):
    before = desk.get("operations?page_size=1")["count"]
    ready(page, "start")
    press_verb(page, "start")
    wait_until(lambda: desk.vm("desk-1")["power_state"] == "running", 20)
    ready(page, "destroy")
    press_verb(page, "destroy")
    open_dialog(page).wait_for()
    for _step in range(8):
        page.keyboard.press("Tab")
        assert has_focus(page, "body, dialog[open] *"), "the focus left the dialog for what lies below it"
    page.keyboard.press("Escape")
    open_dialog(page).wait_for(state="detached")
    assert has_focus(page, "[popovertarget=vm-menu]"), "what opened the menu has the focus again"
    assert desk.get("operations?page_size=1")["count"] == before + 1, "Escape changed something"


def test_rows_are_chosen_and_changed_together_by_keyboard(page, desk):
    wait_until(lambda: desk.vm("desk-1")["power_state"] == "running", 20)
    page.goto("/vms/")
    page.wait_for_selector("body:not(.is-offline)")
    page.keyboard.press("j")
    wait_until(lambda: has_focus(page, "[data-row-link]"), 5, "the first row to have the focus")
    page.keyboard.press("x")
    page.wait_for_selector("#bulk-vms:not([hidden])")
    page.locator(".skip-link").focus()
    page.keyboard.press("Enter")
    tab_to(page, "#bulk-vms [popovertarget]")
    page.keyboard.press("Enter")
    wait_until(lambda: has_focus(page, "#bulk-vms-more .menu-item"), 5, "the menu to take the focus")
    while not has_focus(page, '#bulk-vms-more [hx-vals*="suspend"]'):
        page.keyboard.press("ArrowDown")
    page.keyboard.press("Enter")
    open_dialog(page).wait_for()
    tab_to(page, "dialog[open] button[type=submit]")
    page.keyboard.press("Enter")
    wait_until(lambda: desk.vm("desk-1")["power_state"] == "paused", 20, "the guest to be paused")
    bulk = next(row for row in desk.get("operations?page_size=20")["items"] if row["kind"] == "bulk")
    assert desk.ended(bulk["id"])["state"] == "succeeded"


def test_the_palette_leads_to_guests_and_verbs_by_keyboard(page, desk):
    page.goto("/")
    page.keyboard.press("/")
    page.keyboard.type("resume desk")
    page.locator("#palette [role=option]", has_text="Resume desk-1").wait_for()
    page.keyboard.press("Enter")
    page.wait_for_url("**/resume/")
    page.locator("#page button[type=submit]").wait_for()
    to_the_page(page)
    tab_to(page, "#page button[type=submit]")
    page.keyboard.press("Enter")
    page.wait_for_url("**/operations/**")
    wait_until(lambda: desk.vm("desk-1")["power_state"] == "running", 20, "the guest to run on")
