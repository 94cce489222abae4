"""Text consoles of real guests: libvirt's streams from hosts reached by TCP, TLS and SSH, carried by the gateway."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys

import pytest

from conftest import wait_until
from kvmdash.tests.program import PROJECT
from lab.testhosts import free_port
from vms.console.closing import ELSEWHERE
from vms.tests.console.text_viewer import TextViewer

pytestmark = pytest.mark.lab


def look_at(
    program, name: str, *, view_only: bool = False, device: str = "serial0", port: int | None = None
) -> TextViewer:
    """Ask for a ticket as a program does, and use it on the dashboard's own port or on a gateway's."""
    body = {"view_only": view_only, "device": device}
    status, answer = program.api(f"vms/{program.vm(name)['uuid']}/console", body)
    assert status == 200, answer
    url = answer["url"] if port is None else answer["url"].replace(f":{program.port}/", f":{port}/")
    return TextViewer(url, origin=program.url)


def echo(viewer: TextViewer, word: str) -> None:
    """Have the guest's shell say a word that was not typed as it is said."""
    viewer.live = b""
    viewer.type(f"echo {word[:2]}''{word[2:]}\r".encode())
    viewer.sees(word.encode())


def shell(viewer: TextViewer) -> TextViewer:
    """Once the guest's shell answers."""
    viewer.told(state="open", mine=True)

    def answers() -> bool:
        viewer.live = b""
        viewer.type(b"echo re''ady\r")
        try:
            while b"ready" not in viewer.live:
                viewer.one(3)
        except TimeoutError:
            return False
        return True

    wait_until(answers, 60, "the guest's shell")
    return viewer


def other_host(program, name: str) -> str:
    return next(host for host in ("kvm1", "kvm2") if host != program.vm(name)["host"])


@pytest.mark.parametrize("host", ["kvm1", "kvm2", "kvm3"], ids=["tcp", "tls", "ssh"])
def test_the_shell_on_the_serial_line_answers(program, lab_cluster, host):
    names = lab_cluster.virsh(host, "list", "--name").split()
    if not names:
        names = [program.running("cache-1")]
        program.done(names[0], "migrate", host=host)
        wait_until(lambda: program.vm(names[0])["host"] == host)
    with look_at(program, program.running(names[0])) as viewer:
        assert viewer.told(state="open").status["host"] == host
        echo(shell(viewer), "hello")
        watched = program.get(f"vms/{program.vm(names[0])['uuid']}")["consoles"]
        assert [(one["kind"], one["device"]) for one in watched] == [("serial", "serial0")]


def test_the_guest_s_text_consoles_are_told(program):
    told = program.get(f"vms/{program.vm('web-1')['uuid']}/serial")
    assert [(one["device"], one["openable"]) for one in told] == [("serial0", True)]


def test_it_goes_on_after_a_reset_a_stop_a_save_and_a_move(program):
    name = program.running("db-1")
    with look_at(program, name) as viewer:
        shell(viewer)
        program.done(name, "reset")
        viewer.sees(b"started, root shell")
        shell(viewer)
        program.done(name, "destroy")
        viewer.told(state="waiting", why="off")
        program.done(name, "start")
        viewer.live = b""
        viewer.sees(b"started, root shell")
        shell(viewer)
        program.done(name, "managed-save")
        viewer.told(state="waiting", why="off")
        program.done(name, "start")
        echo(shell(viewer), "restored")
        target = other_host(program, name)
        program.done(name, "migrate", host=target)
        viewer.told(state="open", host=target)
        echo(shell(viewer), "moved")
        assert viewer.websocket.close_code is None


def test_virsh_console_is_not_thrown_out_unasked_and_is_when_asked(program, lab_cluster):
    name = program.running("web-1")
    uri = lab_cluster.hosts[program.vm(name)["host"]].uri
    ours, theirs = os.openpty()
    virsh = subprocess.Popen(
        ["virsh", "-c", uri, "console", name, "--force"],
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
        start_new_session=True,
    )
    os.close(theirs)
    try:
        wait_until(lambda: b"Connected" in os.read(ours, 4096), 20, "virsh to have the console")
        with look_at(program, name) as viewer:
            viewer.told(state="held")
            assert virsh.poll() is None
            viewer.ask("force")
            viewer.told(state="open")
            echo(shell(viewer), "taken")
            wait_until(lambda: virsh.poll() is not None, 20, "virsh to end")
    finally:
        if virsh.poll() is None:
            virsh.kill()
        virsh.wait()
        os.close(ours)
    told = "from hosts.models import AuditEntry as A; print(list(A.objects.filter(action='console.force').values_list('subject')))"
    assert name in program.manage("shell", "-c", told)


