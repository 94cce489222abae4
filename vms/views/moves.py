"""Moves of a guest as they are watched, and the record that stays of each."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from hosts import access
from hosts.models import Operation
from hosts.operations import presenter
from hosts.requests import user_of
from vms.models import MoveRecord
from vms.moving.curve import Point, forecast
from vms.views.act import guest_or_404

#: of the drawing, in its own units
WIDTH, HEIGHT = 600, 120


def watched(operation: Operation) -> dict[str, Any]:
    """The curve of a move so far, what comes of it, and what was asked meanwhile."""
    record = MoveRecord.objects.filter(operation=operation).first()
    if record is None or not record.points:
        return {}
    points = [Point.of(one) for one in record.points]
    return {
        "drawing": drawing(points),
        "forecast": forecast(points, record.allowed_ms),
        "allowed_ms": record.allowed_ms,
        "longer_ms": min(60_000, record.allowed_ms * 4),
        "passes": points[-1].n,
        "steered": [{**one, "words": _words(one)} for one in record.steered],
    }


def drawing(points: list[Point]) -> dict[str, Any]:
    """The curve of what is left as SVG: ``line`` and ``area`` for polylines, x of each new pass in ``passes``."""
    most = max([point.left for point in points] + [1])
    end = max(points[-1].t, 1.0)
    spots = [(round(WIDTH * point.t / end, 1), round(HEIGHT - HEIGHT * point.left / most, 1)) for point in points]
    line = " ".join(f"{x},{y}" for x, y in spots)
    passes = [spots[number][0] for number in range(1, len(points)) if points[number].n != points[number - 1].n]
    return {
        "line": line,
        "area": f"{spots[0][0]},{HEIGHT} {line} {spots[-1][0]},{HEIGHT}",
        "passes": [str(x) for x in passes],
        "most": most,
        "seconds": end,
        "width": WIDTH,
        "height": HEIGHT,
    }


def _words(one: dict[str, Any]) -> str:
    value = one.get("value")
    words = {
        "bandwidth": lambda: _("bandwidth %(n)s MiB/s") % {"n": value or "∞"},
        "downtime": lambda: _("longest pause %(n)s ms") % {"n": value},
        "suspend": lambda: _("the guest paused"),
        "cancel": lambda: _("stop"),
        "abort": lambda: _("stop, as its time was over"),
        "post-copy": lambda: _("the switch to post-copy"),
        "converge": lambda: _("a pause of up to a minute, as its time was over"),
        "recover": lambda: _("another try to bring it together"),
    }
    return words[one["what"]]() if one["what"] in words else str(one["what"])


@require_safe
def record(request: HttpRequest, key: uuid.UUID, operation: uuid.UUID) -> HttpResponse:
    """How one move went."""
    vm, user = guest_or_404(request, key), user_of(request)
    rows = access.visible_to(user, Operation.objects.filter(pk=operation, subject_uuid=vm.pk, kind="migrate"))
    row = rows.select_related("host").first()
    if row is None:
        raise Http404(_("There is no such move."))
    context = {"vm": vm, "operation": presenter.present(row, user), "move": watched(row), "nav": "vms"}
    return render(request, "vms/move.html", context)
