"""The login page: allauth's, with a status that tells 'too many attempts' from 'wrong password'."""

from __future__ import annotations

from typing import Any

from allauth.account.views import LoginView
from django.http import Http404, HttpRequest, HttpResponse
from django.utils.translation import gettext as _

#: seconds after which it is worth trying again (KVMDASH_LOGIN_FAILED_RATE counts over 5 minutes)
RETRY_SECONDS = 300


class Login(LoginView):  # type: ignore[misc]
    """Answers 429 while an address or a name is held up."""

    def form_invalid(self, form: Any) -> HttpResponse:
        response: HttpResponse = super().form_invalid(form)
        if form.has_error("__all__", "too_many_login_attempts"):
            response.status_code = 429
            response.headers["Retry-After"] = str(RETRY_SECONDS)
        return response


def closed(_request: HttpRequest, **_parts: str) -> HttpResponse:
    """What allauth offers and kvmdash does not: administrators make people and set passwords, and no mail is sent."""
    raise Http404(_("Accounts are made, and lost passwords set, by an administrator."))
