"""What can be said of a move: before it, and while it is under way. Checked plain data."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from hosts.models import Host
from hosts.operations.kind import InvalidArguments, no_argument
from hosts.operations.storage_base import NotNow
from vms.moving.policies import POLICIES, of_cluster

BOOLEANS = {
    "copy_storage": False,
    "incremental": False,
    "persist": True,
    "undefine_source": True,
    "unsafe": False,
    "auto_converge": False,
    "post_copy": False,
    "zero_copy": False,
    "tls": False,
}
MOST_BANDWIDTH = 1024 * 1024
#: milliseconds, and seconds
MOST_PAUSE, MOST_TIMEOUT = 60_000, 7 * 86400
MOST_CONNECTIONS = 64
#: the largest value of each; 0 where nothing is said
NUMBERS = {
    "bandwidth": MOST_BANDWIDTH,
    "max_downtime": MOST_PAUSE,
    "timeout": MOST_TIMEOUT,
    "connections": MOST_CONNECTIONS,
}
#: what is done when a move lasts longer than its timeout
ON_TIMEOUT = ("abort", "suspend", "converge", "post-copy")
#: compressions of one connection, and of several
ALONE, TOGETHER = ("xbzrle", "mt"), ("zlib", "zstd")
#: the first of each is what is meant where nothing is said
CHOICES = {
    "mode": ("auto", "live", "offline", "saved"),
    "transport": ("auto", "p2p", "managed", "tunnelled"),
    "compression": ("", *ALONE, *TOGETHER),
    "on_timeout": ON_TIMEOUT,
}
#: by name: disks that are copied → the target's pool ('' for the same place), networks and bridges → the target's
TABLES = ("disks", "networks")
MOST_ENTRIES = 200
NAME = re.compile(r"[^\x00-\x1f\x7f/]{1,255}\Z")
#: every argument that a policy may fill in, with its value where it does not
DEFAULTS: dict[str, Any] = {
    **BOOLEANS,
    **dict.fromkeys(NUMBERS, 0),
    **{name: values[0] for name, values in CHOICES.items()},
}
#: what can be asked of a move under way → the argument it takes, '' for none
SIGNALS = {"bandwidth": "bandwidth", "downtime": "max_downtime", "suspend": "", "post-copy": "", "recover": ""}


def clean(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a move, filled in by its policy. Raises InvalidArguments, and NotNow for what does not go together."""
    unknown = set(arguments) - {"host", "policy", "state_pool", *TABLES, *DEFAULTS}
    if unknown:
        raise InvalidArguments(min(unknown), no_argument("migrate", min(unknown)))
    host = Host.objects.filter(name=str(arguments.get("host", ""))[:63]).first()
    if host is None:
        raise InvalidArguments("host", _("Name a host to move to."))
    policy = POLICIES.get(str(arguments.get("policy") or "")) if arguments.get("policy") else of_cluster()
    if policy is None:
        raise InvalidArguments("policy", _one_of(POLICIES))
    said = {**DEFAULTS, **policy.values, **{name: value for name, value in arguments.items() if value is not None}}
    cleaned: dict[str, Any] = {"host": host.name, "policy": policy.name}
    cleaned |= {name: number(name, said[name]) for name in NUMBERS}
    cleaned |= {name: _choice(name, said[name]) for name in CHOICES}
    cleaned |= {name: _boolean(name, said[name]) for name in BOOLEANS}
    cleaned |= {name: _table(name, said.get(name)) for name in TABLES}
    cleaned["state_pool"] = _pool(said.get("state_pool"))
    _give_way(cleaned, arguments)
    _refuse_what_does_not_go_together(cleaned)
    return cleaned


def _boolean(name: str, value: Any) -> bool:
    if not isinstance(value, bool):
        raise InvalidArguments(name, _("%(name)s is true or false.") % {"name": name})
    return value


def _choice(name: str, value: Any) -> str:
    found = value or CHOICES[name][0]
    if found not in CHOICES[name]:
        raise InvalidArguments(name, _one_of(one for one in CHOICES[name] if one))
    return str(found)


def _one_of(values: Any) -> str:
    return _("One of: %(values)s.") % {"values": ", ".join(values)}


