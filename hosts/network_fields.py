"""The arguments of a network, each checked by itself."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from hosts import network_names
from hosts.network_modes import MACVTAP_MODES, MODES, Mode
from hosts.operations.kind import InvalidArguments, no_argument

CHECKS: dict[str, Callable[[str], str]] = {
    "bridge": network_names.device, "forward_dev": network_names.device, "pf": network_names.device,
    "domain": network_names.domain, "ipv4": network_names.ipv4_network, "ipv6": network_names.ipv6_network,
    "nat_start": network_names.ipv4, "nat_end": network_names.ipv4,
}  # fmt: skip
LISTS: dict[str, Callable[[str], str]] = {
    "ipv4_ranges": network_names.ipv4_range, "ipv4_hosts": network_names.ipv4_host, "ipv6_ranges": network_names.ipv6_range,
    "ipv6_hosts": network_names.ipv6_host, "dns_forwarders": network_names.address, "dns_hosts": network_names.dns_host,
    "devices": network_names.device, "pci": network_names.pci,
}  # fmt: skip
#: name → least and most
NUMBERS: dict[str, tuple[int, int]] = {"mtu": (68, 65535)}
NUMBERS |= {f"{way}_{name}": (1, 2**32 - 1) for way in ("inbound", "outbound") for name in ("average", "peak", "burst")}
FLAGS = ("nat_ipv6", "dns")
LEAST_TAG, MOST_TAG = 1, 4094
MOST_LISTED = 1000


def mode_in(arguments: Mapping[str, Any]) -> Mode:
    """The mode that is asked for. Raises InvalidArguments."""
    mode = MODES.get(str(arguments.get("mode", "")))
    if mode is None:
        raise InvalidArguments("mode", _("There is no such kind of network."))
    return mode


def clean(kind: str, arguments: Mapping[str, Any], besides: tuple[str, ...]) -> dict[str, Any]:
    """The fields of the mode as checked plain data. Raises InvalidArguments."""
    mode = mode_in(arguments)
    for name in arguments:
        if name not in ("mode", *mode.fields, *besides):
            raise InvalidArguments(name, no_argument(f"{kind} ({mode.name})", name))
    return {"mode": mode.name} | clean_of(mode, arguments)


def clean_of(mode: Mode, arguments: Mapping[str, Any]) -> dict[str, Any]:
    """Those of the mode's fields that say something. Raises InvalidArguments."""
    cleaned: dict[str, Any] = {}
    for name in mode.fields:
        given = arguments.get(name)
        if given in (None, "", []):
            if name in mode.required:
                raise InvalidArguments(name, _("This is needed."))
        elif (value := _checked(name, given)) is not None:
            cleaned[name] = value
    return cleaned


def _checked(name: str, given: Any) -> Any:
    if name in FLAGS:
        if not isinstance(given, bool):
            raise InvalidArguments(name, _("Either true or false."))
        # What is so when nothing is said is not said.
        return given if given is (name != "dns") else None
    if name in NUMBERS:
        return number(name, given, *NUMBERS[name])
    if name == "vlans":
        return [number(name, one, LEAST_TAG, MOST_TAG) for one in listed(name, given)]
    if name == "macvtap_mode":
        if given not in MACVTAP_MODES:
            raise InvalidArguments(name, _("One of %(words)s.") % {"words": ", ".join(MACVTAP_MODES)})
        return given
    if name in LISTS:
        return [text(name, one, LISTS[name]) for one in listed(name, given)]
    return text(name, given, CHECKS[name])


def number(name: str, given: Any, least: int, most: int) -> int:
    """A whole number between two. Raises InvalidArguments."""
    if isinstance(given, bool) or not isinstance(given, int) or not least <= given <= most:
        raise InvalidArguments(name, _("A number from %(least)d to %(most)d.") % {"least": least, "most": most})
    return given


def listed(name: str, given: Any) -> list[Any]:
    """A list that is not too long. Raises InvalidArguments."""
    if not isinstance(given, list) or len(given) > MOST_LISTED:
        raise InvalidArguments(name, _("A list of at most %(most)d.") % {"most": MOST_LISTED})
    return given


def text(name: str, given: Any, check: Callable[[str], str]) -> str:
    """A text that ``check`` takes. Raises InvalidArguments."""
    if not isinstance(given, str):
        raise InvalidArguments(name, _("This is needed.") if given is None else _("This is a text."))
    try:
        return check(given)
    except ValueError as error:
        raise InvalidArguments(name, str(error)) from None
