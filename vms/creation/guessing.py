"""Which system osinfo-db means by the words in which an appliance names its own."""

from __future__ import annotations

import re
from collections.abc import Iterable

from vms.creation.osinfo import Database

#: words of VMware and VirtualBox that say the version in a way of their own
NAMES = {
    "windows9": "win10", "windows10": "win10", "windows11": "win11", "windows12": "win11", "windows8": "win8",
    "windows81": "win8.1",
    "windows7": "win7", "winxppro": "winxp", "windowsxp": "winxp", "windows2008": "win2k8", "windows7server": "win2k8r2",
    "windows8server": "win2k12", "windows2012": "win2k12", "windows9server": "win2k16", "windows2016": "win2k16",
    "windows2019": "win2k19", "windows2019srv": "win2k19", "windows2019srvnext": "win2k22", "windows2022": "win2k22",
    "windows2022srvnext": "win2k25", "windows2025": "win2k25", "winnetstandard": "win2k3",
}  # fmt: skip
#: how a family is called → (how its short names begin, whether they have a part after the dot)
FAMILIES = {
    "debian": "debian", "ubuntu": "ubuntu", "fedora": "fedora", "centos": "centos", "rhel": "rhel",
    "red hat enterprise linux": "rhel",
    "redhat": "rhel", "almalinux": "almalinux", "rocky linux": "rocky", "rockylinux": "rocky", "opensuse": "opensuse",
    "sles": "sles",
    "alpine": "alpinelinux", "alpine linux": "alpinelinux", "oraclelinux": "ol", "oracle linux": "ol", "freebsd": "freebsd",
    "openbsd": "openbsd", "netbsd": "netbsd", "archlinux": "archlinux", "arch linux": "archlinux",
}  # fmt: skip
LINUX = ("linux2022", "linux2020", "linux2018")
_BITS = re.compile(r"[_ ]*\(?(?:64[- ]?bit|[_ ]x64|arm64|64)\)?(?:guest)?$|guest$", re.IGNORECASE)


def preset(words: Iterable[str], known: Database) -> str:
    """The short name of the system; '' where nothing is certain enough."""
    is_linux = False
    for word in words:
        plain = _BITS.sub("", word.strip()).strip().lower()
        for name in _candidates(plain):
            if name in known.systems:
                return name
        is_linux = is_linux or (any(part in plain for part in ("linux", *FAMILIES)) and "bsd" not in plain)
    return next((name for name in LINUX if is_linux and name in known.systems), "")


def _candidates(plain: str) -> Iterable[str]:
    """Short names that it may mean, the likeliest first."""
    compact = plain.replace(" ", "").replace("_", "")
    if compact in NAMES:
        yield NAMES[compact]
    yield plain.replace(" ", "")
    for called, begin in sorted(FAMILIES.items(), key=lambda one: -len(one[0])):
        at = plain.find(called)
        if at < 0:
            continue
        version = re.match(r"[^0-9]{0,25}([0-9]{1,3})(?:\.([0-9]{1,2}))?", plain[at + len(called) :])
        if version is None:
            yield begin
            return
        whole, part = version[1], version[2]
        if part is not None:
            yield f"{begin}{whole}.{part}"
        yield f"{begin}{whole}"
        yield f"{begin}{whole}.0"
        yield f"{begin}{whole}-unknown"
        return
