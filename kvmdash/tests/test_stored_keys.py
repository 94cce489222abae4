"""What opens an account is in no row as it is: a copy of the database is no way in."""

from __future__ import annotations

from typing import Any

import pytest
from allauth.mfa.models import Authenticator
from allauth.mfa.recovery_codes.internal.auth import RecoveryCodes
from allauth.mfa.totp.internal.auth import TOTP
from cryptography.fernet import Fernet
from django.apps import apps
from django.conf import settings as django_settings
from django.contrib.sessions.models import Session
from django.core.cache import cache
from django.core.management import call_command
from django.test import Client

from hosts.models import Host, Operation
from hosts.models.storage import OperationSecret
from hosts.secrets import SecretField
from hosts.sessions import SessionStore, row_key
from kvmdash.tests.test_login import code_of

pytestmark = pytest.mark.django_db
SECRET = "JBSWY3DPEHPK3PXPJBSWY3DPEHPK3PXP"


@pytest.fixture(autouse=True)
def _no_code_was_used_yet() -> None:
    cache.clear()


def signed_in(user: Any) -> Client:
    client = Client()
    client.force_login(user)
    assert client.get("/operations/").status_code == 200
    return client


def cookie_of(client: Client) -> str:
    return client.cookies[django_settings.SESSION_COOKIE_NAME].value


def test_the_row_of_a_session_is_found_by_the_cookie_and_is_none_itself(people: dict[str, Any]) -> None:
    client = signed_in(people["viewer"])
    row = Session.objects.get()
    assert row.pk == row_key(cookie_of(client)) != cookie_of(client)
    thief = Client()
    for stolen in (row.pk, row.session_data, ""):
        thief.cookies[django_settings.SESSION_COOKIE_NAME] = stolen
        assert thief.get("/operations/").status_code == 302


def test_logging_out_takes_the_row_away(people: dict[str, Any]) -> None:
    client = signed_in(people["viewer"])
    before = cookie_of(client)
    client.post("/account/logout/")
    assert not Session.objects.filter(pk=row_key(before)).exists()
    client.cookies[django_settings.SESSION_COOKIE_NAME] = before
    assert client.get("/operations/").status_code == 302


def test_a_session_is_kept_changed_and_cycled() -> None:
    store = SessionStore()
    store["a"] = 1
    store.create()
    first = store.session_key
    again = SessionStore(first)
    assert (again["a"], again.exists(first), again.exists(row_key(first))) == (1, True, False)
    again["a"] = 2
    again.save()
    assert Session.objects.count() == 1
    again.cycle_key()
    assert not SessionStore(first).exists(first)
    assert SessionStore(again.session_key)["a"] == 2
    again.flush()
    assert not Session.objects.exists()


@pytest.mark.django_db(transaction=True)
async def test_the_same_holds_for_those_who_do_not_wait() -> None:
    store = SessionStore()
    await store.aset("a", 1)
    await store.acreate()
    first = store.session_key
    again = SessionStore(first)
    assert await again.aget("a") == 1
    assert (await again.aexists(first), await again.aexists(row_key(first))) == (True, False)
    await again.aset("a", 2)
    await again.asave()
    assert await Session.objects.acount() == 1
    assert await SessionStore(row_key(first)).aget("a") is None
    await again.aflush()
    assert not await Session.objects.aexists()


def test_the_secret_of_an_authenticator_app_is_encrypted_and_works(people: dict[str, Any]) -> None:
    TOTP.activate(people["operator"], SECRET)
    row = Authenticator.objects.get()
    assert SECRET not in str(row.data)
    assert TOTP(row).validate_code(code_of(SECRET))


def test_recovery_codes_are_made_from_an_encrypted_seed(people: dict[str, Any]) -> None:
    codes = RecoveryCodes.activate(people["operator"])
    row = Authenticator.objects.get()
    assert row.data["seed"].startswith("gAAAA")
    assert len(codes.generate_codes()) == 10


def test_what_was_stored_before_works_and_is_encrypted_by_the_rotation(people: dict[str, Any], settings: Any) -> None:
    row = Authenticator.objects.create(user=people["operator"], type="totp", data={"secret": SECRET})
    assert TOTP(row).validate_code(code_of(SECRET))
    new = Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, *settings.ENCRYPTION_KEYS]
    call_command("rotate_secrets", verbosity=0)
    settings.ENCRYPTION_KEYS = [new]
    row.refresh_from_db()
    assert SECRET not in str(row.data)
    assert TOTP(row).instance.data["secret"].startswith("gAAAA")


def test_the_rotation_reaches_every_column_of_secrets(people: dict[str, Any], settings: Any) -> None:
    columns = [
        (model, field.attname)
        for model in apps.get_models()
        for field in model._meta.concrete_fields
        if isinstance(field, SecretField)
    ]
    assert len(columns) >= 5
    host = Host.objects.create(name="a", uri="qemu:///system", sasl_password="hunter2", tls_key="k", ssh_key="s")
    operation = Operation.objects.create(kind="host-test", host=host)
    OperationSecret.objects.create(operation=operation, sealed="hunter3")
    before = {(model, name, pk): sealed.token for model, name in columns for pk, sealed in stored(model, name)}
    assert len(before) == 4
    new = Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, *settings.ENCRYPTION_KEYS]
    call_command("rotate_secrets", verbosity=0)
    settings.ENCRYPTION_KEYS = [new]
    after = {(model, name, pk): sealed for model, name in columns for pk, sealed in stored(model, name)}
    assert set(after) == set(before)
    assert {sealed.open() for sealed in after.values()} == {"hunter2", "hunter3", "k", "s"}


def stored(model: Any, name: str) -> Any:
    return model.objects.exclude(**{name: ""}).values_list("pk", name)


def test_a_second_factor_that_cannot_be_read_lets_nobody_in(people: dict[str, Any], settings: Any) -> None:
    TOTP.activate(people["operator"], SECRET)
    codes = RecoveryCodes.activate(people["operator"]).generate_codes()
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    row = Authenticator.objects.get(type="totp")
    for code in (code_of(SECRET), code_of("A" * 32), code_of(""), ""):
        assert not TOTP(row).validate_code(code)
    assert not RecoveryCodes(Authenticator.objects.get(type="recovery_codes")).validate_code(codes[0])
