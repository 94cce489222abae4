"""A guest's definition to read: coloured, to copy and download; what will be different after the next boot; its history."""

from __future__ import annotations

import json
import re
import uuid
from functools import lru_cache
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.utils.html import escape
from django.utils.http import content_disposition_header
from django.utils.safestring import SafeString, mark_safe
from django.views.decorators.http import require_safe

from hosts import access
from hosts.models import Operation, User
from vms import history
from vms.definition.changes import Difference, diff
from vms.hardware.reading import quietened
from vms.history import INACTIVE
from vms.models import DefinitionVersion, Sighting, VirtualMachine
from vms.views.act import guest_or_404

#: changes that a row of the history tells
TOLD = 4
WHICH = ("live", "inactive")
#: versions on the tab; the others are on a page of their own
NEWEST = 25
_TOKEN = re.compile(r"<!--.*?-->|<[^>]*>|[^<]+", re.DOTALL)
_TAG = re.compile(r"^(<[/?]?)([^\s/?>]+)(.*?)([/?]?>)$", re.DOTALL)
_ATTRIBUTE = re.compile(r"""([\w:.-]+)(=)("[^"]*"|'[^']*')""")


def context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    """Both definitions of the host that holds it, and what is different between them."""
    sighting = history.sighting_of(vm)
    if sighting is None:
        return {"vm": vm, "definitions": [], "changes": []}
    live, inactive = sighting.live_definition, sighting.inactive_definition
    # A guest that is off has one definition only, and so has one that is forgotten when it stops.
    active = sighting.power_state != VirtualMachine.PowerState.SHUTOFF
    shown = [("live", live)] if active and live else []
    shown += [("inactive", inactive)] if inactive else []
    shown = shown or [("live", live)]
    two = len(shown) > 1
    return {
        "vm": vm,
        "sighting": sighting,
        "definitions": [{"which": which, "html": highlighted(text)} for which, text in shown if text],
        "changes": changes(live, inactive) if two else [],
        "pending": pending(live, inactive) if two else [],
        "two": two,
        "may_define": access.may(user, "vm.define", vm),
        "dropped": _dropped(vm, sighting),
    }


def _dropped(vm: VirtualMachine, sighting: Sighting) -> Operation | None:
    """The operation that made the definition of now, when libvirt did not take all of it."""
    last = Operation.objects.filter(subject_uuid=vm.pk, kind="define", state=Operation.State.SUCCEEDED)
    operation = last.order_by("-finished_at").first()
    if operation is None or not operation.result.get("lost"):
        return None
    return operation if operation.result.get("digest") == history.digest_now(sighting) else None


def versions(vm: VirtualMachine, user: User) -> dict[str, Any]:
    """The newest of its history."""
    found = access.visible_to(user, history.versions_of(vm.pk))
    return {
        "vm": vm,
        "count": found.count(),
        "newest": NEWEST,
        "versions": present(vm, list(found.defer("text").select_related("operation")[:NEWEST])),
        "may_define": access.may(user, "vm.define", vm),
    }


def present(vm: VirtualMachine, rows: list[DefinitionVersion]) -> list[dict[str, Any]]:
    """Versions as the table shows them."""
    sighting = history.sighting_of(vm)
    now = sighting.version_id if sighting is not None else None
    base = history.digest_now(sighting) if sighting is not None else ""
    return [
        {
            "row": row,
            "is_now": row.pk == now,
            "words": [history.words(change) for change in row.changes[:TOLD]],
            "more": max(0, row.changes_count - TOLD),
            "restore": json.dumps({"version": row.pk, "base": base}) if row.pk != now and row.kind == INACTIVE else "",
        }
        for row in rows
    ]


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
    both = quietened(live, inactive)
    return lines(*both) if both is not None else []


def pending(live: str, inactive: str) -> list[str]:
    """The same in words, in the reader's language."""
    return [history.words(change) for change in _differences(live, inactive)]


@lru_cache(maxsize=128)
def _differences(live: str, inactive: str) -> list[Difference]:
    both = quietened(live, inactive)
    return diff(*both).changes if both is not None else []


def lines(old: str, new: str) -> list[dict[str, str]]:
    """A unified diff of two definitions, line by line with what each is. Raises MalformedDefinition."""
    signs = {"+": "added", "-": "removed", "@": "place"}
    text = diff(old, new).text.splitlines()
    return [{"css": signs.get(line[:1], ""), "text": line} for line in text if not line.startswith(("+++", "---"))]


@require_safe
def download(request: HttpRequest, key: uuid.UUID, which: str) -> HttpResponse:
    """The definition as a file."""
    vm = guest_or_404(request, key)
    sighting = history.sighting_of(vm)
    text = getattr(sighting, f"{which}_definition", "") if which in WHICH else ""
    if not text:
        raise Http404
    name = content_disposition_header(True, f"{vm.name}-{which}.xml")
    return HttpResponse(
        text, content_type="application/xml; charset=utf-8", headers={"Content-Disposition": name or "attachment"}
    )
