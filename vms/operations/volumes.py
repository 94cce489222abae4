"""Volumes that belong to a guest, deleted with it or after it has left them."""

from __future__ import annotations

import uuid

from hosts import notify
from hosts.hypervisor.errors import HypervisorError, NotFound
from hosts.hypervisor.sentences import say
from hosts.models import StoragePool
from hosts.operations.storage_base import follow
from hosts.operations.task import Task


def delete_volume(task: Task, pool_uuid: str, name: str, source: str) -> bool:
    """Delete it, and say so in the log; False when it is still there. Raises Unreachable when the host is lost."""
    from hosts.hypervisor.volume import Volumes

    volumes = Volumes(task.connection, pool_uuid)
    try:
        follow(task, volumes.connection, volumes.begin_delete(name))
    except NotFound:
        task.log(say("%(disk)s was gone already.", disk=source))
    except HypervisorError as error:
        if not volumes.connection.is_alive:
            raise
        task.log(say("%(disk)s is still there: %(why)s", disk=source, why=error), "warning")
        return False
    else:
        task.log(say("%(disk)s is deleted.", disk=source))
    finally:
        notify.look_again(task.host.pk, f"pool:{pool_uuid}")
    return True


def named_by(task: Task, pool_uuid: str, name: str, source: str) -> list[str]:
    """Guests of the host that name the volume, as it says itself."""
    from hosts.hypervisor import volume

    pool = StoragePool.objects.filter(host=task.host, uuid=uuid.UUID(pool_uuid)).first()
    path = source if source.startswith("/") else ""
    return volume.named_by(task.connection, path, pool.name if pool is not None else "", name)
