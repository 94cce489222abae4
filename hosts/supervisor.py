"""The inventory role: a watcher for each host that this process holds."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import structlog
from django.conf import settings

from hosts import figures, inventory, leases, notify
from hosts.models import Host, Lease
from hosts.targets import configuration_of
from hosts.watcher import Watcher
from hosts.work import DATABASE_AWAY, database_work

log = structlog.get_logger(__name__)


class Supervisor:
    """One process's share of the hosts."""

    def __init__(self, owner: str | None = None) -> None:
        self.owner = owner or leases.new_owner()
        self._share = leases.Share(Lease.Role.INVENTORY, self.owner)
        self._watchers: dict[int, tuple[str, Watcher]] = {}
        self._stop = threading.Event()
        self._wake = threading.Event()
        self._thread: threading.Thread | None = None
        self._unlisten: Callable[[], None] = lambda: None
        self._pruned_at = 0.0

    def start(self) -> None:
        """Run in a thread of its own."""
        self._unlisten = notify.bus.listen(self._hear)
        self._thread = threading.Thread(target=self._loop, name="supervisor", daemon=True)
        self._thread.start()

    def stop(self) -> None:
        """Stop all watchers and let go of the hosts."""
        self._unlisten()
        self._stop.set()
        self._wake.set()
        if self._thread is not None:
            self._thread.join(5)
        for _key, watcher in self._watchers.values():
            watcher.stop()
        try:
            with database_work():
                leases.leave(Lease.Role.INVENTORY, self.owner)
        except DATABASE_AWAY as error:
            log.warning("hosts were not given back; they are free when their leases run out", error=str(error))

    def _hear(self, message: dict[str, Any]) -> None:
        if message["type"] == "look":
            held = self._watchers.get(message["host"])
            if held is not None:
                held[1].look_again(message["uuid"])
        elif message["type"] == "resync":
            # Somebody may have asked us to look while we could not hear it.
            for _key, watcher in list(self._watchers.values()):
                watcher.look_again("")
            self._wake.set()
        elif "hosts-configured" in message.get("topics", ()):
            self._wake.set()

    def _loop(self) -> None:
        while not self._stop.is_set():
            try:
                with database_work():
                    self.step()
            except DATABASE_AWAY as error:
                log.warning("the database did not take it; trying again", error=str(error))
            except Exception:
                log.exception("the supervisor stumbled")
            self._wake.wait(min(2.0, settings.LEASE_SECONDS / 5))
            self._wake.clear()

    def step(self) -> None:
        """One round: leases, then watchers for exactly the hosts held, as they are configured now."""
        held = self._share.renew()
        wanted = {host.pk: configuration_of(host) for host in Host.objects.filter(pk__in=held, enabled=True)}
        for host_id in [pk for pk, (key, w) in self._watchers.items() if wanted.get(pk) != key or not w.is_alive]:
            self._watchers.pop(host_id)[1].stop()
        for host_id, key in wanted.items():
            if host_id not in self._watchers:
                watcher = Watcher(host_id)
                self._watchers[host_id] = (key, watcher)
                watcher.start()
        _mark_disabled()
        self._prune()

    def _prune(self) -> None:
        if time.monotonic() - self._pruned_at > 3600:
            self._pruned_at = time.monotonic()
            figures.prune()


def _mark_disabled() -> None:
    """Nobody watches a disabled host, so nobody else would say so."""
    State = Host.State
    for pk in Host.objects.filter(enabled=False).exclude(state=State.DISABLED).values_list("pk", flat=True):
        inventory.state_changed(pk, State.DISABLED)
    for pk in Host.objects.filter(enabled=True, state=State.DISABLED).values_list("pk", flat=True):
        inventory.state_changed(pk, State.CONNECTING)
