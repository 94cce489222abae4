"""What each live piece of a host's pages shows. Page and push use the same functions."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from urllib.parse import urlencode
from uuid import UUID

from django.core.cache import cache
from django.db.models import QuerySet
from django.urls import reverse
from django.utils.translation import gettext as _

from hosts import access, capacity
from hosts.fragments import Context
from hosts.models import Host, Operation, User
from hosts.operations import presenter
from hosts.said import said
from hosts.views.host_advice import ADVICE

MOST_DIGITS = 9


def find(identifier: str, user: User) -> Host | None:
    """The host of that id, if the user may see it."""
    if not (identifier.isascii() and identifier.isdecimal() and len(identifier) <= MOST_DIGITS):
        return None
    return access.visible_to(user, Host.objects.filter(pk=int(identifier))).first()


def row(identifier: str, user: User) -> Context:
    """One row of the list."""
    host = find(identifier, user)
    if host is None:
        return None
    found = capacity.with_sums(access.visible_to(user, Host.objects.filter(pk=host.pk))).first()
    return {"row": capacity.row_of(found)} if found is not None else None


def head(identifier: str, user: User) -> Context:
    """Name, state, age, and what can be done."""
    host = find(identifier, user)
    return head_of(host, user) if host is not None else None


def head_of(host: Host, user: User) -> dict[str, Any]:
    """As :func:`head`."""
    return {
        "host": host,
        "main_actions": main_actions(host, user),
        "more_actions": more_actions(host, user),
        "may_create": host.enabled and access.may(user, "vm.create"),
    }


def main_actions(host: Host, user: User) -> list[dict[str, Any]]:
    """The buttons of the head."""
    if not access.may(user, "host.refresh"):
        return []
    refresh = {
        "label": _("Refresh"), "icon": "refresh", "method": "post", "url": _do(host, "refresh"),
        "disabled": not host.enabled, "reason": "" if host.enabled else _("The host is disabled."),
    }  # fmt: skip
    return [
        refresh,
        {"label": _("Test connection"), "icon": "plug-connected", "method": "post", "url": _do(host, "test")},
    ]


def more_actions(host: Host, user: User) -> list[dict[str, Any]]:
    """The menu of the head."""
    found = _maintenance(host) if access.may(user, "host.maintenance") else []
    return [*found, *(_managing(host) if access.may(user, "host.manage") else [])]


def _maintenance(host: Host) -> list[dict[str, Any]]:
    switch = f"{reverse('vms:maintenance', args=[host.name])}?on={'false' if host.in_maintenance else 'true'}"
    empty = f"{reverse('vms:plans')}?{urlencode({'host': host.name})}"
    label = _("End maintenance") if host.in_maintenance else _("Maintenance, guests stay")
    return [
        {"label": _("Plan to empty it …"), "icon": "arrows-move", "method": "post", "url": empty},
        {"label": label, "icon": "tool", "method": "post", "url": switch},
    ]


def _managing(host: Host) -> list[dict[str, Any]]:
    return [
        {"label": _("Edit"), "icon": "edit", "url": reverse("hosts:edit", args=[host.name])},
        _switch(host),
        {"line": True},
        {
            "label": _("Remove from kvmdash"), "icon": "trash", "danger": True,
            "url": reverse("hosts:remove", args=[host.name]),
        },
    ]  # fmt: skip


def _switch(host: Host) -> dict[str, Any]:
    if not host.enabled:
        return {"label": _("Enable"), "icon": "plug-connected", "method": "post", "url": _do(host, "enable")}
    return {
        "label": _("Disable"), "icon": "plug-connected-x", "method": "post", "url": _do(host, "disable"),
        "confirm": _("kvmdash stops looking at this host. Its guests go on running and are shown as last seen."),
        "confirm_title": _("Disable %(name)s?") % {"name": host.name},
    }  # fmt: skip


def _do(host: Host, verb: str) -> str:
    return reverse("hosts:act", args=[host.name, verb])


def state(identifier: str, user: User) -> Context:
    """Why it is not connected, and what to try."""
    host = find(identifier, user)
    return state_of(host, user) if host is not None else None


def state_of(host: Host, _user: User) -> dict[str, Any]:
    """As :func:`state`."""
    return {"host": host, "advice": ADVICE.get(host.state, "")}


def facts(identifier: str, user: User) -> Context:
    """What it is."""
    host = find(identifier, user)
    return facts_of(host, user) if host is not None else None


def facts_of(host: Host, _user: User) -> dict[str, Any]:
    """As :func:`facts`."""
    return {"host": host, "cells": [_cell(cell) for cell in host.cells]}


def _cell(cell: dict[str, Any]) -> dict[str, Any]:
    huge = [page for page in cell.get("pages", []) if page["size"] > 65536 and page["count"]]
    return {**cell, "huge": huge}


def load(identifier: str, user: User) -> Context:
    """How much of it is used and promised."""
    found = row(identifier, user)
    return {**found, "host": found["row"].host} if found is not None else None


def guests_of(host: Host, user: User) -> QuerySet[Any]:
    """The guests that it holds."""
    return access.visible_to(user, host.vms.filter(absent_since=None))


#: tabs that say how many there are
COUNTS: dict[str, Callable[[Host, User], int]] = {
    "guests": lambda host, user: guests_of(host, user).count(),
    "storage": lambda host, _user: host.pools.filter(absent_since=None).count(),
    "networks": lambda host, _user: host.networks.filter(absent_since=None).count(),
}


def count_of(host: Host, user: User, name: str) -> dict[str, Any]:
    """How many there are, and the key under which that is pushed; nothing for a tab that counts nothing."""
    return {"live": f"host-{name}-count:{host.pk}", "count": COUNTS[name](host, user)} if name in COUNTS else {}


def count(name: str) -> Callable[[str, User], Context]:
    """:func:`count_of` for a push."""

    def context(identifier: str, user: User) -> Context:
        host = find(identifier, user)
        return count_of(host, user, name) if host is not None else None

    return context


def frame_of(host: Host) -> dict[str, Any]:
    """The last frame of live figures, for the first paint."""
    frame = (cache.get(f"frame:{host.pk}") or {}).get(f"host:{host.pk}", {})
    known: dict[str, Any] = {"cpu": host.cpu_percent, "mem_used": host.memory_used}
    return known | {name: value for name, value in frame.items() if value is not None}


def test(identifier: str, user: User) -> Context:
    """The steps of a connection test, as far as they are."""
    try:
        key = UUID(identifier)
    except ValueError:
        return None
    rows = access.visible_to(user, Operation.objects.filter(pk=key, kind="host-test").select_related("host"))
    operation = rows.first()
    return test_of(operation, user) if operation is not None else None


def _steps(operation: Operation) -> list[dict[str, Any]]:
    """Every step, also those that are not reached yet."""
    labels = {
        "name": _("Name resolves"),
        "port": _("Port opens"),
        "transport": _("Transport: TLS or ssh host key"),
        "authentication": _("Authentication"),
        "version": _("libvirt answers"),
        "rights": _("Rights"),
    }
    known = {str(step.get("name")): step for step in operation.progress.get("steps", [])}
    looks: dict[bool | None, dict[str, Any]] = {
        True: {"css": "is-ok", "icon": "circle-check", "word": _("passed")},
        False: {"css": "is-bad", "icon": "circle-x", "word": _("failed")},
        None: {
            "css": "is-waiting",
            "icon": "circle-dashed",
            "word": _("waiting") if operation.is_active else _("not reached"),
        },
    }
    steps = []
    for name, label in labels.items():
        step = known.get(name, {})
        steps.append({"name": name, "label": label, "text": said(str(step.get("text", ""))), **looks[step.get("ok")]})
    return steps


def test_of(operation: Operation, user: User) -> dict[str, Any]:
    """As :func:`test`."""
    may_enable = operation.host is not None and not operation.host.enabled and access.may(user, "host.manage")
    enable_url = _do(operation.host, "enable") if may_enable and operation.host is not None else ""
    return {
        "operation": presenter.present(operation, user),
        "steps": _steps(operation),
        "waiting": operation.is_active,
        "host": operation.host,
        "enable_url": enable_url,
    }
