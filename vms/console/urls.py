"""Addresses of consoles, below ``/vms/<uuid>/console/`` (which is the machine's tab)."""

from __future__ import annotations

from django.urls import path

from vms.console import views

urlpatterns = [
    path("window/", views.window, name="console"),
    path("serial/window/", views.text_window, name="serial"),
    path("serial/log/", views.text_log, name="serial_log"),
    path("viewer/", views.viewer_file, name="viewer_file"),
    path("ticket/", views.ticket, name="console-ticket"),
]
