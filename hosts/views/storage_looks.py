"""How kinds that act on storage look: one line for newcomers, and whether they can lose something."""

from __future__ import annotations

from typing import Any

from django.utils.translation import gettext_lazy

HINTS: dict[str, tuple[Any, bool]] = {
    "pool-start": (gettext_lazy("Mounts it, logs in or activates it, so that its volumes can be used."), False),
    "pool-stop": (
        gettext_lazy("Unmounts it, logs out or deactivates it. What lies in it stays; guests without it do not start."), True,
    ),
    "pool-refresh": (gettext_lazy("libvirt looks again what lies in it: also what was copied there without it."), False),
    "pool-autostart": (gettext_lazy("Whether the host starts it when it boots itself."), False),
    "volume-create": (gettext_lazy("A disk image, or a device of the pool."), False),
    "volume-clone": (gettext_lazy("Copies it whole; the copy does not need the original."), False),
    "volume-resize": (gettext_lazy("Changes what the guest sees. Only while no running guest has it open."), False),
    "volume-wipe": (gettext_lazy("Overwrites it: what was in it cannot be read any more. It stays, empty."), True),
    "volume-delete": (gettext_lazy("Deletes it and what is in it, for good."), True),
    "pool-delete": (gettext_lazy("The host forgets the pool. What lies in it stays, unless you say otherwise."), True),
}  # fmt: skip
