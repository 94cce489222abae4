"""Looking at hosts from outside: each step tells its own trouble, against real sockets, TLS and ssh servers."""

from __future__ import annotations

import asyncio
import datetime
import socket
import ssl
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import asyncssh
import pytest

from hosts import probe
from hosts.hypervisor import errors
from hosts.tests.pem import Authority


@pytest.fixture
def listener() -> Iterator[socket.socket]:
    """Takes connections and says nothing."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield server


def closed_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as server:
        return int(server.getsockname()[1])


def port_of(server: socket.socket) -> int:
    return int(server.getsockname()[1])


def test_an_address_resolves_to_itself() -> None:
    assert probe.resolve("127.0.0.1") == ["127.0.0.1"]


@pytest.mark.parametrize("name", ["nowhere.invalid", "a" * 300, "x..y"])
def test_a_name_that_does_not_resolve_is_said_to_be_that(name: str) -> None:
    with pytest.raises(errors.Unreachable, match="cannot be resolved"):
        probe.resolve(name)


def test_a_closed_port_is_refused_and_not_unreachable() -> None:
    with pytest.raises(errors.Refused, match="nothing listens"):
        probe.open_port("127.0.0.1", closed_port())


def test_an_open_port_opens(listener: socket.socket) -> None:
    probe.open_port("127.0.0.1", port_of(listener)).close()


def test_a_listener_that_says_nothing_is_silent_to_tls_and_to_ssh(listener: socket.socket) -> None:
    with pytest.raises(errors.Silent, match="said nothing"):
        probe.tls_handshake("127.0.0.1", port_of(listener), seconds=0.3)
    with pytest.raises(errors.Silent, match="no ssh server"):
        probe.fetch_host_keys("127.0.0.1", port_of(listener), seconds=0.3)


@contextmanager
def answering(answer: Callable[[socket.socket], None]) -> Iterator[int]:
    """Serves each connection with ``answer``."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        threading.Thread(target=_serve, args=(server, answer), daemon=True).start()
        yield port_of(server)


def _serve(server: socket.socket, answer: Callable[[socket.socket], None]) -> None:
    while True:
        try:
            connection, _address = server.accept()
        except OSError:
            return
        with connection:
            try:
                answer(connection)
            except OSError:
                continue


def test_what_speaks_neither_tls_nor_ssh_is_told_apart_from_silence() -> None:
    with answering(lambda connection: connection.sendall(b"220 mail.example.com ESMTP\r\n" * 20)) as port:
        with pytest.raises(errors.HypervisorError) as trouble:
            probe.tls_handshake("127.0.0.1", port, seconds=3)
        assert not isinstance(trouble.value, errors.Silent)
        with pytest.raises(errors.Failed, match="no ssh server"):
            probe.fetch_host_keys("127.0.0.1", port, seconds=3)


