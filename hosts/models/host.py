"""A hypervisor host: how to reach it, what it said of itself, and which process looks after it."""

from __future__ import annotations

from datetime import timedelta

from django.core.validators import RegexValidator
from django.db import models
from django.db.models import Q
from django.db.models.functions import Now
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hosts.said import said
from hosts.secrets import SecretField

host_name_validator = RegexValidator(
    r"^[A-Za-z0-9]([A-Za-z0-9.-]{0,61}[A-Za-z0-9])?\Z",
    _("Letters, digits, dots and dashes; begins and ends with a letter or digit; at most 63 characters."),
)


class Host(models.Model):
    """One machine running libvirtd."""

    class State(models.TextChoices):
        """What the connection is like now; every reason for not being connected is told apart."""

        CONNECTING = "connecting", _("connecting")
        CONNECTED = "connected", _("connected")
        UNREACHABLE = "unreachable", _("unreachable")
        REFUSED = "refused", _("connection refused")
        AUTH = "auth", _("authentication failed")
        HOSTKEY = "hostkey", _("ssh host key not trusted")
        CERTIFICATE = "certificate", _("TLS certificate not trusted")
        SILENT = "silent", _("not answering")
        FAILED = "failed", _("failed")
        DISABLED = "disabled", _("disabled")

    name = models.CharField(_("name"), max_length=63, unique=True, validators=[host_name_validator])
    uri = models.CharField(
        _("libvirt URI"),
        max_length=500,
        help_text=_("How libvirt is reached, such as qemu+ssh://root@kvm1.example.com/system."),
    )
    peer_uri = models.CharField(
        _("peer URI"),
        max_length=500,
        blank=True,
        help_text=_(
            "How the other hosts' libvirtd reach this one for peer-to-peer migration, "
            "where that differs from the URI above, such as qemu+tcp://10.0.0.1/system."
        ),
    )
    description = models.CharField(_("description"), max_length=200, blank=True)
    enabled = models.BooleanField(_("enabled"), default=True, help_text=_("A disabled host is not contacted."))

    sasl_username = models.CharField(_("SASL user name"), max_length=200, blank=True)
    sasl_password = SecretField(_("SASL password"), blank=True, default="")
    tls_ca = models.TextField(_("CA certificate (PEM)"), blank=True)
    tls_certificate = models.TextField(_("client certificate (PEM)"), blank=True)
    tls_key = SecretField(_("client key (PEM)"), blank=True, default="")
    ssh_key = SecretField(_("ssh private key"), blank=True, default="")
    ssh_host_key = models.TextField(
        _("ssh host key"), blank=True, help_text=_("The key this host is pinned to, one 'type base64' a line.")
    )

    state = models.CharField(max_length=12, choices=State.choices, default=State.CONNECTING, editable=False)
    state_text = models.TextField(blank=True, editable=False)
    state_detail = models.TextField(blank=True, editable=False)
    state_since = models.DateTimeField(default=timezone.now, editable=False)
    seen_at = models.DateTimeField(null=True, editable=False)
    reconciled_at = models.DateTimeField(null=True, editable=False)

    hostname = models.CharField(max_length=255, blank=True, editable=False)
    machine_uuid = models.CharField(max_length=36, blank=True, editable=False)
    libvirt_version = models.CharField(max_length=20, blank=True, editable=False)
    hypervisor_type = models.CharField(max_length=20, blank=True, editable=False)
    hypervisor_version = models.CharField(max_length=20, blank=True, editable=False)
    cpu_model = models.CharField(max_length=120, blank=True, editable=False)
    arch = models.CharField(max_length=20, blank=True, editable=False)
    cpus = models.PositiveIntegerField(default=0, editable=False)
    sockets = models.PositiveIntegerField(default=0, editable=False)
    cores = models.PositiveIntegerField(default=0, editable=False)
    threads = models.PositiveIntegerField(default=0, editable=False)
    mhz = models.PositiveIntegerField(default=0, editable=False)
    memory = models.BigIntegerField(default=0, editable=False)
    cells = models.JSONField(default=list, editable=False)
    capabilities = models.TextField(blank=True, editable=False)
    cpu_percent = models.FloatField(null=True, editable=False)
    memory_used = models.BigIntegerField(null=True, editable=False)

    #: since when no guest is to come to it, and who said so; None while it takes part
    maintenance_since = models.DateTimeField(null=True, editable=False)
    maintenance_by = models.CharField(max_length=150, blank=True, editable=False)

    created_at = models.DateTimeField(default=timezone.now, editable=False)

    class Meta:
        ordering = ["name"]

    def __str__(self) -> str:
        return self.name

    def get_absolute_url(self) -> str:
        return reverse("hosts:detail", args=[self.name])

    @property
    def in_maintenance(self) -> bool:
        """Whether new guests and moves keep away from it."""
        return self.maintenance_since is not None

    @property
    def is_connected(self) -> bool:
        """Whether what we show of it is being kept up to date."""
        return self.state == self.State.CONNECTED

    @property
    def state_words(self) -> str:
        """``state_text``, why it is not connected, in the reader's language."""
        return said(self.state_text)

    @property
    def transport(self) -> str:
        """'ssh', 'tls', 'tcp', 'unix' … as the URI names it; remote URIs without one mean tls (libvirt's default)."""
        scheme, _sep, rest = self.uri.partition("://")
        if "+" in scheme:
            return scheme.partition("+")[2]
        return "tls" if rest and not rest.startswith("/") else "unix"


