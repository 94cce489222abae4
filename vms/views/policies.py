"""The ways to move guests that have names, and which of them is used where nothing is said."""

from __future__ import annotations

from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods

from hosts import access
from hosts.access import Denied
from hosts.operations.kind import Refused
from hosts.requests import actor_of, user_of
from hosts.views import answers
from vms.models import MoveSettings
from vms.moving import policies
from vms.moving.options import of_live
from vms.moving.wanted import DEFAULTS


@require_http_methods(["GET", "HEAD", "POST"])
def page(request: HttpRequest) -> HttpResponse:
    """POST chooses the cluster's."""
    if not access.may(user_of(request), "vm.view"):
        return answers.refused(request, Denied(_("You do not have the right to do this.")), nav="vms")
    if request.method == "POST":
        try:
            chosen = policies.choose(request.POST.get("policy", ""), actor_of(request))
        except (access.Denied, Refused) as error:
            return answers.refused(request, error, nav="vms")
        messages.success(request, _("Guests are moved by the policy “%(name)s” from now on.") % {"name": chosen.label})
        return HttpResponseRedirect(reverse("vms:policies"))
    known = [{"policy": policy, "command": _command(policy)} for policy in policies.POLICIES.values()]
    context = {"known": known, "current": policies.of_cluster(), "settings": MoveSettings.load(), "nav": "vms"}
    return render(request, "vms/policies.html", context)


def _command(policy: policies.Policy) -> str:
    wanted = {**DEFAULTS, **policy.values, "disks": {}, "networks": {}}
    lines = [" ".join(["virsh migrate GUEST URI", *of_live(wanted)])]
    if wanted["max_downtime"]:
        lines.append(f"virsh migrate-setmaxdowntime GUEST {wanted['max_downtime']}")
    return "\n".join(lines)
