"""Addresses of consoles, below ``/vms/<uuid>/console/`` (which is the machine's tab)."""

from __future__ import annotations

from django.urls import path

from vms.console import views

urlpatterns = [
    path("window/", views.window, name="console"),
    path("ticket/", views.ticket, name="console-ticket"),
]
