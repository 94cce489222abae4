"""Who asks, read from a request: for every view that records what it was asked."""

from __future__ import annotations

import ipaddress

from django.conf import settings
from django.core.exceptions import PermissionDenied
from django.http import HttpRequest

from hosts.audit import Actor
from hosts.models import User


def client_address(request: HttpRequest) -> str | None:
    """The peer's address, or the one a trusted proxy names."""
    peer = request.META.get("REMOTE_ADDR") or None
    forwarded = request.headers.get("x-forwarded-for", "")
    if forwarded and peer in settings.TRUSTED_PROXIES:
        peer = forwarded.rpartition(",")[2].strip()
    try:
        return str(ipaddress.ip_address(peer)) if peer else None
    except ValueError:
        return None


def actor_of(request: HttpRequest, road: str = "page") -> Actor:
    """The one who asks, for operations and the audit list."""
    user = request.user
    return Actor(user if isinstance(user, User) else None, client_address(request), road)


def user_of(request: HttpRequest) -> User:
    """The person who is logged in; nobody else comes this far (kvmdash.middleware), and if so is turned away."""
    if not isinstance(request.user, User):
        raise PermissionDenied
    return request.user
