"""The history of definitions: a version for every definition that means something else than the one before.

What a host says is compared with the version that the host's last look left behind, first by its text and only where that
moved by its meaning. The persistent definition counts (as it will boot); of a guest without one, the live one without what
belongs to the run.
"""

from __future__ import annotations

import hashlib
import re
import uuid
from collections.abc import Iterable, Sequence
from datetime import datetime, timedelta

from django.conf import settings
from django.db.models import F, Max, Q, QuerySet, Window
from django.db.models.functions import RowNumber
from django.utils.translation import gettext as _

from hosts import bulk
from hosts.models import Host, Operation
from hosts.operations.kind import registry
from hosts.operations.presenter import size
from vms.definition import changes
from vms.definition.noise import quiet
from vms.definition.xml import MalformedDefinition
from vms.models import DefinitionVersion, Sighting, VirtualMachine

Kind = DefinitionVersion.Kind
INACTIVE = Kind.INACTIVE
#: after an operation ended, a definition seen within this time may still be its doing
MOMENT = timedelta(seconds=10)
#: changes kept of one version, and characters of each value
MOST_CHANGES, LONGEST_VALUE = 20, 200


def definition_of(sighting: Sighting) -> tuple[Kind, str]:
    """The definition of a sighting that counts, and which it is; '' when there is none."""
    if sighting.persistent:
        return Kind.INACTIVE, sighting.inactive_definition
    return Kind.LIVE, sighting.live_definition


def meaning(kind: str, text: str) -> str:
    """The digest of what a definition means; of its letters, where it cannot be read."""
    try:
        return changes.digest(quiet(text) if kind == Kind.LIVE else text)
    except MalformedDefinition:
        return mark_of(text)


def mark_of(text: str) -> str:
    """The digest of the very letters."""
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()


def digest_of(version: DefinitionVersion) -> str:
    """The version's digest. That of a first version is only made when it is asked for: a thousand guests are seen first at once."""
    if not version.digest:
        version.digest = meaning(version.kind, version.text)
        DefinitionVersion.objects.filter(pk=version.pk).update(digest=version.digest)
    return version.digest


def take_in(host_id: int, seen: Iterable[Sighting], known: Iterable[Sighting], now: datetime) -> None:
    """Set ``version`` of the sightings ``seen``, making versions; ``known`` is what the same host said before.

    The guests' rows are there; the sightings are not written yet. A handful of statements, however many guests.
    """
    seen = [sighting for sighting in seen if definition_of(sighting)[1]]
    if not seen:
        return
    ids = {sighting.vm_id: sighting.version_id for sighting in known if sighting.version_id is not None}
    before = DefinitionVersion.objects.defer("text", "changes").in_bulk(list(ids.values()))
    moved: list[Sighting] = []
    for sighting in seen:
        last = before.get(ids.get(sighting.vm_id, 0))
        if last is not None and last.mark == mark_of(definition_of(sighting)[1]):
            sighting.version = last
        else:
            moved.append(sighting)
    if moved:
        _compare(host_id, moved, ids, now)


def _compare(host_id: int, moved: list[Sighting], ids: dict[uuid.UUID, int], now: datetime) -> None:
    """Those whose letters moved, or that were not on this host before."""
    last = _last_of(moved, ids)
    _fill_in(list(last.values()))
    fresh: list[DefinitionVersion] = []
    for sighting in moved:
        old = last.get(sighting.vm_id)
        kind, text = definition_of(sighting)
        digest = meaning(kind, text) if old is not None else ""
        if old is not None and old.digest == digest:
            sighting.version = old
            continue
        sighting.version = _version(host_id, sighting, old, digest, now)
        fresh.append(sighting.version)
    if not fresh:
        return
    name = Host.objects.filter(pk=host_id).values_list("name", flat=True).first() or ""
    for version in fresh:
        version.host_name = name
    _credit(fresh, last, now)
    _insert(fresh)
    for sighting in moved:
        sighting.version = sighting.version  # The key is known only now.
    _prune([version.vm_id for version in fresh if version.vm_id in last])


def _insert(fresh: list[DefinitionVersion]) -> None:
    """Write them. The guests' rows are ours, so the newest version of each is the one just written."""
    bulk.insert(fresh)
    newest = DefinitionVersion.objects.filter(vm_id__in=[version.vm_id for version in fresh]).order_by()
    keys = dict(newest.values_list("vm_id").annotate(Max("pk")))
    for version in fresh:
        version.pk = keys[version.vm_id]


def _fill_in(versions: list[DefinitionVersion]) -> None:
    """The digests of those that have none yet, all at once."""
    blank = [version for version in versions if not version.digest]
    for version in blank:
        version.digest = meaning(version.kind, version.text)
    DefinitionVersion.objects.bulk_update(blank, ["digest"])


def _last_of(moved: list[Sighting], ids: dict[uuid.UUID, int]) -> dict[uuid.UUID, DefinitionVersion]:
    """What each was before on this host, or else the newest that is known of it at all."""
    strangers = [sighting.vm_id for sighting in moved if sighting.vm_id not in ids]
    newest = DefinitionVersion.objects.filter(vm_id__in=strangers).values("vm").annotate(last=Max("pk"))
    wanted = [ids[sighting.vm_id] for sighting in moved if sighting.vm_id in ids]
    wanted += [row["last"] for row in newest] if strangers else []
    return {version.vm_id: version for version in DefinitionVersion.objects.filter(pk__in=wanted)} if wanted else {}


