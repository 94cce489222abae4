"""The form of a host: how it is reached, and with which secrets. Secrets are written, never shown."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from django import forms
from django.conf import settings
from django.core.exceptions import ValidationError
from django.utils.translation import gettext as _
from django.utils.translation import gettext_lazy

from hosts import credentials, probe
from hosts.hypervisor.errors import InvalidUri
from hosts.hypervisor.uri import LibvirtUri, parse
from hosts.models import Host
from hosts.models.host import host_name_validator
from hosts.said import said
from hosts.secrets import Sealed

#: words that stand in addresses where a host's name stands
RESERVED = frozenset({"add", "storage", "networks", "keys", "storage.html", "networks.html"})
SECRETS = ("sasl_password", "tls_key", "ssh_key")
PLAIN = ("name", "description", "peer_uri", "sasl_username", "tls_ca", "tls_certificate")
MOST_KEYS = 12


class SecretInput(forms.PasswordInput):
    """A password that is never sent back, not even in a form with errors."""

    def __init__(self) -> None:
        super().__init__(attrs={"autocomplete": "new-password"}, render_value=False)


class SecretArea(forms.Textarea):
    """A key that is never sent back, not even in a form with errors."""

    def __init__(self) -> None:
        super().__init__(attrs={"rows": 4, "class": "mono", "spellcheck": "false", "autocomplete": "off"})

    def format_value(self, value: Any) -> None:
        """Nothing, whatever it is."""


class PublicArea(forms.Textarea):
    """A certificate. A private key that was pasted here by mistake is not sent back either."""

    def __init__(self) -> None:
        super().__init__(attrs={"rows": 4, "class": "mono", "spellcheck": "false", "autocomplete": "off"})

    def format_value(self, value: Any) -> str | None:
        """What was pasted, unless it holds a key."""
        return None if "PRIVATE" in str(value) else super().format_value(value)


def _pem(label: Any, help_text: Any, widget: forms.Widget | None = None) -> forms.CharField:
    return forms.CharField(
        label=label, help_text=help_text, required=False, max_length=credentials.LONGEST, widget=widget or PublicArea()
    )


class HostForm(forms.Form):
    """Adds a host, or changes ``host``."""

    WAYS = (("parts", gettext_lazy("Address and transport")), ("raw", gettext_lazy("A libvirt URI of my own")))
    TRANSPORTS = (
        ("ssh", gettext_lazy("ssh – needs only an account")),
        ("tls", gettext_lazy("TLS – certificates on both sides")),
        ("tcp", gettext_lazy("TCP – not encrypted, for a network of its own")),
        ("local", gettext_lazy("local – libvirtd on this machine")),
    )

    name = forms.CharField(
        label=gettext_lazy("Name"), max_length=63, validators=[host_name_validator],
        help_text=gettext_lazy("What it is called here. It stands in addresses, so keep it short."),
    )  # fmt: skip
    description = forms.CharField(
        label=gettext_lazy("Description"), max_length=200, required=False,
        help_text=gettext_lazy("Where it stands, what it is for."),
    )  # fmt: skip
    way = forms.ChoiceField(label=gettext_lazy("Reached by"), choices=WAYS, initial="parts", widget=forms.RadioSelect)
    transport = forms.ChoiceField(
        label=gettext_lazy("Transport"), choices=TRANSPORTS, initial="ssh", required=False,
        help_text=gettext_lazy("How libvirt's words travel to the host."),
    )  # fmt: skip
    username = forms.CharField(
        label=gettext_lazy("User"), max_length=64, required=False,
        help_text=gettext_lazy("The account on the host, often root, or one in the group libvirt."),
    )  # fmt: skip
    address = forms.CharField(
        label=gettext_lazy("Host name or address"), max_length=255, required=False,
        help_text=gettext_lazy("As seen from this machine. For TLS it must be the name in the host's certificate."),
    )  # fmt: skip
    port = forms.IntegerField(
        label=gettext_lazy("Port"), min_value=1, max_value=65535, required=False,
        help_text=gettext_lazy("Leave it empty for the usual one: ssh 22, TLS 16514, TCP 16509."),
    )  # fmt: skip
    path = forms.ChoiceField(
        label=gettext_lazy("Daemon"), required=False, initial="/system",
        choices=(("/system", gettext_lazy("/system – the host's own")), ("/session", gettext_lazy("/session – one user's"))),
    )  # fmt: skip
    uri = forms.CharField(
        label=gettext_lazy("libvirt URI"), max_length=500, required=False,
        help_text=gettext_lazy("Such as qemu+ssh://root@kvm1.example.com/system."),
    )  # fmt: skip
    peer_uri = forms.CharField(
        label=gettext_lazy("Peer URI"), max_length=500, required=False,
        help_text=gettext_lazy(
            "How the other hosts reach this one for migration, if not by the URI above, such as qemu+tcp://10.0.0.1/system."
        ),
    )  # fmt: skip
    tls_ca = _pem(
        gettext_lazy("CA certificate"), gettext_lazy("PEM. The authority that signed the host's certificate.")
    )
    tls_certificate = _pem(gettext_lazy("Client certificate"), gettext_lazy("PEM. What we show to the host."))
    tls_key = _pem(
        gettext_lazy("Client key"), gettext_lazy("PEM, without a passphrase. Stored encrypted."), SecretArea()
    )
    sasl_username = forms.CharField(
        label=gettext_lazy("SASL user"), max_length=200, required=False,
        help_text=gettext_lazy("Only where libvirtd asks for a user name and a password."),
    )  # fmt: skip
    sasl_password = forms.CharField(
        label=gettext_lazy("SASL password"), max_length=1000, required=False, strip=False, widget=SecretInput(),
        help_text=gettext_lazy("Stored encrypted."),
    )  # fmt: skip
    ssh_key = _pem(
        gettext_lazy("ssh private key"),
        gettext_lazy("Without a passphrase. Stored encrypted. Without one, this machine's own keys are used."),
        SecretArea(),
    )
    remove_tls_key = forms.BooleanField(label=gettext_lazy("Remove the stored client key"), required=False)
    remove_sasl_password = forms.BooleanField(label=gettext_lazy("Remove the stored password"), required=False)
    remove_ssh_key = forms.BooleanField(label=gettext_lazy("Remove the stored ssh key"), required=False)

    def __init__(self, *args: Any, host: Host | None = None, **kwargs: Any) -> None:
        self.host = host or Host()
        kwargs.setdefault("initial", self._initial() if host is not None else None)
        super().__init__(*args, **kwargs)
        if self.host.pk is None:
            for name in SECRETS:
                del self.fields[f"remove_{name}"]

    def _initial(self) -> dict[str, Any]:
        found = {name: getattr(self.host, name) for name in PLAIN} | {"uri": self.host.uri, "way": "raw"}
        try:
            uri = parse(self.host.uri, allow_test=True)
        except InvalidUri:
            return found
        if uri.driver == "qemu" and not uri.parameters:
            transport = uri.transport if uri.is_remote else "local"
            found |= {"way": "parts", "transport": transport, "username": uri.username, "address": uri.host}
            found |= {"port": uri.port, "path": uri.path}
        return found

    def stored(self) -> dict[str, bool]:
        """Which secrets are stored."""
        return {name: bool(getattr(self.host, name)) for name in SECRETS}

    @property
    def pins(self) -> list[str]:
        """The host keys that are to be pinned: ticked in a sent form, else those stored."""
        if self.is_bound and hasattr(self.data, "getlist"):
            return [" ".join(line.split()[:2]) for line in self.data.getlist("pin")[:MOST_KEYS]]
        return [line for line in self.host.ssh_host_key.splitlines() if line.strip()]

    def clean_name(self) -> str:
        name = str(self.cleaned_data["name"])
        if name.lower() in RESERVED:
            raise ValidationError(
                _("“%(name)s” is an address of a page of its own; choose another name.") % {"name": name}
            )
        if Host.objects.filter(name__iexact=name).exclude(pk=self.host.pk).exists():
            raise ValidationError(_("There is a host of that name."))
        return name

    def clean_peer_uri(self) -> str:
        text = str(self.cleaned_data["peer_uri"])
        return _checked_uri(text) if text else ""

    def clean_tls_ca(self) -> str:
        return self._pem("tls_ca", credentials.check_certificates)

    def clean_tls_certificate(self) -> str:
        return self._pem("tls_certificate", credentials.check_certificates)

    def clean_tls_key(self) -> str:
        return self._pem("tls_key", credentials.check_key)

    def clean_ssh_key(self) -> str:
        return self._pem("ssh_key", credentials.check_ssh_key)

    def _pem(self, name: str, check: Callable[[str], Any]) -> str:
        text = credentials.tidy(str(self.cleaned_data[name]))
        if text:
            _explain(check, text)
        return text

    def clean(self) -> dict[str, Any]:
        data = super().clean() or self.cleaned_data
        self._take_uri(data)
        self._take_pins(data)
        self._check_pair(data)
        return data

    def _take_uri(self, data: dict[str, Any]) -> None:
        """The URI as one text, whichever way it was given."""
        raw = data.get("way") == "raw"
        if not raw and any(name in self.errors for name in ("transport", "username", "address", "port", "path")):
            return
        field = "uri" if raw else "address"
        try:
            data["uri"] = _checked_uri(data.get("uri", "") if raw else self._from_parts(data))
        except ValidationError as error:
            self.add_error(field, error)

    def _from_parts(self, data: dict[str, Any]) -> str:
        transport, path = data.get("transport") or "ssh", data.get("path") or "/system"
        if transport == "local":
            return f"qemu://{path}"
        if not data.get("address"):
            raise ValidationError(_("Where is it? Give a name or an address."))
        address = str(data["address"]).strip("[]")
        return str(LibvirtUri("qemu", transport, data.get("username", ""), address, data.get("port"), path))

    def _take_pins(self, data: dict[str, Any]) -> None:
        try:
            data["ssh_host_key"] = "\n".join(dict.fromkeys(probe.host_key_of(line).line for line in self.pins))
        except ValueError as error:
            self.add_error(None, said(str(error)))

    def _check_pair(self, data: dict[str, Any]) -> None:
        certificate = data.get("tls_certificate", "")
        key = data.get("tls_key", "")
        if not key and not data.get("remove_tls_key"):
            key = self.host.tls_key.open() if self.host.tls_key else ""
        if not certificate or "tls_key" in self.errors:
            return
        try:
            if not key:
                raise ValidationError(_("The client certificate needs its key."))
            _explain(lambda both: credentials.check_pair(*both), (certificate, key))
        except ValidationError as error:
            self.add_error("tls_key", error)

    def apply(self) -> list[str]:
        """Put what was said into the row, unsaved; returns the names of what changed, never values."""
        data = self.cleaned_data
        wanted = {name: data[name] for name in (*PLAIN, "uri", "ssh_host_key")}
        changed = [name for name, value in wanted.items() if getattr(self.host, name) != value]
        for name, value in wanted.items():
            setattr(self.host, name, value)
        return changed + [name for name in SECRETS if self._apply_secret(name)]

    def _apply_secret(self, name: str) -> bool:
        """A new value replaces the stored one, an empty one keeps it, the box removes it."""
        value, remove = self.cleaned_data[name], self.cleaned_data.get(f"remove_{name}", False)
        if not value and not (remove and getattr(self.host, name)):
            return False
        setattr(self.host, name, Sealed.of(value))
        return True


def _explain(check: Callable[[Any], Any], value: Any) -> None:
    try:
        check(value)
    except ValueError as error:
        raise ValidationError(str(error)) from None


def _checked_uri(text: str) -> str:
    try:
        return str(parse(text, allow_test=settings.TEST_URI_ALLOWED))
    except InvalidUri as error:
        raise ValidationError(said(str(error))) from error


class RemoveForm(forms.Form):
    """The host's name, typed, so that the wrong one is not removed by a slip."""

    name = forms.CharField(
        label=gettext_lazy("Type the host's name"), max_length=63, widget=forms.TextInput(attrs={"autocomplete": "off"})
    )

    def __init__(self, *args: Any, host: Host, **kwargs: Any) -> None:
        self.host = host
        super().__init__(*args, **kwargs)

    def clean_name(self) -> str:
        if self.cleaned_data["name"] != self.host.name:
            raise ValidationError(_("That is not its name."))
        return str(self.cleaned_data["name"])
