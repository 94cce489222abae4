"""Forgetting a guest that no host holds any more."""

from __future__ import annotations

import uuid

from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.urls import reverse
from django.views.decorators.http import require_POST

from hosts.access import Denied
from hosts.operations.kind import Refused
from hosts.requests import actor_of
from hosts.views import answers
from vms import deleting
from vms.views.act import guest_or_404


@require_POST
def forget(request: HttpRequest, key: uuid.UUID) -> HttpResponse:
    """Remove what is known of it."""
    vm = guest_or_404(request, key)
    try:
        deleting.forget(vm, actor_of(request))
    except (Denied, Refused) as error:
        return answers.refused(request, error, nav="vms")
    url = reverse("vms:list")
    if answers.is_htmx(request):
        return HttpResponse(status=204, headers={"HX-Redirect": url})
    return HttpResponseRedirect(url)
