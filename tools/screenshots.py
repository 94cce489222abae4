"""`make screenshots`: every page in both themes and at several widths, as PNG files to be looked at.

Starts the demo (HOSTS=lab or test), or looks at what runs at URL with USER_NAME and PASSWORD. Writes into screenshots/, or into the
folder that KVMDASH_SCREENSHOTS names. ONLY=word,word takes those pictures alone whose name holds one of the words.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from playwright.sync_api import Browser, Page, sync_playwright

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = Path(os.environ.get("KVMDASH_SCREENSHOTS", PROJECT / "screenshots"))
WIDTHS = {"1440": {"width": 1440, "height": 900}, "390": {"width": 390, "height": 844}}
THEMES = ("light", "dark")
#: pixels of the highest picture
HIGHEST = 6000
READY = re.compile(r"kvmdash ready: (\S+) user (\S+) password (\S+)")
ARGUMENTS = ["--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
Step = Callable[[Page], None]


def click(selector: str) -> Step:
    """A step that clicks the first of what ``selector`` finds."""
    return lambda page: page.locator(selector).first.click(timeout=4000)


def press(*keys: str) -> Step:
    """A step that presses keys, or types what is no key."""

    def step(page: Page) -> None:
        for key in keys:
            page.keyboard.type(key[1:]) if key.startswith("=") else page.keyboard.press(key)

    return step


def steps(*several: Step) -> Step:
    """One step after the other."""

    def step(page: Page) -> None:
        for one in several:
            one(page)

    return step


def tick(count: int) -> Step:
    """Select the first rows of a table."""

    def step(page: Page) -> None:
        boxes = page.locator("tbody [data-select]")
        for index in range(min(count, boxes.count())):
            boxes.nth(index).check()

    return step


def nothing(_page: Page) -> None:
    """The page as it opens."""


def links(page: Page, path: str) -> list[str]:
    """Where the rows of a list lead."""
    page.goto(path)
    return [link.get_attribute("href") or "" for link in page.locator("#page [data-row-link]").all()]


def plan_drafted(page: Page) -> None:
    """A step that makes a plan for the first guests of the list, and waits for its page."""
    tick(2)(page)
    page.locator("[data-bulk-bar] [hx-post$='/plans/']").first.click(timeout=4000)
    page.wait_for_url(re.compile(r"/vms/plans/[0-9a-f-]{36}/"))


def storage(page: Page) -> dict[str, tuple[str, Step]]:
    """The first pool that holds a volume, and the volume."""
    pools = links(page, "/hosts/storage/")
    for pool in pools:
        if volumes := links(page, pool):
            found = {"storage-pool": (pool, nothing), "storage-volume": (volumes[0], nothing)}
            return found | {
                "storage-upload": (f"{pool}upload/", nothing),
                "storage-fetch": (f"{pool}do/volume-fetch/", nothing),
            }
    return {"storage-pool": (pools[0], nothing)} if pools else {}


def networks(page: Page) -> dict[str, tuple[str, Step]]:
    """The first filter and network, their forms, and those of new ones."""
    filters = links(page, "/hosts/networks/filters/")
    taken = {"filter": (filters[0], nothing), "filter-edit": (f"{filters[0]}edit/", nothing)} if filters else {}
    taken |= {
        "filters": ("/hosts/networks/filters/", nothing),
        "filter-define": ("/hosts/networks/filters/define/", nothing),
    }
    found = links(page, "/hosts/networks/")
    if not found:
        return taken
    network = found[0]
    host = network.split("/")[3]
    return taken | {
        "network": (network, nothing),
        "network-menu": (network, click(".page-actions [popovertarget]")),
        "network-lease": (network, click("#add-ip-dhcp-host")),
        "network-edit": (f"{network}edit/", nothing),
        "network-define-nat": (f"/hosts/networks/define/?on={host}&mode=nat", nothing),
    }


#: pages that are the same in every cluster
FIXED = {
    "overview": "/",
    "vms": "/vms/",
    "vms-nothing": "/vms/?q=no-such-machine",
    "vms-wrong": "/vms/?page=minus-one",
    "vms-new": "/vms/new/",
    "vms-new-cloud": "/vms/new/?road=cloud",
    "vms-new-install": "/vms/new/?road=install",
    "vms-new-import": "/vms/new/?road=import",
    "vms-new-ova": "/vms/new/?road=ova",
    "vms-new-clone": "/vms/new/?road=clone",
    "vms-systems": "/vms/systems/",
    "plans": "/vms/plans/",
    "balance": "/vms/balance/",
    "processors": "/vms/processors/",
    "wall-empty": "/vms/wall/",
    "hosts": "/hosts/",
    "hosts-add": "/hosts/add/",
    "storage": "/hosts/storage/",
    "storage-library": "/hosts/storage/library/",
    "storage-unused": "/hosts/storage/unused/",
    "storage-define": "/hosts/storage/define/",
    "networks": "/hosts/networks/",
    "networks-define": "/hosts/networks/define/",
    "operations": "/operations/",
    "people": "/administration/",
    "audit": "/administration/audit/",
    "tokens": "/administration/tokens/",
    "api": "/api/v1/docs",
    "password": "/account/password/change/",
    "second-factor": "/account/2fa/",
    "logout": "/account/logout/",
    "error-404": "/no/such/page/",
    "error-vm": "/vms/00000000-0000-0000-0000-000000000001/",
}
#: parts of a guest's page, and of a host's
OF_GUEST = (
    "devices", "console", "serial", "snapshots", "agent", "operations", "definition", "definition/edit", "definition/versions",
    "definition/compare", "preflight", "console/window", "console/serial/window",
)  # fmt: skip
OF_HOST = ("guests", "storage", "networks", "operations", "settings", "edit", "remove")


def pictures(page: Page) -> dict[str, tuple[str, Step]]:
    """Name of the picture: address, and what to do there before it is taken."""
    guests = page.request.get("/api/v1/vms?page_size=200").json()["items"]
    hosts = page.request.get("/api/v1/hosts").json()
    host = (hosts["items"] if isinstance(hosts, dict) else hosts)[0]["name"]
    operations = page.request.get("/api/v1/operations?page_size=50").json()["items"]
    found: dict[str, tuple[str, Step]] = {name: (address, nothing) for name, address in FIXED.items()}
    found |= lists(guests) | of_guests(guests)
    found |= {f"host-{part}": (f"/hosts/{host}/{part}/", nothing) for part in OF_HOST}
    found |= {"host": (f"/hosts/{host}/", nothing)} | storage(page) | networks(page)
    return found | {
        f"operation-{one['kind']}-{one['state']}": (f"/operations/{one['id']}/", nothing)
        for one in reversed(operations)
    }


def lists(guests: list[dict[str, Any]]) -> dict[str, tuple[str, Step]]:
    """Lists and the overview with something open or chosen."""
    name = guests[0]["name"]
    chosen = "&".join(f"vm={one['uuid']}" for one in guests[:20])
    return {
        "overview-palette": ("/", press("/", f"={name}")),
        "overview-help": ("/", press("?")),
        "overview-alarms": ("/", click("[popovertarget=alarms-menu]")),
        "vms-selected": ("/vms/", tick(2)),
        "vms-columns": ("/vms/", click("#vm-list [popovertarget^=columns]")),
        "vms-bulk": ("/vms/", steps(tick(3), click("[data-bulk-bar] button[hx-post]"))),
        "vms-preflight": (f"/vms/preflight/?{chosen}", nothing),
        "plan": ("/vms/", plan_drafted),
        "hosts-add-wrong": ("/hosts/add/", steps(click("#page form button[type=submit]"))),
        "people-add": ("/administration/", click("#page [data-dialog]")),
    }


def of_guests(guests: list[dict[str, Any]]) -> dict[str, tuple[str, Step]]:
    """A guest that runs, with its dialogs, and one that is off."""
    running = [guest for guest in guests if guest["power_state"] == "running"]
    guest = next((one for one in running if one["name"] == "db-1"), (running or guests)[0])
    off = next((one for one in guests if one["power_state"] == "shutoff"), guest)
    vm = f"/vms/{guest['uuid']}/"
    return {f"vm-{part.replace('/', '-')}": (f"{vm}{part}/", nothing) for part in OF_GUEST} | {
        "vm": (vm, nothing),
        "vm-off": (f"/vms/{off['uuid']}/", nothing),
        "vm-menu": (vm, click(".page-actions [popovertarget]")),
        "vm-migrate": (f"{vm}do/migrate/", nothing),
        "vm-notes": (f"{vm}do/set-metadata/", nothing),
        "vm-device-add": (f"{vm}do/device-add/?type=disk", nothing),
        "vm-device-menu": (f"{vm}devices/", click("#vm-devices .menu-cell button")),
        "vm-boot-order": (f"{vm}do/boot-order/", nothing),
        "vm-confirm": (f"/palette/{guest['uuid']}/destroy/", nothing),
        "wall": (f"/vms/wall/?ids={guest['uuid']}", nothing),
    }


def sign_in(browser: Browser, url: str, name: str, password: str, **options: Any) -> Page:
    """A page of a fresh context, logged in."""
    page = browser.new_context(base_url=url, **options).new_page()
    page.goto("/account/login/")
    page.fill("input[name=login]", name)
    page.fill("input[name=password]", password)
    page.click("form button[type=submit]")
    page.wait_for_url(lambda address: "/login" not in address)
    return page


def look(browser: Browser, url: str, name: str, password: str) -> int:
    """Take all pictures; how many pages scroll sideways or complain."""
    wanted = [word for word in os.environ.get("ONLY", "").split(",") if word]
    faults = 0
    for theme in THEMES:
        for width, viewport in WIDTHS.items():
            page = sign_in(browser, url, name, password, viewport=viewport, color_scheme=theme)
            for title, (path, step) in pictures(page).items():
                if wanted and not any(word in title for word in wanted):
                    continue
                faults += take(page, path, step, FOLDER / f"{title}-{theme}-{width}.png")
            page.context.close()
            if not wanted or any(word in "login" for word in wanted):
                signed_out = browser.new_context(base_url=url, viewport=viewport, color_scheme=theme).new_page()
                take(signed_out, "/account/login/", nothing, FOLDER / f"login-{theme}-{width}.png")
                signed_out.context.close()
    return faults


def take(page: Page, path: str, step: Step, file: Path) -> int:
    """One picture; 1 when the page scrolls sideways or its step could not be done."""
    page.goto(path)
    page.wait_for_timeout(500)
    fault = ""
    try:
        step(page)
        page.wait_for_timeout(500)
    except Exception as error:
        fault = f"step failed: {str(error).splitlines()[0]}"
    over = page.evaluate("document.documentElement.scrollWidth - document.documentElement.clientWidth")
    if over > 0:
        fault = f"scrolls sideways by {over} px"
    photograph(page, file)
    print(f"{file.name}{': ' + fault if fault else ''}", file=sys.stderr, flush=True)
    return int(bool(fault))


def photograph(page: Page, file: Path) -> None:
    """The whole page: in a window as high as it is, so that what sticks to an edge does not lie across the middle."""
    seen = page.viewport_size or WIDTHS["1440"]
    height = page.evaluate("document.documentElement.scrollHeight")
    if height > seen["height"] and not page.locator("dialog[open], :popover-open").count():
        page.set_viewport_size({"width": seen["width"], "height": min(height, HIGHEST)})
        page.wait_for_timeout(150)
    page.screenshot(path=str(file))
    page.set_viewport_size(seen)


@contextmanager
def demo() -> Iterator[tuple[str, str, str]]:
    """The demo on a free port: (URL, user, password). Taken down afterwards."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    process = subprocess.Popen(
        [sys.executable, "-m", "lab.demo"], cwd=PROJECT, env=os.environ | {"PORT": str(port)}, stdout=subprocess.PIPE,
        text=True, start_new_session=True,
    )  # fmt: skip
    try:
        for line in process.stdout or ():
            if found := READY.search(line):
                yield found[1], found[2], found[3]
                return
        raise SystemExit("the demo did not start")
    finally:
        process.send_signal(signal.SIGINT)
        process.wait(60)


def main() -> int:
    """Start what is to be looked at, and look."""
    program = shutil.which("chromium")
    if program is None:
        raise SystemExit("chromium is not installed (tools/setup test)")
    FOLDER.mkdir(parents=True, exist_ok=True)
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=program, args=ARGUMENTS)
        if url := os.environ.get("URL"):
            faults = look(browser, url, os.environ.get("USER_NAME", "admin"), os.environ["PASSWORD"])
        else:
            with demo() as (url, name, password):
                faults = look(browser, url, name, password)
        browser.close()
    print(f"{len(list(FOLDER.glob('*.png')))} pictures in {FOLDER}; faults: {faults}", file=sys.stderr)
    return 0


if __name__ == "__main__":
    sys.exit(main())
