"""The text consoles of a guest: serial lines and consoles, by the alias that libvirt opens them by."""

from __future__ import annotations

from dataclasses import dataclass

from lxml import etree

#: the only kind whose bytes libvirt hands out
OPENABLE = "pty"
_SERIAL = "serial"


@dataclass(frozen=True, slots=True)
class TextConsole:
    """One of them. ``kind`` is serial, virtio, sclp …; ``type`` where its bytes go on the host (pty, file, tcp …)."""

    alias: str
    kind: str
    type: str
    port: str
    logged_to: str

    @property
    def is_openable(self) -> bool:
        """Whether libvirt opens it for us."""
        return self.type == OPENABLE


def text_consoles(domain: etree._Element) -> list[TextConsole]:
    """All of a definition, those a person would open first first. Of one that is off, aliases are those it will get."""
    found = [_console(device, f"serial{number}", _SERIAL) for number, device in enumerate(_all(domain, "serial"))]
    for number, device in enumerate(_all(domain, "console")):
        target = device.find("target")
        kind = target.get("type", _SERIAL) if target is not None else _SERIAL
        # libvirt shows the first serial line a second time, as a console.
        if kind != _SERIAL or not any(one.kind == _SERIAL for one in found):
            found.append(_console(device, f"console{number}", kind))
    return found


def _all(domain: etree._Element, name: str) -> list[etree._Element]:
    return domain.findall(f"devices/{name}")


def _console(device: etree._Element, alias: str, kind: str) -> TextConsole:
    named, target, log = device.find("alias"), device.find("target"), device.find("log")
    return TextConsole(
        alias=(named.get("name", "") if named is not None else "") or alias,
        kind=kind,
        type=device.get("type", ""),
        port=target.get("port", "0") if target is not None else "0",
        logged_to=log.get("file", "") if log is not None else "",
    )
