"""The operations connections of one process: libvirtd serves few requests at a time for each, so the mirror has its own."""

from __future__ import annotations

import threading
from collections import defaultdict

from django.conf import settings

from hosts.hypervisor.connection import Connection
from hosts.hypervisor.errors import InvalidUri, Unreachable
from hosts.hypervisor.sentences import say
from hosts.models import Host
from hosts.secrets import SecretUnreadable
from hosts.targets import configuration_of, target_of


class Connections:
    """A shared one for each host, and own ones for long calls."""

    def __init__(self) -> None:
        self._shared: dict[int, tuple[str, Connection]] = {}
        self._locks: defaultdict[int, threading.Lock] = defaultdict(threading.Lock)

    def get(self, host: Host, own: bool) -> Connection:
        """A live connection to the host as it is configured now; Unreachable and its kin when there is none to be had."""
        if own:
            return self._open(host)
        key = configuration_of(host)
        # One lock a host: the first opens, those who come meanwhile share what it opened.
        with self._locks[host.pk]:
            known, connection = self._shared.get(host.pk, ("", None))
            if connection is not None and connection.is_alive and known == key:
                return connection
            if connection is not None:
                connection.close()
            fresh = self._open(host)
            self._shared[host.pk] = (key, fresh)
            return fresh

    def _open(self, host: Host) -> Connection:
        try:
            target = target_of(host)
        except (InvalidUri, SecretUnreadable) as error:
            raise Unreachable(str(error)) from error
        except OSError as error:
            text = say("What is needed to reach %(host)s could not be laid out.", host=host.name)
            raise Unreachable(text, detail=str(error)) from error
        return Connection.open(
            target,
            seconds=settings.CONNECT_SECONDS,
            call_seconds=settings.CALL_SECONDS,
            keepalive=(settings.KEEPALIVE_SECONDS, settings.KEEPALIVE_COUNT),
            workers=8,
        )

    def keep_only(self, host_ids: set[int]) -> None:
        """Close those to hosts that are another process's now, or gone."""
        for pk in [pk for pk in self._shared if pk not in host_ids]:
            self._shared.pop(pk)[1].close()

    def close(self) -> None:
        """Close all."""
        self.keep_only(set())
