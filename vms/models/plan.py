"""Plans of moves: who goes where, in which order, and how far that has come."""

from __future__ import annotations

import uuid

from django.db import models
from django.db.models import Q
from django.urls import reverse
from django.utils import timezone
from django.utils.translation import gettext_lazy as _

from hosts.models import Host, Operation, User
from hosts.said import said


class MovePlan(models.Model):
    """Several guests that are to move. Nothing happens while it is a draft; vms.moving.plans.driving carries it out."""

    class Purpose(models.TextChoices):
        MAINTENANCE = "maintenance", _("empty a host")
        SELECTION = "selection", _("move a selection")
        BALANCE = "balance", _("balance")
        BACK = "back", _("bring back")

    class State(models.TextChoices):
        DRAFT = "draft", _("draft")
        RUNNING = "running", _("running")
        PAUSED = "paused", _("paused")
        STOPPING = "stopping", _("stopping")
        DONE = "done", _("done")

    #: states in which steps may be under way
    ACTIVE = (State.RUNNING, State.PAUSED, State.STOPPING)

    id = models.UUIDField(primary_key=True, default=uuid.uuid4, editable=False)
    purpose = models.CharField(max_length=12, choices=Purpose.choices)
    state = models.CharField(max_length=10, choices=State.choices, default=State.DRAFT)
    #: the host that is to be empty
    host = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="+")
    host_name = models.CharField(max_length=63, blank=True)
    #: the plan that this one takes back
    back_of = models.ForeignKey("self", null=True, on_delete=models.SET_NULL, related_name="backs")
    #: moves that a host, and a pair of hosts, has under way at most
    per_host = models.PositiveSmallIntegerField(default=2)
    per_link = models.PositiveSmallIntegerField(default=1)
    #: arguments of each move
    arguments = models.JSONField(default=dict)
    actor = models.ForeignKey(User, null=True, on_delete=models.SET_NULL, related_name="+")
    actor_name = models.CharField(max_length=150, blank=True)
    #: the bulk operation whose children the steps are
    operation = models.OneToOneField(Operation, null=True, on_delete=models.SET_NULL, related_name="plan")
    created_at = models.DateTimeField(default=timezone.now)
    started_at = models.DateTimeField(null=True)
    finished_at = models.DateTimeField(null=True)
    #: until when one process has it in hand
    held_until = models.DateTimeField(null=True)

    class Meta:
        ordering = ["-created_at"]

    def __str__(self) -> str:
        return f"{self.get_purpose_display()} {self.host_name}".strip()

    def get_absolute_url(self) -> str:
        return reverse("vms:plan", args=[self.pk])

    @property
    def is_active(self) -> bool:
        """Whether steps may be under way."""
        return self.state in self.ACTIVE


class PlanStep(models.Model):
    """What becomes of one guest."""

    class Action(models.TextChoices):
        MOVE = "move", _("move")
        SHUTDOWN = "shutdown", _("shut down")
        SAVE = "save", _("save its memory")
        START = "start", _("start")
        STAY = "stay", _("leave")

    class State(models.TextChoices):
        WAITING = "waiting", _("waiting")
        RUNNING = "running", _("running")
        SUCCEEDED = "succeeded", _("succeeded")
        FAILED = "failed", _("failed")
        SKIPPED = "skipped", _("left")

    plan = models.ForeignKey(MovePlan, on_delete=models.CASCADE, related_name="steps")
    order = models.PositiveIntegerField()
    vm = models.ForeignKey("vms.VirtualMachine", on_delete=models.CASCADE, related_name="+")
    vm_name = models.CharField(max_length=255)
    memory = models.BigIntegerField(default=0)
    source = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="+")
    source_name = models.CharField(max_length=63, blank=True)
    action = models.CharField(max_length=10, choices=Action.choices)
    target = models.ForeignKey(Host, null=True, on_delete=models.SET_NULL, related_name="+")
    target_name = models.CharField(max_length=63, blank=True)
    copy_storage = models.BooleanField(default=False)
    #: why so, in words that are stored
    why = models.TextField(blank=True)
    #: seconds that it is expected to take; whether that is a guess
    expected = models.FloatField(null=True)
    guessed = models.BooleanField(default=True)
    state = models.CharField(max_length=10, choices=State.choices, default=State.WAITING)
    operation = models.OneToOneField(Operation, null=True, on_delete=models.SET_NULL, related_name="step")

    class Meta:
        ordering = ["order"]
        constraints = [
            models.UniqueConstraint(fields=["plan", "vm"], name="one_step_per_guest"),
            models.UniqueConstraint(fields=["plan", "order"], name="one_step_per_place"),
        ]
        indexes = [models.Index(fields=["state"], condition=Q(state="running"), name="steps_under_way")]

    def __str__(self) -> str:
        return f"{self.action} {self.vm_name}"

    @property
    def why_words(self) -> str:
        """``why`` in the reader's language."""
        return said(self.why)
