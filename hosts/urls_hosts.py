"""Addresses of hosts and of what they offer.

The words that stand where a host's name stands (add, keys, storage, networks) are no host names: hosts.forms refuses them.
"""

from __future__ import annotations

from django.urls import URLPattern, URLResolver, include, path

from hosts.urls_networks import network_patterns
from hosts.urls_storage import storage_patterns
from hosts.views import host_forms, hosts

hosts_patterns: list[URLPattern | URLResolver] = [
    path("", hosts.host_list, name="list"),
    path("add/", host_forms.add, name="add"),
    path("keys/", host_forms.keys, name="host_keys_new"),
    path("storage/", include(storage_patterns)),
    path("networks/", include(network_patterns)),
    path("<str:name>/", hosts.detail, name="detail"),
    path("<str:name>/edit/", host_forms.edit, name="edit"),
    path("<str:name>/keys/", host_forms.keys, name="host_keys"),
    path("<str:name>/remove/", host_forms.remove, name="remove"),
    path("<str:name>/history.json", hosts.history, name="history"),
    path("<str:name>/do/<slug:verb>/", host_forms.act, name="act"),
    path("<str:name>/<slug:tab>/", hosts.detail, name="detail_tab"),
]
