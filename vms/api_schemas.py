"""What the API says of guests, and what is said to it."""

from __future__ import annotations

from datetime import datetime
from typing import Annotated, Any, Literal
from uuid import UUID

from ninja import Field, Schema
from pydantic import BaseModel, StringConstraints

from hosts.api_schemas import Body, NoArguments, Page, Paging
from hosts.api_storage_bodies import Name as VolumeName
from hosts.operations.kind import registry
from vms.api_definition import DefineArguments
from vms.api_hardware import HARDWARE
from vms.models import VirtualMachine
from vms.operations.base import GuestKind
from vms.selection import LONGEST_VALUE, SORTS

STATES = "|".join(VirtualMachine.PowerState.values)
TYPED = r"^[^\x00-\x1f\x7f-\x9f]*$"
LINE = r"^[^\x00-\x1f]*$"
TEXT = r"^([^\x00-\x08\x0b-\x1f]|\r\n)*$"
TAG = r"^\w[\w .:/+-]{0,39}$"
DISK = r"^[A-Za-z0-9]+$"
FOLDER = r"^(\w[\w .+-]{0,59}(/\w[\w .+-]{0,59})*)?$"
MOST_AT_ONCE = 500


def _filter(description: str, pattern: str = LINE) -> Any:
    """A filter; it is vms.selection that checks it, the pattern tells people beforehand."""
    extra: dict[str, Any] = {"pattern": pattern, "maxLength": LONGEST_VALUE}
    return Field(None, description=description, json_schema_extra=extra)


def _flag(description: str) -> Any:
    return _filter(description, r"^(yes|no|true|false|1|0)?$")


class VmQuery(Paging):
    """Which guests, in which order: the same as on the page."""

    q: str | None = _filter("Words that must all be found in name, title, UUID, folder, host, tags, MAC or address.")
    seen: str | None = _filter("Default present.", r"^(present|live|stale|gone|all)?$")
    state: str | None = _filter("One or more, divided by commas.", rf"^(({STATES})(,({STATES}))*)?$")
    host: str | None = _filter("Names of hosts, divided by commas.")
    tag: str | None = _filter("All of these tags, divided by commas.")
    folder: str | None = _filter("This folder and those in it; / for guests in none.")
    os: str | None = _filter("The operating system, as the definition names it.")
    console: str | None = _flag("Has a graphical console.")
    agent: str | None = _flag("The guest agent answers.")
    autostart: str | None = _flag("Starts with its host.")
    persistent: str | None = _flag("Is kept when it is off.")
    saved: str | None = _flag("Has saved memory.")
    busy: str | None = _flag("An operation on it waits or runs.")
    sort: str = Field(
        "name",
        description="What to sort by; '-' before it for descending.",
        json_schema_extra={"pattern": f"^-?({'|'.join(SORTS)})$"},
    )


class VmOut(Schema):
    """A guest as last seen. Sizes in bytes."""

    uuid: UUID
    name: str
    title: str
    folder: str
    tags: list[str]
    host: str | None
    power_state: str = Field(json_schema_extra={"enum": list(VirtualMachine.PowerState.values)})
    power_reason: str
    state_since: datetime
    seen_at: datetime | None
    absent_since: datetime | None = Field(description="Since when no host holds it.")
    stale: bool = Field(description="Its host cannot be asked now: all of this is as last seen.")
    persistent: bool
    autostart: bool
    managed_save: bool
    protected: bool = Field(description="It is not deleted before this is taken away.")
    template: bool = Field(description="Others are copied from it, and it is not started.")
    agent_connected: bool | None
    os_type: str
    arch: str
    machine: str
    firmware: str = Field(description="bios, efi, or secure (UEFI with Secure Boot); empty when not known.")
    vcpus: int
    memory: int
    cpu_percent: float | None
    memory_used: int | None
    addresses: list[Any]


class SightingOut(Schema):
    """What one host says of the guest."""

    host: str
    name: str
    power_state: str
    power_reason: str
    persistent: bool
    autostart: bool
    managed_save: bool
    since: datetime
    seen_at: datetime
    absent_since: datetime | None


class WatcherOut(Schema):
    """A console that is open."""

    user: str
    kind: str = Field(description="vnc or serial.")
    device: str = Field(description="The alias of a text console; empty for the screen.")
    view_only: bool
    opened_at: datetime


class SnapshotOut(Schema):
    """A snapshot as its host told at the last look."""

    name: str
    parent: str
    created: int = Field(description="Unix seconds, by the host's clock.")
    state: str = Field(description="What the guest was: running, paused, shutoff, disk-snapshot.")
    memory: str = Field(description="no, internal or external.")
    disks: list[Any]
    description: str
    current: bool


