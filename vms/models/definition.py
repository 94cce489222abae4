"""Every definition a guest was ever seen with, and the secrets of one that waits to be defined."""

from __future__ import annotations

from django.db import models
from django.utils.translation import gettext_lazy as _

from hosts.models import Host, Operation, User
from hosts.secrets import SecretField


class DefinitionVersion(models.Model):
    """A definition as it was when it was first seen. Written by vms.history only; ``text`` is libvirt's, without secrets."""

    class Kind(models.TextChoices):
        INACTIVE = "inactive", _("next boot")
        LIVE = "live", _("live")

    vm = models.ForeignKey("vms.VirtualMachine", on_delete=models.CASCADE, related_name="versions")
    host = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="+")
    host_name = models.CharField(max_length=63, blank=True)
    #: live only for a guest that is forgotten when it stops: it has no other
    kind = models.CharField(max_length=8, choices=Kind.choices, default=Kind.INACTIVE)
    #: of what it means; '' until somebody asks (vms.history.digest_of)
    digest = models.CharField(max_length=64, blank=True)
    #: SHA-256 of the text as it is
    mark = models.CharField(max_length=64)
    text = models.TextField()
    seen_at = models.DateTimeField()
    #: who made it, where an operation of ours did; None: somebody else, or not known
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150, blank=True)
    operation = models.ForeignKey(Operation, null=True, on_delete=models.SET_NULL, related_name="definitions")
    #: what is different from the version before: [path, before, after], the first of them, long values cut
    changes = models.JSONField(default=list)
    changes_count = models.PositiveIntegerField(default=0)

    class Meta:
        ordering = ["-id"]
        indexes = [models.Index(fields=["vm", "-id"], name="definition_history")]

    def __str__(self) -> str:
        return f"definition {self.pk} of {self.vm_id}"


class TypedSecrets(models.Model):
    """Secrets that somebody typed into a definition, until the operation that defines it has ended."""

    operation = models.OneToOneField(Operation, on_delete=models.CASCADE, related_name="+")
    #: JSON: [[number of the element in document order, attribute or '' for its text, value], …]
    sealed = SecretField()

    def __str__(self) -> str:
        return f"secrets of {self.operation_id}"
