"""The database is locked by somebody else, and its disk is full, while operations run, events come and pages are read."""

from __future__ import annotations

import contextlib
import os
import re
import shutil
import sqlite3
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from conftest import wait_until
from kvmdash.tests.faults import HASTY, XML, Stands
from kvmdash.tests.pages import get, log_in
from kvmdash.tests.program import Program
from lab.testhosts import libvirtd_path

SIZE = "48m"
#: what a program says of a database that does not take what it must write
SAYS = {
    "operation": "an operation waits for the database",
    "mirror": "the database did not take it; reading the host again",
}


@pytest.fixture(scope="module")
def disk() -> Iterator[Path]:
    """A small disk of its own for the data folder; without root a folder, which cannot be filled."""
    folder = Path(tempfile.mkdtemp(prefix="kvmdash-disk-"))
    mounted = (
        os.geteuid() == 0
        and not subprocess.run(["mount", "-t", "tmpfs", "-o", f"size={SIZE}", "tmpfs", folder], check=False).returncode
    )
    yield folder
    if mounted:
        subprocess.run(["umount", "--lazy", folder], check=True)
    shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="module")
def stands(disk: Path) -> Iterator[Stands]:
    if libvirtd_path() is None:
        pytest.skip("libvirtd is not installed")
    program = Program(**HASTY, KVMDASH_DATA_DIR=str(disk), KVMDASH_SQLITE_SECONDS="1")
    made = Stands(program, ["start", "suspend"])
    try:
        program.start()
        made.start()
        yield made
    finally:
        program.stop()
        made.remove()
    if "Traceback" in program.log():
        sys.stderr.write(program.log()[-6000:])
    shutil.rmtree(program.folder, ignore_errors=True)


@pytest.fixture
def session(stands: Stands) -> str:
    return log_in(stands.program)


@contextlib.contextmanager
def locked(disk: Path) -> Iterator[None]:
    """Another process writes to both databases and does not come to an end."""
    holders = [sqlite3.connect(disk / name, isolation_level=None) for name in ("kvmdash.sqlite3", "metrics.sqlite3")]
    for holder in holders:
        holder.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        for holder in holders:
            holder.execute("ROLLBACK")
            holder.close()


@contextlib.contextmanager
def filled(disk: Path) -> Iterator[None]:
    """Somebody else's file takes all the room there is."""
    file = disk / "somebody-elses-file"
    with file.open("wb", buffering=0) as handle, contextlib.suppress(OSError):
        for size in (1 << 16, 1 << 12, 1):
            with contextlib.suppress(OSError):
                while True:
                    handle.write(b"x" * size)
    try:
        yield
    finally:
        file.unlink()


def said(program: Program, since: int, what: str) -> bool:
    return what in program.log()[since:]


def check_that_nothing_is_lost(stands: Stands, session: str, trouble: Any, words: str) -> None:
    """An operation under way ends, an event comes, pages are read and a change is asked for while there is ``trouble``."""
    program, start, suspend = stands.program, stands.all["start"], stands.all["suspend"]
    stands.prepare()
    begun = program.log().count("recovering")
    start.wire.arm("hold")
    stands.ask_one("start")
    wait_until(start.wire.changed.is_set, 30, "libvirt to be asked")
    since = len(program.log())
    with trouble:
        refused = wait_until(lambda: ask_for_much(program, suspend.identity), 40, "a change to be turned down")
        assert refused[0] == 503 and words in refused[1]["detail"], refused
        start.wire.release()
        wait_until(lambda: start.done(), 20, "libvirt to do it")
        suspend.raw.defineXML(XML.format(name="meanwhile", uuid=_NEW))
        for what in SAYS.values():
            wait_until(lambda what=what: said(program, since, what), 60, f"the program to say: {what}")
        assert program.get("vms")["items"] and program.get(f"operations/{stands.asked['start']}")["state"] == "running"
        for path in ("/", "/vms/", "/operations/"):
            assert get(program, session, path)[0] == 200, path
        status, text = post(program, session, f"/vms/{suspend.identity}/do/suspend/")
        assert status == 503 and words in text, (status, text[:500])
    ended = program.ended(stands.asked["start"])
    assert ended["state"] == "succeeded", ended
    assert program.log().count("recovering") == begun, "an operation under way was taken for dead"
    wait_until(lambda: [vm for vm in program.get("vms?q=meanwhile")["items"] if vm["name"] == "meanwhile"], 60)
    wait_until(lambda: program.vm("start")["power_state"] == "running", 30, "the row to be true")
    assert program.vm("suspend")["power_state"] == "running", "what was turned down was not done"
    program.done("suspend", "suspend")
    suspend.raw.lookupByName("meanwhile").undefine()


_NEW = "0b5a3c1e-7f5e-4a9e-8f43-2f3f6d1c9a11"


def ask_for_much(program: Program, identity: str) -> Any:
    """Ask for notes of some length, which must be written; the answer when it is no, else end it and try again."""
    status, answer = program.api(f"vms/{identity}/set-metadata", {"description": "x" * 8000})
    if status == 202:
        program.api(f"operations/{answer['id']}/cancel", {})
    return (status, answer) if status not in (202, 409) else None


def post(program: Program, session: str, path: str) -> tuple[int, str]:
    """A form that a page sends."""
    import urllib.error
    import urllib.request

    token = "t" * 32
    request = urllib.request.Request(program.url + path, data=f"csrfmiddlewaretoken={token}".encode())
    request.add_header("Cookie", f"kvmdash_session={session}; kvmdash_csrf={token}")
    request.add_header("Origin", program.url)
    try:
        with urllib.request.urlopen(request, timeout=60) as answer:
            return answer.status, answer.read().decode()
    except urllib.error.HTTPError as error:
        return error.code, re.sub(r"\s+", " ", error.read().decode())


def test_a_database_that_another_process_locks_loses_nothing(stands: Stands, session: str, disk: Path) -> None:
    check_that_nothing_is_lost(stands, session, locked(disk), "busy")


def test_a_full_disk_ends_nothing_and_all_goes_on_when_there_is_room(stands: Stands, session: str, disk: Path) -> None:
    if not os.path.ismount(disk):
        pytest.skip("a disk of its own needs root")
    check_that_nothing_is_lost(stands, session, filled(disk), "full")
    assert stands.program.process is not None and stands.program.process.poll() is None
