"""What of a move two hosts can do, by the versions of libvirt and QEMU that they say they run."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from django.utils.translation import gettext as _

from hosts.models import Host

#: option → the least libvirt and the least QEMU on both ends (libvirt's and QEMU's release notes)
LEAST = {
    "connections": ("5.2.0", "4.0.0"),
    "zero_copy": ("8.5.0", "7.1.0"),
    "post_copy": ("1.3.3", "2.5.0"),
    "tls": ("3.2.0", "2.9.0"),
    "zlib": ("9.4.0", "5.0.0"),
    "zstd": ("9.4.0", "5.0.0"),
}
#: option → the first QEMU that does not know it any more
GONE = {"mt": "9.1.0"}


def numbers(version: str) -> tuple[int, ...]:
    """'7.2.22' as numbers; () where nothing is known."""
    return tuple(int(part) for part in version.split(".") if part.isdigit())


def why_not(option: str, ends: Iterable[Host]) -> str:
    """Why an option of :data:`LEAST` or :data:`GONE` does not go between these hosts; '' when it does or nothing is known."""
    for host in ends:
        libvirt, qemu = numbers(host.libvirt_version), numbers(host.hypervisor_version)
        least = LEAST.get(option)
        if least is not None:
            needed = {"libvirt": (libvirt, least[0]), "QEMU": (qemu, least[1])}
            for program, (has, needs) in needed.items():
                if has and has < numbers(needs):
                    return _("%(host)s has %(program)s %(has)s; this needs %(needs)s.") % {
                        "host": host.name, "program": program, "has": ".".join(map(str, has)), "needs": needs,
                    }  # fmt: skip
        gone = GONE.get(option)
        if gone is not None and qemu and qemu >= numbers(gone):
            return _("%(host)s has QEMU %(has)s, which cannot do this any more.") % {
                "host": host.name, "has": ".".join(map(str, qemu)),
            }  # fmt: skip
    return ""


def refusals(wanted: Mapping[str, Any], ends: Iterable[Host]) -> dict[str, str]:
    """Argument → why it cannot be had between these hosts, of those that are wanted."""
    ends = list(ends)
    found = {name: why_not(name, ends) for name in ("connections", "zero_copy", "post_copy", "tls") if wanted[name]}
    if wanted["compression"]:
        found["compression"] = why_not(wanted["compression"], ends)
    return {name: why for name, why in found.items() if why}
