"""Addresses of virtual networks, below ``hosts/networks/``. A network is named by its UUID, since names may hold anything."""

from __future__ import annotations

from django.urls import URLPattern, path

from hosts.views import network_act, network_define, network_page, resources

network_patterns: list[URLPattern] = [
    path("", resources.networks, name="networks"),
    path("define/", network_define.define, name="network_define"),
    path("<str:name>/<uuid:network>/", network_page.page, name="network"),
    path("<str:name>/<uuid:network>/edit/", network_define.edit, name="network_edit"),
    path("<str:name>/<uuid:network>/do/<slug:kind>/", network_act.network, name="network_act"),
]
