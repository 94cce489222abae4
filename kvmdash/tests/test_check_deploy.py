"""The example's settings are clean; each unsafe one stops production and is named (test_settings has the others)."""

from __future__ import annotations

import os
import pwd
import subprocess
from io import StringIO

import pytest
from allauth.mfa.models import Authenticator
from django.core.management import CommandError, call_command

from hosts.models import AuditEntry, User
from kvmdash.checks import findings
from kvmdash.management.commands.up import first_administrator
from kvmdash.tests.deployed import DEPLOY, example_settings, key_files, swapped
from kvmdash.tests.program import PROJECT
from kvmdash.tests.test_settings import manage


@pytest.fixture
def example(tmp_path):
    """The example, with this test's folder and keys."""
    data = tmp_path / "data"
    data.mkdir(0o700)
    return example_settings() | key_files(tmp_path) | {"KVMDASH_DATA_DIR": str(data)}


def test_the_example_s_settings_are_clean(tmp_path, example):
    done = manage(tmp_path, "check", "--deploy", "--fail-level", "WARNING", **example)
    assert (done.returncode, "no issues" in done.stdout + done.stderr) == (0, True), done.stderr


def test_the_command_of_the_walk_runs_with_the_settings_file(tmp_path, example):
    lines = (DEPLOY / "kvmdash.env.example").read_text().splitlines()
    file = tmp_path / "kvmdash.env"
    file.write_text(
        "\n".join(f"{n}={example[n]}" if (n := line.partition("=")[0]) in example else line for line in lines)
    )
    me = pwd.getpwuid(os.geteuid()).pw_name
    script = tmp_path / "kvmdash-manage"
    script.write_text(
        swapped(
            (DEPLOY / "kvmdash-manage").read_text(),
            {"/etc/kvmdash/kvmdash.env": str(file), "= kvmdash ]": f"= {me} ]", "cd /opt/kvmdash": f"cd {PROJECT}"},
        )
    )
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("KVMDASH_", "DJANGO_"))}
    done = subprocess.run(
        ["sh", str(script), "check", "--deploy", "--fail-level", "WARNING"],
        env=kept, capture_output=True, text=True, timeout=60, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "no issues" in done.stdout + done.stderr


UNSAFE = [
    ("KVMDASH_ORIGINS", "PUBLIC_ORIGINS", ["*"]),
    ("KVMDASH_ORIGINS", "PUBLIC_ORIGINS", ["https://*.example.com"]),
    ("KVMDASH_ORIGINS", "PUBLIC_ORIGINS", ["http://kvm.example.com"]),
    ("KVMDASH_ORIGINS", "PUBLIC_ORIGINS", ["https://kvm.example.com", "https://kvm.example.com/path"]),
    ("KVMDASH_ORIGINS", "PUBLIC_ORIGINS", ["https://me@kvm.example.com"]),
    ("KVMDASH_ORIGINS", "PUBLIC_ORIGINS", ["https://[::1"]),
    ("KVMDASH_TRUSTED_PROXIES", "TRUSTED_PROXIES", ["*"]),
    ("KVMDASH_TRUSTED_PROXIES", "TRUSTED_PROXIES", ["10.0.0.0/8"]),
    ("KVMDASH_METRICS_FROM", "METRICS_FROM", ["anywhere"]),
    ("KVMDASH_METRICS_TOKEN", "METRICS_TOKEN", "short"),
    ("KVMDASH_LOGIN_RATE", "ACCOUNT_RATE_LIMITS", {"login": "", "login_failed": "5/5m/key"}),
    ("KVMDASH_LOGIN_FAILED_RATE", "ACCOUNT_RATE_LIMITS", {"login": "30/m/ip", "login_failed": ""}),
]
SAFE = {
    "PUBLIC_ORIGINS": ["https://kvm.example.com", "https://kvm.example.com:8443", "https://[2001:db8::1]"],
    "TRUSTED_PROXIES": ["127.0.0.1", "2001:db8::1"],
    "METRICS_FROM": ["10.0.0.0/8", "::1"],
    "METRICS_TOKEN": "m" * 32,
    "ACCOUNT_RATE_LIMITS": {"login": "30/m/ip", "login_failed": "5/5m/key"},
}


def named() -> list[str]:
    """The variables that something is found about."""
    return [name for name, _why in findings()]


@pytest.fixture
def safe(settings, tmp_path, monkeypatch):
    """Settings that nothing is found about."""
    tmp_path.chmod(0o700)
    more = {"SECRET_KEY": "k" * 30 + "0123456789abcdefghijklmnopqrstuv", "ALLOWED_HOSTS": ["kvm.example.com"]}
    for name, value in {**SAFE, **more, "TLS_PROXY": True, "DEBUG": False, "DATA_DIR": tmp_path}.items():
        setattr(settings, name, value)
    monkeypatch.setenv("KVMDASH_ADMIN_PASSWORD", "a-password-of-the-tests")
    assert named() == []
    return settings


@pytest.mark.parametrize(("variable", "name", "value"), UNSAFE)
def test_an_unsafe_value_is_found_and_named(safe, variable, name, value):
    setattr(safe, name, value)
    assert named() == [variable]


@pytest.mark.parametrize("password", ["admin", "1234567890123", "password1234"])
def test_a_first_password_that_is_easily_guessed_is_named(safe, monkeypatch, password):
    monkeypatch.setenv("KVMDASH_ADMIN_PASSWORD", password)
    assert named() == ["KVMDASH_ADMIN_PASSWORD"]


@pytest.mark.parametrize("mode", [0o755, 0o701, 0o770])
def test_a_data_folder_that_others_get_into_is_named(safe, mode):
    safe.DATA_DIR.chmod(mode)
    assert named() == ["KVMDASH_DATA_DIR"]


@pytest.mark.parametrize("name", ["KVMDASH_SECRET_KEY_FILE", "KVMDASH_ENCRYPTION_KEYS_FILE"])
def test_a_key_that_others_can_read_is_named(safe, tmp_path, monkeypatch, name):
    monkeypatch.setenv(name, key_files(tmp_path)[name])
    assert named() == []
    (tmp_path / name).chmod(0o644)
    assert named() == [name]


def test_whatever_is_found_stops_the_start(tmp_path, example):
    os.chmod(example["KVMDASH_SECRET_KEY_FILE"], 0o644)
    values = {
        "KVMDASH_ORIGINS": "*",
        "KVMDASH_TRUSTED_PROXIES": "10.0.0.0/8",
        "KVMDASH_METRICS_FROM": "anywhere",
        "KVMDASH_METRICS_TOKEN": "short",
        "KVMDASH_LOGIN_RATE": "",
        "KVMDASH_ADMIN_PASSWORD": "admin",
    }
    done = manage(tmp_path, "web", **(example | values))
    assert done.returncode != 0
    for name in [*values, "KVMDASH_SECRET_KEY_FILE"]:
        assert f"{name}: " in done.stderr, done.stderr[-2000:]


# --- the first administrator


@pytest.mark.django_db
def test_a_password_made_up_in_production_is_in_a_file_and_not_in_what_is_printed(settings, tmp_path, monkeypatch):
    monkeypatch.delenv("KVMDASH_ADMIN_PASSWORD", raising=False)
    settings.MODE, settings.DATA_DIR = "production", tmp_path
    told = first_administrator()
    file = tmp_path / "first-password"
    password = file.read_text().strip()
    assert (len(password), file.stat().st_mode & 0o777) == (16, 0o600)
    assert str(file) in told and password not in told
    assert User.objects.get().check_password(password)
    assert first_administrator() == ""


@pytest.mark.django_db
def test_a_password_that_was_given_is_not_repeated(monkeypatch):
    monkeypatch.setenv("KVMDASH_ADMIN_PASSWORD", "a-password-of-the-tests")
    assert "a-password" not in first_administrator()
    assert User.objects.get().check_password("a-password-of-the-tests")


@pytest.mark.django_db
def test_the_administrator_command_makes_one_and_lets_one_in_again(monkeypatch, people):
    monkeypatch.delenv("KVMDASH_ADMIN_PASSWORD", raising=False)
    said = StringIO()
    call_command("administrator", "ada", stdout=said)
    ada = User.objects.get(username="ada")
    assert (ada.role, ada.check_password(said.getvalue().split()[-1])) == ("administrator", True)
    locked_out = people["viewer"]
    User.objects.filter(pk=locked_out.pk).update(is_active=False)
    Authenticator.objects.create(user=locked_out, type=Authenticator.Type.TOTP, data={"secret": "x"})
    monkeypatch.setenv("KVMDASH_ADMIN_PASSWORD", "a-password-of-the-tests")
    said = StringIO()
    call_command("administrator", "viewer", stdout=said)
    locked_out.refresh_from_db()
    assert (locked_out.role, locked_out.is_active) == ("administrator", True)
    assert locked_out.check_password("a-password-of-the-tests") and "a-password" not in said.getvalue()
    assert not Authenticator.objects.exists()
    assert AuditEntry.objects.filter(action="people.administrator").count() == 2


@pytest.mark.django_db
@pytest.mark.parametrize(("name", "password"), [("no such name!", "a-password-of-the-tests"), ("ada", "short")])
def test_the_administrator_command_takes_no_odd_name_and_no_weak_password(monkeypatch, name, password):
    monkeypatch.setenv("KVMDASH_ADMIN_PASSWORD", password)
    with pytest.raises(CommandError):
        call_command("administrator", name)
    assert not User.objects.exists()
