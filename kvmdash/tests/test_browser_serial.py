"""The text console in a real browser: typed and seen by many, written by one, gone on with after a reboot and a move."""

from __future__ import annotations

import pytest

from conftest import wait_until
from kvmdash.tests.browsing import chromium, sign_in
from kvmdash.tests.program import PASSWORD

pytestmark = [pytest.mark.lab, pytest.mark.browser]

PEOPLE = """
from hosts.models import User
for name, role, watch in (("olga", "operator", False), ("vera", "viewer", True), ("otto", "operator", False)):
    User.objects.create_user(name, password={password!r}, role=role, may_watch_consoles=watch)
"""
TEXT = "document.querySelector('.xterm-rows').innerText.replaceAll('\\u00a0', ' ')"


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


def state(page, name):
    page.wait_for_selector(f"[data-serial][data-state={name}]", timeout=40000)


def look_at(page, program, name, part="serial/"):
    page.goto(f"/vms/{program.vm(name)['uuid']}/{part}")
    state(page, "open")


def shows(page, words, seconds=30):
    wait_until(lambda: words in page.evaluate(TEXT), seconds, f"{words} on the terminal")


def shell(page):
    """Once the guest's shell answers."""

    def answers():
        page.click("[data-serial-screen]")
        page.keyboard.type("echo re''ady\n")
        try:
            shows_soon(page, "\nready")
        except AssertionError:
            return False
        return True

    wait_until(answers, 60, "the guest's shell")


def shows_soon(page, words):
    for _ in range(20):
        if words in page.evaluate(TEXT):
            return
        page.wait_for_timeout(100)
    raise AssertionError(words)


def says(page, word):
    """Have the guest say a word that was not typed as it is said."""
    page.click("[data-serial-screen]")
    page.keyboard.type(f"echo {word[:2]}''{word[2:]}\n")
    shows(page, word)


def test_what_is_typed_is_answered_and_seen_by_all_who_look(enter, program):
    name = program.running("web-1")
    olga, vera = enter("olga"), enter("vera")
    look_at(olga, program, name)
    look_at(vera, program, name, "console/serial/window/")
    shell(olga)
    says(olga, "together")
    shows(vera, "together")
    assert vera.locator("[data-serial-do=paste], [data-serial-do=take], [data-serial-do=break]").count() == 0
    vera.click("[data-serial-screen]")
    vera.keyboard.type("echo ne''ver\n")
    says(olga, "afterwards")
    assert "never" not in olga.evaluate(TEXT)
    assert "olga" in vera.inner_text("[data-serial-pen]")
    assert olga.complaints == vera.complaints == []


def test_the_pen_is_taken_and_all_write_when_that_is_chosen(enter, program):
    name = program.running("web-1")
    olga, otto = enter("olga"), enter("otto")
    look_at(olga, program, name)
    shell(olga)
    look_at(otto, program, name)
    assert otto.locator("[data-serial-do=paste]").is_disabled()
    otto.click("[data-serial-do=take]")
    otto.wait_for_selector("[data-serial-do=paste]:enabled")
    olga.wait_for_selector("[data-serial-do=take]:visible")
    says(otto, "otto-writes")
    otto.click("[data-serial-do=all]")
    olga.wait_for_selector("[data-serial-do=all][aria-pressed=true]")
    says(olga, "olga-too")
    otto.click("[data-serial-do=all]")
    olga.wait_for_selector("[data-serial-do=all][aria-pressed=false]")
    assert olga.complaints == otto.complaints == []


def test_a_text_is_pasted_and_the_terminal_s_size_is_told(enter, program):
    page = enter("olga")
    look_at(page, program, program.running("web-1"))
    shell(page)
    page.click("[data-serial-do=paste]")
    page.fill("[data-serial-paste-text]", "echo pas''ted-1\necho pas''ted-2\n")
    page.click("[data-serial-paste] button[type=submit]")
    shows(page, "pasted-2")
    page.click("[data-serial-do=size]")
    columns = page.inner_text("[data-serial-size]").partition("×")[0]
    page.keyboard.type("stty -a\n")
    shows(page, f"columns {columns};")


def test_the_console_goes_on_by_itself_after_a_stop_and_a_move(enter, program):
    name = program.running("db-1")
    page = enter("olga")
    look_at(page, program, name)
    shell(page)
    says(page, "before")
    program.done(name, "destroy")
    state(page, "waiting")
    assert page.locator("[data-serial-strip]").is_visible()
    program.done(name, "start")
    state(page, "open")
    shows(page, "started, root shell", 60)
    shows(page, "before")
    target = next(host for host in ("kvm1", "kvm2") if host != program.vm(name)["host"])
    shell(page)
    program.done(name, "migrate", host=target)
    wait_until(lambda: target in page.inner_text("[data-serial-state]"), 40, "the console on the other host")
    says(page, "moved")
    assert page.complaints == []


def test_what_was_written_is_there_for_who_comes_later_and_as_a_file(enter, program):
    name = program.running("web-1")
    first = enter("olga")
    look_at(first, program, name)
    shell(first)
    says(first, "written-before")
    later = enter("vera")
    look_at(later, program, name)
    shows(later, "written-before")
    later.click("[popovertarget=serial-log]")

    def logged():
        with later.expect_download() as download:
            later.click("#serial-log button >> nth=0")
        with open(download.value.path(), encoding="utf-8") as file:
            return "written-before" in file.read() and download.value.suggested_filename.startswith(f"{name}-serial0-")

    wait_until(logged, 20, "the log with what was written")
    assert later.complaints == []


def test_a_right_that_is_taken_away_ends_the_console_at_once(enter, program):
    page = enter("otto")
    look_at(page, program, program.running("web-1"))
    program.manage("shell", "-c", "from hosts.models import User; u = User.objects.get(username='otto');"
                   "u.role = 'viewer'; u.save()")  # fmt: skip
    state(page, "withdrawn")
    page.click("[data-serial-do=retry]")
    page.locator("[data-serial-strip-more]", has_text="right").wait_for()


def test_the_keyboard_gets_out_of_the_terminal_by_the_chord_that_the_page_names(enter, program):
    page = enter("olga")
    look_at(page, program, program.running("web-1"), "console/serial/window/")
    page.click("[data-serial-screen]")
    page.keyboard.press("Tab")
    assert page.evaluate("document.activeElement.closest('[data-serial-screen]') !== null")
    for key in ("Control", "Alt", "Shift"):
        page.keyboard.down(key)
    for key in ("Shift", "Alt", "Control"):
        page.keyboard.up(key)
    wait_until(lambda: page.evaluate("document.activeElement.closest('[data-console-bar]') !== null"))
    assert page.complaints == []
