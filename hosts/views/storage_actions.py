"""What can be done with storage, as buttons: by right and state, with the equivalent command."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from hosts import access, storage_changes
from hosts.models import StoragePool, StorageVolume, User

Items = list[dict[str, Any]]


def list_actions(user: User) -> Items:
    """The buttons above the list of pools."""
    return []


def pool_actions(pool: StoragePool, user: User) -> dict[str, Items]:
    """Buttons and menu of a pool's page."""
    more: Items = []
    if access.may(user, storage_changes.VERB):
        more += [
            {"label": _("Same storage as…"), "icon": "link", "method": "dialog", "url": _address(pool, "pool_shared")},
            {
                "label": _("Forget what is gone"), "icon": "eraser", "method": "post", "url": _address(pool, "pool_forget"),
                "confirm_title": _("Forget what is gone?"),
                "confirm": _("Rows of volumes that are not there any more are removed here. Nothing is done on the host."),
            },
        ]  # fmt: skip
    return {"main": [], "more": more}


def volume_actions(volume: StorageVolume, user: User) -> dict[str, Items]:
    """Buttons and menu of a volume's page."""
    return {"main": [], "more": []}


def _address(pool: StoragePool, name: str) -> str:
    return reverse(f"hosts:{name}", args=[pool.host.name, pool.uuid])
