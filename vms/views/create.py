"""A new guest: by which road, and a form made for that road with what would be done beside it."""

from __future__ import annotations

from typing import Any

from django.http import HttpRequest, HttpResponse
from django.shortcuts import render
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST

from hosts import access
from hosts.access import Denied
from hosts.models import Host
from hosts.operations.kind import Refused
from hosts.operations.presenter import size
from hosts.requests import actor_of, user_of
from hosts.views import answers
from vms.creation import asking
from vms.creation.asking import Preview
from vms.creation.plan import Plan
from vms.creation.wanted import KIND, ROADS
from vms.forms_create import CreateForm, chosen_guest
from vms.views import ova
from vms.views.definition import highlighted

VERB = f"vm.{KIND}"
#: hardware that is told before
FACTS = ("firmware", "machine", "cpu", "bus", "video")
#: what the address may fill in
KNOWN = ("name", "host", "pool", "network", "image", "iso", "preset")


@sensitive_post_parameters("password", "user_data")
@require_http_methods(["GET", "HEAD", "POST"])
def new(request: HttpRequest) -> HttpResponse:
    """``road`` in the address chooses the form; what else is there fills it in. POST asks for the guest."""
    if (denied := _denied(request)) is not None:
        return denied
    road = request.GET.get("road", "")
    if road not in ROADS:
        return render(request, "vms/new.html", {"roads": roads(), "nav": "vms"})
    operation = ova.asked_for(request) if road == ova.ROAD else None
    if road == ova.ROAD and (operation is None or not ova.is_read(operation)):
        return ova.page(request, operation, roads())
    reading = ova.reading_of(operation) if operation is not None else None
    if request.method != "POST":
        known = {name: request.GET[name] for name in KNOWN if request.GET.get(name)}
        known |= {"source": chosen_guest(request.GET.get("source", ""))}
        known |= ova.filled_in(operation) if operation is not None else {}
        return _page(request, CreateForm(road=road, viewer=user_of(request), reading=reading, initial=known))
    form = CreateForm(request.POST, road=road, viewer=user_of(request), reading=reading)
    if not form.is_valid():
        return _page(request, form, 422)
    try:
        asked = asking.ask(_hosts(request), form.host_name, form.arguments(), actor_of(request))
    except Denied as error:
        return answers.refused(request, error, nav="vms")
    except Refused as error:
        form.blame(getattr(error, "field", ""), str(error))
        return _page(request, form, 422)
    return answers.accepted(request, asked, _("%(name)s is being made.") % {"name": form.cleaned_data["name"]})


@sensitive_post_parameters("password", "user_data")
@require_POST
def look(request: HttpRequest) -> HttpResponse:
    """What the form as it is filled in now would do. Nothing is changed."""
    if (denied := _denied(request)) is not None:
        return denied
    road = request.GET.get("road", "")
    operation = ova.asked_for(request) if road == ova.ROAD else None
    if road == ova.ROAD and (operation is None or not ova.is_read(operation)):
        return render(request, "vms/_new_review.html", {"review": {}})
    reading = ova.reading_of(operation) if operation is not None else None
    known = road if road in ROADS else ROADS[0]
    form = CreateForm(request.POST, road=known, viewer=user_of(request), reading=reading)
    return render(request, "vms/_new_review.html", {"review": _review(request, form)})


def _page(request: HttpRequest, form: CreateForm, status: int = 200) -> HttpResponse:
    road = next(one for one in roads() if one["name"] == form.road)
    review = _review(request, form) if form.is_bound and form.is_valid() else {}
    context = {"form": form, "road": road, "roads": roads(), "review": review, "nav": "vms"}
    operation = ova.asked_for(request) if form.road == ova.ROAD else None
    context |= {"appliance": ova.told(operation), "reading": operation} if operation is not None else {}
    return render(request, "vms/new_form.html", context, status=status)


def _review(request: HttpRequest, form: CreateForm) -> dict[str, Any]:
    """What is still missing, or what was found."""
    if not form.is_valid():
        wrong = [
            (form[name].label, text) for name, texts in form.errors.items() if name in form.fields for text in texts
        ]
        missing = [form[name].label for name in form.errors if name in form.fields and not form[name].value()]
        return {"missing": missing, "wrong": [(label, text) for label, text in wrong if label not in missing]}
    try:
        found = asking.preview(_hosts(request), form.host_name, form.arguments())
    except Refused as error:
        field = getattr(error, "field", "")
        return {"wrong": [(form[field].label if field in form.fields else "", str(error))]}
    return _told(form, found)


def _told(form: CreateForm, found: Preview) -> dict[str, Any]:
    chosen, plan = found.chosen, found.chosen.review.plan
    findings = [
        {"level": one.level, "label": form[one.field].label if one.field in form.fields else "", "text": one.text}
        for one in sorted(chosen.review.findings, key=lambda one: ("wrong", "warning", "note").index(one.level))
    ]
    return {
        "fits": chosen.fits,
        "host": chosen.host.name,
        "names": found.names,
        "findings": findings,
        "hosts": found.found,
        "facts": _facts(plan, form) if plan is not None else [],
        "definition": highlighted(found.definition) if found.definition else "",
        "command": found.command,
    }


def _facts(plan: Plan, form: CreateForm) -> list[tuple[Any, str]]:
    """What it gets, in words."""
    frame, hardware = plan.frame, plan.hardware
    found = [
        (_("Processors"), str(frame.vcpus)),
        (_("Memory"), size(frame.memory)),
        *[(_("New volume"), f"{one.pool.name}/{one.name} ({size(one.capacity)})") for one in plan.volumes],
    ]
    if plan.text:
        return found
    return [
        *found,
        (_("Network"), ", ".join(frame.networks) or _("none")),
        *[(form[name].label, form.words(name, getattr(hardware, name))) for name in FACTS],
    ]


def roads() -> list[dict[str, str]]:
    """The roads, in the order in which most people want them."""
    return [
        {
            "name": "cloud", "icon": "cloud", "title": _("Cloud image"),
            "text": _("A disk image that a distribution made, with your user and keys put in at the first boot. "
                      "Ready in a minute."),
        },
        {
            "name": "install", "icon": "disc", "title": _("Install"),
            "text": _("Boot an installer from a CD image or the network, and go on in the console."),
        },
        {
            "name": "import", "icon": "file-import", "title": _("Existing disk"),
            "text": _("A disk image that has a system in it already: used where it is, or copied."),
        },
        {
            "name": "ova", "icon": "package-import", "title": _("Appliance (OVA)"),
            "text": _("A guest packed into one .ova file by VirtualBox, VMware or others: its disks are converted, and "
                      "its description fills in the form."),
        },
        {
            "name": "clone", "icon": "copy", "title": _("Copy of a guest"),
            "text": _("Another guest or a template, with a name, UUID, MAC addresses and disks of its own."),
        },
    ]  # fmt: skip


def _hosts(request: HttpRequest) -> Any:
    return access.visible_to(user_of(request), Host.objects.all())


def _denied(request: HttpRequest) -> HttpResponse | None:
    if access.may(user_of(request), VERB):
        return None
    return answers.refused(request, Denied(_("You do not have the right to do this.")), nav="vms")
