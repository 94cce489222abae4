"""Consoles in a real browser, on hosts reached by TCP, TLS and SSH: the screen is seen, keys arrive, and watchers only watch."""

from __future__ import annotations

import pytest

from conftest import wait_until
from kvmdash.tests.browsing import chromium, sign_in
from kvmdash.tests.program import PASSWORD

pytestmark = [pytest.mark.lab, pytest.mark.browser]

#: the guests' first lines hold a clock, so that they change all the time; the shell is below
CLOCK_LINES = 64
#: a blinking cursor may come and go
CURSOR = 40
WORDS = "wwwwwwwwwwwwwwwwwwwwwwww"
PEOPLE = """
from hosts.models import User
for name, role, watch in (("olga", "operator", False), ("vera", "viewer", True), ("otto", "operator", False)):
    User.objects.create_user(name, password={password!r}, role=role, may_watch_consoles=watch)
"""
#: how many points are lit on the screen between two lines
LIT = """([from, to]) => {
  const canvas = document.querySelector("[data-console-screen] canvas");
  if (!canvas || !canvas.width || !canvas.height) return 0;
  const bottom = Math.min(to, canvas.height);
  const data = canvas.getContext("2d").getImageData(0, from, canvas.width, bottom - from).data;
  let lit = 0;
  for (let at = 0; at < data.length; at += 4) if (data[at] + data[at + 1] + data[at + 2] > 150) lit += 1;
  return lit;
}"""
CLOCK = """(lines) => {
  const canvas = document.querySelector("[data-console-screen] canvas");
  const data = canvas.getContext("2d").getImageData(0, 0, canvas.width, lines).data;
  return String(data.reduce((sum, value, at) => (sum + value * (at % 9973)) % 1000000007, 0));
}"""


@pytest.fixture(scope="module")
def browser():
    with chromium() as running:
        yield running


@pytest.fixture(scope="module")
def staff(program):
    program.manage("shell", "-c", PEOPLE.format(password=PASSWORD))


@pytest.fixture
def enter(browser, program, staff):
    opened = []

    def sign(name, **options):
        page = sign_in(browser, program, name, **options)
        opened.append(page)
        return page

    yield sign
    for page in opened:
        page.context.close()


#: the lab's guests that move without a word: no disk in a folder, and not too busy for it
MOVABLE = ("db-1", "cache-1")


def running_on(program, host, names=(*MOVABLE, "web-1", "web-2")):
    """One of these guests that runs there."""
    found = [
        vm for vm in program.get(f"vms?host={host}")["items"] if vm["power_state"] == "running" and vm["name"] in names
    ]
    if not found:
        # Those who came before may have moved all of them away.
        name = program.running("cache-1")
        program.done(name, "migrate", host=host)
        found = [wait_until(lambda: (vm := program.vm(name))["host"] == host and vm, 30, f"{name} to be on {host}")]
    return found[0]


def shell_lit(page):
    return page.evaluate(LIT, [CLOCK_LINES, 10000])


def whole_lit(page):
    return page.evaluate(LIT, [0, 10000])


def state(page, name):
    page.wait_for_selector(f"[data-console][data-state={name}]", timeout=30000)


def open_console(page, vm, part="console/"):
    page.goto(f"/vms/{vm['uuid']}/{part}")
    state(page, "connected")
    wait_until(lambda: shell_lit(page) > 2000, 60, "the guest's shell on the screen")
    wait_until(lambda: is_settled(page), 60, "the guest to have booted")


def is_settled(page):
    before = shell_lit(page)
    clock_ticks(page, 2)
    return abs(shell_lit(page) - before) <= CURSOR


def focus(page):
    page.locator("[data-console-screen] canvas").click()


def clock_ticks(page, times=2):
    for _ in range(times):
        before = page.evaluate(CLOCK, CLOCK_LINES)
        wait_until(lambda seen=before: page.evaluate(CLOCK, CLOCK_LINES) != seen, 30, "the guest's clock to go on")


def erase(page):
    for _ in WORDS:
        page.keyboard.press("Backspace")


@pytest.mark.parametrize("host", ["kvm1", "kvm2", "kvm3"], ids=["tcp", "tls", "ssh"])
def test_the_screen_is_seen_and_what_is_typed_arrives(enter, program, host):
    page, vm = enter("olga"), running_on(program, host)
    open_console(page, vm)
    before = shell_lit(page)
    focus(page)
    page.keyboard.type(WORDS)
    wait_until(lambda: shell_lit(page) > before + 10 * CURSOR, 20, "the letters on the guest's screen")
    erase(page)
    wait_until(lambda: shell_lit(page) < before + CURSOR + 1, 20, "the letters to vanish again")
    assert page.complaints == []


