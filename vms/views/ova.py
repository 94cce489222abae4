"""The road of an appliance: which one, reading it, and what was found in it."""

from __future__ import annotations

from typing import Any
from uuid import UUID

from django import forms
from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_POST, require_safe

from hosts import access
from hosts.access import Denied
from hosts.models import Operation, StorageVolume, User
from hosts.operations import presenter, queue
from hosts.operations.kind import Refused
from hosts.operations.presenter import size
from hosts.operations.volume_base import find_volume
from hosts.requests import actor_of, user_of
from hosts.said import said
from hosts.views import answers
from vms.appliance.reading import of_plain
from vms.creation import choices
from vms.creation.appliances import READS, ROAD
from vms.creation.placement import BEST
from vms.forms_create import Reading

__all__ = ["ROAD", "asked_for", "filled_in", "is_read", "page", "read", "reading_of", "state", "told"]
VERB = "volume.read_ova"
MIB = 2**20
#: what is suggested and has a field of its own
SUGGESTED = ("name", "preset", "vcpus", "firmware", "machine", "bus", "card")


class ChooseForm(forms.Form):
    """Which appliance."""

    volume = forms.ChoiceField(
        label=gettext_lazy("Appliance"),
        help_text=gettext_lazy("A volume whose name ends in .ova. Upload or fetch it into a pool first."),
    )

    def __init__(self, *args: Any, viewer: User, **kwargs: Any) -> None:
        super().__init__(*args, **kwargs)
        field: Any = self.fields["volume"]
        field.choices = choices.appliances(viewer)


def asked_for(request: HttpRequest) -> Operation | None:
    """The reading that the address names."""
    try:
        key = UUID(request.GET.get("reading", ""))
    except ValueError:
        return None
    return _reads(request).filter(pk=key).first()


def _reads(request: HttpRequest) -> QuerySet[Operation]:
    return access.visible_to(user_of(request), Operation.objects.filter(kind=READS)).select_related("host")


def is_read(operation: Operation) -> bool:
    """Whether it has ended well."""
    return operation.state == Operation.State.SUCCEEDED


def reading_of(operation: Operation) -> Reading:
    """What the form must know of it."""
    cards = of_plain(operation.result["appliance"]).cards
    return Reading(operation.result["image"], list(dict.fromkeys(card.network for card in cards)))


def filled_in(operation: Operation) -> dict[str, Any]:
    """The form's first values."""
    suggested = operation.result["suggested"]
    found = {name: suggested[name] for name in SUGGESTED if name in suggested} | {"image": operation.result["image"]}
    if "memory" in suggested:
        found["memory"] = f"{suggested['memory'] // MIB} MiB"
    row = find_volume(operation)
    is_shared = row is not None and bool(row.pool.shared_key)
    return found | {"host": BEST if is_shared else operation.host_name}


def told(operation: Operation) -> dict[str, Any]:
    """What the appliance says of itself, for people."""
    found = of_plain(operation.result["appliance"])
    facts = [
        (_("Name"), found.name),
        (_("Product"), found.product),
        (_("Operating system"), found.systems[0] if found.systems else ""),
        *[(_("Disk"), _disk(one)) for one in found.disks],
        *[(_("Network card"), " · ".join(part for part in (one.network, one.model) if part)) for one in found.cards],
    ]
    return {"facts": [(label, text) for label, text in facts if text], "notes": [said(note) for note in found.notes]}


def _disk(one: Any) -> str:
    if not one.file:
        return _("empty, %(size)s") % {"size": size(one.capacity)}
    where = " ".join(part for part in (one.bus.upper(), one.controller) if part)
    parts = (one.file, one.format, size(one.capacity), where)
    return " · ".join(part for part in parts if part)


def page(
    request: HttpRequest, operation: Operation | None, roads: list[dict[str, str]], status: int = 200
) -> HttpResponse:
    """Which one, and how far reading it has come."""
    viewer = user_of(request)
    form = ChooseForm(viewer=viewer, initial={"volume": request.GET.get("volume", "")})
    known: Any = form.fields["volume"]
    context = {
        "form": form,
        "any": bool(known.choices),
        "road": next(one for one in roads if one["name"] == ROAD),
        "roads": roads,
        "reading": presenter.present(operation, viewer) if operation is not None else None,
        "nav": "vms",
    }
    return render(request, "vms/new_ova.html", context, status=status)


@require_POST
def read(request: HttpRequest) -> HttpResponse:
    """Ask its host to read the appliance."""
    try:
        access.require(user_of(request), VERB)
        row = _row(request)
        operation = queue.enqueue(READS, row, {}, actor_of(request))
    except (Denied, Refused) as error:
        return answers.refused(request, error, nav="vms")
    return HttpResponseRedirect(f"{reverse('vms:new')}?road={ROAD}&reading={operation.pk}")


def _row(request: HttpRequest) -> StorageVolume:
    rows = access.visible_to(user_of(request), StorageVolume.objects.select_related("pool__host"))
    key = request.POST.get("volume", "")
    row: StorageVolume | None = rows.filter(pk=key).first() if key.isdecimal() and len(key) < 19 else None
    if row is None:
        raise Http404
    return row


@require_safe
def state(request: HttpRequest, key: UUID) -> HttpResponse:
    """How far it has come; when it has ended well, on to the form."""
    if not access.may(user_of(request), VERB):
        return answers.refused(request, Denied(_("You do not have the right to do this.")), nav="vms")
    operation = _reads(request).filter(pk=key).first()
    if operation is None:
        raise Http404
    if is_read(operation):
        address = f"{reverse('vms:new')}?road={ROAD}&reading={operation.pk}"
        return HttpResponse(status=204, headers={"HX-Redirect": address})
    return render(request, "vms/_new_reading.html", {"reading": presenter.present(operation, user_of(request))})