class Lease(models.Model):
    """Which process does which role for a host. Time is the database's own, so that processes need not agree on clocks."""

    class Role(models.TextChoices):
        INVENTORY = "inventory"
        OPERATIONS = "operations"

    host = models.ForeignKey(Host, on_delete=models.CASCADE, related_name="leases")
    role = models.CharField(max_length=12, choices=Role.choices)
    owner = models.CharField(max_length=120, blank=True)
    until = models.DateTimeField(null=True)

    class Meta:
        constraints = [models.UniqueConstraint(fields=["host", "role"], name="one_lease_per_host_and_role")]

    def __str__(self) -> str:
        return f"{self.role} of {self.host_id}: {self.owner or 'free'}"

    @classmethod
    def take(cls, host_id: int, role: str, owner: str, seconds: float) -> bool:
        """Take or renew the lease; False when another owner's is still running."""
        free = Q(owner="") | Q(owner=owner) | Q(until__lt=Now()) | Q(until=None)
        wanted = cls.objects.filter(free, host_id=host_id, role=role)
        return wanted.update(owner=owner, until=Now() + timedelta(seconds=seconds)) == 1

    @classmethod
    def give_back(cls, role: str, owner: str, host_ids: list[int] | None = None) -> None:
        """Let go of this owner's leases, so that others need not wait for them to run out."""
        mine = cls.objects.filter(role=role, owner=owner)
        if host_ids is not None:
            mine = mine.filter(host_id__in=host_ids)
        mine.update(owner="", until=None)


class Worker(models.Model):
    """A process that does a role, for counting how many share the hosts; it is alive until ``until``."""

    role = models.CharField(max_length=12, choices=Lease.Role.choices)
    owner = models.CharField(max_length=120, unique=True)
    until = models.DateTimeField()

    def __str__(self) -> str:
        return f"{self.role}: {self.owner}"

    @classmethod
    def report(cls, role: str, owner: str, seconds: float) -> int:
        """Say that ``owner`` is alive; returns how many of the role are. The dead are forgotten."""
        cls.objects.filter(until__lt=Now()).delete()
        cls.objects.update_or_create(owner=owner, defaults={"role": role, "until": Now() + timedelta(seconds=seconds)})
        return cls.objects.filter(role=role).count()
