"""Changing which hosts there are, and how they are reached. Nothing here touches a host; secrets never reach the audit list."""

from __future__ import annotations

from django.db import transaction

from hosts import access, alarms, audit, notify, supervisor_sinks
from hosts.audit import Actor
from hosts.models import Alarm, Host

VERB = "host.manage"


def save(host: Host, actor: Actor, changed: list[str]) -> None:
    """Store a new or changed host. Raises access.Denied."""
    _require(actor)
    action = "host.add" if host.pk is None else "host.edit"
    with transaction.atomic():
        host.save()
        audit.record(actor, action, host.name, changed=changed, uri=host.uri, enabled=host.enabled)
        _tell(host.pk)


def set_enabled(host: Host, actor: Actor, *, enabled: bool) -> None:
    """Look at it from now on, or no more. Raises access.Denied."""
    _require(actor)
    with transaction.atomic():
        if not Host.objects.filter(pk=host.pk, enabled=not enabled).update(enabled=enabled):
            return
        audit.record(actor, "host.enable" if enabled else "host.disable", host.name)
        _tell(host.pk)


def remove(host: Host, actor: Actor) -> None:
    """Forget the host and what it offers. Guests that no other host holds become “gone”. Raises access.Denied."""
    _require(actor)
    pk = host.pk
    with transaction.atomic():
        # The app above hears that the host holds nothing any more, so that each guest is settled by its other sightings.
        for sink in supervisor_sinks.sinks:
            sink.guests_seen(pk, [], complete=True)
        for key in Alarm.objects.filter(host_id=pk, cleared_at=None).values_list("key", flat=True):
            alarms.clear(key)
        host.delete()
        audit.record(actor, "host.remove", host.name, uri=host.uri)
        _tell(pk)
        notify.changed("vms", "vms-states", "resources", "alarms", "operations")


def _tell(pk: int) -> None:
    notify.changed("hosts-configured", "hosts", f"host:{pk}", "vms-host-state")


def _require(actor: Actor) -> None:
    from django.contrib.auth.models import AnonymousUser

    access.require(actor.user or AnonymousUser(), VERB)
