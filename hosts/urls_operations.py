"""Addresses of operations."""

from django.urls import URLPattern, path

from hosts.views import operations

operations_patterns: list[URLPattern] = [
    path("", operations.operation_list, name="list"),
    path("<uuid:key>/", operations.operation_detail, name="detail"),
    path("<uuid:key>/cancel/", operations.cancel, name="cancel"),
    path("<uuid:key>/signal/", operations.signal, name="signal"),
]