def _table(name: str, value: Any) -> dict[str, str]:
    value = value or {}
    fits = isinstance(value, dict) and len(value) <= MOST_ENTRIES
    if not fits or not all(isinstance(one, str) and NAME.match(one) for one in value):
        raise InvalidArguments(name, _("Names are needed, and to each what it becomes."))
    emptiable = name == "disks"
    for one in value.values():
        if not isinstance(one, str) or not (NAME.match(one) or (emptiable and not one)):
            raise InvalidArguments(name, _("Names are needed, and to each what it becomes."))
    return dict(value)


def _pool(value: Any) -> str:
    if value and not (isinstance(value, str) and NAME.match(value)):
        raise InvalidArguments("state_pool", _("Name a pool."))
    return str(value or "")


def _give_way(cleaned: dict[str, Any], given: Mapping[str, Any]) -> None:
    """What a policy alone said gives way to what was said for this move and does not go with it."""
    if cleaned["transport"] == "tunnelled":
        for name in ("connections", "post_copy"):
            cleaned[name] = cleaned[name] if name in given else DEFAULTS[name]
    if cleaned["compression"] in ALONE and "connections" not in given:
        cleaned["connections"] = 0
    if cleaned["on_timeout"] == "post-copy" and not cleaned["post_copy"] and "on_timeout" not in given:
        cleaned["on_timeout"] = ON_TIMEOUT[0]
    cleaned["copy_storage"] = cleaned["copy_storage"] or bool(cleaned["disks"]) or cleaned["incremental"]


def _refuse_what_does_not_go_together(wanted: Mapping[str, Any]) -> None:
    """Each is right in itself. Raises NotNow."""
    tunnelled = wanted["transport"] == "tunnelled"
    for name in ("copy_storage", "connections", "post_copy", "tls", "zero_copy"):
        if tunnelled and wanted[name]:
            raise NotNow(name, _("Not through libvirt's own connection (tunnelled): QEMU must send by itself."))
    if wanted["zero_copy"] and not wanted["connections"]:
        raise NotNow("zero_copy", _("Zero-copy goes only over several connections."))
    if wanted["zero_copy"] and wanted["tls"]:
        raise NotNow("zero_copy", _("What is encrypted is copied: zero-copy does not go with TLS."))
    if wanted["compression"] in TOGETHER and not wanted["connections"]:
        raise NotNow("compression", _("zlib and zstd are for several connections."))
    if wanted["compression"] in ALONE and wanted["connections"]:
        raise NotNow("compression", _("xbzrle and mt are for a single connection."))
    if wanted["on_timeout"] == "post-copy" and not wanted["post_copy"]:
        raise NotNow("on_timeout", _("Post-copy must be allowed from the beginning."))
    if wanted["mode"] in ("offline", "saved") and wanted["copy_storage"]:
        raise NotNow("copy_storage", _("libvirt copies disks only of a guest that runs."))


def clean_signal(name: str, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a signal of :data:`SIGNALS`. Raises InvalidArguments."""
    wanted = SIGNALS[name]
    unknown = set(arguments) - {wanted}
    if unknown:
        raise InvalidArguments(min(unknown), no_argument(name, min(unknown)))
    if not wanted:
        return {}
    value = number(wanted, arguments.get(wanted))
    if wanted == "max_downtime" and not value:
        raise NotNow(wanted, _WRONG[wanted]())
    return {wanted: value}


def number(name: str, value: Any) -> int:
    """One of :data:`NUMBERS`; 0 where nothing is said. Raises InvalidArguments."""
    try:
        found = int(value or 0)
    except (TypeError, ValueError, OverflowError):
        raise InvalidArguments(name, _WRONG[name]()) from None
    if isinstance(value, bool) or not 0 <= found <= NUMBERS[name]:
        raise InvalidArguments(name, _WRONG[name]())
    return found


_WRONG = {
    "bandwidth": lambda: _("The bandwidth is between 0 (no limit) and 1048576 MiB a second."),
    "max_downtime": lambda: _("The pause is between 1 and 60000 milliseconds."),
    "timeout": lambda: _("The time is between 0 (no limit) and 604800 seconds."),
    "connections": lambda: _("Between 0 (one, as usual) and 64 connections."),
}
