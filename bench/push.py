"""A change made beside kvmdash until the page shows it, against the moment at which bare libvirt-python is told of it.

python -m bench.push [--guests 100] [--changes 400]

The same libvirtd tells both: an event callback in this process, and `manage.py up`, whose list of guests is open in Chromium.
There a MutationObserver notes when the row says so. One machine, one clock.
"""

from __future__ import annotations

import random
import statistics
import threading
import time
from typing import Any

import libvirt

from bench.report import Figure, arguments, at_most, fact, finish, say
from bench.running import dashboard, host_of, share
from kvmdash.tests.browsing import chromium, sign_in

GOAL_P50, GOAL_P99 = 15.0, 50.0
#: notes what each row's state becomes, and when in milliseconds since 1970
OBSERVE = """
() => {
  window.seen = [];
  const note = (records) => {
    const at = performance.timeOrigin + performance.now();
    for (const { target } of records) {
      const uuid = target.closest("tr[data-row]")?.id.slice("vm-row-".length);
      if (uuid) window.seen.push([uuid, target.dataset.flash, at]);
    }
  };
  const options = { subtree: true, attributes: true, attributeFilter: ["data-flash"] };
  new MutationObserver(note).observe(document.getElementById("page"), options);
  return [...document.querySelectorAll("tr[data-row]")].map((row) => row.id.slice("vm-row-".length));
}
"""
CLOCK = "() => [performance.timeOrigin + performance.now(), Date.now()]"


class Ear:
    """Bare libvirt-python: notes when its callback hears of a guest."""

    def __init__(self, uri: str) -> None:
        self.heard: list[tuple[str, float]] = []
        libvirt.virEventRegisterDefaultImpl()
        threading.Thread(target=self._run, daemon=True).start()
        self.connection = libvirt.open(uri)
        self.connection.domainEventRegisterAny(None, libvirt.VIR_DOMAIN_EVENT_ID_LIFECYCLE, self._on_event, None)

    @staticmethod
    def _run() -> None:
        while True:
            libvirt.virEventRunDefaultImpl()

    def _on_event(self, _connection: Any, domain: Any, *_rest: Any) -> None:
        self.heard.append((domain.UUIDString(), 1000 * time.time()))


def change(connection: libvirt.virConnect, uuids: list[str], times: int) -> list[tuple[str, str]]:
    """Pause and resume guests in turn at odd moments; (uuid, state it then has) of each change."""
    made = []
    paused: set[str] = set()
    for number in range(times):
        uuid = uuids[number % len(uuids)]
        domain = connection.lookupByUUIDString(uuid)
        if uuid in paused:
            domain.resume()
            paused.discard(uuid)
        else:
            domain.suspend()
            paused.add(uuid)
        made.append((uuid, "paused" if uuid in paused else "running"))
        time.sleep(random.uniform(0.2, 0.5))
    return made


def delays(
    made: list[tuple[str, str]], heard: list[tuple[str, float]], seen: list[list[Any]]
) -> tuple[list[float], int]:
    """Milliseconds from callback to page for each change, and how often a row showed what was not so (any more)."""
    found, needless = [], 0
    for uuid in dict.fromkeys(uuid for uuid, _state in made):
        states = [state for one, state in made if one == uuid]
        told = [at for one, at in heard if one == uuid]
        if len(told) != len(states):
            raise SystemExit(f"{uuid}: {len(states)} changes, of which bare libvirt-python heard {len(told)}")
        shown = iter([(state, at) for one, state, at in seen if one == uuid])
        for state, at in zip(states, told, strict=True):
            for word, then in shown:
                if word == state:
                    found.append(then - at)
                    break
                needless += 1
            else:
                raise SystemExit(f"{uuid} became {state}, which was never shown")
        needless += len(list(shown))
    return found, needless


def measure(guests: int, changes: int) -> list[Figure]:
    with host_of(guests) as (host, _uuids), dashboard({"kvm1": host.uri}) as program, chromium() as browser:
        ear = Ear(host.uri)
        page = sign_in(browser, program, viewport={"width": 1440, "height": 900})
        page.goto("/vms/")
        shown = page.evaluate(OBSERVE)
        page.wait_for_timeout(2000)
        say(f"{guests} guests; {changes} changes among the {len(shown)} on the page")
        connection = libvirt.open(host.uri)
        change(connection, shown, 5)
        page.wait_for_timeout(2000)
        page.evaluate("() => { window.seen = []; }")
        for uuid in shown:
            if connection.lookupByUUIDString(uuid).state()[0] == libvirt.VIR_DOMAIN_PAUSED:
                connection.lookupByUUIDString(uuid).resume()
        page.wait_for_timeout(1000)
        page.evaluate("() => { window.seen = []; }")
        ear.heard.clear()
        made = change(connection, shown, changes)
        page.wait_for_timeout(2000)
        skew = statistics.median(a - b for a, b in (page.evaluate(CLOCK) for _ in range(50)))
        found, needless = delays(made, ear.heard, page.evaluate("() => window.seen"))
    return [
        at_most(f"change → page above the bare callback, median of {changes}", statistics.median(found), GOAL_P50, " ms"),
        at_most("the same, 99 of 100", share(found, 0.99), GOAL_P99, " ms"),
        fact("the same, least and most", f"{min(found):.1f} and {max(found):.1f} ms"),
        at_most("times that a row showed again what was no longer so", needless, 0, digits=0),
        fact("the browser's clock above its Date.now(), which has whole milliseconds", f"{skew:.2f} ms"),
    ]  # fmt: skip


def main() -> None:
    parser = arguments(__doc__)
    parser.add_argument("--guests", type=int, default=100)
    parser.add_argument("--changes", type=int, default=400)
    options = parser.parse_args()
    finish(measure(options.guests, options.changes), options)


if __name__ == "__main__":
    main()
