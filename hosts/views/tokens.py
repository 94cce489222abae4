"""API tokens: everybody makes and revokes their own; administrators see and revoke everybody's."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.http import Http404, HttpRequest, HttpResponse
from django.shortcuts import render
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext as _
from django.views.decorators.http import require_http_methods, require_POST

from hosts import access, filtering, people
from hosts.access import Denied
from hosts.filtering import InvalidFilter
from hosts.forms_people import TokenForm
from hosts.models import ApiToken, User
from hosts.operations.kind import Refused
from hosts.requests import actor_of, user_of
from hosts.views import answers
from hosts.views.administration import administrators, tabs


@administrators("token.own")
@require_http_methods(["GET", "HEAD", "POST"])
def tokens(request: HttpRequest) -> HttpResponse:
    """The list; POST makes one and shows its text in this answer alone."""
    if request.method != "POST":
        return _page(request, TokenForm())
    form = TokenForm(request.POST)
    if not form.is_valid():
        return _page(request, form, status=422)
    try:
        made = people.make_token(actor_of(request), form.cleaned_data["name"], form.expires_at())
    except Refused as error:
        form.add_error(None, str(error))
        return _page(request, form, status=409)
    return _page(request, TokenForm(), made)


def _page(
    request: HttpRequest, form: TokenForm, made: tuple[ApiToken, str] | None = None, status: int = 200
) -> HttpResponse:
    user, error = user_of(request), None
    try:
        page = filtering.page_of(_chosen(user, request), request.GET)
    except InvalidFilter as invalid:
        page, error, status = filtering.first_page(ApiToken.objects.all()), invalid, 400
    context: dict[str, Any] = {
        "nav": "administration",
        "tabs": tabs(user, "tokens"),
        "form": form,
        "made": made[0] if made else None,
        "made_text": made[1] if made else "",
        "error": error,
        "page_obj": page,
        "now": timezone.now(),
        "whose": request.GET.get("whose", ""),
        "may_all": access.may(user, "people.manage"),
    }
    return render(request, "administration/tokens.html", context, status=status)


def _visible(user: User) -> QuerySet[ApiToken]:
    """The user's own; all of them to those who manage people."""
    rows = ApiToken.objects.select_related("user")
    return rows if access.may(user, "people.manage") else rows.filter(user=user)


def _chosen(user: User, request: HttpRequest) -> QuerySet[ApiToken]:
    whose = filtering.choice_of(request.GET, "whose", ("own", "all"))
    rows = _visible(user) if whose == "all" else _visible(user).filter(user=user)
    return rows.order_by("-created_at", "-pk")


@administrators("token.own")
@require_POST
def revoke(request: HttpRequest, key: int) -> HttpResponse:
    """From now on it opens nothing. Another person's token is not there for those who may not see it."""
    token = _visible(user_of(request)).filter(pk=key).first()
    if token is None:
        raise Http404(_("There is no such token."))
    try:
        people.revoke_token(actor_of(request), token)
    except Denied as error:
        return answers.refused(request, error, "administration")
    url = reverse("administration:tokens")
    return answers.done(request, _("Revoked %(name)s") % {"name": token.name}, url, refresh=True)
