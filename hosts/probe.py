"""Looking at a host from outside, one step after the other, without libvirt: sockets, TLS and ssh only.

Each step returns a sentence, or raises the HypervisorError that tells what is wrong, so that the cause is known by name
before libvirt is asked at all.
"""

from __future__ import annotations

import asyncio
import contextlib
import getpass
import os
import socket
import ssl
import tempfile
from collections.abc import Iterator
from concurrent.futures import Future
from concurrent.futures import TimeoutError as FutureTimeout
from dataclasses import dataclass
from pathlib import Path
from threading import Thread
from typing import Any

from hosts.hypervisor import errors
from hosts.hypervisor.sentences import say

SECONDS = 5.0
#: what a server may have one key each of
KEY_FAMILIES = (
    ("ssh-ed25519",),
    ("ecdsa-sha2-nistp256", "ecdsa-sha2-nistp384", "ecdsa-sha2-nistp521"),
    ("rsa-sha2-256", "rsa-sha2-512", "ssh-rsa"),
)
#: libvirtd's first byte to a TLS client whose certificate it takes
WELCOME = b"\x01"


@dataclass(frozen=True, slots=True)
class HostKey:
    """A key an ssh server showed: 'type base64', and its fingerprint as ssh prints it."""

    line: str
    fingerprint: str

    @property
    def type(self) -> str:
        """Such as ssh-ed25519."""
        return self.line.partition(" ")[0]


def resolve(host: str, seconds: float = SECONDS) -> list[str]:
    """The addresses of a name. Raises Unreachable."""
    future: Future[list[Any]] = Future()
    Thread(target=_resolve_into, args=(future, host), name="resolve", daemon=True).start()
    try:
        found = future.result(seconds)
    except FutureTimeout:
        raise errors.Unreachable(
            say("No answer on what address %(host)s has: is the name server away?", host=host)
        ) from None
    except (OSError, UnicodeError) as error:
        raise errors.Unreachable(say("The name %(host)s cannot be resolved.", host=host), detail=str(error)) from error
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


def _resolve_into(future: Future[list[Any]], host: str) -> None:
    """getaddrinfo knows no deadline, so that it waits on a thread of its own."""
    try:
        future.set_result(socket.getaddrinfo(host, None, type=socket.SOCK_STREAM))
    except BaseException as error:  # handed to the one who waits
        future.set_exception(error)


def open_port(host: str, port: int, seconds: float = SECONDS) -> socket.socket:
    """A connection to that port. Raises Refused or Unreachable."""
    try:
        return socket.create_connection((host, port), timeout=seconds)
    except ConnectionRefusedError as error:
        raise errors.Refused(
            say("%(host)s refuses connections on port %(port)s: nothing listens there.", host=host, port=port),
            detail=str(error),
        ) from error
    except TimeoutError as error:
        raise errors.Unreachable(
            say(
                "%(host)s does not answer on port %(port)s: is it switched on, or is a firewall in between?",
                host=host,
                port=port,
            ),
            detail="timed out",
        ) from error
    except OSError as error:
        raise errors.Unreachable(
            say("%(host)s cannot be reached on port %(port)s.", host=host, port=port), detail=str(error)
        ) from error


def tls_handshake(
    host: str, port: int, *, ca: str = "", certificate: str = "", key: str = "", seconds: float = SECONDS
) -> str:
    """Greets libvirtd by TLS as a client would. Raises CertificateUntrusted, AuthenticationFailed, Silent or Failed."""
    with (
        _context(ca, certificate, key) as context,
        open_port(host, port, seconds) as plain,
        _shaken(context, plain, host, port) as wrapped,
    ):
        return _welcomed(wrapped, bool(certificate))


