"""The QEMU guest agent of one domain: a program in the guest that answers what only the guest can know."""

from __future__ import annotations

from concurrent.futures import Future
from typing import Any

from hosts.hypervisor.connection import Connection

Facts = dict[str, Any]


class Agent:
    """The agent of one domain. Each call is begun and returns a Future: how long it takes is up to the guest."""

    def __init__(self, connection: Connection, uuid: str) -> None:
        self.connection = connection
        self.uuid = uuid

    def begin_info(self) -> Future[Facts]:
        """All that the agent tells, as :func:`facts` says it. Asked with virDomainGetGuestInfo (libvirt 5.7)."""
        return self.connection.submit(lambda raw: facts(raw.lookupByUUIDString(self.uuid).guestInfo(0, 0)))

    def begin_set_password(self, user: str, password: str) -> Future[Any]:
        """Give a user of the guest another password."""
        return self.connection.submit(lambda raw: raw.lookupByUUIDString(self.uuid).setUserPassword(user, password, 0))

    def begin_freeze(self) -> Future[int]:
        """Have all file systems write out what they hold and stand still; how many do."""
        return self.connection.submit(lambda raw: raw.lookupByUUIDString(self.uuid).fsFreeze())

    def begin_thaw(self) -> Future[int]:
        """Let them go on; how many do."""
        return self.connection.submit(lambda raw: raw.lookupByUUIDString(self.uuid).fsThaw())

    def begin_trim(self) -> Future[Any]:
        """Have all file systems tell their disks what they do not use."""
        return self.connection.submit(lambda raw: raw.lookupByUUIDString(self.uuid).fSTrim(None, 0, 0))


def facts(told: dict[str, Any]) -> Facts:
    """Plain data of what virDomainGetGuestInfo told: ``os``, ``kernel``, ``hostname``, ``timezone``, ``users``,
    ``filesystems`` (bytes; None where the agent does not say), ``interfaces``. What a guest says of itself is only ever shown.
    """
    return {
        "os": _text(told.get("os.pretty-name") or told.get("os.name")),
        "kernel": _text(told.get("os.kernel-release")),
        "hostname": _text(told.get("hostname")),
        "timezone": _text(told.get("timezone.name")),
        "users": [_user(told, f"user.{number}.") for number in range(_count(told, "user"))],
        "filesystems": [_file_system(told, f"fs.{number}.") for number in range(_count(told, "fs"))],
        "interfaces": [_interface(told, f"if.{number}.") for number in range(_count(told, "if"))],
    }


#: of each kind of thing at most so many are kept, and of a text so many characters: the guest may say anything
MOST, LONGEST = 200, 300


def _text(value: object) -> str:
    return "".join(letter if letter.isprintable() else "�" for letter in str(value or ""))[:LONGEST]


def _count(told: dict[str, Any], kind: str) -> int:
    return min(MOST, int(told.get(f"{kind}.count") or 0))


def _user(told: dict[str, Any], prefix: str) -> Facts:
    since = told.get(f"{prefix}login-time")
    return {
        "name": _text(told.get(f"{prefix}name")),
        "domain": _text(told.get(f"{prefix}domain")),
        "since": int(since) // 1000 if since else None,
    }


def _file_system(told: dict[str, Any], prefix: str) -> Facts:
    disks = range(min(MOST, int(told.get(f"{prefix}disk.count") or 0)))
    return {
        "mountpoint": _text(told.get(f"{prefix}mountpoint")),
        "type": _text(told.get(f"{prefix}fstype")),
        "total": told.get(f"{prefix}total-bytes"),
        "used": told.get(f"{prefix}used-bytes"),
        "disks": [alias for n in disks if (alias := _text(told.get(f"{prefix}disk.{n}.alias")))],
    }


def _interface(told: dict[str, Any], prefix: str) -> Facts:
    addresses = range(min(MOST, int(told.get(f"{prefix}addr.count") or 0)))
    return {
        "name": _text(told.get(f"{prefix}name")),
        "mac": _text(told.get(f"{prefix}hwaddr")),
        "addresses": [
            f"{_text(told.get(f'{prefix}addr.{n}.addr'))}/{told.get(f'{prefix}addr.{n}.prefix', '')}" for n in addresses
        ],
    }
