"""A guest's history of figures, and the picture of its screen."""

from __future__ import annotations

import uuid

from django.core.cache import cache
from django.http import HttpRequest, HttpResponse, JsonResponse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from hosts import figures
from vms import inventory
from vms.views.act import guest_or_404

RANGES = {"1h": 3600, "6h": 6 * 3600, "24h": 86400, "14d": 14 * 86400}


@require_safe
def history(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """The figures of the last hour, or of another of the ranges that are kept."""
    vm = guest_or_404(request, key)
    seconds = RANGES.get(request.GET.get("range") or "1h")
    if seconds is None:
        detail = _("The range is one of %(words)s.") % {"words": ", ".join(RANGES)}
        return JsonResponse({"detail": detail}, status=400)
    return JsonResponse(figures.history(f"vm:{vm.uuid}", seconds))


@require_safe
def screenshot(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """The last picture of the screen. Asking for it keeps it fresh for a while."""
    vm = guest_or_404(request, key)
    inventory.want_picture(str(vm.uuid))
    png = cache.get(f"picture:{vm.uuid}")
    if png is None:
        return HttpResponse(_("There is no picture yet."), status=404, content_type="text/plain; charset=utf-8")
    # With its digest in the address a picture never changes.
    fresh = request.GET.get("d") and request.GET["d"] == cache.get(f"picture-digest:{vm.uuid}")
    caching = "private, max-age=3600, immutable" if fresh else "private, no-store"
    return HttpResponse(png, content_type="image/png", headers={"Cache-Control": caching})
