"""Lists of pools and volumes: with their sums, those that nobody uses, and shared storage once instead of once for each host."""

from __future__ import annotations

from collections.abc import Iterable

from django.db.models import Count, Exists, OuterRef, Q, QuerySet, Subquery, Sum
from django.db.models.functions import Coalesce

from hosts import fillings
from hosts.models import StorageClaim, StoragePool, StorageVolume


def _claimed(host: str, path: str, pool: str, name: str) -> Exists:
    """Whether somebody's definition names the outer row."""
    by_path = Q(path=OuterRef(path)) & ~Q(path="")
    by_name = Q(pool_name=OuterRef(pool), volume_name=OuterRef(name))
    return Exists(StorageClaim.objects.filter(by_path | by_name, host_id=OuterRef(host)))


def _lain_on(host: str, path: str) -> Exists:
    """Whether another volume of the host lies on the outer row."""
    lying = StorageVolume.objects.filter(pool__host_id=OuterRef(host), backing_path=OuterRef(path), absent_since=None)
    return Exists(lying.exclude(backing_path=""))


def used() -> Q:
    """Whether anything uses a volume, on its own host or on another that shares the storage."""
    place = ("pool__host_id", "path", "pool__name", "name")
    twins = StorageVolume.objects.filter(pool__shared_key=OuterRef("pool__shared_key"), name=OuterRef("name"))
    twins = twins.exclude(pool__shared_key="").filter(Q(_claimed(*place)) | Q(_lain_on("pool__host_id", "path")))
    return Q(_claimed(*place)) | Q(_lain_on("pool__host_id", "path")) | Q(Exists(twins))


def written() -> Q:
    """Whether a guest writes to the volume itself."""
    claims = StorageClaim.objects.filter(depth=0, readonly=False)
    by_path = Q(path=OuterRef("path")) & ~Q(path="")
    by_name = Q(pool_name=OuterRef("pool__name"), volume_name=OuterRef("name"))
    own = claims.filter(by_path | by_name, host_id=OuterRef("pool__host_id"))
    twins = StorageVolume.objects.filter(pool__shared_key=OuterRef("pool__shared_key"), name=OuterRef("name"))
    twins = twins.exclude(pool__shared_key="").filter(Exists(own))
    return Q(Exists(own)) | Q(Exists(twins))


def orphans(volumes: QuerySet[StorageVolume]) -> QuerySet[StorageVolume]:
    """Those that nobody uses. Images of CDs are no orphans, they are kept to be used; those that were left half filled are."""
    kept = (Q(format="iso") | Q(name__iendswith=".iso")) & ~Q(fillings.partial())
    return volumes.filter(absent_since=None).exclude(used()).exclude(kept).exclude(fillings.partial(under_way=True))


def representatives(pools: Iterable[StoragePool]) -> list[int]:
    """One pool for each storage, so that what several hosts share is listed once: one that can be asked, where there is one."""
    chosen: dict[str, StoragePool] = {}
    for pool in sorted(
        pools, key=lambda pool: (not (pool.active and pool.host.is_connected), pool.host.name, pool.name)
    ):
        chosen.setdefault(pool.shared_key or f"own:{pool.pk}", pool)
    return [pool.pk for pool in chosen.values()]


def once(volumes: QuerySet[StorageVolume], pools: QuerySet[StoragePool]) -> QuerySet[StorageVolume]:
    """Those of ``volumes`` that lie in ``pools``, shared ones once."""
    rows = pools.filter(absent_since=None).select_related("host").defer("definition", "host__capabilities")
    return volumes.filter(pool_id__in=representatives(rows))


def with_sums(pools: QuerySet[StoragePool]) -> QuerySet[StoragePool]:
    """Pools with ``volume_count``, ``promised`` (bytes that all volumes may grow to) and ``sharing`` (hosts that see it)."""
    volumes = StorageVolume.objects.filter(pool=OuterRef("pk"), absent_since=None).order_by().values("pool")
    same = StoragePool.objects.filter(shared_key=OuterRef("shared_key"), absent_since=None).exclude(shared_key="")
    grouped = same.order_by().values("shared_key")
    return pools.annotate(
        volume_count=Coalesce(Subquery(volumes.annotate(n=Count("pk")).values("n")), 0),
        promised=Coalesce(Subquery(volumes.annotate(n=Sum("capacity")).values("n")), 0),
        sharing=Coalesce(Subquery(grouped.annotate(n=Count("host_id", distinct=True)).values("n")), 0),
    )


def sharers(pool: StoragePool) -> list[StoragePool]:
    """The same storage as other hosts see it."""
    if not pool.shared_key:
        return []
    same = StoragePool.objects.filter(shared_key=pool.shared_key, absent_since=None).exclude(pk=pool.pk)
    return list(same.select_related("host").defer("definition", "host__capabilities").order_by("host__name", "name"))
