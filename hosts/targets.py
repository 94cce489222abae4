"""From a Host row to a hypervisor Target: opens the sealed secrets and lays out the files libvirt and ssh read.

Keys and certificates are written to ``RUN_DIR/hosts/<id>`` (mode 0700) because libvirt takes them as files only.
"""

from __future__ import annotations

import os
import shlex
from pathlib import Path

from django.conf import settings

from hosts.hypervisor.records import Target
from hosts.hypervisor.uri import LibvirtUri, parse
from hosts.models import Host


def target_of(host: Host) -> Target:
    """How to reach ``host`` with everything stored for it. Raises InvalidUri."""
    uri = parse(host.uri, allow_test=settings.TEST_URI_ALLOWED)
    folder = _folder(host)
    if uri.transport == "tls":
        uri = _with_tls(host, uri, folder)
    if uri.transport == "ssh":
        uri = _with_ssh(host, uri, folder)
    return Target(str(uri), host.sasl_username, host.sasl_password.open())


def peer_uri_of(host: Host) -> str:
    """How other hosts reach this one's libvirtd: as stored, else the URI without what is on this machine only."""
    if host.peer_uri:
        return str(parse(host.peer_uri, allow_test=settings.TEST_URI_ALLOWED))
    uri = parse(host.uri, allow_test=settings.TEST_URI_ALLOWED)
    return str(LibvirtUri(uri.driver, uri.transport, uri.username, uri.host, uri.port, uri.path))


def ssh_config_of(host: Host) -> Path:
    """The ssh client configuration for ``host``: its key, and nothing trusted but the pinned host key."""
    folder = _folder(host)
    key = folder / "ssh_key"
    lines = [
        "Host *",
        "  BatchMode yes",
        "  StrictHostKeyChecking yes",
        f"  UserKnownHostsFile {_quoted(folder / 'known_hosts')}",
        "  GlobalKnownHostsFile /dev/null",
        "  UpdateHostKeys no",
        "  ConnectTimeout 8",
        "  ServerAliveInterval 2",
        "  ServerAliveCountMax 2",
    ]
    if host.ssh_key:
        _write(key, host.ssh_key.open().strip() + "\n")
        lines += [f"  IdentityFile {_quoted(key)}", "  IdentitiesOnly yes"]
    uri = parse(host.uri, allow_test=True)
    _write(folder / "known_hosts", known_hosts_lines(uri, host.ssh_host_key))
    return _write(folder / "ssh_config", "\n".join(lines) + "\n")


def known_hosts_lines(uri: LibvirtUri, keys: str) -> str:
    """Pinned keys ('type base64' a line) as a known_hosts file for the host of ``uri``."""
    name = uri.host if uri.port in (None, 22) else f"[{uri.host}]:{uri.port}"
    return "".join(f"{name} {' '.join(line.split()[:2])}\n" for line in keys.splitlines() if line.strip())


def _quoted(path: Path) -> str:
    return f'"{path}"'


def _folder(host: Host) -> Path:
    folder = Path(settings.RUN_DIR) / "hosts" / str(host.pk or f"new-{os.getpid()}")
    # Each by itself: the mode of parents that are made along the way is another.
    for one in (folder.parent.parent, folder.parent, folder):
        one.mkdir(mode=0o700, exist_ok=True)
    return folder


def _write(path: Path, text: str, mode: int = 0o600) -> Path:
    """Replace the file at once, so that a reader in another process never sees half of it."""
    if path.exists() and path.read_text() == text:
        return path
    part = path.with_name(f"{path.name}.{os.getpid()}.{id(text)}")
    descriptor = os.open(part, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode)
    with os.fdopen(descriptor, "w") as handle:
        handle.write(text)
    part.replace(path)
    return path


def _with_tls(host: Host, uri: LibvirtUri, folder: Path) -> LibvirtUri:
    if not (host.tls_ca or host.tls_certificate):
        return uri
    _write(folder / "cacert.pem", host.tls_ca)
    _write(folder / "clientcert.pem", host.tls_certificate)
    _write(folder / "clientkey.pem", host.tls_key.open())
    return uri.with_parameters(pkipath=str(folder))


def _with_ssh(host: Host, uri: LibvirtUri, folder: Path) -> LibvirtUri:
    config = ssh_config_of(host)
    # libvirt runs the program that ``command`` names with ssh's arguments; ours puts the configuration in front.
    script = _write(folder / "ssh", f'#!/bin/sh\nexec ssh -F {shlex.quote(str(config))} "$@"\n', 0o700)
    return uri.with_parameters(command=str(script), no_tty="1")


def configuration_of(host: Host) -> str:
    """What, when it changes, needs a new connection."""
    parts = (
        host.uri, host.sasl_username, host.sasl_password.token, host.tls_ca, host.tls_certificate,
        host.tls_key.token, host.ssh_key.token, host.ssh_host_key,
    )  # fmt: skip
    return "\n".join(parts)
