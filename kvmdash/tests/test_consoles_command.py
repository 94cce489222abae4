"""`manage.py consoles` as a child of `manage.py up`."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from conftest import wait_until
from kvmdash.management.commands.consoles import wait_for
from kvmdash.tests.program import PROJECT, Program


def children_of(pid: int) -> list[int]:
    return [
        int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()
    ]


class Untold:
    """Nobody says stop."""

    def wait(self, _seconds):
        return False


def test_a_gateway_whose_program_was_killed_without_a_word_ends_too():
    # Returns although nobody said stop: process 0 is not our parent.
    wait_for(Untold(), "0")


def test_a_program_that_is_told_to_stop_has_ended_its_gateway_before_it_ends_itself():
    program = Program()
    try:
        program.start()
        assert program.process is not None
        (gateway,) = wait_until(lambda: children_of(program.process.pid), 20, "the gateway to be started")
        program.process.terminate()
        assert program.process.wait(30) == 0
        assert not Path(f"/proc/{gateway}").exists()
    finally:
        program.stop()
        shutil.rmtree(program.folder, ignore_errors=True)


@pytest.mark.parametrize("role", ["consoles", "inventory", "operations"])
def test_a_role_without_pages_does_not_load_them(role):
    code = (
        "import sys\n"
        f"from kvmdash.management.commands.{role} import Command\n"
        "command = Command()\n"
        "command.check(tags=command.requires_system_checks)\n"
        "loaded = [name for name in ('kvmdash.api', 'vms.urls', 'ninja', 'numpy') if sys.modules.get(name)]\n"
        "assert not loaded, loaded\n"
    )
    environment = {**os.environ, "DJANGO_SETTINGS_MODULE": "kvmdash.settings_test"}
    command = [sys.executable, "-c", f"import django; django.setup()\n{code}"]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_what_is_kept_from_websockify_is_not_half_there_for_others():
    code = (
        "import sys\n"
        "from kvmdash.management.commands.consoles import load_websockify_without_numpy\n"
        "load_websockify_without_numpy()\n"
        "import websockify.websocket\n"
        "assert websockify.websocket.numpy is None\n"
        "assert 'numpy' not in sys.modules\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr[-2000:]


def test_a_role_without_pages_still_refuses_what_is_unsafe(tmp_path):
    environment = {**os.environ, "KVMDASH_MODE": "production", "KVMDASH_DATA_DIR": str(tmp_path), "KVMDASH_DEBUG": "1"}
    environment |= {"KVMDASH_SECRET_KEY": "short", "KVMDASH_ENCRYPTION_KEYS": "short"}
    command = [sys.executable, "manage.py", "consoles"]
    done = subprocess.run(command, cwd=PROJECT, env=environment, capture_output=True, text=True, check=False)
    assert done.returncode != 0 and "kvmdash.E002" in done.stderr
