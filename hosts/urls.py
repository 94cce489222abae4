"""Addresses of hosts, operations and administration."""

from django.urls import URLPattern

hosts_patterns: list[URLPattern] = []
operations_patterns: list[URLPattern] = []
administration_patterns: list[URLPattern] = []
