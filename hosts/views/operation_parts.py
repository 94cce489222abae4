"""What each live piece of the operations' pages shows. Page and push use the same functions."""

from __future__ import annotations

from typing import Any

from django.db.models import QuerySet
from django.urls import NoReverseMatch, reverse
from django.utils.translation import gettext as _

from hosts import access
from hosts.filtering import uuid_of
from hosts.models import Operation, User
from hosts.operations import presenter, queue
from hosts.operations.kind import registry

Context = dict[str, Any]
#: a log longer than this is shown from its end
MOST_LINES = 500
#: codes of failures whose sentence is our own and says what to try: none at all, and VIR_ERR_MIGRATE_UNSAFE
OWN_WORDS = (None, 0, 81)
#: kind of the offer → the verb it needs
FORCE_KIND, FORCE_VERB = "destroy", "vm.destroy"


def visible(user: User) -> QuerySet[Operation]:
    """The operations this user may see."""
    return access.visible_to(user, Operation.objects.all())


def find(identifier: str, user: User) -> Operation | None:
    """The operation named by a fragment's key, if it is there and may be seen."""
    key = uuid_of(identifier)
    return visible(user).select_related("host", "parent").filter(pk=key).first() if key else None


def row(identifier: str, user: User) -> Context | None:
    """One row of a list."""
    operation = find(identifier, user)
    return {"operation": presenter.present(operation, user)} if operation else None


def head(identifier: str, user: User) -> Context | None:
    """Name, state, who, when, and what can be done."""
    operation = find(identifier, user)
    return head_of(operation, user) if operation else None


def head_of(operation: Operation, user: User) -> Context:
    """:func:`head` for a row at hand."""
    return {"operation": presenter.present(operation, user), "is_bulk": operation.kind == queue.BULK}


def detail(identifier: str, user: User) -> Context | None:
    """All but the log and the parts."""
    operation = find(identifier, user)
    return detail_of(operation, user) if operation else None


def detail_of(operation: Operation, user: User) -> Context:
    """:func:`detail` for a row at hand."""
    shown = presenter.present(operation, user)
    return {
        "operation": shown,
        "is_bulk": operation.kind == queue.BULK,
        "arguments": _arguments(operation),
        "figures": operation.progress if operation.kind == "migrate" and "total" in operation.progress else None,
        "moved": _moved(operation),
        "advice": advice(operation),
        "force": _force(operation, user),
        "again": _again(operation, user),
        "signals": _signals(operation, user),
        "counts": _counts(operation),
        "attempts": operation.attempt,
    }


def log(identifier: str, user: User) -> Context | None:
    """What it said."""
    operation = find(identifier, user)
    return log_of(operation) if operation else None


def log_of(operation: Operation) -> Context:
    """:func:`log` for a row at hand."""
    newest = list(operation.log.order_by("-serial")[: MOST_LINES + 1])
    lines = newest[:MOST_LINES][::-1]
    return {"operation_id": str(operation.pk), "lines": lines, "cut": len(newest) > MOST_LINES, "most": MOST_LINES}


def _arguments(operation: Operation) -> list[tuple[str, Any]]:
    """What was asked for, in reading order; a bulk's are those of each of its parts."""
    found = operation.arguments
    if operation.kind == queue.BULK:
        found = found.get("arguments", {})
    labels = {
        "host": _("To host"),
        "bandwidth": _("Bandwidth, MiB/s"),
        "copy_storage": _("Copy the disks too"),
        "persist": _("Define it on the target"),
        "undefine_source": _("Remove the definition at the source"),
        "unsafe": _("The storage is shared – I know it"),
        "auto_converge": _("Slow the guest down if it must be"),
        "wait": _("Wait, in seconds"),
        "enabled": _("Start with the host"),
        "enable": _("Enable after the test"),
        "title": _("Title"),
        "description": _("Description"),
        "tags": _("Tags"),
        "add_tags": _("Add tags"),
        "remove_tags": _("Remove tags"),
        "folder": _("Folder"),
    }
    if not found.get("bandwidth", 1):
        found = found | {"bandwidth": _("no limit")}
    return [(labels.get(name, name.replace("_", " ").capitalize()), _worded(value)) for name, value in found.items()]


