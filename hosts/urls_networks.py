"""Addresses of virtual networks, below ``hosts/networks/``. A network is named by its UUID, since names may hold anything."""

from __future__ import annotations

from django.urls import URLPattern, path

from hosts.views import filter_edit, filters, network_act, network_define, network_page, resources

network_patterns: list[URLPattern] = [
    path("", resources.networks, name="networks"),
    path("define/", network_define.define, name="network_define"),
    path("filters/", filters.listing, name="filters"),
    path("filters/define/", filter_edit.define, name="filter_define"),
    path("filters/<str:name>/<uuid:filter>/", filters.page, name="filter"),
    path("filters/<str:name>/<uuid:filter>/edit/", filter_edit.edit, name="filter_edit"),
    path("filters/<str:name>/<uuid:filter>/do/filter-delete/", filters.delete, name="filter_delete"),
    path("<str:name>/<uuid:network>/", network_page.page, name="network"),
    path("<str:name>/<uuid:network>/edit/", network_define.edit, name="network_edit"),
    path("<str:name>/<uuid:network>/do/<slug:kind>/", network_act.network, name="network_act"),
]
