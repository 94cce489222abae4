"""The live page in a real browser on libvirt's test driver: what is pushed is never undone by what was read before it."""

from __future__ import annotations

import shutil
import uuid

import libvirt
import pytest

from conftest import wait_until
from kvmdash.tests.browsing import chromium, sign_in
from kvmdash.tests.program import Program

pytestmark = pytest.mark.browser

XML = (
    "<domain type='test'><name>{name}</name><uuid>{uuid}</uuid><memory unit='MiB'>64</memory>"
    "<os><type>hvm</type></os></domain>"
)
#: each answer of the server is held back until the test lets it go
HOLD = """
() => {
  const real = window.fetch;
  window.held = 0;
  window.fetch = async (...request) => {
    const answer = await real(...request);
    const text = await answer.clone().text();
    window.held += 1;
    await new Promise((go) => { window.letGo = go; });
    return new Response(text, { status: answer.status, headers: answer.headers });
  };
}
"""
NOTE_STATES = """
(row) => {
  window.states = [];
  window.morphed = 0;
  document.addEventListener("kvmdash:morphed", ({ detail }) => { if (detail.root.id === "vm-list") window.morphed += 1; });
  const note = () => window.states.push(document.querySelector(row + " [data-col=state]")?.dataset.flash);
  new MutationObserver(note).observe(document.body, { subtree: true, childList: true, attributes: true });
}
"""


@pytest.fixture(scope="module")
def host(test_host):
    connection = libvirt.open(test_host.uri)
    domains = [connection.defineXML(XML.format(name=f"live-{n}", uuid=uuid.uuid4())) for n in range(3)]
    for domain in domains:
        domain.create()
    yield {domain.name(): domain for domain in domains}
    for domain in domains:
        if domain.isActive():
            domain.destroy()
        domain.undefine()


@pytest.fixture(scope="module")
def program(test_host, host):
    running = Program()
    running.manage("migrate_all")
    running.manage("add_host", "kvm1", test_host.uri)
    running.start()
    wait_until(lambda: len(running.get("vms?q=live-")["items"]) == 3, 60, "the guests to be mirrored")
    yield running
    running.stop()
    shutil.rmtree(running.folder, ignore_errors=True)


@pytest.fixture
def page(program):
    with chromium() as browser:
        opened = sign_in(browser, program, viewport={"width": 1440, "height": 900})
        opened.goto("/vms/?q=live-")
        opened.wait_for_selector("body:not(.is-offline)")
        yield opened


def state(page, domain, word):
    return page.locator(f'#vm-row-{domain.UUIDString()} [data-col=state][data-flash="{word}"]')


def test_a_list_that_was_read_before_a_change_does_not_undo_what_was_pushed(page, host):
    domain = host["live-0"]
    state(page, domain, "running").wait_for()
    page.evaluate(HOLD)
    page.evaluate("document.dispatchEvent(new CustomEvent('refresh'))")
    wait_until(lambda: page.evaluate("window.held") == 1, what="the list to be read")
    domain.suspend()
    state(page, domain, "paused").wait_for()
    page.evaluate(NOTE_STATES, f"#vm-row-{domain.UUIDString()}")
    page.evaluate("window.letGo()")
    wait_until(lambda: page.evaluate("window.morphed") >= 1, what="the list to be brought up to date")
    assert set(page.evaluate("window.states")) <= {"paused"}
    domain.resume()
    state(page, domain, "running").wait_for()


def test_what_was_read_before_changes_the_rest_of_the_list(page, host):
    domain, other = host["live-1"], host["live-2"]
    state(page, domain, "running").wait_for()
    page.evaluate(HOLD)
    page.evaluate("document.dispatchEvent(new CustomEvent('refresh'))")
    wait_until(lambda: page.evaluate("window.held") == 1, what="the list to be read")
    domain.suspend()
    state(page, domain, "paused").wait_for()
    # As if the page had missed it: only what was pushed since the reading began is newer than what is read.
    page.evaluate(
        "(id) => { document.querySelector(id).dataset.flash = 'odd'; }",
        f"#vm-row-{other.UUIDString()} [data-col=state]",
    )
    page.evaluate("window.letGo()")
    state(page, other, "running").wait_for()
    assert state(page, domain, "paused").count() == 1
    domain.resume()