def test_a_text_is_typed_by_the_layout_and_its_strangers_are_named(enter, program):
    page, vm = enter("olga"), running_on(program, "kvm1")
    open_console(page, vm)
    before = shell_lit(page)
    page.click("[data-console-do=type]")
    page.select_option("[data-console-layout]", "us")
    page.fill("[data-console-type-text]", f"{WORDS}漢")
    assert "漢" in page.inner_text("[data-console-untypable]")
    page.click("[data-console-type-go]")
    page.wait_for_selector("[data-console-type]", state="hidden")
    wait_until(lambda: shell_lit(page) > before + 10 * CURSOR, 20, "the text on the guest's screen")
    focus(page)
    erase(page)
    wait_until(lambda: shell_lit(page) < before + CURSOR + 1, 20, "the text to vanish again")


def test_who_only_watches_changes_nothing_and_is_seen_by_the_others(enter, program):
    vm = running_on(program, "kvm2")
    watcher, operator = enter("vera"), enter("olga")
    open_console(watcher, vm)
    open_console(operator, vm)
    for page in (watcher, operator):
        page.locator("#console-watchers li", has_text="vera").get_by_text("watches").wait_for()
        page.locator("#console-watchers li", has_text="olga").get_by_text("at the keyboard").wait_for()
    assert watcher.locator("[data-console-do=type], [popovertarget=console-keys]").count() == 0
    before = shell_lit(operator)
    focus(watcher)
    watcher.keyboard.type(WORDS)
    clock_ticks(operator)
    assert abs(shell_lit(operator) - before) <= CURSOR
    focus(operator)
    operator.keyboard.type(WORDS)
    wait_until(lambda: shell_lit(watcher) > before + 10 * CURSOR, 20, "the watcher to see what the other types")
    erase(operator)
    operator.goto("about:blank")
    watcher.locator("#console-watchers li", has_text="olga").wait_for(state="detached", timeout=20000)


def test_an_operator_may_choose_to_watch_and_to_type_again(enter, program):
    page, vm = enter("olga"), running_on(program, "kvm1")
    open_console(page, vm)
    page.click("[data-console-do=view-only]")
    page.wait_for_selector("[data-console][data-watching=yes]")
    assert page.locator("[data-console-do=ctrl-alt-del]").is_disabled()
    page.locator("#console-watchers li", has_text="olga").get_by_text("watches").wait_for()
    page.click("[data-console-do=view-only]")
    page.wait_for_selector("[data-console][data-watching=no][data-state=connected]")
    assert page.locator("[data-console-do=ctrl-alt-del]").is_enabled()


def test_the_keyboard_gets_out_of_the_screen_by_the_chord_that_the_page_names(enter, program):
    page, vm = enter("olga"), running_on(program, "kvm1")
    open_console(page, vm, "console/window/")
    focus(page)
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.tagName") == "CANVAS"
    for key in ("Control", "Alt", "Shift"):
        page.keyboard.down(key)
    for key in ("Shift", "Alt", "Control"):
        page.keyboard.up(key)
    wait_until(lambda: page.evaluate("document.activeElement.closest('[data-console-bar]') !== null"))
    assert page.complaints == []


def test_a_picture_of_the_screen_can_be_saved(enter, program):
    page, vm = enter("olga"), running_on(program, "kvm1")
    open_console(page, vm)
    with page.expect_download() as download:
        page.click("[data-console-do=screenshot]")
    assert download.value.suggested_filename.startswith(vm["name"])
    with open(download.value.path(), "rb") as file:
        assert file.read(8) == b"\x89PNG\r\n\x1a\n"


def test_the_console_fills_the_whole_screen_and_comes_back(enter, program):
    page, vm = enter("olga"), running_on(program, "kvm1")
    open_console(page, vm)
    page.click("[data-console-do=full-screen]")
    wait_until(lambda: page.evaluate("document.fullscreenElement?.matches('[data-console]')"), what="the whole screen")
    assert page.locator("[data-console-screen] canvas").is_visible()
    page.click("[data-console-do=full-screen]")
    wait_until(lambda: page.evaluate("document.fullscreenElement === null"), what="the page to be back")
    assert page.complaints == []


def test_what_one_puts_into_the_clipboard_another_finds_there(enter, program):
    vm = running_on(program, "kvm1")
    olga, otto = enter("olga"), enter("otto")
    for page in (olga, otto):
        open_console(page, vm)
    text = "Zażółć gęślą jaźń €"
    olga.click("[data-console-do=clipboard]")
    olga.fill("[data-console-clipboard-in]", text)
    olga.click("[data-console-clipboard] button[type=submit]")
    came = "document.querySelector('[data-console-clipboard-out]').value"
    wait_until(lambda: otto.evaluate(came) == text, 20, "the display to hand the text on")
    otto.click("[data-console-do=clipboard]")
    assert otto.locator("[data-console-clipboard-copy]").is_enabled()
    assert olga.complaints == otto.complaints == []


