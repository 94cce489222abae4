"""What lies where in a tar archive, found by reading its headers alone. Names are never used as paths; hostile ones are refused."""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass

from vms.appliance.errors import BadAppliance
from vms.definition.sentences import say

#: (offset, length) → the bytes there, fewer only at the end
Read = Callable[[int, int], bytes]

BLOCK = 512
#: what is read at once from the beginning: the descriptor and the first headers are in it
FIRST = 128 * 1024
#: an appliance has a descriptor, a manifest, a certificate, and its disks
MOST_MEMBERS = 128
LONGEST_NAME = 255
#: bytes of an extended header or a long name
MOST_EXTENDED = 64 * 1024
FILES, FOLDER, EXTENDED, COMMON, LONG_NAME = b"0\0" + b"7", b"5", b"x", b"g", b"L"
_PAX = re.compile(rb"([0-9]{1,6}) ([^=\n]{1,100})=")


@dataclass(frozen=True, slots=True)
class Member:
    """A file in the archive: its bytes are those of the archive from ``offset`` on."""

    name: str
    offset: int
    size: int


def kept(read: Read) -> Read:
    """The same, with the beginning read once and kept."""
    first: list[bytes] = []

    def at(offset: int, length: int) -> bytes:
        if offset + length > FIRST:
            return read(offset, length)
        if not first:
            first.append(read(0, FIRST))
        return first[0][offset : offset + length]

    return at


def members(read: Read, length: int) -> list[Member]:
    """The files of an archive of ``length`` bytes, in their order. Raises BadAppliance."""
    found: dict[str, Member] = {}
    at = 0
    told: dict[str, str] = {}
    headers = 0
    while at + BLOCK <= length:
        block = read(at, BLOCK)
        if not block.strip(b"\0"):
            break
        headers += 1
        if headers > 4 * MOST_MEMBERS or len(found) > MOST_MEMBERS:
            raise BadAppliance(say("More than %(most)d files are in it.", most=MOST_MEMBERS))
        _require_header(block, is_first=at == 0)
        kind, size, inside = block[156:157], _size(block[124:136]), at + BLOCK
        if kind in (EXTENDED, COMMON, LONG_NAME, b"K"):
            text = _extended(read, inside, size)
            told |= _pax(text) if kind == EXTENDED else {"path": _text(text.rstrip(b"\0"))} if kind == LONG_NAME else {}
        else:
            size = _whole(told["size"]) if "size" in told else size
            name = _name(told.get("path", _own_name(block)), is_folder=kind == FOLDER)
            told = {}
            if kind not in (b"0", b"\0", b"7", FOLDER):
                raise BadAppliance(say("“%(name)s” in it is no file, but a link or a device.", name=name))
            if inside + size > length:
                raise BadAppliance(say("It ends in the middle of “%(name)s”: it is not whole.", name=name))
            if name in found:
                raise BadAppliance(say("Two files in it are called “%(name)s”.", name=name))
            if kind != FOLDER:
                found[name] = Member(name, inside, size)
        at = inside + -(-size // BLOCK) * BLOCK
    return list(found.values())


def _require_header(block: bytes, *, is_first: bool) -> None:
    wanted = block[148:156].strip(b" \0")
    total = sum(block[:148]) + 8 * 32 + sum(block[156:])
    if re.fullmatch(rb"[0-7]{1,8}", wanted) and int(wanted, 8) == total:
        return
    if not is_first:
        raise BadAppliance(say("The archive is damaged: after some files comes something else."))
    if block.startswith(b"\x1f\x8b"):
        raise BadAppliance(say("It is compressed as a whole: unpack it first (gunzip)."))
    if block.lstrip().startswith((b"<?xml", b"<Envelope", b"<ovf:")):
        raise BadAppliance(say("It is a descriptor alone (.ovf): pack it with its disks into an .ova."))
    raise BadAppliance(say("It is no appliance: it does not begin as a tar archive does."))


def _size(field: bytes) -> int:
    """Octal digits, or, of files that are larger than those can say, the number itself."""
    if field[0] == 0x80:
        return int.from_bytes(field[1:])
    digits = field.strip(b" \0")
    if not re.fullmatch(rb"[0-7]{0,11}", digits):
        raise BadAppliance(say("The archive is damaged: a file has no size."))
    return int(digits or b"0", 8)


def _whole(text: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", text):
        raise BadAppliance(say("The archive is damaged: a file has no size."))
    return int(text)


def _extended(read: Read, at: int, size: int) -> bytes:
    if size > MOST_EXTENDED:
        raise BadAppliance(say("The archive is damaged: a header is longer than any name."))
    return read(at, size)


def _pax(text: bytes) -> dict[str, str]:
    """``size`` and ``path`` of an extended header; whatever else it tells is for file systems."""
    found: dict[str, str] = {}
    at = 0
    while (match := _PAX.match(text, at)) is not None:
        end = at + int(match[1])
        if end <= match.end():
            break
        key = _text(match[2])
        if key.startswith("GNU.sparse"):
            raise BadAppliance(say("A file in it has holes (GNU sparse): pack it without."))
        if key in ("size", "path"):
            found[key] = _text(text[match.end() : end - 1])
        at = end
    return found


def _own_name(block: bytes) -> str:
    name = block[:100].partition(b"\0")[0]
    prefix = block[345:500].partition(b"\0")[0] if block[257:263] == b"ustar\0" else b""
    return _text(prefix + b"/" + name if prefix else name)


def _text(data: bytes) -> str:
    try:
        return data.decode()
    except UnicodeDecodeError:
        raise BadAppliance(say("A name in it is not UTF-8.")) from None


def _name(name: str, *, is_folder: bool) -> str:
    """A plain file name: appliances have no folders, and nothing outside of them is ever meant."""
    plain = name.removeprefix("./").rstrip("/") if is_folder or name.startswith("./") else name
    if is_folder and plain in ("", "."):
        return "."
    bad = "/" in plain or "\\" in plain or plain in ("", ".", "..") or len(plain.encode()) > LONGEST_NAME
    if bad or any(ord(letter) < 32 or 127 <= ord(letter) < 160 for letter in plain):
        told = "".join(letter if letter.isprintable() else "?" for letter in name[:60])
        raise BadAppliance(say("A file in it has a name that is not allowed: “%(name)s”.", name=told))
    return plain
