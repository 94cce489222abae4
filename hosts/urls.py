"""Addresses of hosts, operations and administration."""

from hosts.urls_administration import administration_patterns
from hosts.urls_hosts import hosts_patterns
from hosts.urls_operations import operations_patterns

__all__ = ["administration_patterns", "hosts_patterns", "operations_patterns"]
