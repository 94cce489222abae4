"""Raising and clearing alarms; the sentence shown is made when it is shown, in the reader's language."""

from __future__ import annotations

from typing import Any

from django.db import IntegrityError, transaction
from django.utils import timezone
from django.utils.translation import gettext as _

from hosts import notify
from hosts.models import Alarm, Host
from hosts.said import said


def raise_alarm(
    key: str,
    kind: str,
    *,
    level: str,
    host: Host | None = None,
    subject_uuid: Any = None,
    subject_name: str = "",
    **facts: Any,
) -> None:
    """Raise the alarm, or bring the facts of the open one up to date."""
    open_one = Alarm.objects.filter(key=key, cleared_at=None)
    current = open_one.first()
    if current is not None:
        if current.facts != facts:
            open_one.update(facts=facts)
            notify.changed("alarms")
        return
    try:
        with transaction.atomic():
            Alarm.objects.create(
                key=key, kind=kind, level=level, host=host, subject_uuid=subject_uuid,
                subject_name=subject_name, facts=facts,
            )  # fmt: skip
    except IntegrityError:
        return  # Somebody else raised it at the same moment.
    notify.changed("alarms")


def clear(key: str) -> None:
    """End the alarm, if there is one."""
    if Alarm.objects.filter(key=key, cleared_at=None).update(cleared_at=timezone.now()):
        notify.changed("alarms")


def sentence(alarm: Alarm) -> str:
    """What the alarm says."""
    facts = alarm.facts
    if alarm.kind == "host-lost":
        return _("Host %(host)s: %(text)s Its guests are shown as last seen.") % {
            "host": alarm.host.name if alarm.host else "?",
            "text": said(facts.get("text") or facts.get("state", "")),
        }
    if alarm.kind == "split-brain":
        return _(
            "%(name)s runs on %(hosts)s at the same time, and no migration is under way. "
            "Two copies may be writing to the same disks: stop one of them."
        ) % {"name": alarm.subject_name, "hosts": _(" and ").join(facts.get("hosts", []))}
    if alarm.kind == "snapshot-schedule":
        return _("%(name)s: no snapshot was taken by the clock. %(why)s") % {
            "name": alarm.subject_name,
            "why": said(facts.get("text", "")),
        }
    return alarm.kind