class VmDetail(VmOut):
    """All of a guest."""

    description: str
    disks: list[Any]
    nics: list[Any]
    graphics: list[Any]
    devices: list[Any]
    sightings: list[SightingOut]
    snapshots: list[SnapshotOut]
    consoles: list[WatcherOut] = Field(description="The consoles that are open.")
    operation: UUID | None = Field(description="The operation that waits or runs and keeps others out.")
    definition: str = Field(description="The domain XML where it is now: the live one if it runs. Without secrets.")


class VmPage(Page):
    """Some of the guests."""

    items: list[VmOut]


class ShutdownArguments(Body):
    """How long to wait."""

    wait: int = Field(120, ge=1, le=3600, description="Seconds until it is reported as not having obeyed.")


class AutostartArguments(Body):
    """On or off."""

    enabled: bool = Field(True, description="Start with its host, or not.")


class MetadataArguments(Body):
    """What is not named stays as it is."""

    model_config = Body.model_config | {"json_schema_extra": {"minProperties": 1}}

    title: str = Field("", max_length=255, pattern=LINE)
    description: str = Field("", max_length=8192, pattern=TEXT)
    tags: list[Annotated[str, StringConstraints(pattern=TAG)]] = Field([], max_length=40)
    folder: str = Field("", max_length=200, pattern=FOLDER, description="Such as shop/front.")


#: names of disks' targets, pools, networks and bridges
Named = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f/]{1,255}$")]
NamedOrNot = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f/]{0,255}$")]
#: a name that is none is no other property either, which pydantic's schema leaves open
NO_OTHERS: dict[str, Any] = {"additionalProperties": False}


class MigrateArguments(Body):
    """Where to, and how."""

    host: str = Field(max_length=63, pattern=r"^[A-Za-z0-9.-]+$", description="The host to move to, such as kvm2.")
    bandwidth: int = Field(0, ge=0, le=1024 * 1024, description="MiB a second; 0 is no limit.")
    copy_storage: bool = Field(False, description="Send the disks along; for disks the target cannot see.")
    persist: bool = Field(True, description="Define the guest on the target.")
    undefine_source: bool = Field(True, description="Remove the definition at the source.")
    unsafe: bool = Field(False, description="Skip libvirt's check that the disks are shared.")
    auto_converge: bool = Field(False, description="Slow the guest down so that the move ends.")
    max_downtime: int = Field(
        0, ge=0, le=60_000, description="Milliseconds it may stand still at the end; 0 is QEMU's own."
    )
    timeout: int = Field(0, ge=0, le=7 * 86400, description="Seconds after which `on_timeout` is done; 0 is never.")
    on_timeout: Literal["abort", "suspend", "converge", "post-copy"] = Field(
        "abort",
        description="Stop the move, pause the guest for its end, allow the longest pause, or switch to post-copy.",
    )
    policy: Literal["", "safe", "fast", "never-pause", "huge"] = Field(
        "", description="What is meant by everything that is left out; '' is the cluster's policy."
    )
    mode: Literal["auto", "live", "offline", "saved"] = Field(
        "auto", description="While it runs, while it is off, or by its saved memory; auto is as the guest is."
    )
    transport: Literal["auto", "p2p", "managed", "tunnelled"] = Field(
        "auto", description="Who talks to the target; auto is the source (p2p), and kvmdash where that cannot reach it."
    )
    tls: bool = Field(False, description="Encrypt what QEMU sends.")
    connections: int = Field(0, ge=0, le=64, description="Connections that send at once (multifd); 0 is the usual one.")
    compression: Literal["", "xbzrle", "mt", "zlib", "zstd"] = Field("", description="Of what is sent.")
    zero_copy: bool = Field(False, description="Send without copying first; over several connections only.")
    post_copy: bool = Field(False, description="Allow the switch to post-copy, which cannot be taken back.")
    incremental: bool = Field(False, description="Copy only the disks' top images: the target has what they stand on.")
    disks: dict[Named, NamedOrNot] = Field(
        {},
        max_length=200,
        json_schema_extra=NO_OTHERS,
        description="Disks to copy, others are shared: target (vda) → the target host's pool, '' for the same path.",
    )
    networks: dict[Named, Named] = Field(
        {},
        max_length=200,
        json_schema_extra=NO_OTHERS,
        description="Networks and bridges that have another name on the target.",
    )
    state_pool: NamedOrNot = Field("", description="Where its memory is saved meanwhile; a pool both hosts see.")


SNAPSHOT_NAME = r"^[\w][\w.:+-]*$"


class SnapshotCreateArguments(Body):
    """What the snapshot holds, and where."""

    name: str = Field(max_length=63, pattern=SNAPSHOT_NAME)
    description: str = Field("", max_length=2000, pattern=TEXT)
    where: Literal["internal", "external"] = Field(
        "internal", description="Inside the qcow2 images, or in files beside them."
    )
    memory: bool | None = Field(None, description="Left out: with memory where libvirt knows no other.")
    quiesce: bool = Field(False, description="Have the guest agent freeze file systems meanwhile.")