def _shaken(context: ssl.SSLContext, plain: socket.socket, host: str, port: int) -> ssl.SSLSocket:
    """The handshake. libvirtd looks at our certificate only afterwards: who ends it here speaks no TLS."""
    try:
        return context.wrap_socket(plain, server_hostname=host)
    except ssl.SSLCertVerificationError as error:
        raise errors.CertificateUntrusted(
            say("The host's certificate is not trusted: %(what)s", what=error.verify_message), detail=str(error)
        ) from error
    except TimeoutError as error:
        raise errors.Silent(
            say(
                "%(host)s took the connection on port %(port)s and does not speak TLS: it said nothing.",
                host=host,
                port=port,
            ),
            detail=str(error),
        ) from error
    except OSError as error:
        reason = (getattr(error, "reason", None) or "").upper()
        if "ALERT" in reason and any(word in reason for word in _ABOUT_US):
            raise errors.AuthenticationFailed(_REFUSED_CERTIFICATE, detail=str(error)) from error
        raise errors.Failed(
            say("What listens at %(host)s on port %(port)s does not speak TLS.", host=host, port=port),
            detail=str(error),
        ) from error


_ABOUT_US = ("CERTIFICATE", "UNKNOWN_CA", "ACCESS_DENIED")
_REFUSED_CERTIFICATE = say("The host does not take our client certificate: it wants one signed by its own CA.")
_WANTS_CERTIFICATE = say("The host wants a client certificate and none is stored: it takes one signed by its own CA.")


def _welcomed(wrapped: ssl.SSLSocket, with_certificate: bool) -> str:
    """TLS 1.3 tells a client that it is refused only after the handshake; libvirtd's first byte tells that it is not."""
    try:
        first = wrapped.recv(1)
    except TimeoutError as error:
        raise errors.Silent(say("TLS stands, and the host says nothing: is it libvirtd that listens there?")) from error
    except OSError as error:
        raise _turned_down(with_certificate, str(error)) from error
    if first != WELCOME:
        raise _turned_down(with_certificate, "closed after the handshake" if not first else f"it said {first!r}")
    return f"{wrapped.version()}, {(wrapped.cipher() or ('?',))[0]}"


def _turned_down(with_certificate: bool, detail: str) -> errors.AuthenticationFailed:
    return errors.AuthenticationFailed(_REFUSED_CERTIFICATE if with_certificate else _WANTS_CERTIFICATE, detail=detail)


@contextlib.contextmanager
def _context(ca: str, certificate: str, key: str) -> Iterator[ssl.SSLContext]:
    context = ssl.create_default_context()
    try:
        if ca:
            context = ssl.create_default_context(cadata=ca)
        if certificate and key:
            with tempfile.TemporaryDirectory(prefix="kvmdash-probe-") as folder:
                context.load_cert_chain(_file(folder, "cert.pem", certificate), _file(folder, "key.pem", key))
    except (ssl.SSLError, ValueError) as error:
        raise errors.AuthenticationFailed(
            say(
                "The stored certificates cannot be used: they are damaged, or key and certificate do not belong together."
            ),
            detail=str(error),
        ) from error
    yield context


def _file(folder: str, name: str, text: str) -> str:
    """OpenSSL takes keys as files only."""
    path = Path(folder) / name
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as handle:
        handle.write(text)
    return str(path)


def host_key_of(line: str) -> HostKey:
    """A pinned key, 'type base64'. Raises ValueError for anything else."""
    import asyncssh

    words = line.split()
    if len(words) < 2:
        raise ValueError(say("A host key is written as 'type base64'."))
    try:
        key = asyncssh.import_public_key(" ".join(words[:2]))
    except (asyncssh.KeyImportError, ValueError) as error:
        raise ValueError(say("Not an ssh public key: %(what)s", what=error)) from error
    return _shown(key)


def pinned_keys(text: str) -> list[HostKey]:
    """The keys that are pinned, one a line; what cannot be read is left out."""
    found = []
    for line in text.splitlines():
        with contextlib.suppress(ValueError):
            found.append(host_key_of(line))
    return found


def _shown(key: Any) -> HostKey:
    line = " ".join(key.export_public_key().decode().split()[:2])
    return HostKey(line, key.get_fingerprint("sha256"))


def fetch_host_keys(host: str, port: int = 22, seconds: float = SECONDS) -> list[HostKey]:
    """Every key the ssh server has, without logging in. Raises Unreachable, Refused, Silent or Failed."""
    open_port(host, port, seconds).close()
    return asyncio.run(_fetch_all(host, port, seconds))


