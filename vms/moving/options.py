"""The options of ``virsh migrate`` that say what a move's arguments say."""

from __future__ import annotations

import shlex
from collections.abc import Mapping, Sequence
from typing import Any

FLAGS = {
    "persist": "--persistent",
    "undefine_source": "--undefinesource",
    "unsafe": "--unsafe",
    "auto_converge": "--auto-converge",
    "post_copy": "--postcopy",
    "zero_copy": "--zerocopy",
    "tls": "--tls",
}
#: of what is done when the time is over; the others are asked by another command
TIMEOUT_FLAGS = {"suspend": "--timeout-suspend", "post-copy": "--timeout-postcopy"}
TRANSPORTS = {"tunnelled": ["--p2p", "--tunnelled"], "managed": []}


def of_live(wanted: Mapping[str, Any]) -> list[str]:
    """Of a guest that runs."""
    words = ["--live", *TRANSPORTS.get(wanted["transport"], ["--p2p"]), "--abort-on-error"]
    words += [flag for name, flag in FLAGS.items() if wanted[name]]
    words += _storage(wanted)
    words += ["--parallel", "--parallel-connections", str(wanted["connections"])] if wanted["connections"] else []
    words += ["--compressed", "--comp-methods", wanted["compression"]] if wanted["compression"] else []
    words += ["--bandwidth", str(wanted["bandwidth"])] if wanted["bandwidth"] else []
    flag = TIMEOUT_FLAGS.get(wanted["on_timeout"])
    words += ["--timeout", str(wanted["timeout"]), flag] if wanted["timeout"] and flag else []
    words += ["--xml", "target.xml"] if is_edited(wanted) else []
    return words


def of_offline(wanted: Mapping[str, Any]) -> list[str]:
    """Of a guest that is off: only its definition moves."""
    words = ["--offline", "--persistent"]
    words += ["--undefinesource"] if wanted["undefine_source"] else []
    return [*words, "--xml", "target.xml"] if is_edited(wanted) else words


def is_edited(wanted: Mapping[str, Any]) -> bool:
    """Whether its definition is another one on the target."""
    return bool(wanted["networks"]) or any(wanted["disks"].values())


def _storage(wanted: Mapping[str, Any]) -> list[str]:
    if not wanted["copy_storage"]:
        return []
    words = ["--copy-storage-inc" if wanted["incremental"] else "--copy-storage-all"]
    return [*words, "--migrate-disks", ",".join(sorted(wanted["disks"]))] if wanted["disks"] else words


def of_saved(name: str, state: str, peer: str) -> list[str]:
    """The commands that move a guest by its saved memory: ``state`` is the file, ``peer`` how the target is reached."""
    target: Sequence[str] = ("virsh", "-c", peer)
    lines = [
        ["virsh", "dumpxml", name, "--inactive", "--security-info"],
        ["virsh", "save", name, state],
        [*target, "define", f"{name}.xml"],
        [*target, "restore", state],
        ["virsh", "undefine", name],
    ]
    return [shlex.join(line) + (f" > {shlex.quote(name + '.xml')}" if line[1] == "dumpxml" else "") for line in lines]
