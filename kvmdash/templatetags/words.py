"""Words that libvirt or a record gives in English, in the reader's language."""

from __future__ import annotations

from django import template
from django.utils.translation import pgettext_lazy

from hosts.audit import ROADS

register = template.Library()

#: the words of hosts.hypervisor.words.REASONS
REASONS = {
    "API error": pgettext_lazy("reason of a state", "API error"),
    "I/O error": pgettext_lazy("reason of a state", "I/O error"),
    "booted": pgettext_lazy("reason of a state", "booted"),
    "crashed": pgettext_lazy("reason of a state", "crashed"),
    "daemon": pgettext_lazy("reason of a state", "daemon"),
    "destroyed": pgettext_lazy("reason of a state", "destroyed"),
    "dump": pgettext_lazy("reason of a state", "dump"),
    "failed": pgettext_lazy("reason of a state", "failed"),
    "from snapshot": pgettext_lazy("reason of a state", "from snapshot"),
    "migrated": pgettext_lazy("reason of a state", "migrated"),
    "migration": pgettext_lazy("reason of a state", "migration"),
    "migration canceled": pgettext_lazy("reason of a state", "migration canceled"),
    "panicked": pgettext_lazy("reason of a state", "panicked"),
    "post-copy": pgettext_lazy("reason of a state", "post-copy"),
    "post-copy failed": pgettext_lazy("reason of a state", "post-copy failed"),
    "restored": pgettext_lazy("reason of a state", "restored"),
    "save": pgettext_lazy("reason of a state", "save"),
    "save canceled": pgettext_lazy("reason of a state", "save canceled"),
    "saved": pgettext_lazy("reason of a state", "saved"),
    "shutdown": pgettext_lazy("reason of a state", "shutdown"),
    "shutting down": pgettext_lazy("reason of a state", "shutting down"),
    "snapshot": pgettext_lazy("reason of a state", "snapshot"),
    "starting up": pgettext_lazy("reason of a state", "starting up"),
    "unpaused": pgettext_lazy("reason of a state", "unpaused"),
    "user": pgettext_lazy("reason of a state", "user"),
    "wakeup": pgettext_lazy("reason of a state", "wakeup"),
    "watchdog": pgettext_lazy("reason of a state", "watchdog"),
}


@register.filter
def state_reason(word: str) -> str:
    """Why a guest is in its state, in the reader's language; a word that is not known stays as it is."""
    return str(REASONS.get(word, word))


@register.filter
def road(word: str) -> str:
    """By which road something was asked for."""
    return str(ROADS.get(word, word))
