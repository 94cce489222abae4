"""The live pieces of hosts: the same templates that the pages include."""

from __future__ import annotations

from hosts import fragments
from hosts.fragments import Fragment
from hosts.views import host_parts


def register() -> None:
    """Make them known."""
    for name, template, part in (
        ("host-row", "hosts/_row.html", host_parts.row),
        ("host-head", "hosts/_head.html", host_parts.head),
        ("host-state", "hosts/_state.html", host_parts.state),
        ("host-facts", "hosts/_facts.html", host_parts.facts),
        ("host-load", "hosts/_load.html", host_parts.load),
    ):
        fragments.register(Fragment(name, template, "host.view", _topics, part))
    for tab in host_parts.COUNTS:
        name = f"host-{tab}-count"
        counted = host_parts.count(tab)
        fragments.register(Fragment(name, "ui/_tab_count.html", "host.view", _topics, counted, late=True))
    fragments.register(
        Fragment("host-test", "hosts/_test.html", "host.manage", lambda i: [f"operation:{i}"], host_parts.test)
    )


def _topics(identifier: str) -> list[str]:
    """The guests' sums are part of what is shown of a host."""
    return [f"host:{identifier}", "vms-any"]
