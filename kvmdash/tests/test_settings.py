"""Starting safely or not at all."""

from __future__ import annotations

import os
import subprocess
import sys

import pytest
from cryptography.fernet import Fernet

from kvmdash.tests.program import PROJECT

SAFE = {
    "KVMDASH_MODE": "production",
    "KVMDASH_SECRET_KEY": "k" * 30 + "0123456789abcdefghijklmnopqrstuv",
    "KVMDASH_ENCRYPTION_KEYS": Fernet.generate_key().decode(),
    "KVMDASH_ALLOWED_HOSTS": "kvm.example.com",
    "KVMDASH_TLS_PROXY": "1",
}


def manage(tmp_path, *arguments, **environment):
    inherited = {name: value for name, value in os.environ.items() if not name.startswith("KVMDASH_")}
    return subprocess.run(
        [sys.executable, "manage.py", *arguments],
        cwd=PROJECT,
        env={**inherited, "DJANGO_SETTINGS_MODULE": "kvmdash.settings", "KVMDASH_DATA_DIR": str(tmp_path), **environment},
        capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip


def test_safe_production_settings_pass_the_deployment_check(tmp_path):
    done = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", **SAFE)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("KVMDASH_DEBUG", "1"),
        ("KVMDASH_SECRET_KEY", "short"),
        ("KVMDASH_ALLOWED_HOSTS", "*"),
        ("KVMDASH_TLS_PROXY", "0"),
        ("KVMDASH_ENCRYPTION_KEYS", "not-a-key"),
        ("KVMDASH_MODE", "prodution"),
    ],
)
def test_an_unsafe_setting_stops_the_start_and_is_named(tmp_path, variable, value):
    done = manage(tmp_path, "web", **{**SAFE, variable: value})
    assert done.returncode != 0 and variable in done.stderr


@pytest.mark.parametrize("role", ["inventory", "operations", "consoles", "up"])
def test_no_role_starts_unsafely(tmp_path, role):
    done = manage(tmp_path, role, **{**SAFE, "KVMDASH_DEBUG": "1"})
    assert done.returncode != 0 and "KVMDASH_DEBUG" in done.stderr


@pytest.mark.parametrize("variable", ["KVMDASH_SECRET_KEY", "KVMDASH_ENCRYPTION_KEYS"])
def test_production_makes_up_no_keys(tmp_path, variable):
    done = manage(tmp_path, "check", **{name: value for name, value in SAFE.items() if name != variable})
    assert done.returncode != 0 and variable in done.stderr


def test_development_needs_nothing_and_keeps_the_keys_it_made(tmp_path):
    assert manage(tmp_path, "check").returncode == 0
    kept = (tmp_path / "secret.key").read_text()
    assert manage(tmp_path, "check").returncode == 0
    assert (tmp_path / "secret.key").read_text() == kept
    assert (tmp_path / "secret.key").stat().st_mode & 0o077 == 0


def test_a_second_program_on_one_data_folder_refuses_to_start(tmp_path):
    import fcntl

    with (tmp_path / "up.lock").open("w") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        done = manage(tmp_path, "up")
    assert done.returncode != 0 and "already running" in done.stderr


def test_nobody_can_make_a_token_for_somebody_who_is_not_there(tmp_path):
    assert manage(tmp_path, "migrate_all").returncode == 0
    done = manage(tmp_path, "token", "x", "--user", "nobody")
    assert done.returncode != 0 and "no active user" in done.stderr