def test_the_soft_keyboard_of_a_phone_types(enter, program):
    page, vm = enter("olga", viewport={"width": 390, "height": 844}, has_touch=True), running_on(program, "kvm1")
    open_console(page, vm)
    before = shell_lit(page)
    page.click("[data-console-do=soft-keyboard]")
    page.keyboard.insert_text(WORDS)
    wait_until(lambda: shell_lit(page) > before + 10 * CURSOR, 20, "the letters on the guest's screen")
    erase(page)
    wait_until(lambda: shell_lit(page) < before + CURSOR + 1, 20, "the letters to vanish again")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


def test_a_machine_that_stops_says_so_and_its_console_comes_back_with_it(enter, program):
    page, vm = enter("olga"), running_on(program, "kvm3")
    open_console(page, vm)
    program.done(vm["name"], "destroy")
    state(page, "off")
    assert page.locator("[data-console-veil] [data-console-do=retry]").is_visible()
    program.done(vm["name"], "start")
    state(page, "connected")


def test_the_console_follows_a_machine_that_is_moved(enter, program):
    page, vm = enter("olga"), running_on(program, "kvm2", MOVABLE)
    open_console(page, vm)
    page.evaluate(
        """() => {
          window.states = [];
          const note = () => window.states.push(document.querySelector("[data-console]").dataset.state);
          const root = document.querySelector("[data-console]");
          new MutationObserver(note).observe(root, { attributeFilter: ["data-state"] });
        }"""
    )
    program.done(vm["name"], "migrate", host="kvm1")
    wait_until(lambda: page.evaluate("window.states.at(-1) === 'connected'"), 40, "the console on the other host")
    wait_until(lambda: whole_lit(page) > 200, 30, "something on the screen")


@pytest.mark.parametrize("part", ["console/", "console/window/"])
def test_the_console_goes_on_by_itself_after_a_save_and_a_restore(enter, program, part):
    page, vm = enter("olga"), running_on(program, "kvm1")
    open_console(page, vm, part)
    before = shell_lit(page)
    program.done(vm["name"], "managed-save")
    state(page, "off")
    program.done(vm["name"], "start")
    state(page, "connected")
    wait_until(lambda: shell_lit(page) > before - 10 * CURSOR, 60, "the screen as it was")
    focus(page)
    page.keyboard.type(WORDS)
    wait_until(lambda: shell_lit(page) > before + 10 * CURSOR, 20, "the letters on the guest's screen")
    erase(page)
    assert page.complaints == []


def test_the_console_stays_through_a_reboot(enter, program):
    page, vm = enter("olga"), running_on(program, "kvm1")
    open_console(page, vm, "console/window/")
    before = shell_lit(page)
    focus(page)
    page.keyboard.type(WORDS)
    wait_until(lambda: shell_lit(page) > before + 10 * CURSOR, 30, "the letters on the guest's screen")
    program.done(vm["name"], "reset")
    wait_until(
        lambda: 2000 < shell_lit(page) <= before + CURSOR, 60, "a shell without what was typed into the last one"
    )
    state(page, "connected")
    wait_until(lambda: is_settled(page), 60, "the guest to have booted")
    focus(page)
    page.keyboard.type(WORDS)
    wait_until(lambda: shell_lit(page) > before + 10 * CURSOR, 30, "the letters on the guest's screen")
    erase(page)


def test_the_console_in_a_window_follows_a_move_and_is_for_the_right_host(enter, program):
    page = enter("olga")
    vm = program.vm(program.running("db-1"))
    target = next(host for host in ("kvm1", "kvm2") if host != vm["host"])
    open_console(page, vm, "console/window/")
    tickets = []
    page.on("request", lambda request: tickets.append(request.url) if request.url.endswith("/ticket/") else None)
    before = shell_lit(page)
    program.done(vm["name"], "migrate", host=target)
    # What the browser tells is heard while the page is asked something.
    wait_until(lambda: page.evaluate("1") and tickets, 30, "a new ticket to be asked for")
    state(page, "connected")
    wait_until(lambda: shell_lit(page) > before - 10 * CURSOR, 60, "the guest's screen from its new host")
    focus(page)
    page.keyboard.type(WORDS)
    wait_until(lambda: shell_lit(page) > before + 10 * CURSOR, 30, "the letters on the guest's screen")
    erase(page)
    assert program.vm(vm["name"])["host"] == target


def test_a_right_that_is_taken_away_ends_the_console_at_once(enter, program):
    page, vm = enter("otto"), running_on(program, "kvm1")
    open_console(page, vm)
    program.manage("shell", "-c", "from hosts.models import User; u = User.objects.get(username='otto');"
                   "u.role = 'viewer'; u.save()")  # fmt: skip
    state(page, "withdrawn")
    page.click("[data-console-veil] [data-console-do=retry]")
    page.locator("[data-console-veil-detail]", has_text="right").wait_for()
    state(page, "withdrawn")
