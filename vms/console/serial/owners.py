"""Which gateway carries a text console: one of them, because libvirt lets one in at a time."""

from __future__ import annotations

from collections.abc import Iterable
from uuid import UUID

from django.db import IntegrityError, transaction
from django.db.models import Q
from django.db.models.functions import Now

from vms.console import records
from vms.models import SerialLine


def claim(vm: UUID, device: str, gateway: str) -> bool:
    """Whether the gateway carries it from now on; False when another one does that lives."""
    rows = SerialLine.objects.filter(vm_id=vm, device=device)
    dead = Q(alive_at__lt=Now() - records.GATEWAY_DEAD) | Q(
        gateway__in=_dead_here(rows.values_list("gateway", flat=True))
    )
    if rows.filter(Q(gateway=gateway) | dead).update(gateway=gateway, alive_at=Now()):
        return True
    try:
        with transaction.atomic():
            SerialLine.objects.create(vm_id=vm, device=device, gateway=gateway)
    except IntegrityError:
        return False
    return True


def _dead_here(gateways: Iterable[str]) -> list[str]:
    return [name for name in gateways if not records.may_run(name)]


def release(vm: UUID, device: str, gateway: str) -> None:
    """The gateway carries it no more."""
    SerialLine.objects.filter(vm_id=vm, device=device, gateway=gateway).delete()


def beat(gateway: str) -> None:
    """Say that the gateway lives."""
    SerialLine.objects.filter(gateway=gateway).update(alive_at=Now())


def release_all(gateway: str) -> None:
    """The gateway carries none any more."""
    SerialLine.objects.filter(gateway=gateway).delete()
