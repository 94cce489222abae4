"""The console wall: pictures of the screens of chosen guests, kept fresh while somebody looks."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_safe

from hosts import access
from hosts.models import User
from hosts.requests import user_of
from hosts.views import answers
from vms import inventory
from vms.models import VirtualMachine
from vms.views import parts, rows

#: more than that cannot be told apart on a screen, and is not asked of the hosts
MOST = 48


@require_safe
def wall(request: HttpRequest) -> HttpResponse:
    """The guests that the address names, in its order; those that are not there or not to be seen are left out."""
    user = user_of(request)
    if not access.may(user, "vm.console_view"):
        return answers.refused(request, access.Denied(_("You do not have the right to open consoles.")), nav="vms")
    wanted = [uuid for text in request.GET.getlist("ids")[: 4 * MOST] if (uuid := rows.parse_uuid(text)) is not None]
    wanted = list(dict.fromkeys(wanted))
    visible = access.visible_to(user, VirtualMachine.objects.filter(pk__in=wanted[:MOST]).select_related("host"))
    found = {vm.pk: vm for vm in visible}
    tiles = [tile(found[uuid], user) for uuid in wanted if uuid in found]
    context = {"tiles": tiles, "left_out": max(len(wanted) - MOST, 0), "most": MOST, "nav": "vms"}
    return render(request, "vms/wall.html", context)


def tile(vm: VirtualMachine, user: User) -> dict[str, Any]:
    """One guest on the wall, for the page and for a push."""
    return parts.picture(vm, user) | {
        "state": rows.shown_state(vm),
        "taken_at": inventory.picture_taken_at(str(vm.uuid)),
    }
