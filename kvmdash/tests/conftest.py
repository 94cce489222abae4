"""A small cluster of rows, and API clients for every role."""

from __future__ import annotations

from typing import Any

import pytest
from django.core.cache import cache

from kvmdash.tests.cluster import ApiClient, make_cluster


@pytest.fixture
def cluster(db: None) -> dict[str, Any]:
    """Hosts and guests by name; the cache is empty."""
    cache.clear()
    return make_cluster()


@pytest.fixture
def api(people: dict[str, Any], cluster: dict[str, Any]) -> dict[str, ApiClient]:
    """An API client for each role, and 'stranger' without a token."""
    return {role: ApiClient(user) for role, user in people.items()} | {"stranger": ApiClient()}
