"""libvirt's numbers as words, for states and their reasons (libvirt-domain.h, enum virDomainState and its reasons)."""

from __future__ import annotations

STATES = {
    0: "unknown",
    1: "running",
    2: "running",
    3: "paused",
    4: "running",
    5: "shutoff",
    6: "crashed",
    7: "pmsuspended",
}

REASONS: dict[int, dict[int, str]] = {
    1: {
        1: "booted", 2: "migrated", 3: "restored", 4: "from snapshot", 5: "unpaused", 6: "migration canceled",
        7: "save canceled", 8: "wakeup", 9: "crashed", 10: "post-copy", 11: "post-copy failed",
    },
    3: {
        1: "user", 2: "migration", 3: "save", 4: "dump", 5: "I/O error", 6: "watchdog", 7: "from snapshot",
        8: "shutting down", 9: "snapshot", 10: "crashed", 11: "starting up", 12: "post-copy",
        13: "post-copy failed", 14: "API error",
    },
    4: {1: "user"},
    5: {
        1: "shutdown", 2: "destroyed", 3: "crashed", 4: "migrated", 5: "saved", 6: "failed",
        7: "from snapshot", 8: "daemon",
    },
    6: {1: "panicked"},
}  # fmt: skip


def state_word(state: int) -> str:
    """The word for a virDomainState."""
    return STATES.get(state, "unknown")


def reason_word(state: int, reason: int) -> str:
    """The word for a state's reason; '' when libvirt gave none."""
    if state == 4:
        return "shutting down"
    return REASONS.get(state, {}).get(reason, "")
