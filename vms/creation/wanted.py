"""What is asked for when a guest is made, as checked plain data. What is wrong is said by field; rows are not looked at.

Left out is what the system that goes in suggests (vms.creation.hardware). Passwords and raw user-data are not in the result:
they are kept sealed beside the operation.
"""

from __future__ import annotations

import ipaddress
import re
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from django.utils.translation import gettext as _

from hosts.models import Host
from hosts.operations.kind import InvalidArguments, no_argument
from hosts.operations.storage_base import NotNow
from vms.creation import seed
from vms.creation.hardware import BUSES, CARDS, FIRMWARES, MACHINES, PROCESSORS, VIDEOS, VIRTS

KIND = "create"
ROADS = ("install", "cloud", "import", "ova", "clone")
NAME = r"[A-Za-z0-9_][A-Za-z0-9_.+-]{0,62}"
_NAME = re.compile(rf"{NAME}\Z")
#: one run of numbers in a name: web-{1..5}, web-{01..12}
_RUN = re.compile(r"\{([0-9]{1,4})\.\.([0-9]{1,4})\}")
MOST_AT_ONCE = 50
LEAST_MEMORY, MOST_MEMORY = 16 * 2**20, 2**46
LEAST_SIZE, MOST_SIZE = 2**20, 2**50
MOST_VCPUS = 4096
MOST_LISTED = 100
FLAGS = ("allocate", "linked", "pxe", "tpm", "start", "autostart")
CHOICES = {
    "firmware": FIRMWARES, "machine": MACHINES, "cpu": PROCESSORS, "bus": BUSES, "card": CARDS, "video": VIDEOS,
    "virt": VIRTS,
}  # fmt: skip
#: names of things on the host, as pool/volume
VOLUMES = ("image", "iso", "drivers")
WORDS = ("preset", "pool", "network")
SEED = ("hostname", "user", "ssh_keys", "packages", "address", "gateway", "dns", "password", "user_data")
FIELDS = ("name", "road", "vcpus", "memory", "size", "source", "seed", "networks", *FLAGS, *CHOICES, *VOLUMES, *WORDS)


@dataclass(frozen=True, slots=True)
class Place:
    """Where a guest is to be made, and who it will be."""

    host: Host
    uuid: uuid.UUID
    name: str

    @property
    def pk(self) -> str:
        """What many of them are put in order by."""
        return self.name


def expand(pattern: str) -> list[str]:
    """The names that a pattern stands for: “web-{1..3}” is web-1, web-2, web-3; “{01..12}” keeps its zeros.

    Raises NotNow.
    """
    runs = list(_RUN.finditer(pattern))
    if not runs:
        return [pattern]
    first, last = int(runs[0][1]), int(runs[0][2])
    if len(runs) > 1 or first > last or last - first >= MOST_AT_ONCE:
        raise NotNow(
            "name",
            _("One run of numbers such as {1..5}, upwards, and at most %(most)d guests at once.")
            % {"most": MOST_AT_ONCE},
        )
    digits = len(runs[0][1]) if runs[0][1].startswith("0") else 1
    before, after = pattern[: runs[0].start()], pattern[runs[0].end() :]
    return [f"{before}{number:0{digits}d}{after}" for number in range(first, last + 1)]


def clean(arguments: Mapping[str, Any]) -> dict[str, Any]:
    """The arguments of one guest, checked. Raises InvalidArguments, and NotNow where one does not go with the others."""
    for name in arguments:
        if name not in FIELDS:
            raise InvalidArguments(name, no_argument(KIND, name))
    road = arguments.get("road")
    if road not in ROADS:
        raise InvalidArguments("road", _("There are: %(words)s.") % {"words": ", ".join(ROADS)})
    found: dict[str, Any] = {"road": road, "name": _name(arguments.get("name"))}
    for name in FLAGS:
        if not isinstance(arguments.get(name, False), bool):
            raise InvalidArguments(name, _("Either true or false."))
        if name in arguments:
            found[name] = bool(arguments[name])
    for name, choices in CHOICES.items():
        if arguments.get(name) not in (None, ""):
            found[name] = _choice(name, arguments[name], choices)
    numbers = (("vcpus", 1, MOST_VCPUS), ("memory", LEAST_MEMORY, MOST_MEMORY), ("size", LEAST_SIZE, MOST_SIZE))
    for name, least, most in numbers:
        if arguments.get(name) is not None:
            found[name] = _number(name, arguments[name], least, most)
    for name in (*WORDS, *VOLUMES):
        if arguments.get(name) is not None:
            found[name] = _word(name, arguments[name])
    for name in VOLUMES:
        if found.get(name) and "/" not in found[name]:
            raise NotNow(name, _("A volume is named as pool/volume."))
    _of_road(found, arguments)
    if arguments.get("seed") is not None:
        found["seed"] = _seed(arguments["seed"], found["name"])
    return found


def secrets_of(arguments: Mapping[str, Any]) -> dict[str, str]:
    """What of the arguments nobody may read later: the password as the guest will keep it, and raw user-data."""
    given = arguments.get("seed") or {}
    found = {}
    if given.get("password"):
        found["password_hash"] = seed.hashed(str(given["password"]))
    if given.get("user_data"):
        found["user_data"] = seed.checked_user_data(str(given["user_data"]))
    return found


def _name(value: Any) -> str:
    if not isinstance(value, str) or not _NAME.match(value):
        raise NotNow(
            "name",
            _(
                "Letters without accents, digits and . _ + - ; begins with a letter, digit or underscore; at most 63 characters."
            ),
        )
    return value


