"""Adding a host from the command line, with its secrets from files so that they never stand in a process list."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from django.conf import settings
from django.db import transaction

from hosts import audit, notify
from hosts.hypervisor.uri import LibvirtUri, parse
from hosts.models import Host


@dataclass(frozen=True, slots=True)
class Registration:
    """What is known of a host to be added; the paths name files to be read and sealed."""

    name: str
    uri: str
    peer_uri: str = ""
    tls_folder: str = ""
    ssh_key_file: str = ""
    ssh_host_key: str = ""
    sasl_username: str = ""
    sasl_password: str = ""


def add_host(registration: Registration) -> Host:
    """Add the host, or bring the one of that name up to date. Raises InvalidUri, ValidationError or OSError."""
    uri = parse(registration.uri, allow_test=settings.TEST_URI_ALLOWED)
    plain = LibvirtUri(
        uri.driver, uri.transport, uri.username, uri.host, uri.port, uri.path,
        {name: value for name, value in uri.parameters.items() if name not in ("keyfile", "pkipath")},
    )  # fmt: skip
    host = Host.objects.filter(name=registration.name).first() or Host(name=registration.name)
    host.uri = str(plain)
    host.peer_uri = registration.peer_uri
    host.sasl_username, host.sasl_password = registration.sasl_username, registration.sasl_password
    host.ssh_host_key = registration.ssh_host_key
    if registration.ssh_key_file:
        host.ssh_key = Path(registration.ssh_key_file).read_text()
    if registration.tls_folder:
        _take_certificates(host, Path(registration.tls_folder))
    host.full_clean(exclude=["sasl_password", "ssh_key", "tls_key"])
    with transaction.atomic():
        host.save()
        audit.record(audit.Actor(None, road="command"), "host.register", host.name)
        notify.changed("hosts-configured", "hosts", f"host:{host.pk}")
    return host


def _take_certificates(host: Host, folder: Path) -> None:
    """The files of a libvirt ``pkipath``."""
    host.tls_ca = (folder / "cacert.pem").read_text()
    host.tls_certificate = (folder / "clientcert.pem").read_text()
    host.tls_key = (folder / "clientkey.pem").read_text()
