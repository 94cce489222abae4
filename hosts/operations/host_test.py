"""Try the connection to a host, step by step, so that it can be told which one fails."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from django.conf import settings
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import audit, notify, probe
from hosts.audit import Actor
from hosts.hypervisor import errors
from hosts.hypervisor.sentences import say
from hosts.hypervisor.uri import LibvirtUri, parse
from hosts.models import Host
from hosts.operations.host_refresh import HostKind
from hosts.operations.kind import InvalidArguments, Subject
from hosts.operations.task import Task

STEPS = ("name", "port", "transport", "authentication", "version", "rights")
#: libvirt's codes for "you may not": operation denied, access denied
DENIED = (29, 88)


class HostTest(HostKind):
    """Name, port, transport, authentication, version, rights. Changes nothing on the host."""

    name = "host-test"
    label = gettext_lazy("Test connection")
    verb = "host.test"
    exclusive = False
    changes = False

    def clean(self, arguments: Mapping[str, Any]) -> dict[str, Any]:
        for name, value in arguments.items():
            if name != "enable" or not isinstance(value, bool):
                raise InvalidArguments(name, _("host-test takes only 'enable', true or false."))
        return dict(arguments)

    def check(self, subject: Subject, arguments: dict[str, Any]) -> None:
        """A disabled host may be tested: that is how it becomes enabled."""

    def virsh(self, subject: Subject, arguments: dict[str, Any]) -> str:
        return f"virsh -c '{subject.row.uri}' version" if subject.row is not None else ""

    def run(self, task: Task) -> dict[str, Any]:
        result = _Test(task).run()
        if task.arguments.get("enable"):
            _enable(task)
        return result

    recover = run


def _enable(task: Task) -> None:
    """The host was saved disabled until its test passes: it has."""
    host, operation = task.host, task.operation
    if Host.objects.filter(pk=host.pk, enabled=False).update(enabled=True):
        actor = Actor(operation.actor, operation.address, name=operation.actor_name)
        audit.record(actor, "host.enable", host.name, operation=str(operation.pk))
        notify.changed("hosts-configured", "hosts", f"host:{host.pk}")


class _Test:
    """One run: a list of steps, each written down as soon as it is known."""

    def __init__(self, task: Task) -> None:
        self.task = task
        self.host = task.host
        self.steps: list[dict[str, Any]] = [{"name": name, "ok": None, "text": ""} for name in STEPS]

    def run(self) -> dict[str, Any]:
        """All steps; raises the first one's HypervisorError."""
        try:
            uri = parse(self.host.uri, allow_test=settings.TEST_URI_ALLOWED)
        except errors.InvalidUri as error:
            self._say("name", ok=False, text=str(error))
            raise errors.Failed(str(error)) from error
        self._outside(uri)
        return self._inside(uri)

    def _outside(self, uri: LibvirtUri) -> None:
        """What can be seen without libvirt."""
        port = uri.effective_port
        if not uri.is_remote or port is None:
            for name in ("name", "port", "transport"):
                self._say(name, ok=True, text=say("Not needed: libvirtd is on this machine."))
            return
        self._try("name", lambda: ", ".join(probe.resolve(uri.host)))
        self._try("port", lambda: self._port(uri.host, port))
        self._try("transport", lambda: self._transport(uri, port))
        if uri.transport == "ssh":
            self._try("authentication", lambda: self._ssh_login(uri, port))

    def _port(self, host: str, port: int) -> str:
        probe.open_port(host, port).close()
        return say("Port %(port)s is open.", port=port)

    def _transport(self, uri: LibvirtUri, port: int) -> str:
        host = self.host
        if uri.transport == "ssh":
            return probe.compare_host_keys(host.ssh_host_key, probe.fetch_host_keys(uri.host, port))
        if uri.transport == "tls":
            if "pkipath" in uri.parameters and not host.tls_ca:
                return say("The certificates named in the URI are libvirt's own affair.")
            key = host.tls_key.open()
            return probe.tls_handshake(uri.host, port, ca=host.tls_ca, certificate=host.tls_certificate, key=key)
        return say("Plain TCP: nothing is encrypted. Use it in a network of your own only.")

    def _ssh_login(self, uri: LibvirtUri, port: int) -> str:
        host = self.host
        return probe.ssh_login(
            uri.host, port, username=uri.username, key=host.ssh_key.open(), host_keys=host.ssh_host_key
        )

    def _inside(self, uri: LibvirtUri) -> dict[str, Any]:
        """What libvirt says."""
        from hosts.hypervisor.host import read_facts

        connection = self._try_connection(uri)
        facts: Any = None

        def version() -> str:
            nonlocal facts
            facts = read_facts(connection)
            return f"{facts.hostname}: libvirt {facts.libvirt_version}, {facts.hypervisor_type} {facts.hypervisor_version}."

        self._try("version", version)
        self._try("rights", lambda: _rights(connection))
        return {"hostname": facts.hostname, "libvirt_version": facts.libvirt_version}

    def _try_connection(self, uri: LibvirtUri) -> Any:
        try:
            connection = self.task.connect(self.host)
        except errors.HypervisorError as error:
            blamed = _blamed(error)
            self._say(blamed, ok=False, text=str(error))
            raise
        text = (
            say("libvirtd lets us in as %(user)s.", user=self.host.sasl_username)
            if self.host.sasl_username
            else say("libvirtd lets us in.")
        )
        if uri.transport == "ssh":
            text = f"{self._text('authentication')} {text}".strip()
        self._say("authentication", ok=True, text=text)
        return connection

    def _try(self, name: str, look: Callable[[], str]) -> None:
        try:
            text = look()
        except errors.HypervisorError as error:
            # TLS stands when the host turns our certificate down: what failed is who we are.
            if name == "transport" and isinstance(error, errors.AuthenticationFailed):
                self._say(name, ok=True, text=say("TLS stands, and the host's certificate is trusted."))
                name = "authentication"
            self._say(name, ok=False, text=str(error))
            raise
        self._say(name, ok=True, text=text)

    def _text(self, name: str) -> str:
        return next((str(step["text"]) for step in self.steps if step["name"] == name), "")

    def _say(self, name: str, *, ok: bool, text: str) -> None:
        for step in self.steps:
            if step["name"] == name:
                step.update(ok=ok, text=text)
        done = sum(step["ok"] is not None for step in self.steps)
        self.task.progress(now=True, steps=self.steps, percent=100 * done / len(self.steps))
        self.task.log(text, "info" if ok else "error")


def _blamed(error: errors.HypervisorError) -> str:
    """The step that fails when libvirt cannot connect: trust, who we are, or that libvirt answers at all."""
    if isinstance(error, errors.CertificateUntrusted | errors.HostKeyUntrusted):
        return "transport"
    return "authentication" if isinstance(error, errors.AuthenticationFailed) else "version"


def _rights(connection: Any) -> str:
    """Ask for something a read-only client is refused, in words that no driver can carry out."""
    try:
        connection.call(lambda raw: raw.domainXMLToNative("kvmdash-asks-for-its-rights", "<domain/>", 0))
    except (errors.Unreachable, errors.AuthenticationFailed):
        raise
    except errors.HypervisorError as error:
        if error.code in DENIED:
            raise errors.AuthenticationFailed(
                say("Read-only: we may look but not act. Give the user the right to manage libvirt (group libvirt, or polkit)."),
                code=error.code, domain=error.domain, detail=error.detail,
            ) from error  # fmt: skip
    return say("Read and write.")
