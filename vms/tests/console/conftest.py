"""A gateway in this process, on the test's rows, whose guests are fake screens."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

import pytest
from django.conf import settings

from hosts.sessions import SessionStore, row_key
from vms.console.access import console_path, open_console
from vms.console.closing import NO_SCREEN, Closing
from vms.console.gateway import Gateway
from vms.console.line import Target
from vms.models import VirtualMachine
from vms.tests.console.screens import Screen
from vms.tests.console.text_viewer import TextViewer
from vms.tests.console.texts import SERIAL, Consoles
from vms.tests.console.viewer import Viewer
from vms.tests.making import make_guest, make_host


class Bench:
    """Guests with screens, a gateway that finds them, and viewers."""

    def __init__(self) -> None:
        self.screens: dict[Any, Screen] = {}
        self.host = make_host()
        self.consoles = Consoles()
        self.gateway = Gateway(self.find, watch_seconds=0.05, consoles=self.consoles)
        self.viewers: list[Viewer] = []
        self.gateway.start()

    def find(self, vm: VirtualMachine) -> Target:
        """What libvirt would say."""
        if vm.uuid not in self.screens:
            raise Closing(NO_SCREEN, "The guest has no VNC screen.")
        return self.screens[vm.uuid].target

    def guest(self, name: str, **screen: Any) -> VirtualMachine:
        """A running guest with a screen."""
        vm = make_guest(self.host, name)
        self.screens[vm.uuid] = Screen(name, **screen)
        return vm

    def text_guest(self, name: str, **columns: Any) -> VirtualMachine:
        """A guest with a serial line, a virtio console and one that libvirt hands out to nobody."""
        vm = make_guest(self.host, name, **columns)
        vm.sightings.update(live_definition=SERIAL)
        return vm

    def text(
        self, user: Any, vm: VirtualMachine, device: str = "serial0", *, view_only: bool = False, **grounds: Any
    ) -> TextViewer:
        """Get a ticket for a text console and connect with it."""
        ticket = open_console(user, vm, view_only=view_only, device=device, **grounds)
        headers = cookies_of(grounds.get("session_key", ""))
        viewer = TextViewer(self.url(console_path(ticket, vm.uuid)), headers=headers)
        self.viewers.append(viewer)
        return viewer

    def url(self, path: str) -> str:
        """An address at the gateway."""
        return f"ws://127.0.0.1:{self.gateway.port}{path}"

    def view(self, user: Any, vm: VirtualMachine, *, view_only: bool = False, **grounds: Any) -> Viewer:
        """Get a ticket and connect with it, with the cookie of the session it is for."""
        path = console_path(open_console(user, vm, view_only=view_only, **grounds))
        return self.connect(path, headers=cookies_of(grounds.get("session_key", "")))

    def connect(self, path: str, **options: Any) -> Viewer:
        """Connect to the gateway."""
        viewer = Viewer(self.url(path), **options)
        self.viewers.append(viewer)
        return viewer

    def close(self) -> None:
        """End everything."""
        self.gateway.stop()
        for viewer in self.viewers:
            viewer.websocket.close()
        for screen in self.screens.values():
            screen.close()


@pytest.fixture
def bench(transactional_db: None) -> Iterator[Bench]:
    """Guests, screens and a gateway."""
    made = Bench()
    yield made
    made.close()


_cookies: dict[str, str] = {}


def cookies_of(session_key: str) -> dict[str, str]:
    """The header that a browser of that session sends, others' cookies included."""
    cookie = _cookies.get(session_key)
    return {"Cookie": f"theme=dark; {settings.SESSION_COOKIE_NAME}={cookie}"} if cookie else {}


@pytest.fixture
def session_key() -> Callable[[], str]:
    """Makes log-in sessions; what is returned is the key of the row."""

    def make() -> str:
        store = SessionStore()
        store["x"] = 1
        store.create()
        _cookies[row_key(str(store.session_key))] = str(store.session_key)
        return row_key(str(store.session_key))

    return make
