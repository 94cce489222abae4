"""The operations' live pieces: the same templates that the pages include."""

from __future__ import annotations

from hosts import fragments
from hosts.fragments import Fragment
from hosts.views import operation_parts as parts


def register() -> None:
    """Make them known."""
    for name, template, part in (
        ("operation-row", "operations/_row.html", parts.row),
        ("operation-head", "operations/_head.html", parts.head),
        ("operation-detail", "operations/_detail.html", parts.detail),
        ("operation-facts", "operations/_facts.html", parts.detail),
        ("operation-log", "operations/_log.html", parts.log),
    ):
        fragments.register(Fragment(name, template, "operation.view", _topics, part))


def _topics(identifier: str) -> list[str]:
    return [f"operation:{identifier}"]