def _choice(name: str, value: Any, choices: tuple[str, ...]) -> str:
    if value not in choices:
        raise InvalidArguments(name, _("There are: %(words)s.") % {"words": ", ".join(choices)})
    return str(value)


def _number(name: str, value: Any, least: int, most: int) -> int:
    if isinstance(value, bool) or not isinstance(value, int) or not least <= value <= most:
        raise InvalidArguments(name, _("A number from %(least)d to %(most)d.") % {"least": least, "most": most})
    return value


def _word(name: str, value: Any) -> str:
    if (
        not isinstance(value, str)
        or len(value) > 1300
        or any(ord(letter) < 32 or ord(letter) == 127 for letter in value)
    ):
        raise InvalidArguments(name, _("A name in one line."))
    return value


def _of_road(found: dict[str, Any], arguments: Mapping[str, Any]) -> None:
    """What the road cannot do without, and what has no place on it."""
    road = found["road"]
    needed = {"cloud": "image", "import": "image", "ova": "image", "clone": "source"}.get(road)
    if road == "clone":
        try:
            found["source"] = str(uuid.UUID(str(arguments.get("source"))))
        except ValueError:
            raise NotNow("source", _("Which guest is copied?")) from None
    elif arguments.get("source"):
        raise NotNow("source", _("Only a copy has a guest that it is made from."))
    if needed and not found.get(needed):
        raise NotNow(needed, _("An image is needed."))
    if arguments.get("networks") is not None:
        found["networks"] = _networks(arguments["networks"])
        if road != "ova":
            raise NotNow("networks", _("Only an appliance has networks of its own."))
    if road == "install" and bool(found.get("iso")) is bool(found.get("pxe")):
        raise NotNow("iso", _("Either a CD image, or booting from the network."))


def _networks(given: Any) -> dict[str, str]:
    """The appliance's networks, and into which of the host's they are plugged."""
    if not isinstance(given, dict) or len(given) > MOST_LISTED:
        raise InvalidArguments("networks", _("Names with values are needed."))
    return {_word("networks", name): _word("networks", network) for name, network in given.items()}


def _seed(given: Any, name: str) -> dict[str, Any]:
    if not isinstance(given, dict):
        raise InvalidArguments("seed", _("Names with values are needed."))
    for key in given:
        if key not in SEED:
            raise InvalidArguments(f"seed.{key}"[:60], no_argument("seed", str(key)[:40]))
    found: dict[str, Any] = {"hostname": given.get("hostname") or name.replace("_", "-").replace("+", "-").strip(".-")}
    _match(found["hostname"], seed.HOSTNAME, "hostname", _("Letters, digits, dashes and dots."))
    if given.get("user"):
        found["user"] = _match(given["user"], seed.USER, "user", _("Small letters, digits, dashes and underscores."))
    for key, pattern, words in (
        ("ssh_keys", seed.KEY, _("Public keys, one a line, such as ssh-ed25519 AAAA… name.")),
        ("packages", seed.PACKAGE, _("Names of packages.")),
    ):
        lines = _list(key, given.get(key))
        if lines:
            found[key] = [_match(line, pattern, key, words) for line in lines]
    _network(found, given)
    password = given.get("password") or ""
    if not isinstance(password, str) or len(password) > seed.MOST_PASSWORD or any(ord(one) < 32 for one in password):
        raise InvalidArguments("password", _("One line of at most %(most)d characters.") % {"most": seed.MOST_PASSWORD})
    raw = given.get("user_data") or ""
    if raw:
        try:
            seed.checked_user_data(str(raw))
        except ValueError as error:
            raise NotNow("user_data", str(error)) from None
    if password and not found.get("user") and not raw:
        raise NotNow("user", _("Whose password is it?"))
    return found | {"has_password": bool(password), "is_raw": bool(raw)}


def _network(found: dict[str, Any], given: Mapping[str, Any]) -> None:
    checks: tuple[tuple[str, Callable[[str], Any], str], ...] = (
        ("address", _interface, _("An address with its prefix, such as 192.0.2.7/24.")),
        ("gateway", ipaddress.ip_address, _("An address, such as 192.0.2.1.")),
    )
    for key, check, words in checks:
        if given.get(key):
            found[key] = _checked(key, given[key], check, words)
    names = [
        _checked("dns", one, ipaddress.ip_address, _("Addresses, one a line."))
        for one in _list("dns", given.get("dns"))
    ]
    if names:
        found["dns"] = names
    if (found.get("gateway") or names) and "address" not in found:
        raise NotNow("address", _("An address with its prefix, such as 192.0.2.7/24."))


def _interface(text: str) -> Any:
    if "/" not in text:
        raise ValueError
    return ipaddress.ip_interface(text)


def _checked(key: str, value: Any, check: Callable[[str], Any], words: str) -> str:
    try:
        return str(check(str(value).strip()))
    except ValueError:
        raise NotNow(key, words) from None


def _list(key: str, value: Any) -> list[str]:
    """A list, or its entries one a line."""
    lines = value.splitlines() if isinstance(value, str) else value or []
    if not isinstance(lines, list) or len(lines) > MOST_LISTED or not all(isinstance(line, str) for line in lines):
        raise InvalidArguments(key, _("A list of at most %(most)d texts.") % {"most": MOST_LISTED})
    return [line.strip() for line in lines if line.strip()]


def _match(value: Any, pattern: re.Pattern[str], key: str, words: str) -> str:
    if not isinstance(value, str) or len(value) > 20_000 or not pattern.match(value):
        raise NotNow(key, words)
    return value
