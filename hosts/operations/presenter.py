"""Operations as people read them: labels, subjects, links, and figures in words. One shape for drawer, lists, pages and pushes."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.formats import number_format
from django.utils.translation import gettext as _
from django.utils.translation import ngettext

from hosts import access
from hosts.models import Operation
from hosts.operations import queue
from hosts.operations.kind import registry


def present(operation: Operation, user: access.AnyUser) -> dict[str, Any]:
    """Everything a template shows of an operation."""
    kind = registry.get(_kind_name(operation))
    signalled = operation.is_active and operation.progress.get("cancelling")
    return {
        "id": str(operation.pk),
        "row": operation,
        "kind": operation.kind,
        "label": kind.label if kind is not None else operation.kind,
        "subject": _subject(operation),
        "subject_url": _subject_url(operation),
        "host": operation.host_name,
        "state": operation.state,
        "is_active": operation.is_active,
        "percent": operation.percent,
        "progress": operation.progress,
        "progress_text": progress_text(operation),
        "actor_name": operation.actor_name,
        "created_at": operation.created_at,
        "started_at": operation.started_at,
        "finished_at": operation.finished_at,
        "duration": operation.duration,
        "error": operation.error,
        "error_text": operation.error_text,
        "result": operation.result,
        "virsh": operation.virsh,
        "url": operation.get_absolute_url(),
        "cancellable": is_cancellable(operation, user) and not signalled,
        "cancel_url": reverse("operations:cancel", args=[operation.pk]),
    }


def is_cancellable(operation: Operation, user: access.AnyUser) -> bool:
    """Whether this user could cancel it now."""
    if not operation.is_active or not queue.may_cancel(user, operation):
        return False
    if operation.state == Operation.State.QUEUED or operation.kind == queue.BULK:
        return True
    kind = registry.get(operation.kind)
    return kind is not None and kind.cancellable


def _kind_name(operation: Operation) -> str:
    return str(operation.arguments.get("kind", "")) if operation.kind == queue.BULK else operation.kind


def _subject(operation: Operation) -> str:
    if operation.kind == queue.BULK:
        total = int(operation.progress.get("total", 0))
        return ngettext("%(n)d object", "%(n)d objects", total) % {"n": total}
    return operation.subject_name or operation.host_name


def _subject_url(operation: Operation) -> str:
    kind = registry.get(operation.kind)
    if kind is not None and not kind.of_guest and (page := kind.page(operation)):
        return page
    if kind is not None and kind.removes and operation.state == Operation.State.SUCCEEDED:
        return ""
    if operation.subject_uuid and (kind is None or kind.of_guest):
        return reverse("vms:detail", args=[operation.subject_uuid])
    if operation.host_name and operation.host_id:
        return reverse("hosts:detail", args=[operation.host_name])
    return ""


def progress_text(operation: Operation) -> str:
    """The progress figures in a few words."""
    figures = operation.progress
    if operation.kind == queue.BULK:
        return _("%(done)s of %(total)s ended") % {"done": figures.get("done", 0), "total": figures.get("total", 0)}
    if waiting := figures.get("waiting_for"):
        return _("waiting for %(host)s to answer") % {"host": waiting}
    if figures.get("still"):
        return _("nothing of it moves any more")
    if "wait" in figures:
        return str(_("waited %(waited)s of %(wait)s s") % figures)
    if figures.get("remaining"):
        return _transfer_text(figures)
    return ""


def _transfer_text(figures: dict[str, Any]) -> str:
    parts = [
        _("%(left)s of %(total)s left") % {"left": size(figures["remaining"]), "total": size(figures.get("total", 0))}
    ]
    if figures.get("rate"):
        parts.append(_("%(rate)s/s") % {"rate": size(figures["rate"])})
    if figures.get("dirty_rate"):
        parts.append(_("dirtied %(rate)s/s") % {"rate": size(figures["dirty_rate"])})
    if figures.get("iteration"):
        parts.append(_("iteration %(n)s") % {"n": figures["iteration"]})
    if figures.get("estimate") is not None:
        parts.append(_("about %(s)s s") % {"s": round(figures["estimate"])})
    return " · ".join(parts)


def size(number: float) -> str:
    """Bytes with a binary prefix."""
    value = float(number)
    for prefix in ("B", "KiB", "MiB", "GiB", "TiB"):
        if abs(value) < 1024 or prefix == "TiB":
            decimals = 0 if prefix == "B" else 1
            return f"{number_format(round(value, decimals), decimals)} {prefix}"
        value /= 1024
    raise AssertionError("unreachable")
