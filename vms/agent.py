"""The guest agent as rows tell of it: whether it answers, and what it said when it was last asked."""

from __future__ import annotations

from django.utils.translation import gettext as _

from hosts.models import Operation
from vms.models import VirtualMachine

CHANNEL = "org.qemu.guest_agent.0"
RUNNING = VirtualMachine.PowerState.RUNNING


def has_channel(vm: VirtualMachine) -> bool:
    """Whether its definition has a line for the agent to talk over."""
    return any(device["kind"] == "channel" and CHANNEL in device["text"] for device in vm.devices)


def why_no_agent(vm: VirtualMachine) -> str:
    """Why the agent cannot be asked; '' when it can."""
    if not has_channel(vm):
        return _("The guest has no channel for the guest agent (org.qemu.guest_agent.0).")
    if vm.power_state != RUNNING:
        return _("The guest does not run.")
    if vm.agent_connected is not True:
        return _("The guest agent does not answer: is qemu-guest-agent installed and started in the guest?")
    return ""


def last_told(vm: VirtualMachine) -> Operation | None:
    """The last time that the agent was asked for what it knows, and answered."""
    asked = Operation.objects.filter(subject_uuid=vm.pk, kind="guest-info", state=Operation.State.SUCCEEDED)
    return asked.order_by("-created_at").first()


def frozen_by(vm: VirtualMachine) -> Operation | None:
    """The operation that holds its file systems still now."""
    return Operation.objects.filter(subject_uuid=vm.pk, kind="fs-freeze", state=Operation.State.RUNNING).first()