def test_a_break_reaches_the_guest_s_kernel(program):
    name = program.running("web-1")
    with look_at(program, name) as viewer:
        shell(viewer)
        viewer.type(b"echo 1 > /proc/sys/kernel/sysrq; echo 8 > /proc/sys/kernel/printk\r")
        viewer.ask("break")
        viewer.until(lambda me: me.status["said"].startswith("break"))
        viewer.type(b"h")
        # A break and h: the kernel says which keys it knows.
        viewer.sees(b"sysrq: HELP")


def test_a_host_that_is_cut_off_is_told_and_its_console_comes_back(program, lab_cluster):
    name = program.running("db-1")
    host = program.vm(name)["host"]
    with look_at(program, name) as viewer:
        shell(viewer)
        lab_cluster.cut(host)
        try:
            viewer.told(state="waiting", why="host", host=host)
        finally:
            lab_cluster.join(host)
        viewer.told(state="open")
        echo(shell(viewer), "again")


def test_a_guest_that_reads_nothing_costs_nobody_else_anything(program):
    name = program.running("web-1")
    with look_at(program, name) as viewer, look_at(program, name, view_only=True) as watcher:
        shell(viewer)
        viewer.type(b"stty -echo -icanon; sleep 8; stty sane; echo aw''ake\r")
        for _ in range(30):
            viewer.type(b"y" * 16384)
        with look_at(program, program.running("web-2")) as other:
            echo(shell(other), "fine")
        # What libvirtd held back may have cost the connection; the console is there again by itself.
        wait_until(lambda: look(watcher), 60, "the console to be open")


def look(viewer: TextViewer) -> bool:
    """Whether it is open by the last that came within a moment."""
    try:
        while True:
            viewer.one(1)
    except TimeoutError:
        return bool(viewer.status["state"] == "open")


def test_a_gateway_that_is_killed_is_followed_by_another_that_knows_what_was_written(program):
    name = program.running("web-2")
    with look_at(program, name) as viewer:
        echo(shell(viewer), "before")
        uuid = program.vm(name)["uuid"]
        wait_until(
            lambda: "before" in program.api(f"vms/{uuid}/console/log", {"device": "serial0"})[1].get("text", ""),
            20, "what was written to be kept",
        )  # fmt: skip
        os.kill(gateway_of(program), signal.SIGKILL)
        assert viewer.close_code() in (1006, 1011)

    with wait_until(lambda: opened(program, name), 30, "another gateway") as viewer:
        viewer.until(lambda me: b"before" in me.history)
        echo(shell(viewer), "after")


def opened(program, name: str, port: int | None = None) -> TextViewer | None:
    """Somebody who sees the console, None while no gateway has it."""
    seen = look_at(program, name, port=port)
    try:
        return seen.told(state="open")
    except Exception:
        seen.websocket.close()
        return None


@pytest.fixture
def second_gateway(program):
    """Another gateway on the same rows: (its process, its port)."""
    port = free_port()
    environment = {**program.environment, "KVMDASH_CONSOLE_GATEWAY": f"127.0.0.1:{port}"}
    with (program.folder / "log").open("ab") as log:
        process = subprocess.Popen(
            [sys.executable, "manage.py", "consoles"],
            cwd=PROJECT, env=environment, stdout=log, stderr=log, start_new_session=True,
        )  # fmt: skip
    wait_until(lambda: is_listening(port), 60, "the second gateway")
    yield process, port
    if process.poll() is None:
        process.kill()
        process.wait()


def is_listening(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


def test_of_two_gateways_one_carries_a_console_and_the_other_takes_over_when_it_dies(program, second_gateway):
    process, port = second_gateway
    name = program.running("web-2")
    # Whoever looked before keeps it with the first gateway for a while.
    with wait_until(lambda: opened(program, name, port), 60, "the second gateway to carry it") as first:
        echo(shell(first), "here")
        # libvirt lets one in: whoever comes to the other gateway is sent on, and nothing is taken from the one who writes.
        with look_at(program, name) as other:
            assert other.close_code() == ELSEWHERE
        echo(first, "still")
        uuid = program.vm(name)["uuid"]
        log = lambda: program.api(f"vms/{uuid}/console/log", {"device": "serial0"})[1].get("text", "")  # noqa: E731
        wait_until(lambda: "still" in log(), 20, "what was written to be kept")
        process.send_signal(signal.SIGKILL)
        assert first.close_code() in (1006, 1011)
    with wait_until(lambda: opened(program, name), 60, "the other gateway to carry it") as viewer:
        viewer.until(lambda me: b"still" in me.history)
        echo(shell(viewer), "over")


def gateway_of(program) -> int:
    """The gateway's process: the program's child."""
    listed = subprocess.run(
        ["ps", "-o", "pid=,args=", "--ppid", str(program.process.pid)], capture_output=True, text=True, check=True
    )
    return int(next(line for line in listed.stdout.splitlines() if "consoles" in line).split()[0])
