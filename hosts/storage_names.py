"""Names, paths and addresses that people type for storage: each is checked, and what is wrong is said. Raises ValueError."""

from __future__ import annotations

import posixpath
import re

from django.utils.translation import gettext as _

LONGEST_NAME = 200
#: bytes in a file's name, as file systems have it, less an ending
LONGEST_BYTES = 240
LONGEST_PATH = 500
_HOST = re.compile(r"(?:[A-Za-z0-9](?:[A-Za-z0-9._-]{0,253})|\[[0-9A-Fa-f:.]+\]|[0-9A-Fa-f:.]+)\Z")
_IQN = re.compile(r"(?:iqn\.[0-9]{4}-[0-9]{2}\.[A-Za-z0-9._:-]+|eui\.[0-9A-Fa-f]{16}|naa\.[0-9A-Fa-f]{16,32})\Z")
_SOURCE = re.compile(r"[A-Za-z0-9_+.][A-Za-z0-9_+./@:-]{0,199}\Z")
_ADAPTER = re.compile(r"(?:scsi_)?host[0-9]{1,6}\Z")
#: line ends, control characters, halves of characters, and what turns the order of letters round
HIDDEN = r"\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ufeff"
_HIDDEN = re.compile(f"[{HIDDEN}\ud800-\udfff]")
_WWN = re.compile(r"[0-9A-Fa-f]{16}\Z")
_SIZE = re.compile(r"([0-9]{1,9}(?:[.,][0-9]{1,3})?)\s*(?:(B|[KMGTPE])(?:iB|B)?)?\Z", re.IGNORECASE)
_USER = re.compile(r"[^\s\x00-\x1f]{1,200}\Z")


def name(text: str) -> str:
    """The name of a pool or a volume."""
    if not text.strip():
        raise ValueError(_("A name is needed."))
    _no_control(text)
    if len(text) > LONGEST_NAME:
        raise ValueError(_("A name has at most %(most)d characters.") % {"most": LONGEST_NAME})
    if "/" in text or "\\" in text:
        raise ValueError(_("A name is no path: it holds no slash."))
    if text.startswith("-"):
        raise ValueError(_("A name does not begin with a dash: programs would take it for an option."))
    if text.startswith("."):
        raise ValueError(_("A name does not begin with a dot: libvirt passes over hidden files."))
    if text != text.strip():
        raise ValueError(_("A name neither begins nor ends with a space."))
    return text


def size(text: str) -> int:
    """Bytes of “20 GiB”, “20G”, “512 MiB” or “1.5T”; a bare number is GiB."""
    found = _SIZE.match(text.strip())
    if found is None:
        raise ValueError(_("A size such as 20 GiB or 512 MiB is needed."))
    power = " KMGTPE".index((found[2] or "G").upper().replace("B", " "))
    return int(float(found[1].replace(",", ".")) * 1024**power)


def path(text: str) -> str:
    """An absolute path on the host."""
    _no_control(text)
    if not text.startswith("/") or len(text) > LONGEST_PATH:
        raise ValueError(_("A path begins with a slash and has at most %(most)d characters.") % {"most": LONGEST_PATH})
    if ".." in text.split("/"):
        raise ValueError(_("A path goes down only: it holds no “..”."))
    tidy = posixpath.normpath(text)
    return f"/{tidy.lstrip('/')}"


def host(text: str) -> str:
    """A host's name or address."""
    return _like(_HOST, text, _("A host is a name such as filer.example.com, or an address."))


def monitor(text: str) -> str:
    """A host's name or address with a port, where it is not the usual one."""
    name, colon, port = text.rpartition(":")
    if colon and port.isdecimal() and (":" not in name or name.endswith("]")):
        host(name)
        if not 0 < int(port[:6]) < 65536:
            raise ValueError(_("A port is a number from 1 to 65535."))
        return text
    return host(text)


def target(text: str) -> str:
    """The name of an iSCSI target or initiator."""
    return _like(_IQN, text, _("A name such as iqn.2026-01.com.example:disk1 is needed."))


def source(text: str) -> str:
    """The name of a volume group, a Ceph, Gluster or ZFS pool."""
    found = _like(_SOURCE, text, _("Letters, digits and + . _ / @ : - ; it does not begin with a dash or a slash."))
    if ".." in found.split("/"):
        raise ValueError(_("A path goes down only: it holds no “..”."))
    return found


def adapter(text: str) -> str:
    """A SCSI adapter of the host."""
    return _like(_ADAPTER, text, _("An adapter is called host0, host1 …"))


def wwn(text: str) -> str:
    """A world wide name."""
    return _like(_WWN, text, _("16 hexadecimal digits."))


def username(text: str) -> str:
    """Who logs in."""
    return _like(_USER, text, _("A user name holds no spaces."))


def _like(pattern: re.Pattern[str], text: str, message: str) -> str:
    if pattern.match(text) is None:
        raise ValueError(message)
    return text


def _no_control(text: str) -> None:
    if _HIDDEN.search(text) is not None:
        raise ValueError(_("It holds a line end or another character that cannot be seen."))
