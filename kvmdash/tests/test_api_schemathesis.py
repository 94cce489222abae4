"""The API against its own description: schemathesis sends what the OpenAPI allows, and what it forbids."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any
from uuid import UUID

import pytest
import schemathesis
from django.core.cache import cache
from django.core.handlers.wsgi import WSGIHandler
from django.core.signals import request_finished, request_started
from django.db import close_old_connections, transaction
from hypothesis import HealthCheck, settings

from hosts import filter_xml
from hosts.audit import Actor
from hosts.models import ApiToken, Operation
from hosts.operations import queue
from kvmdash.api import api
from kvmdash.tests.cluster import VM1, VM2
from kvmdash.tests.verbs import ARGUMENTS
from vms.api_schemas import MOST_AT_ONCE

#: per kind of case and route; the seed is fixed, so that a run says the same as the one before
CONFIG: dict[str, Any] = {
    "generation": {"deterministic": True, "max-examples": 15, "database": "none"},
    # What is too long is refused as such (413), or where the rest of it is looked at.
    "checks": {
        "negative_data_rejection": {"expected-statuses": [400, 401, 403, 404, 405, 406, 409, 413, 415, 422, 428, 429]}
    },
}
OPERATION = UUID(int=70)
#: verb → what it cannot do without: what arguments may be depends on the verb, which JSON Schema does not see here


@pytest.fixture
def open_connections() -> Iterator[None]:
    """Requests do not close the connection that the test's transaction is on (django.test.Client does the same)."""
    for signal in (request_started, request_finished):
        signal.disconnect(close_old_connections)
    yield
    for signal in (request_started, request_finished):
        signal.connect(close_old_connections)


def _described() -> Any:
    """The API as it describes itself. Not from_fixture: that does not work with this pytest."""
    described = schemathesis.openapi.from_dict(api.get_openapi_schema(), config=schemathesis.Config.from_dict(CONFIG))
    described.app = WSGIHandler()
    return described


schema = _described()


@pytest.fixture
def token(people: dict[str, Any], cluster: dict[str, Any], open_connections: None) -> str:
    """An administrator's, with an operation under way."""
    moving = queue.enqueue("migrate", cluster["web2"], {"host": "kvm1"}, Actor(people["operator"]))
    Operation.objects.filter(pk=moving.pk).update(id=OPERATION, state=Operation.State.RUNNING)
    return ApiToken.issue(people["administrator"], "schemathesis")[1]


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture])
@schema.parametrize()
def test_every_answer_is_as_described_and_what_is_forbidden_is_refused(case: Any, token: str) -> None:
    _aim(case)
    cache.clear()  # No case is held up for the wrong tokens of those before.
    with transaction.atomic():
        case.call_and_validate(headers={"Authorization": f"Bearer {token}"})
        transaction.set_rollback(True)  # The next case meets the cluster as it was.


def _aim(case: Any) -> None:
    """Let well-formed cases hit what is there: random names would only ever ask for what is not."""
    places = case.path_parameters or {}
    off = case.operation.label.endswith("/start")
    for name, value in {"uuid": VM2 if off else VM1, "id": OPERATION}.items():
        if _is_uuid(places.get(name)):
            places[name] = str(value)
    if _is_name(places.get("name")):
        places["name"] = "kvm1"
    if "/networks/{host}/{name}" in case.operation.label and _is_name(places.get("host")):
        places |= {"host": "kvm1", "name": "default"}
    if isinstance(case.body, dict):
        text = case.body.get("definition")
        _aim_body(case.body)
        if "filter" in case.operation.label and "definition" in case.body:
            is_one = isinstance(text, str) and 0 < len(text) <= filter_xml.MOST
            case.body["definition"] = "<filter name='aimed'/>" if is_one else text


def _aim_body(body: dict[str, Any]) -> None:
    if _is_name(body.get("host")):
        body["host"] = "kvm2"
    if isinstance(body.get("definition"), str) and len(body["definition"]) <= 2**20:
        body["definition"] = f"<domain type='qemu'><name>web1</name><uuid>{VM1}</uuid></domain>"
    uuids = body.get("uuids")
    # A list that is too long is there for its length.
    if isinstance(uuids, list) and 0 < len(uuids) <= MOST_AT_ONCE and all(map(_is_uuid, uuids)):
        body["uuids"] = [str(VM1), str(VM2)][: len(uuids)]
    if isinstance(body.get("arguments", {}), dict) and {"verb", "arguments"} & set(body):
        body["arguments"] = ARGUMENTS.get(str(body.get("verb")), {})


def _is_name(text: Any) -> bool:
    return isinstance(text, str) and re.fullmatch(r"[A-Za-z0-9.-]{1,63}", text) is not None


def _is_uuid(text: Any) -> bool:
    try:
        return str(UUID(text)) == text.lower()
    except (AttributeError, TypeError, ValueError):
        return False
