"""The console in a window of its own, and the tickets that open consoles."""

from __future__ import annotations

from uuid import UUID

from django.http import Http404, HttpRequest, HttpResponse, JsonResponse
from django.shortcuts import render
from django.utils.http import content_disposition_header
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts import access
from hosts.audit import Actor
from hosts.models import User
from hosts.operations.kind import Refused
from hosts.requests import client_address, user_of
from hosts.sessions import row_key_of
from hosts.views import answers
from vms.console import fragments
from vms.console import viewer_file as viewer_files
from vms.console.access import console_path, open_console
from vms.console.serial import logs, pages
from vms.models import VirtualMachine
from vms.views.act import guest_or_404


@require_safe
def window(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """The console alone, as large as the window."""
    user, vm = user_of(request), guest_or_404(request, uuid)
    if not may_open(user, vm):
        return answers.refused(request, access.Denied(_("You do not have the right to open consoles.")), nav="vms")
    return render(request, "vms/console.html", fragments.watchers(vm, user) | {"own_window": True, "nav": "vms"})


@require_safe
def text_window(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """A text console alone, as large as the window."""
    user, vm = user_of(request), guest_or_404(request, uuid)
    if not may_open(user, vm):
        return answers.refused(request, access.Denied(_("You do not have the right to open consoles.")), nav="vms")
    context = pages.context(vm, user, request.GET.get("device", ""))
    return render(request, "vms/serial.html", context | {"own_window": True, "nav": "vms"})


def may_open(user: User, vm: VirtualMachine) -> bool:
    """Whether the user may at least watch."""
    return access.may(user, "vm.console", vm) or access.may(user, "vm.console_view", vm)


@require_POST
def ticket(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """A fresh ticket as JSON; who may only watch gets one for watching, whatever was asked for."""
    user, vm = user_of(request), guest_or_404(request, uuid)
    view_only = request.POST.get("view_only") == "1" or not access.may(user, "vm.console", vm)
    device = request.POST.get("device", "")
    try:
        text = open_console(
            user,
            vm,
            view_only=view_only,
            device=device,
            session_key=row_key_of(request),
            token_id=None,
            address=client_address(request),
            road="page",
        )
    except (access.Denied, Refused) as error:
        return HttpResponse(str(error), status=answers.status_of(error), content_type="text/plain; charset=utf-8")
    url = console_path(text, vm.uuid if device else None)
    return JsonResponse({"url": url, "view_only": view_only, "name": vm.name})


@require_http_methods(["GET", "HEAD", "POST"])
def viewer_file(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """GET tells, in a dialog, how virt-viewer gets to the screens; POST is the file."""
    user, vm = user_of(request), guest_or_404(request, uuid)
    try:
        access.require(user, "vm.console", vm)
        if request.method != "POST":
            return render(request, "vms/console/_viewer_file.html", {"vm": vm, "screens": viewer_files.screens_of(vm)})
        kind = request.POST.get("type", "")
        _screen, text = viewer_files.fetch(vm, kind, Actor(user, client_address(request), "page"))
    except Refused as error:
        if request.method == "POST":
            return answers.refused(request, error, nav="vms")
        return render(request, "vms/console/_viewer_file.html", {"vm": vm, "refused": str(error)})
    except access.Denied as error:
        return answers.refused(request, error, nav="vms")
    answer = HttpResponse(text, content_type=viewer_files.CONTENT_TYPE, headers={"Cache-Control": "no-store"})
    answer["Content-Disposition"] = content_disposition_header(True, viewer_files.file_name(vm, kind))
    return answer


@require_POST
def text_log(request: HttpRequest, uuid: UUID) -> HttpResponse:
    """What a text console's guest wrote, as a file: plain, or with everything that makes a terminal do things."""
    user, vm = user_of(request), guest_or_404(request, uuid)
    raw = request.POST.get("raw") == "1"
    try:
        data = logs.fetch(vm, request.POST.get("device", ""), Actor(user, client_address(request), "page"), raw=raw)
    except access.Denied as error:
        return answers.refused(request, error, nav="vms")
    except logs.Unknown:
        raise Http404 from None
    # Never shown in our origin, and never as anything but text.
    kind = "application/octet-stream" if raw else "text/plain; charset=utf-8"
    answer = HttpResponse(data, content_type=kind, headers={"X-Content-Type-Options": "nosniff"})
    answer["Content-Disposition"] = content_disposition_header(
        True, logs.file_name(vm, request.POST["device"], raw=raw)
    )
    answer["Content-Security-Policy"] = "default-src 'none'; sandbox"
    return answer
