"""What the URL of a PostgreSQL database says reaches the driver."""

from __future__ import annotations

import pytest

from kvmdash import settings


def test_how_tls_is_to_be_used_is_handed_on_to_the_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    url = "postgres://kvmdash:p%25ss@db.example.com/kvmdash?sslmode=verify-full&sslrootcert=/etc/kvmdash/db-ca.pem"
    monkeypatch.setenv("KVMDASH_DATABASE_URL", url)
    made = settings._database("KVMDASH_DATABASE_URL", "kvmdash.sqlite3")
    assert made["PASSWORD"] == "p%ss"
    assert made["OPTIONS"] == {
        "sslmode": "verify-full",
        "sslrootcert": "/etc/kvmdash/db-ca.pem",
        "pool": {"min_size": 1, "max_size": 20},
    }


def test_a_url_that_says_nothing_of_tls_leaves_the_driver_its_default(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KVMDASH_DATABASE_URL", "postgres://kvmdash:p@db.example.com/kvmdash")
    made = settings._database("KVMDASH_DATABASE_URL", "kvmdash.sqlite3")
    assert made["OPTIONS"] == {"pool": {"min_size": 1, "max_size": 20}}
