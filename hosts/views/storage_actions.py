"""What can be done with storage, as buttons: by right and state, with the equivalent command."""

from __future__ import annotations

from typing import Any

from django.urls import reverse
from django.utils.translation import gettext as _

from hosts import access, storage_changes
from hosts.models import StoragePool, StorageVolume, User
from hosts.operations.kind import Refused, registry
from hosts.storage_forms_volume import FORMS
from hosts.storage_types import type_of
from hosts.transfer import download
from hosts.views.storage_looks import look_of

Items = list[dict[str, Any]]


def list_actions(user: User) -> Items:
    """The buttons above the list of pools."""
    if not access.may(user, "pool.define"):
        return []
    return [{"label": _("Add pool"), "icon": "plus", "url": reverse("hosts:pool_define"), "primary": True}]


def pool_actions(pool: StoragePool, user: User) -> dict[str, Items]:
    """Buttons and menu of a pool's page."""
    main = [action("pool-start", pool, user)]
    if pool.active:
        main = []
        if type_of(pool.type).creates:
            main = [action("volume-create", pool, user), _upload(pool, user), action("volume-fetch", pool, user)]
        main.append(action("pool-refresh", pool, user))
    auto = {"enabled": not pool.autostart}
    words = _("Do not start with the host") if pool.autostart else _("Start with the host")
    more = [action("pool-stop", pool, user)] if pool.active else []
    more.append(action("pool-autostart", pool, user, auto, words))
    if access.may(user, storage_changes.VERB):
        more += [
            {"label": _("Same storage as…"), "icon": "link", "method": "dialog", "url": _address(pool, "pool_shared")},
            {
                "label": _("Forget what is gone"), "icon": "eraser", "method": "post", "url": _address(pool, "pool_forget"),
                "confirm_title": _("Forget what is gone?"),
                "confirm": _("Rows of volumes that are not there any more are removed here. Nothing is done on the host."),
            },
            {"line": True},
        ]  # fmt: skip
    more.append(action("pool-delete", pool, user))
    return {"main": [item for item in main if item], "more": [item for item in more if item]}


def volume_actions(volume: StorageVolume, user: User) -> dict[str, Items]:
    """Buttons and menu of a volume's page."""
    main = [action(name, volume, user) for name in ("volume-clone", "volume-resize")]
    more = [_download(volume, user), *[action(name, volume, user) for name in ("volume-wipe", "volume-delete")]]
    return {"main": [item for item in main if item], "more": [item for item in more if item]}


def _upload(pool: StoragePool, user: User) -> dict[str, Any]:
    """The way to the page for it."""
    if not access.may(user, registry["volume-upload"].verb, pool):
        return {}
    return {"label": _("Upload"), "icon": look_of("volume-upload").icon, "url": _address(pool, "pool_upload")}


def _download(volume: StorageVolume, user: User) -> dict[str, Any]:
    if not access.may(user, download.VERB, volume):
        return {}
    item: dict[str, Any] = {"label": _("Download"), "icon": "download", "url": f"{volume.get_absolute_url()}download/"}
    try:
        download.check(volume)
    except Refused as error:
        item |= {"disabled": True, "reason": str(error)}
    return item


def action(
    name: str, row: StoragePool | StorageVolume, user: User, arguments: dict[str, Any] | None = None, label: str = ""
) -> dict[str, Any]:
    """One button on a pool or a volume; {} for those who may not."""
    kind = registry[name]
    if not access.may(user, kind.verb, row):
        return {}
    look = look_of(name)
    query = "".join(f"?{key}={str(value).lower()}" for key, value in (arguments or {}).items())
    item: dict[str, Any] = {
        "label": label or kind.label, "icon": look.icon, "danger": look.danger,
        "method": "dialog" if name in FORMS else "post",
        "url": f"{row.get_absolute_url()}do/{name}/{query}",
    }  # fmt: skip
    try:
        if name not in FORMS:
            kind.check(kind.subject(row), arguments or {})
            item["virsh"] = kind.virsh(kind.subject(row), arguments or {})
    except Refused as error:
        item |= {"disabled": True, "reason": str(error)}
    return item


def _address(pool: StoragePool, name: str) -> str:
    return reverse(f"hosts:{name}", args=[pool.host.name, pool.uuid])
