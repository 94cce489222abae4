"""`manage.py consoles` as a child of `manage.py up`."""

from __future__ import annotations

import shutil
import threading
from pathlib import Path

from conftest import wait_until
from kvmdash.management.commands.consoles import wait_for
from kvmdash.tests.program import Program


def children_of(pid: int) -> list[int]:
    return [
        int(word) for task in Path(f"/proc/{pid}/task").iterdir() for word in (task / "children").read_text().split()
    ]


def test_a_gateway_whose_program_was_killed_without_a_word_ends_too():
    # Returns although nobody said stop: process 0 is not our parent.
    wait_for(threading.Event(), "0")


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
