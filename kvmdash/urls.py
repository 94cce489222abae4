"""All addresses. Everything asks for a login unless kvmdash.middleware names it."""

from __future__ import annotations

from django.http import HttpRequest, HttpResponse
from django.urls import include, path, re_path
from django.views.decorators.http import require_safe
from django.views.i18n import set_language

from hosts import urls as hosts_urls
from kvmdash import api, views
from kvmdash.login import Login, closed
from kvmdash.metrics import metrics


@require_safe
def healthz(_request: HttpRequest) -> HttpResponse:
    """For load balancers: this process answers."""
    return HttpResponse("ok\n", content_type="text/plain")


handler500 = "kvmdash.trouble.server_error"

urlpatterns = [
    path("", views.overview, name="overview"),
    path("overview/history.json", views.overview_history, name="overview_history"),
    path("palette/", views.palette, name="palette"),
    path("palette/<uuid:key>/<slug:verb>/", views.confirm, name="confirm"),
    path("tree/<int:pk>/", views.tree_guests, name="tree_guests"),
    path("healthz", healthz),
    path("metrics", metrics),
    path("i18n/language/", set_language, name="set_language"),
    path("account/login/", Login.as_view(), name="account_login"),
    re_path(r"^account/(?:signup|email|confirm-email|password/reset)(?:/|$)", closed),
    path("account/", include("allauth.urls")),
    path("hosts/", include((hosts_urls.hosts_patterns, "hosts"))),
    path("operations/", include((hosts_urls.operations_patterns, "operations"))),
    path("administration/", include((hosts_urls.administration_patterns, "administration"))),
    path("api/v1/", api.urls),
    path("vms/", include("vms.urls", namespace="vms")),
]
