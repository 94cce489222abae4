"""Schedules of snapshots: the panel below the tree, and the dialog."""

from __future__ import annotations

import uuid
from typing import Any

from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from hosts import access
from hosts.models import User
from hosts.operations.kind import InvalidArguments, Refused
from hosts.operations.storage_base import NotNow
from hosts.requests import actor_of, user_of
from hosts.said import said
from hosts.views import answers
from vms import schedules
from vms.forms_schedule import ScheduleForm
from vms.models import SnapshotSchedule, VirtualMachine
from vms.views.act import guest_or_404


def context(vm: VirtualMachine, user: User) -> dict[str, Any]:
    """The schedules of a guest, with buttons for those who may."""
    rows = [
        {"row": row, "words": schedules.words(row), "trouble": said(row.trouble) if row.trouble else ""}
        for row in schedules.of(vm)
    ]
    return {"schedules": rows, "may_schedule": access.may(user, schedules.VERB, vm)}


@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, key: uuid.UUID, number: int | None = None) -> HttpResponse:
    """Make one, or change one."""
    vm = guest_or_404(request, key)
    row = _row_or_404(vm, number) if number is not None else None
    if not access.may(user_of(request), schedules.VERB, vm):
        return answers.refused(request, access.Denied(_("You do not have the right to do this.")), nav="vms")
    if request.method != "POST":
        return _dialog(request, vm, row, ScheduleForm(vm=vm, row=row))
    form = ScheduleForm(request.POST, vm=vm, row=row)
    if not form.is_valid():
        return _dialog(request, vm, row, form, 422)
    try:
        schedules.save(vm, form.values(), actor_of(request), row)
    except (InvalidArguments, NotNow) as error:
        form.blame(error.field, str(error))
        return _dialog(request, vm, row, form, 422)
    except (access.Denied, Refused) as error:
        return answers.refused(request, error, nav="vms")
    return answers.done(request, _("The schedule is saved."), f"{vm.get_absolute_url()}snapshots/")


@require_POST
def remove(request: HttpRequest, key: uuid.UUID, number: int) -> HttpResponse:
    """Remove one; its snapshots stay."""
    vm = guest_or_404(request, key)
    try:
        schedules.remove(_row_or_404(vm, number), actor_of(request))
    except access.Denied as error:
        return answers.refused(request, error, nav="vms")
    text = _("The schedule is removed; its snapshots stay.")
    return answers.done(request, text, f"{vm.get_absolute_url()}snapshots/")


def _row_or_404(vm: VirtualMachine, number: int) -> SnapshotSchedule:
    row = schedules.of(vm).filter(pk=number).first()
    if row is None:
        raise Http404(_("There is no such schedule."))
    return row


def _dialog(
    request: HttpRequest, vm: VirtualMachine, row: SnapshotSchedule | None, form: ScheduleForm, status: int = 200
) -> HttpResponse:
    htmx = answers.is_htmx(request)
    found = {"vm": vm, "schedule": row, "form": form, "standalone": not htmx, "nav": "vms"}
    return render(request, "vms/_schedule_dialog.html" if htmx else "vms/schedule.html", found, status=status)
