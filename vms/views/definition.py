"""A guest's definition to read: coloured, to copy and download, and what will be different after the next boot."""

from __future__ import annotations

import difflib
import re
import uuid
from functools import lru_cache
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import escape
from django.utils.http import content_disposition_header
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe
from lxml import etree

from hosts.models import User
from vms.definition.xml import MalformedDefinition, parse
from vms.models import Sighting, VirtualMachine
from vms.views.act import guest_or_404

WHICH = ("live", "inactive")
#: what libvirt adds to a running guest's definition and nobody changed
RUNTIME_ELEMENTS = ("alias", "backingStore", "privateData", "actual", "mirror")
RUNTIME_ATTRIBUTES = (
    ("source", "index"), ("source", "portid"), ("source", "tty"), ("target", "state"), ("console", "tty"),
    ("cpu", "check"), ("graphics", "port"), ("graphics", "websocket"), ("graphics", "tlsPort"),
)  # fmt: skip
FILLED_IN = (("devices/disk/source", "tls"), ("devices/graphics", "listen"), ("devices/graphics/listen", "address"))
_TOKEN = re.compile(r"<!--.*?-->|<[^>]*>|[^<]+", re.DOTALL)
_TAG = re.compile(r"^(<[/?]?)([^\s/?>]+)(.*?)([/?]?>)$", re.DOTALL)
_ATTRIBUTE = re.compile(r"""([\w:.-]+)(=)("[^"]*"|'[^']*')""")


def context(vm: VirtualMachine, _user: User) -> dict[str, Any]:
    """Both definitions of the host that holds it."""
    sighting = Sighting.objects.filter(vm=vm, host=vm.host).first() if vm.host_id else None
    if sighting is None:
        return {"vm": vm, "definitions": [], "changes": []}
    live, inactive = sighting.live_definition, sighting.inactive_definition
    # A guest that is off has one definition only, and so has one that is forgotten when it stops.
    active = sighting.power_state != VirtualMachine.PowerState.SHUTOFF
    shown = [("live", live)] if active and live else []
    shown += [("inactive", inactive)] if inactive else []
    shown = shown or [("live", live)]
    return {
        "vm": vm,
        "sighting": sighting,
        "definitions": [{"which": which, "html": highlighted(text)} for which, text in shown if text],
        "changes": changes(live, inactive) if len(shown) > 1 else [],
        "two": len(shown) > 1,
    }


@lru_cache(maxsize=128)
def highlighted(text: str) -> SafeString:
    """XML as HTML with a class on every kind of word. Everything of the text is escaped."""
    return mark_safe("".join(_coloured(token) for token in _TOKEN.findall(text)))  # noqa: S308  # escaped piece by piece


def _span(css: str, text: str) -> str:
    return f'<span class="{css}">{escape(text)}</span>'


def _coloured(token: str) -> str:
    if token.startswith("<!--"):
        return _span("x-comment", token)
    tag = _TAG.match(token)
    if tag is None:
        return str(escape(token))
    begin, name, attributes, end = tag.groups()
    return _span("x-tag", begin + name) + _attributes(attributes) + _span("x-tag", end)


def _attributes(text: str) -> str:
    pieces, position = [], 0
    for match in _ATTRIBUTE.finditer(text):
        pieces += [escape(text[position : match.start()]), _span("x-name", match[1]), "=", _span("x-value", match[3])]
        position = match.end()
    return "".join([*pieces, escape(text[position:])])


@lru_cache(maxsize=128)
def changes(live: str, inactive: str) -> list[dict[str, str]]:
    """What the next boot will bring, as lines of a diff; empty when nothing that somebody wrote differs."""
    try:
        now, then = parse(live), parse(inactive)
    except MalformedDefinition:
        return []
    for root in (now, then):
        _without_runtime(root)
    _without_filled_in(now, then)
    signs = {"+": "added", "-": "removed", "@": "place"}
    lines = difflib.unified_diff(_lines(now), _lines(then), lineterm="", n=2)
    return [{"css": signs.get(line[:1], ""), "text": line} for line in lines if not line.startswith(("+++", "---"))]


def _without_runtime(root: Any) -> None:
    """Take away what only a running guest has."""
    root.attrib.pop("id", "")
    for name in RUNTIME_ELEMENTS:
        for element in list(root.iter(name)):
            _remove(element)
    for name, attribute in RUNTIME_ATTRIBUTES:
        for element in root.iter(name):
            element.attrib.pop(attribute, "")
    for element in _runtime_only(root):
        _remove(element)


def _without_filled_in(now: Any, then: Any) -> None:
    """Take away what libvirt filled in when the guest was started, because nobody had said it."""
    said = {feature.get("name") for feature in then.findall("cpu/feature")}
    for feature in now.findall("cpu/feature"):
        if feature.get("name") not in said:
            _remove(feature)
    for path, attribute in FILLED_IN:
        if any(element.get(attribute) for element in then.findall(path)):
            continue
        for element in now.findall(path):
            element.attrib.pop(attribute, "")


def _lines(root: Any) -> list[str]:
    for element in root.iter():
        if len(element) == 0 and not (element.text or "").strip():
            element.text = None
    etree.indent(root, "  ")
    return str(etree.tostring(root, encoding="unicode")).splitlines()


def _runtime_only(root: Any) -> list[Any]:
    vnets = [e for e in root.findall("devices/interface/target") if e.get("dev", "").startswith(("vnet", "macvtap"))]
    lines = [e for kind in ("serial", "console", "channel") for e in root.findall(f"devices/{kind}/source")]
    networks = root.findall("devices/interface[@type='network']/source")
    for source in networks:
        source.attrib.pop("bridge", None)
    return [*vnets, *lines, *root.findall("seclabel[@type='dynamic']"), *root.findall("resource")]


def _remove(element: Any) -> None:
    parent = element.getparent()
    if parent is not None:
        parent.remove(element)


@require_safe
def download(request: HttpRequest, key: uuid.UUID, which: str) -> HttpResponse:
    """The definition as a file."""
    vm = guest_or_404(request, key)
    sighting = Sighting.objects.filter(vm=vm, host=vm.host).first() if vm.host_id else None
    text = getattr(sighting, f"{which}_definition", "") if which in WHICH else ""
    if not text:
        raise Http404
    name = content_disposition_header(True, f"{vm.name}-{which}.xml")
    return HttpResponse(
        text, content_type="application/xml; charset=utf-8", headers={"Content-Disposition": name or "attachment"}
    )
