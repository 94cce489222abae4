"""A guest that is off moves by its definition alone; its disks must be where the target sees them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from django.utils.translation import gettext as _

from hosts.hypervisor.errors import Failed
from hosts.operations.kind import Cancelled
from vms.moving.ending import Unsettled
from vms.moving.move import Move
from vms.moving.places import Place, PowerState

if TYPE_CHECKING:
    from hosts.hypervisor.migration import Plan


class OfflineMove(Move):
    """One move of a guest that is off."""

    begins_as = (PowerState.SHUTOFF,)

    def plan(self) -> Plan:
        plan = super().plan()
        # libvirt takes the stored definition for both.
        return replace(plan, offline=True, live_definition=plan.stored_definition)

    def _judge(self, source: Place, target: Place) -> dict[str, Any]:
        self.steering.hear_of_cancelling()
        if target.state == PowerState.SHUTOFF and source.state == "absent":
            return self._succeeded()
        if target.state == "absent" and source.state == PowerState.SHUTOFF:
            if self.steering.cancelled_by:
                raise Cancelled(_("It is off, on %(host)s.") % {"host": source.host})
            raise Failed(_("The move did not finish.") + " " + _("It is off, on %(host)s.") % {"host": source.host})
        if target.state == source.state == PowerState.SHUTOFF and not self.task.arguments["undefine_source"]:
            return self._succeeded()
        raise Unsettled(
            _("After the interruption the guest is found so: %(source)s; %(target)s. Look at both hosts.")
            % {"source": source, "target": target}
        )
