"""The OpenAPI description as plain data for the documentation page: sections, endpoints, fields and examples."""

from __future__ import annotations

import json
import shlex
from typing import Any

from django.utils.translation import gettext
from django.utils.translation import gettext_lazy as _

from hosts.problems import KINDS

EXAMPLE_UUID = "6f1cbd0a-3c5e-4c1a-9d0e-2f6b8a7d4e10"
EXAMPLES: dict[str, Any] = {
    "uuid": EXAMPLE_UUID,
    "id": "0b9f7a52-8a7e-4f4e-9c35-1f2d7e6a9b03",
    "name": "kvm1",
    "host": "kvm2",
    "uuids": [EXAMPLE_UUID],
    "verb": "start",
}
PLACES = {"uuid": _("The guest's UUID."), "id": _("The operation's id.")}
#: examples whose fields need company
BODIES = {"SignalBody": {"name": "bandwidth", "arguments": {"bandwidth": 200}}}
TITLES = {"me": _("Yourself"), "hosts": _("Hosts"), "vms": _("Virtual machines"), "operations": _("Operations")}

MEANINGS = {
    400: _("The body is not JSON, or holds characters that cannot be stored."),
    401: _("No token, or one that is unknown, expired or revoked, or whose owner may not log in."),
    403: _("The token's owner does not have the right, or a session came without its CSRF token."),
    404: _("There is no such address, guest, host or operation."),
    405: _("The address does not take this method; Allow says which it takes."),
    409: _("Not now: the guest is busy, in another state, or its host cannot be reached. Nothing was changed."),
    413: _("The body is too large."),
    415: _("The body is not application/json."),
    422: _("Values are wrong; errors says which and why. Nothing was changed."),
    429: _("Too many attempts with wrong tokens from this address; Retry-After says how long to wait."),
    500: _("A mistake of ours; the log has it under the id in X-Request-ID."),
    503: _("The database is busy, full or away. What was asked for was not done; Retry-After says when to ask again."),
}


def problems() -> list[dict[str, Any]]:
    """Every kind of error with what it means."""
    return [
        {"status": status, "kind": kind, "title": title, "text": MEANINGS[status]}
        for status, (kind, title) in KINDS.items()
    ]


def sections(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """Endpoints by tag, in the order of the description."""
    found: dict[str, list[dict[str, Any]]] = {}
    for path, methods in schema["paths"].items():
        for method, operation in methods.items():
            tag = operation.get("tags", ["other"])[0]
            found.setdefault(tag, []).append(_endpoint(schema, path, method, operation))
    return [{"name": tag, "title": TITLES.get(tag, tag), "endpoints": rows} for tag, rows in found.items()]


def _endpoint(schema: dict[str, Any], path: str, method: str, operation: dict[str, Any]) -> dict[str, Any]:
    body = _body(operation)
    good = next(status for status in operation["responses"] if int(status) < 400)
    return {
        "id": operation["operationId"],
        "method": method.upper(),
        "path": path,
        "summary": _said(operation["summary"]),
        "description": _said(operation.get("description", "")).replace("``", ""),
        "parameters": [_parameter(one) for one in operation.get("parameters", [])],
        "body": _fields(schema, body),
        "takes_body": body is not None,
        "status": good,
        "answer": _fields(schema, _answer(operation["responses"][good])),
        "curl": _curl(schema, path, method, body),
    }


def _said(text: str) -> str:
    """A text of the description in the reader's language."""
    return gettext(text) if text else ""


def texts(schema: dict[str, Any]) -> list[str]:
    """Everything the page says of the API, in English: what there is to translate (the makemessages command asks)."""
    found: list[str] = []
    for methods in schema["paths"].values():
        for operation in methods.values():
            found += [operation["summary"], operation.get("description", "")]
            found += [one.get("description", "") for one in operation.get("parameters", [])]
    for part in schema["components"]["schemas"].values():
        found += [one.get("description", "") for one in part.get("properties", {}).values()]
    return sorted(set(filter(None, found)))


def _parameter(parameter: dict[str, Any]) -> dict[str, Any]:
    return {
        "name": parameter["name"],
        "place": parameter["in"],
        "type": _type(parameter["schema"]),
        "required": parameter.get("required", False),
        "text": _said(parameter.get("description", "")) or PLACES.get(parameter["name"], ""),
    }


def _body(operation: dict[str, Any]) -> dict[str, Any] | None:
    content = operation.get("requestBody", {}).get("content", {})
    found: dict[str, Any] | None = content.get("application/json", {}).get("schema")
    return found


def _answer(response: dict[str, Any]) -> dict[str, Any]:
    found: dict[str, Any] = response.get("content", {}).get("application/json", {}).get("schema", {})
    return found


def _resolved(schema: dict[str, Any], part: dict[str, Any]) -> tuple[str, dict[str, Any]]:
    """The named object that a schema is, or may be."""
    for one in (part, *part.get("anyOf", [])):
        if "$ref" in one:
            name = one["$ref"].rpartition("/")[2]
            return name, schema["components"]["schemas"][name]
    return "", part


def _fields(schema: dict[str, Any], part: dict[str, Any] | None) -> list[dict[str, Any]]:
    if part is None:
        return []
    _name, resolved = _resolved(schema, part)
    required = resolved.get("required", [])
    return [
        {"name": name, "type": _type(one), "required": name in required, "text": _said(one.get("description", ""))}
        for name, one in resolved.get("properties", {}).items()
    ]


def _type(part: dict[str, Any]) -> str:
    """A schema in a few words."""
    if "$ref" in part:
        return str(part["$ref"].rpartition("/")[2])
    if "anyOf" in part:
        return " | ".join(_type(one) for one in part["anyOf"])
    if "enum" in part:
        return " | ".join(map(str, part["enum"]))
    if part.get("type") == "array":
        return f"[{_type(part.get('items', {}))}]"
    return str(part.get("format") or part.get("type") or "any")


def _curl(schema: dict[str, Any], path: str, method: str, body: dict[str, Any] | None) -> str:
    for name, value in EXAMPLES.items():
        path = path.replace(f"{{{name}}}", str(value))
    words = ["curl"]
    lines = ['-H "Authorization: Bearer $KVMDASH_TOKEN"']
    if method != "get":
        words += ["-X", method.upper()]
    example = _example(schema, body) if body is not None else {}
    if example:
        lines += ["-H 'Content-Type: application/json'", f"-d {shlex.quote(json.dumps(example))}"]
    return " \\\n  ".join([" ".join(words), *lines, f'"$KVMDASH{path}"'])


def _example(schema: dict[str, Any], body: dict[str, Any]) -> dict[str, Any]:
    """What is required, and the first of what is optional where nothing is."""
    name, resolved = _resolved(schema, body)
    if name in BODIES:
        return BODIES[name]
    properties = resolved.get("properties", {})
    wanted = resolved.get("required") or list(properties)[:1]
    return {one: EXAMPLES.get(one, properties[one].get("default", "")) for one in wanted}
