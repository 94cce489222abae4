"""A backup taken while kvmdash runs, brought up again elsewhere as docs/operating.md says."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import Any

import libvirt
import pytest
from django.core.management import CommandError, call_command

from conftest import wait_until
from kvmdash.tests.program import Program
from lab.testhosts import TestHost, libvirtd_path

GUEST = "<domain type='test'><name>kept</name><memory unit='MiB'>64</memory><os><type>hvm</type></os></domain>"
#: run inside the dashboard's settings
SECRET = "from hosts.models import Host; print(Host.objects.get(name='guarded').sasl_password.open())"


def connected(program: Program) -> bool:
    hosts = {host["name"]: host["state"] for host in program.get("hosts")["items"]}
    return hosts.get("kvm1") == "connected"


@pytest.fixture(scope="module")
def host() -> Any:
    if libvirtd_path() is None:
        pytest.skip("libvirtd is not installed")
    made = TestHost.create("kept")
    made.start()
    raw = libvirt.open(made.uri)
    raw.defineXML(GUEST)
    yield made
    raw.close()
    made.remove()


@pytest.fixture(scope="module")
def before(host: TestHost) -> Any:
    """A dashboard with a past."""
    program = Program()
    program.manage("migrate_all")
    program.manage("add_host", "kvm1", host.uri)
    program.environment["KVMDASH_SASL_PASSWORD"] = "hunter2-hunter2"
    program.manage("add_host", "guarded", "qemu+tcp://127.0.0.1:1/system", "--sasl-username", "dash")
    program.start()
    wait_until(lambda: connected(program), 60, "the host to be connected")
    wait_until(lambda: program.get("vms?q=kept")["items"], 30, "the guest to be seen")
    program.done("kept", "start")
    yield program
    program.stop()
    shutil.rmtree(program.folder, ignore_errors=True)


@pytest.fixture(scope="module")
def backup(before: Program, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Taken while it runs; afterwards it goes on, and what comes then is not in it."""
    folder: Path = tmp_path_factory.mktemp("backup") / "new"
    before.manage("backup", str(folder))
    before.done("kept", "suspend")
    before.stop()
    return folder


def restored(backup: Path, keys: Path | None) -> Program:
    """The documented steps: the two files, the keys, start."""
    program = Program()
    for file in backup.iterdir():
        shutil.copy(file, program.folder)
    if keys is not None:
        shutil.copy(keys / "encryption.key", program.folder)
    return program


def test_a_backup_is_whole_and_for_its_owner_alone(before: Program, backup: Path) -> None:
    assert {file.name for file in backup.iterdir()} == {"kvmdash.sqlite3", "metrics.sqlite3"}
    assert {file.stat().st_mode & 0o777 for file in [*backup.iterdir()]} == {0o600}
    assert backup.stat().st_mode & 0o777 == 0o700


def test_what_was_there_is_there_again_and_goes_on(before: Program, backup: Path) -> None:
    program = restored(backup, before.folder)
    program.token = before.token
    try:
        program.start()
        assert program.get("me")["username"] == "admin"
        kinds = [(row["kind"], row["state"]) for row in program.get("operations")["items"]]
        assert kinds == [("start", "succeeded")]
        wait_until(lambda: connected(program), 60, "the host to be connected again")
        # What happened after the backup is read from the host itself.
        wait_until(lambda: program.vm("kept")["power_state"] == "paused", 30, "the guest to be as it is")
        program.done("kept", "resume")
        assert program.manage("shell", "-v0", "-c", SECRET).splitlines()[-1] == "hunter2-hunter2"
    finally:
        program.stop()
        shutil.rmtree(program.folder, ignore_errors=True)


def test_without_the_encryption_keys_it_says_which_hosts_want_their_secrets_again(
    before: Program, backup: Path
) -> None:
    program = restored(backup, None)
    program.token = before.token
    try:
        program.start()
        wait_until(lambda: connected(program), 60, "the host without secrets to be connected")
        told = wait_until(
            lambda: next(h for h in program.get("hosts")["items"] if h["name"] == "guarded")["state"] == "failed"
            and program.get("hosts/guarded"), 30, "the host with a secret to be told about",
        )  # fmt: skip
        assert "encryption key" in told["state_text"]
        program.environment["KVMDASH_SASL_PASSWORD"] = "given-again"
        program.manage("add_host", "guarded", "qemu+tcp://127.0.0.1:1/system", "--sasl-username", "dash")
        wait_until(lambda: program.get("hosts/guarded")["state"] == "refused", 30, "the host to be tried again")
    finally:
        program.stop()
        shutil.rmtree(program.folder, ignore_errors=True)


def test_a_backup_overwrites_nothing(before: Program, backup: Path) -> None:
    with pytest.raises(AssertionError, match="File exists"):
        before.manage("backup", str(backup))


def test_a_backup_that_finds_no_place_says_so() -> None:
    with pytest.raises(CommandError, match="Not a directory"):
        call_command("backup", "/dev/null/backup")
