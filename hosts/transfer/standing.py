"""How an upload stands, for pages and the API, with a ticket for whoever may send to it."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.urls import reverse

from hosts import access
from hosts.models import Filling, Operation, User
from hosts.transfer import tickets
from hosts.transfer.relay import PREFIX

KIND, VERB = "volume-upload", "volume.upload"


def unfinished(user: User) -> QuerySet[Filling]:
    """The uploads that this person began and that wait for more."""
    rows = Filling.objects.filter(operation__kind=KIND, operation__state__in=Operation.ACTIVE)
    return rows.filter(operation__actor=user).select_related("operation").order_by("-moved_at")


def may_send(user: access.AnyUser, filling: Filling) -> bool:
    """Whether the user may send to the upload: who began it, and administrators."""
    if not isinstance(user, User) or filling.operation.kind != KIND or not filling.operation.is_active:
        return False
    own = filling.operation.actor_id == user.pk or user.role == User.Role.ADMINISTRATOR
    return own and access.may(user, VERB)


def of(filling: Filling, user: access.AnyUser) -> dict[str, Any]:
    """All that a sender wants to know."""
    operation = filling.operation
    found = {
        "id": str(filling.pk),
        "name": filling.name,
        "size": filling.size,
        "offset": filling.offset,
        "fingerprint": filling.fingerprint,
        "open": filling.state == Filling.State.OPEN,
        "trouble": filling.trouble_words,
        "state": operation.state,
        "active": operation.is_active,
        "error": operation.error_text,
        "operation": operation.get_absolute_url(),
        "cancel": reverse("operations:cancel", args=[operation.pk]),
        "standing": reverse("hosts:upload", args=[filling.pk]),
        "bytes": f"{PREFIX}{filling.pk}",
    }
    if isinstance(user, User) and may_send(user, filling):
        found["ticket"] = tickets.for_upload(user, filling.pk)
    return found
