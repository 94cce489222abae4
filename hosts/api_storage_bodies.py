"""What the API's changes of storage take.

Bodies of pools are made from the table of types, so that each says what its type needs.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal, Union

from ninja import Field
from pydantic import BeforeValidator, ConfigDict, RootModel, create_model

from hosts.api_schemas import Body
from hosts.operations.pool_find import AT_SERVER
from hosts.operations.volume_wipe import ALGORITHMS
from hosts.storage_names import HIDDEN, LONGEST_NAME, LONGEST_PATH
from hosts.storage_types import TYPES, PoolType


def _whole(value: Any) -> Any:
    """JSON knows no difference between 7 and 7.0."""
    return int(value) if isinstance(value, float) and value.is_integer() else value


Whole = Annotated[int, BeforeValidator(_whole)]


def between(least: int, most: int) -> Any:
    """A whole number's type, described with its limits: those of a field around :data:`Whole` are lost inside of a union."""
    return Annotated[int, Field(ge=least, le=most), BeforeValidator(_whole)]


#: as hosts.storage_names checks them, in the words of all regular expressions: what it takes besides is taken by no schema
_IQN = r"^iqn\.[0-9]{4}-[0-9]{2}\.[A-Za-z0-9._:-]+$"
_SEGMENT = rf"(?:[^/.{HIDDEN}][^/{HIDDEN}]*|\.(?:[^/.{HIDDEN}][^/{HIDDEN}]*)?|\.\.[^/{HIDDEN}]+)?"
_PATH = rf"^(?:/{_SEGMENT})+$"
_HOST = r"^(?:[A-Za-z0-9][A-Za-z0-9._-]{0,253}|[0-9A-Fa-f:.]{2,45})$"
PATTERNS = {
    "name": rf"^[^/\\\s.\-{HIDDEN}](?:[^/\\{HIDDEN}]*[^/\\\s{HIDDEN}])?$",
    "path": _PATH, "folder": _PATH, "device": _PATH, "devices": _PATH, "host": _HOST, "target": _IQN, "initiator": _IQN,
    "hosts": r"^[A-Za-z0-9][A-Za-z0-9._-]{0,200}(?::[1-9][0-9]{0,3})?$",
    "source_name": r"^[A-Za-z0-9_+](?:\.?[A-Za-z0-9_+/@:-]){0,90}$",
    "adapter": r"^(?:scsi_)?host[0-9]{1,6}$", "wwnn": r"^[0-9A-Fa-f]{16}$", "wwpn": r"^[0-9A-Fa-f]{16}$",
    "username": rf"^[^\s{HIDDEN}]{{1,200}}$",
}  # fmt: skip
#: for the reader of the documentation
WORDS = {
    "path": "Folder on the host.", "host": "The server.", "hosts": "Ceph monitors.",
    "folder": "Export of the server, or folder of the volume.", "target": "Such as iqn.2026-01.com.example:disk1.",
    "source_name": "Volume group; Ceph, Gluster or ZFS pool.", "adapter": "Such as host2.",
    "password": "Kept by the host's libvirt as a secret; a Ceph key in base64.",
}  # fmt: skip
Name = Annotated[str, Field(min_length=1, max_length=LONGEST_NAME, pattern=PATTERNS["name"])]


def _field(kind: PoolType, name: str) -> tuple[Any, Any]:
    """Annotation and default of one field of a type."""
    needed = name in kind.required
    hint: Any = _text(kind, name)
    if name == "port":
        hint = between(1, 65535)
    elif name == "format":
        hint = Literal[kind.formats]
    elif name in ("hosts", "devices"):
        hint = Annotated[list[hint], Field(min_length=1, max_length=32)]
    default = Field(... if needed else None, description=WORDS.get(name))
    return (hint if needed else hint | None, default)


def _text(kind: PoolType, name: str) -> Any:
    if name == "password":
        return Annotated[str, Field(min_length=1, max_length=1000, pattern=_BASE64 if kind.auth == "ceph" else None)]
    return Annotated[str, Field(min_length=1, max_length=LONGEST_PATH, pattern=PATTERNS.get(name))]


_BASE64 = r"^(?:[A-Za-z0-9+/]{4}){1,200}$"
_NO_NULL = {"not": {"type": "null"}}


def _together(kind: PoolType) -> dict[str, Any]:
    """What of a type's fields goes together, as JSON Schema."""
    rules: list[dict[str, Any]] = []
    for one, other in (("username", "password"), ("password", "username")):
        if kind.auth:
            rules.append(_if({one: _NO_NULL}, {other: _NO_NULL}))
    if kind.name == "scsi":
        adapter = {"required": ["adapter"], "properties": {"adapter": _NO_NULL}}
        port = {"required": ["wwnn", "wwpn"], "properties": {"wwnn": _NO_NULL, "wwpn": _NO_NULL}}
        rules.append({"anyOf": [adapter, port]})
    if kind.name in ("logical", "zfs"):
        rules.append(_if({"build": {"const": True}}, {"devices": _NO_NULL}))
    return {"allOf": rules} if rules else {}


def _if(condition: dict[str, Any], consequence: dict[str, Any]) -> dict[str, Any]:
    return {
        "if": {"required": list(condition), "properties": condition},
        "then": {"required": list(consequence), "properties": consequence},
    }


