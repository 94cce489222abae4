"""A guest that runs on both hosts after its move.

A source that does not hear from its target in the very end lets the guest run on; the target, when it wakes up, may find the order
to let it run, and obey (seen with libvirt 9.0; its own lock managers are the remedy for disks).
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from hosts.hypervisor.errors import HypervisorError
from hosts.hypervisor.sentences import say
from hosts.operations.kind import Uncertain

if TYPE_CHECKING:
    from vms.moving.ends import Ends
    from vms.moving.places import Place


def hold_back(move: Ends, source: Place, target: Place) -> None:
    """Pause the copy on the target, by which nothing is lost, and have a person choose. Raises Uncertain; returns if it could not.

    Only for a source that was asked after its target: otherwise the guest may have been handed over between the two questions.
    """
    from hosts.hypervisor.guest import Guest

    try:
        Guest(move.target, move.task.uuid).suspend()
    except HypervisorError as error:
        told = say("The copy on %(host)s could not be paused: %(why)s", host=target.host, why=error)
        move.task.log(told, "warning")
        return
    move.look_again()
    raise Uncertain(
        _(
            "The guest ran on %(source)s and on %(target)s: %(target)s woke up too late and let its copy run. That copy was "
            "paused. Look which of the two is to stay, and force the other one off."
        )
        % {"source": source.host, "target": target.host}
    )
