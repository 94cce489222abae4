"""`manage.py consoles` as a child of `manage.py up`."""

from __future__ import annotations

import threading

from kvmdash.management.commands.consoles import wait_for


def test_a_gateway_whose_program_was_killed_without_a_word_ends_too():
    # Returns although nobody said stop: process 0 is not our parent.
    wait_for(threading.Event(), "0")
