"""Changes of storage by the API: an address for each kind, made from the registry."""

from __future__ import annotations

from collections.abc import Callable
from inspect import Parameter, Signature
from typing import Any

from django.http import HttpRequest, HttpResponse
from ninja import Router
from pydantic import BaseModel

from hosts import access
from hosts.api_schemas import AnyArguments, NoArguments, OperationOut
from hosts.api_storage import OF_HOST, PoolName, VolumeId, pool_of, router, visible_volumes
from hosts.api_storage_bodies import (
    PoolAutostartBody,
    PoolDefineBody,
    PoolDeleteBody,
    PoolFindBody,
    PoolStopBody,
    VolumeCloneBody,
    VolumeCreateBody,
    VolumeDeleteBody,
    VolumeFetchBody,
    VolumeResizeBody,
    VolumeUploadBody,
    VolumeWipeBody,
)
from hosts.api_tools import Accepted, accepted, find, sent
from hosts.models import Host, StorageVolume
from hosts.operations import queue
from hosts.operations.kind import Kind, registry
from hosts.operations.storage_base import PoolKind
from hosts.operations.volume_base import VolumeKind
from hosts.problems import CHANGE
from hosts.requests import actor_of

__all__ = ["router"]
#: kind → what it takes
ARGUMENTS: dict[str, type[BaseModel]] = {
    "pool-define": PoolDefineBody,
    "pool-find": PoolFindBody,
    "pool-start": NoArguments,
    "pool-stop": PoolStopBody,
    "pool-autostart": PoolAutostartBody,
    "pool-refresh": NoArguments,
    "pool-delete": PoolDeleteBody,
    "volume-create": VolumeCreateBody,
    "volume-upload": VolumeUploadBody,
    "volume-fetch": VolumeFetchBody,
    "volume-clone": VolumeCloneBody,
    "volume-resize": VolumeResizeBody,
    "volume-read-ova": NoArguments,
    "volume-wipe": VolumeWipeBody,
    "volume-delete": VolumeDeleteBody,
}
Places = dict[str, Any]


def add(
    kind: Kind,
    path: str,
    places: Places,
    row_of: Callable[..., Any],
    arguments: type[BaseModel] = AnyArguments,
    on: Router = router,
) -> None:
    """Let ``POST path`` ask for the kind. ``places`` are the parameters in the path, which ``row_of`` takes after the request."""

    def act(request: HttpRequest, response: HttpResponse, **given: Any) -> Accepted:
        row = row_of(request, *[given[name] for name in places])
        asked = queue.enqueue(kind.name, row, sent(given.get("arguments")), actor_of(request, "api"))
        return accepted(request, response, asked)

    act.__name__ = act.__qualname__ = kind.name.replace("-", "_")
    act.__doc__ = type(kind).__doc__
    act.__signature__ = _signature(places, arguments)  # type: ignore[attr-defined] # What ninja reads.
    decorate = on.post(
        path,
        response={202: OperationOut, **CHANGE},
        operation_id=f"ask_{act.__name__}",
        summary=str(kind.label),
        url_name=f"ask-{kind.name}",
    )
    decorate(act)


def _signature(places: Places, arguments: type[BaseModel]) -> Signature:
    """The parameters; the body may be left out where the kind needs no arguments."""
    described = arguments.model_json_schema()
    required = {"required", "oneOf"} & set(described)
    body = (arguments, Parameter.empty) if required else (arguments | None, None)
    either = Parameter.POSITIONAL_OR_KEYWORD
    return Signature(
        [
            Parameter("request", either, annotation=HttpRequest),
            Parameter("response", either, annotation=HttpResponse),
            *[Parameter(name, either, annotation=kind) for name, kind in places.items()],
            Parameter("arguments", either, annotation=body[0], default=body[1]),
        ]
    )


def host_named(request: HttpRequest, name: str) -> Host:
    return find(access.visible_to(request.user, Host.objects.all()), name=name)


def _volume(request: HttpRequest, pk: int) -> StorageVolume:
    return find(visible_volumes(request), pk=pk)


for _name, _kind in sorted(registry.items()):
    _body = ARGUMENTS.get(_name, AnyArguments)
    if isinstance(_kind, PoolKind):
        _verb = _name.removeprefix("pool-")
        add(_kind, f"pools/{{host}}/{{name}}/{_verb}", {"host": OF_HOST, "name": PoolName}, pool_of, _body)
    elif isinstance(_kind, VolumeKind):
        add(_kind, f"volumes/{{id}}/{_name.removeprefix('volume-')}", {"id": VolumeId}, _volume, _body)
    elif _name == "volume-create":
        add(_kind, "pools/{host}/{name}/volumes", {"host": OF_HOST, "name": PoolName}, pool_of, _body)
    elif _name == "volume-upload":
        add(_kind, "pools/{host}/{name}/uploads", {"host": OF_HOST, "name": PoolName}, pool_of, _body)
    elif _name == "volume-fetch":
        add(_kind, "pools/{host}/{name}/fetch", {"host": OF_HOST, "name": PoolName}, pool_of, _body)
    elif _name in ("pool-define", "pool-find"):
        add(_kind, f"hosts/{{name}}/{_name}", {"name": OF_HOST}, host_named, _body)