def _version(
    host_id: int, sighting: Sighting, old: DefinitionVersion | None, digest: str, now: datetime
) -> DefinitionVersion:
    kind, text = definition_of(sighting)
    different = differences(old, kind, text) if old is not None else []
    return DefinitionVersion(
        vm_id=sighting.vm_id,
        host_id=host_id,
        kind=kind,
        digest=digest,
        mark=mark_of(text),
        text=text,
        seen_at=now,
        changes=[[d.path, _cut(d.before), _cut(d.after)] for d in different[:MOST_CHANGES]],
        changes_count=len(different),
    )


def differences(old: DefinitionVersion, kind: str, text: str) -> list[changes.Difference]:
    """What a definition has changed; [] where one of the two cannot be read."""
    try:
        return changes.diff(readable(old.kind, old.text), readable(kind, text)).changes
    except MalformedDefinition:
        return []


def readable(kind: str, text: str) -> str:
    """A definition as it is compared. Raises MalformedDefinition."""
    return quiet(text) if kind == Kind.LIVE else text


def words(change: changes.Difference | Sequence[str | None]) -> str:
    """One difference as people say it: 'memory: 128.0 MiB → 256.0 MiB', 'disk vdb: added'."""
    path, before, after = change
    place = place_words(path or "")
    if before is None:
        return _("%(what)s: added") % {"what": place} + _said(after) if is_element(after) else f"{place}: – → {after}"
    if after is None:
        return (
            _("%(what)s: removed") % {"what": place} + _said(before) if is_element(before) else f"{place}: {before} → –"
        )
    return f"{place}: {value_words(path, before)} → {value_words(path, after)}"


def place_words(path: str) -> str:
    """'devices/disk[vda]/driver@cache' → 'disk vda driver cache'."""
    return re.sub(r"[/@\[]", " ", path.removeprefix("devices/").replace("]", "")).strip() or "domain"


def is_element(value: str | None) -> bool:
    """Whether what a difference tells is a whole element."""
    return (value or "").lstrip().startswith("<")


def _said(element: str | None) -> str:
    """What an element that holds nothing but words says."""
    found = re.fullmatch(r"<[\w:.-]+>([^<]+)</[\w:.-]+>", (element or "").strip())
    return f" ({found[1].strip()})" if found else ""


def value_words(path: str | None, value: str) -> str:
    """A value for people: libvirt writes memory in KiB."""
    if path in ("memory", "currentMemory", "maxMemory") and value.isdigit():
        return size(int(value) * 1024)
    return value


def _cut(value: str | None) -> str | None:
    return value if value is None or len(value) <= LONGEST_VALUE else value[: LONGEST_VALUE - 1] + "…"


def _credit(fresh: list[DefinitionVersion], last: dict[uuid.UUID, DefinitionVersion], now: datetime) -> None:
    """Say whose operation made them: one that runs, or has ended a moment ago and no version was seen since."""
    defining = [name for name, kind in registry.items() if getattr(kind, "defines", False)]
    at_it = Q(state=Operation.State.RUNNING) | Q(finished_at__gte=now - MOMENT)
    operations = Operation.objects.filter(at_it, kind__in=defining, subject_uuid__in=[v.vm_id for v in fresh])
    doing: dict[uuid.UUID | None, Operation] = {}
    for operation in operations.exclude(started_at=None).select_related("actor").order_by("started_at"):
        doing[operation.subject_uuid] = operation
    for version in fresh:
        maker = doing.get(version.vm_id)
        if maker is not None and _is_its_doing(maker, version, last.get(version.vm_id)):
            version.operation, version.actor, version.actor_name = maker, maker.actor, maker.actor_name


def _is_its_doing(operation: Operation, version: DefinitionVersion, old: DefinitionVersion | None) -> bool:
    if operation.finished_at is None:
        return True
    made = operation.result.get("digest")
    if made is not None:
        return bool(made == version.digest)
    return old is None or old.seen_at < operation.finished_at


def _prune(keys: list[uuid.UUID]) -> None:
    """Forget the oldest beyond ``settings.DEFINITION_VERSIONS`` of each guest, but none that is in use."""
    ranked = DefinitionVersion.objects.filter(vm_id__in=keys).annotate(
        rank=Window(RowNumber(), partition_by=F("vm"), order_by=F("id").desc())
    )
    old = list(ranked.filter(rank__gt=settings.DEFINITION_VERSIONS).values_list("pk", flat=True)) if keys else []
    if old:
        used = Sighting.objects.filter(version_id__in=old).values_list("version_id", flat=True)
        DefinitionVersion.objects.filter(pk__in=set(old) - set(used)).delete()


def versions_of(key: uuid.UUID) -> QuerySet[DefinitionVersion]:
    """A guest's versions, the newest first."""
    return DefinitionVersion.objects.filter(vm_id=key).order_by("-id")


def sighting_of(vm: VirtualMachine) -> Sighting | None:
    """What the host where the guest is says of it, with the version that its definition is."""
    if vm.host_id is None:
        return None
    return Sighting.objects.select_related("version", "host").filter(vm=vm, host_id=vm.host_id).first()


def digest_now(sighting: Sighting) -> str:
    """The digest of the definition that counts."""
    if sighting.version is not None:
        return digest_of(sighting.version)
    return meaning(*definition_of(sighting))
