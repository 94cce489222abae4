"""Whether host and guest are in a state to move at all; snapshots; secrets."""

from __future__ import annotations

from vms.moving.preflight.facts import Guest, Hosts, Machine, Secret
from vms.moving.preflight.finding import Finding, listed, no, ok, sentence, unknown, warning

Known = tuple[str, bool, str, str, str, bool, bool, int | None]
#: states of a guest that can be moved while it runs
MOVABLE = ("running", "paused")
OFF = "shutoff"
IS_OFF = ok(sentence("It is off: its definition moves, and what is said here matters when it starts."))
RUNS = ok(sentence("It runs."))
NO_SNAPSHOTS = ok(sentence("It has no snapshots."))
NO_SECRETS = ok(sentence("It needs no secrets of libvirt."))


def host_needs(guest: Guest) -> int | None:
    """Where it is now."""
    return guest.host


def host_state(source_id: int | None, host: Machine, _hosts: Hosts) -> Finding:
    """Whether the host is there to take it."""
    words = {"host": host.name, "why": host.why}
    if source_id == host.id:
        return no(sentence("It is already there."))
    if not host.enabled:
        return no(sentence("%(host)s is disabled."), sentence("Enable it."), **words)
    if host.state != "connected":
        return no(sentence("%(host)s is not connected: %(why)s"), sentence("See its page for the reason."), **words)
    if host.maintenance:
        return no(sentence("%(host)s is in maintenance."), sentence("End its maintenance."), **words)
    return ok(sentence("%(host)s is connected."), **words)


def guest_needs(guest: Guest) -> Known:
    """Its state, and what it is known by."""
    own_files = guest.nvram or guest.tpm == "emulator"
    return guest.state, guest.present, guest.uuid, guest.name, guest.trouble, guest.saved, own_files, guest.host


def guest_state(need: Known, host: Machine, _hosts: Hosts) -> Finding:
    """It runs, or is off; neither itself nor its name may be at the target already."""
    state, present, uuid, name, trouble, saved, own_files, source_id = need
    if not present:
        return no(sentence("It is on no host that we see."))
    if state not in (*MOVABLE, OFF):
        return no(sentence("It is neither running nor off."), sentence("Start it, or force it off."))
    if source_id == host.id:
        return RUNS
    if uuid in host.running:
        return no(
            sentence("It seems to run on %(host)s too."),
            sentence("Settle first which of the two is right."),
            host=host.name,
        )
    if host.names.get(name, uuid) != uuid:
        return no(
            sentence("%(host)s has another guest called %(name)s."),
            sentence("Rename one of them."),
            host=host.name,
            name=name,
        )
    if trouble:
        return unknown(sentence("Its definition cannot be read."))
    if state == OFF:
        return _off(saved, own_files)
    if uuid in host.held:
        return warning(sentence("A definition left behind on %(host)s will be replaced."), "", host=host.name)
    return RUNS


def _off(saved: bool, own_files: bool) -> Finding:
    if saved:
        return no(sentence("Its saved memory lies on its host."), sentence("Start it first, or throw the memory away."))
    if own_files:
        text = sentence(
            "The variables of its firmware or its TPM lie on its host, and only a live move takes them along."
        )
        return no(text, sentence("Start it first."))
    return IS_OFF


def snapshot_needs(guest: Guest) -> int:
    """How many."""
    return guest.snapshots


def snapshots(count: int, _host: Machine, _hosts: Hosts) -> Finding:
    """libvirt moves no guest that has snapshots."""
    if count:
        text = sentence("It has %(count)s snapshots, and libvirt moves no guest that has any.")
        return no(text, sentence("Delete the snapshots (their contents are merged)."), count=count)
    return NO_SNAPSHOTS


def secret_needs(guest: Guest) -> tuple[Secret, ...]:
    """By what they are called."""
    return guest.secrets


def secrets(need: tuple[Secret, ...], host: Machine, _hosts: Hosts) -> Finding:
    """Secrets of disks and TPMs must be defined, with their values, on the target."""
    if not need:
        return NO_SECRETS
    words = {"count": len(need), "host": host.name}
    if host.secrets is None:
        text = sentence("It needs %(count)s secrets of libvirt; whether %(host)s has them is not known.")
        return unknown(text, sentence("See virsh secret-list there, and set their values."), **words)
    missing = [one.uuid or one.name for one in need if not any(_is_same(one, there) for there in host.secrets)]
    if missing:
        text = sentence("%(host)s does not have the secrets of libvirt that it needs: %(list)s.")
        mend = sentence("Define them there under the same UUID or usage, and set their values (virsh secret-define).")
        return no(text, mend, **words, list=listed(missing))
    text = sentence(
        "%(host)s has the %(count)s secrets that it needs; whether their values are set, libvirt does not tell."
    )
    return warning(text, sentence("If not, set them there (virsh secret-set-value)."), **words)


def _is_same(wanted: Secret, there: Secret) -> bool:
    if wanted.uuid:
        return wanted.uuid == there.uuid
    return wanted.name == there.name and wanted.use in ("", there.use)
