"""Which osinfo-db counts: the one that an administrator brought last, or the one that is installed. Rows only."""

from __future__ import annotations

from datetime import datetime
from functools import lru_cache

from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.utils.translation import gettext as _

from hosts import access, audit
from hosts.audit import Actor
from hosts.operations.kind import Refused
from vms.creation import osinfo
from vms.models import SystemDatabase

VERB = "systems.manage"
#: bytes of a tarball: those that are published have a fifth of a million
MOST_BYTES = 2 * 2**20


def current() -> osinfo.Database:
    """All systems that are known."""
    row = SystemDatabase.objects.values_list("pk", "version", "brought_at").first()
    installed = osinfo.installed()
    # A package that is newer than what somebody brought once is not held back by it.
    if row is None or (installed.version and installed.version > row[1]):
        return installed
    return _brought(row[0], row[2])


@lru_cache(maxsize=2)
def _brought(pk: int, _brought_at: datetime) -> osinfo.Database:
    return osinfo.of_archive(bytes(SystemDatabase.objects.values_list("data", flat=True).get(pk=pk)))


def bring(data: bytes, actor: Actor) -> SystemDatabase:
    """Take a newer one. Raises access.Denied, and Refused when it is none or is older than what counts now."""
    access.require(actor.user or AnonymousUser(), VERB)
    try:
        found = osinfo.of_archive(data)
    except osinfo.BadDatabase as error:
        raise Refused(_("This is no osinfo-db: %(why)s.") % {"why": str(error)[:200]}) from None
    now = current()
    if found.version < now.version:
        words = {"version": found.version or "?", "now": now.version}
        raise Refused(_("It is older (%(version)s) than the one that is there (%(now)s).") % words)
    with transaction.atomic():
        SystemDatabase.objects.all().delete()
        row = SystemDatabase.objects.create(
            version=found.version, count=len(found.systems), data=data, brought_by=actor.label
        )
        audit.record(actor, "systems.bring", found.version, count=row.count)
    return row


def forget(actor: Actor) -> None:
    """Go back to what is installed. Raises access.Denied."""
    access.require(actor.user or AnonymousUser(), VERB)
    with transaction.atomic():
        for row in SystemDatabase.objects.all():
            audit.record(actor, "systems.forget", row.version)
        SystemDatabase.objects.all().delete()
