"""What can be said of a move: before it, and while it is under way. Checked plain data."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from django.utils.translation import gettext as _

from hosts.models import Host
from hosts.operations.kind import InvalidArguments, no_argument
from hosts.operations.storage_base import NotNow

BOOLEANS = {"copy_storage": False, "persist": True, "undefine_source": True, "unsafe": False, "auto_converge": False}
MOST_BANDWIDTH = 1024 * 1024
#: milliseconds, and seconds
MOST_PAUSE, MOST_TIMEOUT = 60_000, 7 * 86400
#: what is done when a move lasts longer than its timeout
ON_TIMEOUT = ("abort", "suspend")
NUMBERS = ("bandwidth", "max_downtime", "timeout")
#: what can be asked of a move under way → the argument it takes, '' for none
SIGNALS = {"bandwidth": "bandwidth", "downtime": "max_downtime", "suspend": ""}


def clean(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of a move. Raises InvalidArguments."""
    unknown = set(arguments) - {"host", "on_timeout", *NUMBERS, *BOOLEANS}
    if unknown:
        raise InvalidArguments(min(unknown), no_argument("migrate", min(unknown)))
    host = Host.objects.filter(name=str(arguments.get("host", ""))[:63]).first()
    if host is None:
        raise InvalidArguments("host", _("Name a host to move to."))
    cleaned: dict[str, Any] = {"host": host.name}
    cleaned |= {name: number(name, arguments.get(name)) for name in NUMBERS}
    cleaned["on_timeout"] = arguments.get("on_timeout") or ON_TIMEOUT[0]
    if cleaned["on_timeout"] not in ON_TIMEOUT:
        raise InvalidArguments("on_timeout", _("One of: %(values)s.") % {"values": ", ".join(ON_TIMEOUT)})
    for name, default in BOOLEANS.items():
        value = arguments.get(name, default)
        if not isinstance(value, bool):
            raise InvalidArguments(name, _("%(name)s is true or false.") % {"name": name})
        cleaned[name] = value
    return cleaned


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
    most = {"bandwidth": MOST_BANDWIDTH, "max_downtime": MOST_PAUSE, "timeout": MOST_TIMEOUT}[name]
    if isinstance(value, bool) or not 0 <= found <= most:
        raise InvalidArguments(name, _WRONG[name]())
    return found


_WRONG = {
    "bandwidth": lambda: _("The bandwidth is between 0 (no limit) and 1048576 MiB a second."),
    "max_downtime": lambda: _("The pause is between 1 and 60000 milliseconds."),
    "timeout": lambda: _("The time is between 0 (no limit) and 604800 seconds."),
}


def options(arguments: Mapping[str, Any]) -> list[str]:
    """The options of virsh migrate that say the same."""
    words = ["--live", "--p2p", "--abort-on-error"]
    flags = {
        "persist": "--persistent",
        "undefine_source": "--undefinesource",
        "copy_storage": "--copy-storage-all",
        "unsafe": "--unsafe",
        "auto_converge": "--auto-converge",
    }
    words += [flag for name, flag in flags.items() if arguments[name]]
    words += ["--bandwidth", str(arguments["bandwidth"])] if arguments["bandwidth"] else []
    if arguments.get("timeout") and arguments.get("on_timeout") == "suspend":
        words += ["--timeout", str(arguments["timeout"]), "--timeout-suspend"]
    return words