def _worded(value: Any) -> str:
    if isinstance(value, bool):
        return _("yes") if value else _("no")
    if isinstance(value, list):
        return ", ".join(str(item) for item in value) or "–"
    return str(value) if value not in (None, "") else "–"


def _moved(operation: Operation) -> Context | None:
    """The figures of a move that arrived, as libvirt measured them."""
    result = operation.result
    if operation.kind != "migrate" or result.get("total_ms") is None:
        return None
    return {**result, "seconds": float(result["total_ms"]) / 1000}


def _counts(operation: Operation) -> list[tuple[str, int]]:
    """How many parts of a bulk are in which state, worst first."""
    if operation.kind != queue.BULK:
        return []
    counts = operation.progress.get("counts", {})
    order = ("failed", "unknown", "refused", "cancelled", "running", "queued", "succeeded")
    return [(state, counts[state]) for state in order if counts.get(state)]


def _signals(operation: Operation, user: User) -> tuple[str, ...]:
    """What may be asked of it now."""
    kind = registry.get(operation.kind)
    if kind is None or operation.state != Operation.State.RUNNING or not queue.may_cancel(user, operation):
        return ()
    return kind.signals


def _force(operation: Operation, user: User) -> Context | None:
    """The offer to force off a guest that did not obey; only while that was the last thing asked of it."""
    if operation.kind != "shutdown" or operation.state != Operation.State.FAILED or operation.subject_uuid is None:
        return None
    later = Operation.objects.filter(subject_uuid=operation.subject_uuid, created_at__gt=operation.created_at)
    if not access.may(user, FORCE_VERB) or later.exists():
        return None
    try:
        url = reverse("vms:act", args=[operation.subject_uuid, FORCE_KIND])
    except NoReverseMatch:
        return None
    return {"url": url, "name": operation.subject_name}


def _again(operation: Operation, user: User) -> str:
    """Where a move that came to nothing is asked for again, with other choices."""
    if operation.kind != "migrate" or operation.subject_uuid is None or operation.is_active:
        return ""
    if operation.state == Operation.State.SUCCEEDED or not access.may(user, "vm.migrate"):
        return ""
    try:
        return reverse("vms:act", args=[operation.subject_uuid, operation.kind])
    except NoReverseMatch:
        return ""


def advice(operation: Operation) -> str:
    """What to try, by what went wrong; nothing where the sentence is our own and says it already."""
    if operation.error and operation.error.get("type") == "Failed" and operation.error.get("code") in OWN_WORDS:
        return ""
    return str(_advice().get(str(operation.error.get("type", "")), "")) if operation.error else ""


def _advice() -> dict[str, str]:
    network = _(
        "Open the host's page and use “Test connection”: it says at which step it ends. Ask again once it is back."
    )
    rights = _("Mend the host's access data (Hosts, Edit), test the connection, then ask again.")
    return {
        "Unreachable": network,
        "Refused": _("Nothing was changed. Mend what the message names, then ask again."),
        "Silent": _(
            "The host's libvirt daemon does not answer. Look at it on the host itself: systemctl status libvirtd."
        ),
        "AuthenticationFailed": rights,
        "HostKeyUntrusted": rights,
        "CertificateUntrusted": rights,
        "NotFound": _("It is not on that host any more. Refresh the host, and look where it is now."),
        "Conflict": _(
            "Something else holds it, or its state has changed meanwhile. Look at its state, then ask again."
        ),
        "Unsupported": _("This host's hypervisor cannot do that. Another way, or another host, is needed."),
        "Failed": _(
            "Mend what the message names, then ask again; the host's log (journalctl -u libvirtd) often says more."
        ),
        "Uncertain": _(
            "Look at what it acted on before asking for anything else; kvmdash does not repeat a change blindly."
        ),
        "Broken": _("This is a fault in kvmdash. Look at what it acted on, and report the log below."),
    }