async def _fetch_all(host: str, port: int, seconds: float) -> list[HostKey]:
    found = await asyncio.gather(
        *(_fetch(host, port, family, seconds) for family in KEY_FAMILIES), return_exceptions=True
    )
    keys = [key for key in found if isinstance(key, HostKey)]
    if keys:
        return keys
    if all(isinstance(one, TimeoutError) for one in found):
        raise errors.Silent(
            say("%(host)s took the connection on port %(port)s and said nothing: no ssh server?", host=host, port=port)
        )
    raise errors.Failed(
        say("What listens at %(host)s on port %(port)s is no ssh server.", host=host, port=port),
        detail="; ".join(map(repr, found)),
    )


async def _fetch(host: str, port: int, family: tuple[str, ...], seconds: float) -> HostKey | None:
    import asyncssh

    wanted = asyncssh.get_server_host_key(host, port, server_host_key_algs=list(family), config=None)
    key = await asyncio.wait_for(wanted, seconds)
    return _shown(key) if key is not None else None


def compare_host_keys(pinned: str, shown: list[HostKey]) -> str:
    """Whether a pinned key ('type base64' a line) is among those shown. Raises HostKeyUntrusted."""
    known = {" ".join(line.split()[:2]) for line in pinned.splitlines() if line.strip()}
    for key in shown:
        if key.line in known:
            return say("The host key is the pinned one: %(key)s.", key=f"{key.fingerprint} ({key.type})")
    now = ", ".join(f"{key.fingerprint} ({key.type})" for key in shown)
    if not known:
        raise errors.HostKeyUntrusted(
            say("No host key is pinned. The host shows %(now)s. Fetch it in the settings and confirm it.", now=now)
        )
    before = ", ".join(f"{key.fingerprint} ({key.type})" for key in pinned_keys(pinned)) or say(
        "nothing that can be read"
    )
    raise errors.HostKeyUntrusted(
        say(
            "The host key is not the pinned one. It shows %(now)s; pinned is %(before)s. "
            "Somebody may be in between, or the host was installed anew.",
            now=now,
            before=before,
        )
    )


def ssh_login(host: str, port: int, *, username: str, key: str, host_keys: str, seconds: float = SECONDS) -> str:
    """Logs in as ssh would and leaves again. Raises AuthenticationFailed, HostKeyUntrusted, Silent or Failed."""
    return asyncio.run(_login(host, port, username or getpass.getuser(), key, host_keys, seconds))


async def _login(host: str, port: int, username: str, key: str, host_keys: str, seconds: float) -> str:
    import asyncssh

    trusted = [asyncssh.import_public_key(key.line) for key in pinned_keys(host_keys)]
    own: dict[str, Any] = {"client_keys": [_private_key(key)], "agent_path": None} if key else {}
    try:
        async with asyncio.timeout(seconds):
            async with asyncssh.connect(
                host,
                port,
                username=username,
                known_hosts=(trusted, [], []),
                config=None,
                preferred_auth="publickey",
                **own,
            ):
                return say("ssh takes our key for %(user)s.", user=username)
    except asyncssh.PermissionDenied as error:
        message = (
            say("ssh does not take our key for %(user)s.", user=username)
            if key
            else say(
                "ssh does not take the keys of this machine's user for %(user)s (none is stored for the host).",
                user=username,
            )
        )
        raise errors.AuthenticationFailed(message, detail=str(error)) from error
    except asyncssh.HostKeyNotVerifiable as error:
        raise errors.HostKeyUntrusted(say("The host key is not the pinned one."), detail=str(error)) from error
    except TimeoutError as error:
        raise errors.Silent(
            say("The ssh server did not answer within %(seconds)s s.", seconds=f"{seconds:g}"), detail="timed out"
        ) from error
    except (OSError, asyncssh.Error) as error:
        raise errors.Failed(say("ssh could not log in."), detail=str(error)) from error


def _private_key(text: str) -> Any:
    import asyncssh

    try:
        return asyncssh.import_private_key(text)
    except (asyncssh.KeyImportError, ValueError) as error:
        message = say("The stored ssh key cannot be used: it is damaged, or a passphrase protects it.")
        raise errors.AuthenticationFailed(message, detail=str(error)) from error