def _define_body(kind: PoolType) -> type[Body]:
    fields: dict[str, Any] = {"type": (Literal[kind.name], ...), "name": (Name, ...)}
    fields |= {name: _field(kind, name) for name in kind.fields}
    if kind.builds:
        words = "Make the folder, file system or group; never over something that is there."
        fields["build"] = (bool, Field(False, description=words))
    fields |= dict.fromkeys(("start", "autostart"), (bool, False))
    base = type(
        "PoolBody", (Body,), {"model_config": ConfigDict(**Body.model_config, json_schema_extra=_together(kind))}
    )
    title = "".join(part.capitalize() for part in kind.name.split("-"))
    return create_model(f"Pool{title}Body", __base__=base, __doc__=f"{kind.label}: {kind.hint}", **fields)


def _find_body(kind: PoolType) -> type[Body]:
    fields: dict[str, Any] = {"type": (Literal[kind.name], ...)}
    if kind.name in AT_SERVER:
        fields["host"] = (Annotated[str, Field(pattern=_HOST)], ...)
    if "initiator" in kind.fields:
        fields["initiator"] = (Annotated[str, Field(max_length=LONGEST_PATH, pattern=_IQN)] | None, None)
    return create_model(f"Find{kind.name.replace('-', ' ').title().replace(' ', '')}Body", __base__=Body, **fields)


_DEFINE = tuple(_define_body(kind) for kind in TYPES.values())
_FIND = tuple(_find_body(kind) for kind in TYPES.values() if kind.finds)


class PoolDefineBody(RootModel[Annotated[Union[_DEFINE], Field(discriminator="type")]]):  # type: ignore[valid-type]  # noqa: UP007
    """A pool; what else there is depends on its type."""


class PoolFindBody(RootModel[Annotated[Union[_FIND], Field(discriminator="type")]]):  # type: ignore[valid-type]  # noqa: UP007
    """Where to look for sources of pools of a type."""


class PoolStopBody(Body):
    """Stopping a pool."""

    confirm: str = Field("", max_length=255, description="Its name, where guests have volumes of it open.")


class PoolAutostartBody(Body):
    """Whether it starts with the host."""

    enabled: bool = True


class VolumeCreateBody(Body):
    """A new volume."""

    model_config = ConfigDict(
        **Body.model_config,
        json_schema_extra=_if({"backing": _NO_NULL}, {})
        | {"then": {"properties": {"format": {"const": "qcow2"}, "allocate": {"const": False}}}},
    )

    name: Name
    capacity: Whole = Field(ge=1024, le=2**60, description="Bytes that a guest sees.")
    format: Literal["qcow2", "raw"] = Field("qcow2", description="Pools of block devices have raw alone.")
    allocate: bool = Field(False, description="Take the whole size of the pool at once.")
    backing: str | None = Field(
        None, min_length=1, max_length=2000, description="Path of a volume of that host which it lies on (qcow2 only)."
    )


_URL = r"^https?://[A-Za-z0-9](?:[A-Za-z0-9.-]*[A-Za-z0-9])?(?::[1-9][0-9]{0,3})?(?:/[A-Za-z0-9._~/%+-]*)?(?:\?[A-Za-z0-9._~/%+=&-]*)?$"
_CHECKSUM = r"^(?:(?:sha256:)?[0-9a-f]{64}|(?:sha512:)?[0-9a-f]{128})$"


class VolumeUploadBody(Body):
    """A new volume whose bytes are then sent."""

    name: Name
    size: Whole = Field(ge=1, le=2**60, description="Bytes that are to come.")
    checksum: str | None = Field(None, pattern=_CHECKSUM, description="SHA-256 or SHA-512 that all of it must have.")
    fingerprint: str | None = Field(
        None, pattern=r"^[0-9a-f]{64}$", description="Kept for the sender, to know the file again."
    )


class VolumeFetchBody(Body):
    """A new volume of what lies at an address."""

    url: str = Field(min_length=8, max_length=2000, pattern=_URL, description="http or https, without a password.")
    name: Name | None = Field(None, description="Left out: the file's own.")
    checksum: str | None = Field(
        None, max_length=2000, pattern=rf"(?:{_CHECKSUM})|(?:{_URL})",
        description="SHA-256 or SHA-512 that it must have, or the address of a list such as SHA256SUMS.",
    )  # fmt: skip


class VolumeCloneBody(Body):
    """A copy."""

    name: Name


class VolumeResizeBody(Body):
    """Another size."""

    capacity: Whole = Field(ge=1024, le=2**60, description="Bytes that a guest sees.")
    confirm: str = Field("", max_length=1000, description="Its name, to make it smaller.")


class VolumeWipeBody(Body):
    """Overwriting it."""

    algorithm: Literal[ALGORITHMS] = "zero"  # type: ignore[valid-type]
    confirm: str = Field(max_length=1000, description="Its name.")


class VolumeDeleteBody(Body):
    """Deleting it."""

    confirm: str = Field("", max_length=1000, description="Its name, when it is used.")


class PoolDeleteBody(Body):
    """Deleting a pool."""

    delete_storage: bool = Field(False, description="Delete the storage itself too.")
    confirm: str = Field("", max_length=255, description="Its name; needed with delete_storage.")
