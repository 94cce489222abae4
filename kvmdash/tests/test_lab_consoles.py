"""Consoles of real guests: libvirt asked where the screen is, QEMU's VNC server reached over tcp, tls and ssh hosts."""

from __future__ import annotations

import pytest

from conftest import wait_until
from vms.tests.console.viewer import Viewer

pytestmark = pytest.mark.lab


def open_console(program, name: str, *, view_only: bool = False) -> Viewer:
    """Ask for a ticket as a program does, and use it on the dashboard's own port."""
    status, answer = program.api(f"vms/{program.vm(name)['uuid']}/console", {"view_only": view_only})
    assert status in (200, 201), answer
    url = answer["url"]
    if url.startswith("/"):
        url = f"ws://127.0.0.1:{program.port}{url}"
    return Viewer(url, origin=program.url)


def watchers(program, name: str) -> int:
    return len(program.get(f"vms/{program.vm(name)['uuid']}")["consoles"])


@pytest.mark.parametrize("host", ["kvm1", "kvm2", "kvm3"])
def test_the_screen_of_a_guest_is_read_on_tcp_tls_and_ssh_hosts(program, lab_cluster, host):
    names = lab_cluster.virsh(host, "list", "--name").split()
    if not names:
        names = [program.running("cache-1")]
        program.done(names[0], "migrate", host=host)
        wait_until(lambda: program.vm(names[0])["host"] == host)
    program.running(names[0])
    with open_console(program, names[0]).greet() as viewer:
        assert names[0] in viewer.name
        assert viewer.picture() >= viewer.width * viewer.height * 4
        assert watchers(program, names[0]) == 1
    wait_until(lambda: watchers(program, names[0]) == 0)


def test_a_vnc_password_is_given_by_the_server(program):
    program.running("web-2")
    with open_console(program, "web-2").greet() as viewer:
        assert viewer.picture()


def test_two_watch_one_guest(program):
    program.running("web-1")
    with (
        open_console(program, "web-1").greet() as first,
        open_console(program, "web-1", view_only=True).greet() as second,
    ):
        assert first.picture()
        assert second.picture()
        assert watchers(program, "web-1") == 2


def test_a_guest_that_is_switched_off_closes_its_console(program):
    program.running("cache-1")
    with open_console(program, "cache-1").greet() as viewer:
        program.done("cache-1", "destroy")
        assert viewer.close_code() == 4404
    program.done("cache-1", "start")


def test_a_guest_that_migrates_closes_its_console_with_that_word(program):
    program.running("db-1")
    target = next(name for name in ("kvm1", "kvm2") if name != program.vm("db-1")["host"])
    with open_console(program, "db-1").greet() as viewer:
        program.done("db-1", "migrate", host=target)
        assert viewer.close_code() == 4410
    with open_console(program, "db-1").greet() as viewer:
        assert viewer.picture()
