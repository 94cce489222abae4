"""Protect a guest from being deleted, or not any more."""

from __future__ import annotations

from django.utils.translation import gettext_lazy

from vms.operations.own_flag import FlagKind


class Protect(FlagKind):
    """Set or clear the protection (argument ``enabled``); what is protected is not deleted."""

    name = "protect"
    label = gettext_lazy("Protect from deletion")
    verb = "vm.protect"
    flag = "protected"
