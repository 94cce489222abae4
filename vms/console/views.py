"""The console in a window of its own, and the tickets that open consoles."""

from __future__ import annotations

from uuid import UUID

from django.http import HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_POST, require_safe

from hosts import access
from hosts.models import User
from hosts.operations.kind import Refused
from hosts.requests import client_address, user_of
from hosts.sessions import row_key_of
from hosts.views import answers
from vms.console import fragments
from vms.console.access import console_path, open_console
from vms.models import VirtualMachine
from vms.views.act import guest_or_404


@require_safe
def window(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The console alone, as large as the window."""
    user, vm = user_of(request), guest_or_404(request, uuid)
    if not may_open(user, vm):
        return answers.refused(request, access.Denied(_("You do not have the right to open consoles.")), nav="vms")
    return render(request, "vms/console.html", fragments.watchers(vm, user) | {"own_window": True, "nav": "vms"})


def may_open(user: User, vm: VirtualMachine) -> bool:
    """Whether the user may at least watch."""
    return access.may(user, "vm.console", vm) or access.may(user, "vm.console_view", vm)


@require_POST
def ticket(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """A fresh ticket as JSON; who may only watch gets one for watching, whatever was asked for."""
    user, vm = user_of(request), guest_or_404(request, uuid)
    view_only = request.POST.get("view_only") == "1" or not access.may(user, "vm.console", vm)
    try:
        text = open_console(
            user,
            vm,
            view_only=view_only,
            session_key=row_key_of(request),
            token_id=None,
            address=client_address(request),
            road="page",
        )
    except (access.Denied, Refused) as error:
        return HttpResponse(str(error), status=answers.status_of(error), content_type="text/plain; charset=utf-8")
    return JsonResponse({"url": console_path(text), "view_only": view_only, "name": vm.name})
