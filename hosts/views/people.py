"""The pages on which administrators add, change and keep out people."""

from __future__ import annotations

from typing import Any

from django import forms
from django.db.models import F, Q, QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils.translation import gettext as _
from django.views.decorators.debug import sensitive_post_parameters
from django.views.decorators.http import require_http_methods, require_POST, require_safe

from hosts import access, filtering, people
from hosts.access import Denied
from hosts.filtering import InvalidFilter
from hosts.forms_people import AddPersonForm, PasswordForm, PersonForm
from hosts.models import User
from hosts.operations.kind import InvalidArguments, Refused
from hosts.requests import actor_of, user_of
from hosts.views import answers
from hosts.views.administration import administrators, tabs

SORTS: dict[str, Any] = {"name": F("username"), "role": F("role"), "seen": F("last_login"), "since": F("date_joined")}


@administrators("people.manage")
@require_safe
def users(request: HttpRequest) -> HttpResponse:
    """Everybody who may come in, and who once could."""
    visible, error = access.visible_to(user_of(request), User.objects.all()), None
    try:
        page = filtering.page_of(_chosen(visible, request), request.GET)
    except InvalidFilter as invalid:
        page, error = filtering.first_page(visible), invalid
    context = {
        "nav": "administration",
        "tabs": tabs(user_of(request), "users"),
        "error": error,
        "page_obj": page,
        "params": {name: request.GET.get(name, "") for name in ("q", "role", "active")},
        "roles": User.Role.choices,
        "sort": request.GET.get("sort") or "name",
        "size": page.paginator.per_page,
        "sizes": filtering.SIZES,
    }
    template = (
        "administration/_users.html" if request.headers.get("HX-Target") == "user-list" else "administration/users.html"
    )
    return render(request, template, context, status=400 if error else 200)


def _chosen(rows: QuerySet[User], request: HttpRequest) -> QuerySet[User]:
    params = request.GET
    if text := filtering.text_of(params, "q"):
        rows = rows.filter(Q(username__icontains=text) | Q(first_name__icontains=text))
    if role := filtering.choice_of(params, "role", User.Role.values):
        rows = rows.filter(role=role)
    if active := filtering.choice_of(params, "active", ("yes", "no")):
        rows = rows.filter(is_active=active == "yes")
    # One row more or less costs nothing; a query for each row's second factor would.
    rows = rows.prefetch_related("authenticator_set")
    return filtering.sorted_by(rows, params.get("sort") or "name", SORTS, "pk")


@administrators("people.manage")
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def add(request: HttpRequest) -> HttpResponse:
    """A new person."""
    form = AddPersonForm(request.POST if request.method == "POST" else None)
    if request.method == "POST" and form.is_valid():
        data = form.cleaned_data
        try:
            people.add(actor_of(request), data["username"], data["password"], form.profile())
        except InvalidArguments as error:
            form.add_error(error.field, str(error))
        else:
            return _done(request, _("Added %(name)s") % {"name": data["username"]})
    return _dialog(request, form, _("Add a person"), _("Add"))


@administrators("people.manage")
@require_http_methods(["GET", "HEAD", "POST"])
def edit(request: HttpRequest, key: int) -> HttpResponse:
    """What a person may."""
    person = _person_or_404(request, key)
    if request.method != "POST":
        return _edit_dialog(request, person, PersonForm(initial=PersonForm.initial_of(person)))
    form = PersonForm(request.POST)
    if not form.is_valid():
        return _edit_dialog(request, person, form)
    try:
        people.change(actor_of(request), person, form.profile(form.cleaned_data["is_active"]))
    except Refused as error:
        form.add_error(None, str(error))
        return _edit_dialog(request, person, form)
    except Denied as error:
        return answers.refused(request, error, "administration")
    return _done(request, _("Changed %(name)s") % {"name": person.username}, person)


def _edit_dialog(request: HttpRequest, person: User, form: PersonForm) -> HttpResponse:
    return _dialog(request, form, _("Change %(name)s") % {"name": person.username}, _("Save"))


@administrators("people.manage")
@sensitive_post_parameters("password")
@require_http_methods(["GET", "HEAD", "POST"])
def password(request: HttpRequest, key: int) -> HttpResponse:
    """Another password for a person."""
    person = _person_or_404(request, key)
    form = PasswordForm(request.POST if request.method == "POST" else None, person=person)
    if request.method == "POST" and form.is_valid():
        people.set_password(actor_of(request), person, form.cleaned_data["password"])
        return _done(request, _("%(name)s has a new password") % {"name": person.username}, person)
    lead = _("%(name)s is logged out everywhere and comes in with the new password.") % {"name": person.username}
    return _dialog(request, form, _("Password of %(name)s") % {"name": person.username}, _("Set password"), lead)


@administrators("people.manage")
@require_POST
def set_active(request: HttpRequest, key: int, active: bool) -> HttpResponse:
    """Let a person in, or keep them out."""
    person = _person_or_404(request, key)
    try:
        people.set_active(actor_of(request), person, active)
    except (Refused, Denied) as error:
        return answers.refused(request, error, "administration")
    text = _("%(name)s may log in") if active else _("%(name)s is logged out and may not log in")
    return _done(request, text % {"name": person.username}, person)


@administrators("people.manage")
@require_POST
def second_factor(request: HttpRequest, key: int) -> HttpResponse:
    """Forget a lost second factor."""
    person = _person_or_404(request, key)
    people.drop_second_factor(actor_of(request), person)
    return _done(request, _("%(name)s logs in with the password alone now") % {"name": person.username}, person)


def _person_or_404(request: HttpRequest, key: int) -> User:
    person = access.visible_to(user_of(request), User.objects.filter(pk=key)).first()
    if person is None:
        raise Http404(_("There is no such person."))
    return person


def _done(request: HttpRequest, text: str, person: User | None = None) -> HttpResponse:
    """Say so; an administrator who changed their own rights has no session any more and must log in again."""
    own = person is not None and person.pk == request.user.pk
    if own and not request.session.exists(request.session.session_key or ""):
        return answers.log_in_again(request)
    return answers.done(request, text, reverse("administration:users"), refresh=True)


def _dialog(request: HttpRequest, form: forms.Form, title: str, action: str, lead: str = "") -> HttpResponse:
    context = {"form": form, "title": title, "action": action, "lead": lead, "nav": "administration"}
    template = "administration/_dialog.html" if answers.is_htmx(request) else "administration/dialog.html"
    return render(request, template, context, status=422 if form.is_bound else 200)
