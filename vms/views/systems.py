"""Which operating systems are known, and bringing a newer list of them."""

from __future__ import annotations

from django import forms
from django.contrib import messages
from django.http import HttpRequest, HttpResponse, HttpResponseRedirect
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy
from django.views.decorators.http import require_http_methods, require_POST

from hosts import access
from hosts.access import Denied
from hosts.operations.kind import Refused
from hosts.requests import actor_of, user_of
from hosts.views import answers
from vms.creation import databases
from vms.models import SystemDatabase


class BringForm(forms.Form):
    """A newer osinfo-db."""

    archive = forms.FileField(
        label=gettext_lazy("Tarball"),
        help_text=gettext_lazy("Such as osinfo-db-20250606.tar.xz from releases.pagure.org/libosinfo."),
    )

    def clean_archive(self) -> bytes:
        """Its bytes."""
        file = self.cleaned_data["archive"]
        if file.size > databases.MOST_BYTES:
            raise forms.ValidationError(_("It is larger than any osinfo-db."))
        return bytes(file.read())


@require_http_methods(["GET", "HEAD", "POST"])
def systems(request: HttpRequest) -> HttpResponse:
    """POST brings a newer one."""
    if not access.may(user_of(request), databases.VERB):
        return answers.refused(request, Denied(_("You do not have the right to do this.")), nav="vms")
    form = BringForm(request.POST, request.FILES) if request.method == "POST" else BringForm()
    if not form.is_bound or not form.is_valid():
        return _page(request, form, 422 if form.is_bound else 200)
    try:
        row = databases.bring(form.cleaned_data["archive"], actor_of(request))
    except Refused as error:
        form.add_error("archive", str(error))
        return _page(request, form, 422)
    messages.success(request, _("%(count)d operating systems are known now.") % {"count": row.count})
    return HttpResponseRedirect(reverse("vms:systems"))


@require_POST
def forget(request: HttpRequest) -> HttpResponse:
    """Go back to what is installed."""
    try:
        databases.forget(actor_of(request))
    except Denied as error:
        return answers.refused(request, error, nav="vms")
    return HttpResponseRedirect(reverse("vms:systems"))


def _page(request: HttpRequest, form: BringForm, status: int = 200) -> HttpResponse:
    known = databases.current()
    newest = sorted(known.systems.values(), key=lambda one: one.released, reverse=True)[:12]
    context = {
        "form": form,
        "known": known,
        "count": len(known.systems),
        "newest": newest,
        "brought": SystemDatabase.objects.defer("data").first(),
        "nav": "vms",
    }
    return render(request, "vms/systems.html", context, status=status)