class SnapshotNameArguments(Body):
    """Which one."""

    name: str = Field(max_length=63, pattern=SNAPSHOT_NAME)


class SnapshotDeleteArguments(SnapshotNameArguments):
    """Which one, and whether those that stand on it go too."""

    children: bool = False


class SnapshotDescribeArguments(SnapshotNameArguments):
    """Which one, and the words."""

    description: str = Field("", max_length=2000, pattern=TEXT)


class FlagArguments(Body):
    """On or off."""

    enabled: bool = True


class UndefineArguments(Body):
    """What goes with it."""

    confirm: str = Field(max_length=255, description="The guest's name, typed.")
    disks: list[Annotated[str, StringConstraints(min_length=1, max_length=2000)]] = Field(
        [],
        max_length=200,
        description="Sources of its disks, as the guest's `disks` tell them, that are deleted with it.",
    )
    force: bool = Field(False, description="Pull its plug first when it runs.")


class BlockCopyArguments(Body):
    """Which disk, and where to."""

    target: str = Field(max_length=40, pattern=DISK, description="The disk as the guest has it, such as vda.")
    pool: str = Field(min_length=1, max_length=255, description="A pool of the guest's host that is on.")
    name: VolumeName = Field(description="The name of the new volume.")
    format: Literal["", "qcow2", "raw"] = Field("", description="Left out: the pool's first.")
    bandwidth: int = Field(0, ge=0, le=1024 * 1024, description="MiB a second; 0 is no limit.")
    delete_source: bool = Field(False, description="Delete the old volume when the guest has left it.")


class BlockResizeArguments(Body):
    """Which disk, and how large."""

    target: str = Field(max_length=40, pattern=DISK, description="The disk as the guest has it, such as vda.")
    capacity: int = Field(ge=1024, le=2**60, description="Bytes; only more than now.")


class FreezeArguments(Body):
    """How long."""

    seconds: int = Field(60, ge=1, le=600, description="After these it is thawed, whatever happens.")


class PasswordArguments(Body):
    """Whose, and which."""

    user: str = Field(max_length=100, pattern=r"^[^\s:\x00-\x1f\x7f-\x9f][^:\x00-\x1f\x7f-\x9f]*$")
    password: str = Field(
        min_length=1,
        max_length=500,
        pattern=r"^[^\x00-\x1f\x7f-\x9f]*$",
        description="Sealed until it is set, then forgotten.",
    )


#: kind → what it takes, for the documentation and the check of JSON types; the kind itself has the last word
ARGUMENTS: dict[str, type[BaseModel]] = {
    "define": DefineArguments,
    "shutdown": ShutdownArguments,
    "autostart": AutostartArguments,
    "set-metadata": MetadataArguments,
    "migrate": MigrateArguments,
    "snapshot-create": SnapshotCreateArguments,
    "snapshot-delete": SnapshotDeleteArguments,
    "snapshot-describe": SnapshotDescribeArguments,
    "snapshot-revert": SnapshotNameArguments,
    "protect": FlagArguments,
    "template": FlagArguments,
    "undefine": UndefineArguments,
    **HARDWARE,
    "block-copy": BlockCopyArguments,
    "block-resize": BlockResizeArguments,
    "fs-freeze": FreezeArguments,
    "set-user-password": PasswordArguments,
    **dict.fromkeys(
        (
            "start",
            "reboot",
            "reset",
            "destroy",
            "suspend",
            "resume",
            "managed-save",
            "managed-save-remove",
            "guest-info",
            "fs-thaw",
            "fs-trim",
            "tidy",
        ),
        NoArguments,
    ),
}


def verbs() -> list[str]:
    """What can be asked of a guest."""
    return sorted(name for name, kind in registry.items() if isinstance(kind, GuestKind))


class BulkBody(Body):
    """The same change for many guests."""

    verb: str = Field(
        max_length=40,
        description="One of the verbs that a single guest takes, such as start.",
        json_schema_extra=lambda schema: schema.update(enum=[verb for verb in verbs() if registry[verb].many]),
    )
    uuids: list[Annotated[UUID, Field(strict=False)]] = Field(min_length=1, max_length=MOST_AT_ONCE)
    arguments: dict[str, Any] = Field({}, description="As the verb takes them, for all of them the same.")


class ConsoleBody(Body):
    """How the console is wanted."""

    view_only: bool | None = Field(
        None,
        description="Without keyboard and mouse. Left out: as much as your rights allow; false without the right is 403.",
    )
    device: str = Field(
        "", max_length=80, description="The alias of a text console (GET vms/{uuid}/serial). Left out: the screen."
    )


class ConsoleOut(Schema):
    """The right to open one console once."""

    url: str = Field(
        description="A websocket that speaks RFB (VNC), or the records of a text console. It holds the ticket: do not log it."
    )
    view_only: bool
    expires_in: int = Field(description="Seconds until it must have been opened.")
