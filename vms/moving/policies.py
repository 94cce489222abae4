"""Named ways to move a guest. A policy only fills in what was not said; each value can be said differently for one move."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from django.contrib.auth.models import AnonymousUser
from django.db import transaction
from django.utils import timezone
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import access, audit
from hosts.audit import Actor
from hosts.operations.kind import InvalidArguments
from vms.models import MoveSettings

#: who chooses for the cluster
VERB = "host.manage"


@dataclass(frozen=True, slots=True)
class Policy:
    """``values`` are arguments of the kind migrate; what is not among them is as :data:`vms.moving.wanted.DEFAULTS` says."""

    name: str
    label: Any
    words: Any
    values: dict[str, Any]


SAFE = Policy(
    "safe",
    gettext_lazy("Safe"),
    gettext_lazy(
        "Memory first, then the switch: until the very end the source has everything, and a move that fails costs nothing."
    ),
    {},
)
FAST = Policy(
    "fast",
    gettext_lazy("Fast"),
    gettext_lazy("Several connections at once, a pause of up to a second, and a brake for guests that are too busy."),
    {"connections": 4, "auto_converge": True, "max_downtime": 1000},
)
NEVER_PAUSE = Policy(
    "never-pause",
    gettext_lazy("Never pause"),
    gettext_lazy(
        "The guest stands still for 50 ms at most and is never slowed down; a move that cannot do that in half an hour is given up."
    ),
    {"max_downtime": 50, "timeout": 1800, "on_timeout": "abort"},
)
HUGE = Policy(
    "huge",
    gettext_lazy("Huge guest"),
    gettext_lazy(
        "Several connections and the brake; what has not ended in ten minutes is ended by post-copy: the guest goes over at once "
        "and fetches the rest of its memory from the source. From then on it depends on both hosts."
    ),
    {"connections": 8, "auto_converge": True, "post_copy": True, "timeout": 600, "on_timeout": "post-copy"},
)
POLICIES = {policy.name: policy for policy in (SAFE, FAST, NEVER_PAUSE, HUGE)}


def of_cluster() -> Policy:
    """The one that is used where nothing is said."""
    return POLICIES.get(MoveSettings.load().policy, SAFE)


def choose(name: str, actor: Actor) -> Policy:
    """Use that one from now on. Raises access.Denied, and InvalidArguments for a name that is not known."""
    access.require(actor.user or AnonymousUser(), VERB)
    policy = POLICIES.get(name)
    if policy is None:
        raise InvalidArguments("policy", _("One of: %(values)s.") % {"values": ", ".join(POLICIES)})
    with transaction.atomic():
        values = {"policy": policy.name, "changed_by": actor.label, "changed_at": timezone.now()}
        MoveSettings.objects.update_or_create(pk=1, defaults=values)
        audit.record(actor, "moves.policy", policy.name)
    return policy
