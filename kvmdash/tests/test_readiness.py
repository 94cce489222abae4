"""Each role tells systemd that it is ready, once, and no sooner than it is."""

from __future__ import annotations

import shutil
import socket
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from kvmdash.tests.program import PROJECT, Program
from lab.testhosts import free_port


@pytest.fixture
def ear(tmp_path: Path) -> Iterator[socket.socket]:
    """What systemd listens at."""
    with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as made:
        made.bind(str(tmp_path / "notify"))
        made.settimeout(60)
        yield made


@pytest.fixture(scope="module")
def program() -> Iterator[Program]:
    made = Program(KVMDASH_CONSOLE_GATEWAY=f"127.0.0.1:{free_port()}")
    made.manage("migrate_all")
    yield made
    shutil.rmtree(made.folder, ignore_errors=True)


def answers(port: int) -> bool:
    with socket.socket() as asked:
        return asked.connect_ex(("127.0.0.1", port)) == 0


def run(program: Program, ear: socket.socket, *command: str) -> subprocess.Popen[bytes]:
    return subprocess.Popen(
        [sys.executable, "manage.py", *command],
        cwd=PROJECT,
        env=program.environment | {"NOTIFY_SOCKET": ear.getsockname()},
        start_new_session=True,
    )


def end(process: subprocess.Popen[bytes]) -> int:
    process.terminate()
    return process.wait(20)


@pytest.mark.parametrize("role", ["web", "consoles", "inventory", "operations"])
def test_a_role_tells_that_it_is_ready_and_ends_in_order(program: Program, ear: socket.socket, role: str) -> None:
    gateway = int(program.environment["KVMDASH_CONSOLE_GATEWAY"].rpartition(":")[2])
    port = {"web": program.port, "consoles": gateway}.get(role)
    process = run(program, ear, role, *(["--port", str(program.port)] if role == "web" else []))
    try:
        assert ear.recv(100) == b"READY=1"
        assert port is None or answers(port)
    finally:
        ended = end(process)
    # systemd takes the signal it sent for an end in order.
    assert ended in (0, -15)


def test_the_one_program_tells_it_once_and_its_gateway_does_not(program: Program, ear: socket.socket) -> None:
    gateway = int(program.environment["KVMDASH_CONSOLE_GATEWAY"].rpartition(":")[2])
    process = run(program, ear, "up", "--port", str(program.port))
    try:
        assert ear.recv(100) == b"READY=1"
        assert answers(program.port)
        while not answers(gateway):
            assert process.poll() is None
    finally:
        ended = end(process)
    assert ended in (0, -15)
    ear.setblocking(False)
    with pytest.raises(BlockingIOError):
        ear.recv(100)


def test_what_cannot_start_tells_nothing(program: Program, ear: socket.socket) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        process = run(program, ear, "web", "--port", str(taken.getsockname()[1]))
        assert process.wait(30) not in (0, -15)
    ear.setblocking(False)
    with pytest.raises(BlockingIOError):
        ear.recv(100)