@pytest.fixture
def daemon(tmp_path: Path) -> Iterator[tuple[int, Authority]]:
    """Speaks TLS as libvirtd does: wants a certificate of its own CA and greets with one byte."""
    authority = Authority("lab CA")
    certificate, key = authority.issue("127.0.0.1")
    (tmp_path / "pair.pem").write_text(certificate + key)
    (tmp_path / "ca.pem").write_text(authority.pem)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")
    context.load_verify_locations(tmp_path / "ca.pem")
    context.verify_mode = ssl.CERT_REQUIRED

    def greet(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            wrapped.sendall(probe.WELCOME)
            wrapped.recv(1)

    with answering(greet) as port:
        yield port, authority


def test_a_tls_host_that_takes_our_certificate_welcomes_us(daemon: tuple[int, Authority]) -> None:
    port, authority = daemon
    certificate, key = authority.issue("client")
    assert "TLSv1" in probe.tls_handshake("127.0.0.1", port, ca=authority.pem, certificate=certificate, key=key)


def test_a_host_certificate_of_another_authority_is_not_trusted(daemon: tuple[int, Authority]) -> None:
    port, authority = daemon
    certificate, key = authority.issue("client")
    with pytest.raises(errors.CertificateUntrusted):
        probe.tls_handshake("127.0.0.1", port, ca=Authority("other").pem, certificate=certificate, key=key)


def test_a_host_certificate_for_another_name_is_not_trusted(daemon: tuple[int, Authority]) -> None:
    port, authority = daemon
    certificate, key = authority.issue("client")
    with pytest.raises(errors.CertificateUntrusted, match=r"(?i)mismatch"):
        probe.tls_handshake("localhost", port, ca=authority.pem, certificate=certificate, key=key)


@pytest.mark.parametrize(
    ("with_stranger", "words"), [(True, "does not take our client certificate"), (False, "none is stored")]
)
def test_a_client_certificate_that_is_strange_or_missing_is_an_authentication_failure(
    daemon: tuple[int, Authority], with_stranger: bool, words: str
) -> None:
    port, authority = daemon
    certificate, key = Authority("stranger").issue("client") if with_stranger else ("", "")
    with pytest.raises(errors.AuthenticationFailed, match=words):
        probe.tls_handshake("127.0.0.1", port, ca=authority.pem, certificate=certificate, key=key, seconds=3)


def test_a_listener_that_hangs_up_on_the_greeting_speaks_no_tls_and_refuses_no_certificate() -> None:
    with answering(lambda connection: None) as port, pytest.raises(errors.Failed, match="does not speak TLS"):
        probe.tls_handshake("127.0.0.1", port, seconds=3)


def test_a_host_that_is_silent_after_the_handshake_is_told_apart_from_one_without_tls(tmp_path: Path) -> None:
    authority = Authority("lab CA")
    (tmp_path / "pair.pem").write_text("".join(authority.issue("127.0.0.1")))
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(tmp_path / "pair.pem")

    def stay_silent(connection: socket.socket) -> None:
        with context.wrap_socket(connection, server_side=True) as wrapped:
            wrapped.recv(1)

    with answering(stay_silent) as port, pytest.raises(errors.Silent, match="TLS stands"):
        probe.tls_handshake("127.0.0.1", port, ca=authority.pem, seconds=1)


def test_a_key_of_another_certificate_is_told_before_anything_is_sent(daemon: tuple[int, Authority]) -> None:
    port, authority = daemon
    certificate, key = authority.issue("client")[0], authority.issue("client")[1]
    with pytest.raises(errors.AuthenticationFailed, match="do not belong together"):
        probe.tls_handshake("127.0.0.1", port, ca=authority.pem, certificate=certificate, key=key)


class SshServer:
    """A real ssh server on a thread of its own, that lets in whoever has ``client``'s key."""

    def __init__(self) -> None:
        self.keys = [asyncssh.generate_private_key("ssh-ed25519"), asyncssh.generate_private_key("ecdsa-sha2-nistp256")]
        self.client = asyncssh.generate_private_key("ssh-ed25519")
        self.loop = asyncio.new_event_loop()
        threading.Thread(target=self.loop.run_forever, daemon=True).start()
        self.server = asyncio.run_coroutine_threadsafe(self._listen(), self.loop).result(10)
        self.port = self.server.get_port()

    async def _listen(self) -> Any:
        authorized = asyncssh.import_authorized_keys(self.client.export_public_key().decode())
        return await asyncssh.listen("127.0.0.1", 0, server_host_keys=self.keys, authorized_client_keys=authorized)

    @property
    def lines(self) -> list[str]:
        return [" ".join(key.export_public_key().decode().split()[:2]) for key in self.keys]

    def stop(self) -> None:
        self.loop.call_soon_threadsafe(self.server.close)


@pytest.fixture
def sshd() -> Iterator[SshServer]:
    server = SshServer()
    yield server
    server.stop()


def login(sshd: SshServer, key: Any, host_keys: str) -> str:
    text = key.export_private_key().decode()
    return probe.ssh_login("127.0.0.1", sshd.port, username="root", key=text, host_keys=host_keys)


def test_every_key_an_ssh_host_has_is_shown_with_its_fingerprint(sshd: SshServer) -> None:
    shown = probe.fetch_host_keys("127.0.0.1", sshd.port)
    assert [key.line for key in shown] == sshd.lines
    assert all(key.fingerprint.startswith("SHA256:") for key in shown)


def test_one_pinned_key_among_those_shown_is_enough(sshd: SshServer) -> None:
    shown = probe.fetch_host_keys("127.0.0.1", sshd.port)
    assert shown[1].fingerprint in probe.compare_host_keys(f"{sshd.lines[1]} comment\n", shown)


def test_an_unknown_host_key_and_a_changed_one_are_both_told_with_fingerprints(sshd: SshServer) -> None:
    shown = probe.fetch_host_keys("127.0.0.1", sshd.port)
    with pytest.raises(errors.HostKeyUntrusted, match="No host key is pinned") as unknown:
        probe.compare_host_keys("", shown)
    assert shown[0].fingerprint in str(unknown.value)
    other = " ".join(asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()[:2])
    with pytest.raises(errors.HostKeyUntrusted, match="not the pinned one") as changed:
        probe.compare_host_keys(other, shown)
    assert shown[0].fingerprint in str(changed.value)
    assert probe.host_key_of(other).fingerprint in str(changed.value)


def test_ssh_lets_our_key_in_and_turns_another_down(sshd: SshServer) -> None:
    pinned = "\n".join(sshd.lines)
    assert "takes our key" in login(sshd, sshd.client, pinned)
    with pytest.raises(errors.AuthenticationFailed, match="does not take our key"):
        login(sshd, asyncssh.generate_private_key("ssh-ed25519"), pinned)


def test_ssh_sends_nothing_to_a_host_whose_key_is_not_pinned(sshd: SshServer) -> None:
    other = asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode()
    with pytest.raises(errors.HostKeyUntrusted):
        login(sshd, sshd.client, other)


def test_a_damaged_stored_key_is_said_to_be_that(sshd: SshServer) -> None:
    with pytest.raises(errors.AuthenticationFailed, match="damaged"):
        probe.ssh_login("127.0.0.1", sshd.port, username="root", key="no key", host_keys=sshd.lines[0])


def test_a_pinned_line_that_is_no_key_does_not_hide_what_the_host_shows(sshd: SshServer) -> None:
    shown = probe.fetch_host_keys("127.0.0.1", sshd.port)
    with pytest.raises(errors.HostKeyUntrusted, match="nothing that can be read"):
        probe.compare_host_keys("no key", shown)


@pytest.mark.parametrize("line", ["", "ssh-ed25519", "ssh-ed25519 !!!", "nonsense AAAA", "ssh-rsa AAAAB3NzaC1yc2E="])
def test_what_is_no_key_is_not_taken_for_one(line: str) -> None:
    with pytest.raises(ValueError):
        probe.host_key_of(line)


def test_the_authority_of_these_tests_makes_certificates_that_are_valid_now() -> None:
    from cryptography import x509

    certificate = x509.load_pem_x509_certificate(Authority("x").issue("y")[0].encode())
    assert certificate.not_valid_after_utc > datetime.datetime.now(datetime.UTC)


#: the roles run on threads of their own and write history too
ROLES = pytest.mark.django_db(transaction=True, databases=["default", "metrics"])


def steps_of(host: Any, roles: Any, eventually: Callable[..., Any], administrator: Any) -> dict[str, Any]:
    """Runs a test of the host as the operations role does; its steps by name."""
    from hosts.audit import Actor
    from hosts.models import Operation
    from hosts.operations import queue

    operation = queue.enqueue("host-test", host, {}, Actor(administrator))

    def ended() -> Operation | None:
        return Operation.objects.filter(pk=operation.pk).exclude(state__in=Operation.ACTIVE).first()

    done = eventually(ended, 40, "the test to end")
    steps: dict[str, Any] = {step["name"]: step for step in done.progress["steps"]}
    return {name: step["ok"] for name, step in steps.items()} | {"state": done.state, "texts": f"{steps} {done.error}"}


GREEN = dict.fromkeys(("name", "port", "transport", "authentication", "version", "rights"), True)


@pytest.fixture
def lab_hosts(lab_cluster: Any) -> dict[str, Any]:
    """The lab's hosts as rows, disabled: a test must not need them enabled."""
    from django.core.management import call_command

    from hosts.models import Host

    call_command("register_lab", str(lab_cluster.directory / "lab.json"))
    Host.objects.update(enabled=False)
    return {host.transport: host for host in Host.objects.all()}


@pytest.mark.lab
@ROLES
def test_every_step_is_green_on_hosts_by_tcp_tls_and_ssh(lab_hosts, roles, eventually, people) -> None:
    for transport in ("tcp", "tls", "ssh"):
        steps = steps_of(lab_hosts[transport], roles, eventually, people["administrator"])
        assert {name: steps[name] for name in GREEN} == GREEN, steps["texts"]
        assert steps["state"] == "succeeded"


@pytest.mark.lab
@ROLES
def test_a_wrong_authority_reddens_the_transport(lab_hosts, roles, eventually, people) -> None:
    host = lab_hosts["tls"]
    host.tls_ca = Authority("wrong").pem
    host.save()
    steps = steps_of(host, roles, eventually, people["administrator"])
    assert (steps["port"], steps["transport"], steps["authentication"]) == (True, False, None)
    assert steps["state"] == "failed"


@pytest.mark.lab
@ROLES
def test_a_strange_client_certificate_reddens_the_authentication(lab_hosts, roles, eventually, people) -> None:
    host = lab_hosts["tls"]
    host.tls_certificate, host.tls_key = Authority("stranger").issue("client")
    host.save()
    steps = steps_of(host, roles, eventually, people["administrator"])
    assert (steps["transport"], steps["authentication"], steps["version"]) == (True, False, None)


@pytest.mark.lab
@ROLES
def test_an_unpinned_or_changed_host_key_reddens_the_transport(lab_hosts, roles, eventually, people) -> None:
    host = lab_hosts["ssh"]
    other = " ".join(asyncssh.generate_private_key("ssh-ed25519").export_public_key().decode().split()[:2])
    for pinned in ("", other):
        host.ssh_host_key = pinned
        host.save()
        steps = steps_of(host, roles, eventually, people["administrator"])
        assert (steps["port"], steps["transport"], steps["authentication"]) == (True, False, None)


@pytest.mark.lab
@ROLES
def test_a_wrong_ssh_key_reddens_the_authentication_and_stands_in_no_text(lab_hosts, roles, eventually, people) -> None:
    host = lab_hosts["ssh"]
    host.ssh_key = asyncssh.generate_private_key("ssh-ed25519").export_private_key().decode()
    host.save()
    steps = steps_of(host, roles, eventually, people["administrator"])
    assert (steps["transport"], steps["authentication"], steps["version"]) == (True, False, None)
    assert "PRIVATE KEY" not in steps["texts"]


@pytest.mark.lab
@ROLES
def test_a_closed_port_and_an_unknown_name_redden_their_own_steps(lab_hosts, roles, eventually, people) -> None:
    host = lab_hosts["tcp"]
    uri = host.uri
    host.uri = uri.replace("/system", ":1/system")
    host.save()
    steps = steps_of(host, roles, eventually, people["administrator"])
    assert (steps["name"], steps["port"], steps["transport"]) == (True, False, None)
    host.uri = "qemu+tcp://nowhere.invalid/system"
    host.save()
    steps = steps_of(host, roles, eventually, people["administrator"])
    assert (steps["name"], steps["port"]) == (False, None)


@ROLES
def test_a_disabled_host_saved_for_its_test_is_enabled_when_it_passes(test_host, roles, eventually, people) -> None:
    from hosts.audit import Actor
    from hosts.models import AuditEntry, Host
    from hosts.operations import queue

    host = Host.objects.create(name="fresh", uri=test_host.uri, enabled=False)
    queue.enqueue("host-test", host, {"enable": True}, Actor(people["administrator"]))
    eventually(lambda: Host.objects.filter(pk=host.pk, enabled=True).exists(), 30, "the host to be enabled")
    entry = eventually(lambda: AuditEntry.objects.filter(action="host.enable").first(), 5)
    assert entry.actor == people["administrator"]


@ROLES
def test_a_disabled_host_whose_test_fails_stays_disabled(roles, eventually, people) -> None:
    from hosts.models import Host

    uri = f"qemu+tcp://127.0.0.1:{closed_port()}/system"
    host = Host.objects.create(name="dead", uri=uri, enabled=False)
    steps = steps_of(host, roles, eventually, people["administrator"])
    assert (steps["name"], steps["port"], steps["transport"], steps["state"]) == (True, False, None, "failed")
    assert not Host.objects.get(pk=host.pk).enabled


@ROLES
def test_a_host_that_takes_the_connection_and_stays_silent_reddens_what_libvirt_answers(
    listener, roles, eventually, people, settings
) -> None:
    from hosts.models import Host

    settings.CONNECT_SECONDS = 1.0
    host = Host.objects.create(name="mute", uri=f"qemu+tcp://127.0.0.1:{port_of(listener)}/system", enabled=False)
    steps = steps_of(host, roles, eventually, people["administrator"])
    assert (steps["transport"], steps["authentication"], steps["version"]) == (True, None, False)
    assert "did not answer" in steps["texts"]


@ROLES
def test_an_ssh_host_without_libvirt_is_let_in_and_reddens_what_libvirt_answers(
    sshd, roles, eventually, people
) -> None:
    from hosts.models import Host

    host = Host(name="bare", uri=f"qemu+ssh://root@127.0.0.1:{sshd.port}/system", enabled=False)
    host.ssh_key, host.ssh_host_key = sshd.client.export_private_key().decode(), "\n".join(sshd.lines)
    host.save()
    steps = steps_of(host, roles, eventually, people["administrator"])
    assert (steps["transport"], steps["authentication"], steps["version"]) == (True, True, False)
    assert "PRIVATE KEY" not in steps["texts"]
