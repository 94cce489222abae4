"""Who uses a volume: guests whose definitions name it or what lies on it, and the volumes that lie on it. Rows only.

The same storage seen from several hosts counts as one: a guest of any of them uses the volume.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from uuid import UUID

from django.db.models import Q, QuerySet

from hosts.models import StorageClaim, StorageVolume

#: how far a backing chain is followed
MOST_DEEP = 50


@dataclass(frozen=True, slots=True)
class User:
    """A guest that uses a volume; ``through`` names the volume between them when it does not name it itself."""

    owner: UUID
    name: str
    host: str
    active: bool
    device: str
    target: str
    readonly: bool
    through: str = ""


@dataclass(slots=True)
class Use:
    """All that uses one volume: guests, and the volumes that lie directly on it."""

    users: list[User] = field(default_factory=list)
    overlays: list[StorageVolume] = field(default_factory=list)

    def __bool__(self) -> bool:
        return bool(self.users or self.overlays)

    @property
    def active(self) -> list[User]:
        """The guests that have it open now."""
        return [user for user in self.users if user.active]

    @property
    def names(self) -> list[str]:
        """Guests and volumes by name, each once."""
        return list(dict.fromkeys([user.name for user in self.users] + [volume.name for volume in self.overlays]))


def use_of(volumes: Sequence[StorageVolume]) -> dict[int, Use]:
    """Volume → who uses it; a few queries for each step of the longest chain. ``pool.host`` must be loaded."""
    above = _Above(volumes)
    found = {}
    for volume in volumes:
        use = found[volume.pk] = Use()
        direct = above.same(volume)
        for pk in above.all_from(direct):
            _add_users(use, above.claims.get(pk, []), "" if pk in direct else above.rows[pk].name)
        lying = [above.rows[pk] for same in direct for pk in above.lying.get(same, [])]
        use.overlays = list({overlay.name: overlay for overlay in lying if overlay.pk not in direct}.values())
        use.users.sort(key=lambda user: (user.name, user.host, user.through))
    return found


def _rows() -> QuerySet[StorageVolume]:
    return StorageVolume.objects.select_related("pool__host").defer("pool__definition", "pool__host__capabilities")


class _Above:
    """Everything that lies on some volumes: rows, which lie directly on which, and who lays claim to each."""

    def __init__(self, volumes: Sequence[StorageVolume]) -> None:
        self.rows: dict[int, StorageVolume] = {}
        self.lying: dict[int, list[int]] = {}
        self.claims: dict[int, list[StorageClaim]] = {}
        self._same: dict[tuple[str, str], list[int]] = {}
        level = list(volumes)
        for _step in range(MOST_DEEP):
            level = self._take(level)

    def same(self, volume: StorageVolume) -> list[int]:
        """The volume, and itself as the other hosts of shared storage see it."""
        if not volume.pool.shared_key:
            return [volume.pk]
        return [volume.pk, *[pk for pk in self._same[volume.pool.shared_key, volume.name] if pk != volume.pk]]

    def all_from(self, start: list[int]) -> list[int]:
        """``start`` and all that lies on it, the nearest first."""
        order = dict.fromkeys(start)
        waiting = list(start)
        for pk in waiting:
            more = [same for overlay in self.lying.get(pk, []) for same in self.same(self.rows[overlay])]
            fresh = [overlay for overlay in more if overlay not in order]
            order.update(dict.fromkeys(fresh))
            waiting += fresh
        return list(order)

    def _take(self, level: list[StorageVolume]) -> list[StorageVolume]:
        """Take in a level with its twins; the next one."""
        fresh = self._remember(level) + self._remember(self._twins(level))
        if not fresh:
            return []
        self._find_claims(fresh)
        bases = {(volume.pool.host_id, volume.path): volume for volume in fresh if volume.path}
        overlays = _rows().filter(
            backing_path__in={path for _host, path in bases},
            pool__host_id__in={host for host, _path in bases},
            absent_since=None,
        )
        found = []
        for overlay in overlays:
            base = bases.get((overlay.pool.host_id, overlay.backing_path))
            if base is not None and base.pk != overlay.pk:
                self.lying.setdefault(base.pk, []).append(overlay.pk)
                found.append(overlay)
        return found

    def _remember(self, rows: Iterable[StorageVolume]) -> list[StorageVolume]:
        fresh = [row for row in rows if row.pk not in self.rows]
        for row in fresh:
            self.rows[row.pk] = row
            if row.pool.shared_key:
                self._same.setdefault((row.pool.shared_key, row.name), []).append(row.pk)
        return fresh

    def _twins(self, level: list[StorageVolume]) -> list[StorageVolume]:
        shared = {(volume.pool.shared_key, volume.name) for volume in level if volume.pool.shared_key}
        if not shared:
            return []
        keys, names = {key for key, _name in shared}, {name for _key, name in shared}
        twins = _rows().filter(pool__shared_key__in=keys, name__in=names)
        return [twin for twin in twins if (twin.pool.shared_key, twin.name) in shared]

    def _find_claims(self, rows: list[StorageVolume]) -> None:
        by_path = {(row.pool.host_id, row.path): row.pk for row in rows if row.path}
        by_name = {(row.pool.host_id, row.pool.name, row.name): row.pk for row in rows}
        named = Q(path__in={path for _host, path in by_path}) | Q(
            pool_name__in={pool for _host, pool, _name in by_name}, volume_name__in={name for *_rest, name in by_name}
        )
        claims = StorageClaim.objects.filter(named, host_id__in={row.pool.host_id for row in rows})
        for claim in claims.select_related("host").defer("host__capabilities"):
            pk = by_path.get((claim.host_id, claim.path)) or by_name.get(
                (claim.host_id, claim.pool_name, claim.volume_name)
            )
            if pk is not None:
                self.claims.setdefault(pk, []).append(claim)


def _add_users(use: Use, claims: list[StorageClaim], through: str) -> None:
    """A guest stands there once, by what is nearest."""
    known = {(user.owner, user.host) for user in use.users}
    for claim in claims:
        if (claim.owner, claim.host.name) not in known:
            readonly = claim.readonly or bool(through)
            use.users.append(
                User(
                    claim.owner, claim.owner_name, claim.host.name, claim.active, claim.device, claim.target,
                    readonly, through,
                )
            )  # fmt: skip


def chain_of(volume: StorageVolume) -> list[StorageVolume | str]:
    """What the volume lies on, nearest first: rows, and at the end the path of what is in no pool."""
    chain: list[StorageVolume | str] = []
    seen, at = {volume.pk}, volume
    while at.backing_path and len(chain) < MOST_DEEP:
        base = _rows().filter(pool__host_id=volume.pool.host_id, path=at.backing_path).order_by("absent_since").first()
        if base is None or base.pk in seen:
            chain.append(at.backing_path)
            break
        chain.append(base)
        seen.add(base.pk)
        at = base
    return chain
