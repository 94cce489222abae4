"""A post-copy move that broke: the guest's memory is partly on the source and partly on the target, and neither half is a guest.

Nothing is stopped or removed. Both are brought together again (QEMU: postcopy-recover), as often as it takes.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

from django.utils.translation import gettext as _

from hosts.hypervisor.errors import HypervisorError
from hosts.hypervisor.sentences import say
from hosts.operations.kind import Uncertain

if TYPE_CHECKING:
    from vms.moving.move import Move
    from vms.moving.places import Place

#: seconds between two tries: the first and the longest
FIRST_WAIT, LONGEST_WAIT = 2.0, 30.0
LOOK_SECONDS = 0.4


def bring_together(move: Move) -> None:
    """Try until the guest has arrived. Raises Uncertain when one half is gone, or nobody wants to wait any longer."""
    task, wait = move.task, FIRST_WAIT
    while True:
        source, target = move.places()
        if _has_arrived(source, target):
            task.progress(now=True, broken=False, waiting_for="")
            return
        _refuse_half_a_guest(source, target)
        lost = [str(place.host) for place in (source, target) if place.state == "unknown"]
        task.progress(now=True, broken=True, waiting_for=lost[0] if lost else "")
        if source.is_broken and not lost and _is_resumed(move):
            continue
        _wait_until_asked(move, wait, source, target)
        wait = min(2 * wait, LONGEST_WAIT)


def _has_arrived(source: Place, target: Place) -> bool:
    return target.state in ("running", "paused") and not target.is_split and source.state in ("absent", "shutoff")


def _refuse_half_a_guest(source: Place, target: Place) -> None:
    """One half is gone for good: what is left cannot go on without it."""
    for half, other in ((source, target), (target, source)):
        if half.state in ("absent", "shutoff", "crashed") and other.is_broken:
            raise Uncertain(
                _(
                    "A part of the guest's memory was on %(gone)s, which does not run it any more; what %(left)s holds is not "
                    "whole. Its disks are as they were at that moment: force it off on %(left)s and start it."
                )
                % {"gone": half.host, "left": other.host}
            )


def _is_resumed(move: Move) -> bool:
    from hosts.hypervisor import migration
    from vms.moving.move import peer_uri

    peer = peer_uri(move.target_host)
    move.task.log("The move is taken up again where it broke.")
    try:
        move.follow(migration.start_resuming(move.source, move.task.uuid, peer, move.plan()))
    except HypervisorError as error:
        move.task.log(f"That did not work yet: {error}", "warning")
        if migration.is_watched_by_another(error):
            move.task.log(
                say(
                    "libvirt's first call hangs and lets no other one in: restart libvirtd on %(host)s. Guests run on meanwhile.",
                    host=move.source_host,
                ),
                "warning",
            )
        return False
    return True


def _wait_until_asked(move: Move, seconds: float, source: Place, target: Place) -> None:
    until = time.monotonic() + seconds
    move.steering.recover_now = False
    while time.monotonic() < until and not move.steering.recover_now:
        move.steering.obey()
        if move.steering.cancelled_by:
            raise Uncertain(
                _(
                    "%(who)s gave up waiting. The guest's memory is on both hosts (%(source)s; %(target)s): stop neither; "
                    "virsh migrate --postcopy --postcopy-resume brings them together."
                )
                % {"who": move.steering.cancelled_by, "source": source, "target": target}
            )
        move.task.wait(LOOK_SECONDS)
