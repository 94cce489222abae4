"""Secrets at rest."""

import pytest
from cryptography.fernet import Fernet
from django.db import connection

from hosts.models import Host
from hosts.secrets import Sealed, SecretUnreadable

pytestmark = pytest.mark.django_db


def stored(host):
    with connection.cursor() as cursor:
        cursor.execute("SELECT sasl_password FROM hosts_host WHERE id = %s", [host.pk])
        return cursor.fetchone()[0]


def test_a_secret_is_ciphertext_in_the_database_and_comes_back():
    host = Host.objects.create(name="a", uri="qemu:///system", sasl_password="hunter2")
    assert "hunter2" not in stored(host)
    assert Host.objects.get(pk=host.pk).sasl_password.open() == "hunter2"


def test_printing_a_secret_shows_nothing():
    sealed = Sealed.of("hunter2")
    assert "hunter2" not in f"{sealed} {sealed!r}"


def test_an_empty_secret_stays_empty():
    host = Host.objects.create(name="a", uri="qemu:///system")
    assert stored(host) == ""
    assert not Host.objects.get(pk=host.pk).sasl_password


def test_saving_a_row_again_keeps_its_secret():
    host = Host.objects.create(name="a", uri="qemu:///system", sasl_password="hunter2")
    again = Host.objects.get(pk=host.pk)
    again.description = "x"
    again.save()
    assert Host.objects.get(pk=host.pk).sasl_password.open() == "hunter2"


def test_an_older_key_still_opens_and_an_unknown_one_says_so(settings):
    host = Host.objects.create(name="a", uri="qemu:///system", sasl_password="hunter2")
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode(), *settings.ENCRYPTION_KEYS]
    assert Host.objects.get(pk=host.pk).sasl_password.open() == "hunter2"
    settings.ENCRYPTION_KEYS = [Fernet.generate_key().decode()]
    with pytest.raises(SecretUnreadable):
        Host.objects.get(pk=host.pk).sasl_password.open()


def test_after_rotation_the_old_key_is_not_needed(settings):
    from django.core.management import call_command

    host = Host.objects.create(name="a", uri="qemu:///system", sasl_password="hunter2")
    new = Fernet.generate_key().decode()
    settings.ENCRYPTION_KEYS = [new, *settings.ENCRYPTION_KEYS]
    call_command("rotate_secrets", verbosity=0)
    settings.ENCRYPTION_KEYS = [new]
    assert Host.objects.get(pk=host.pk).sasl_password.open() == "hunter2"
