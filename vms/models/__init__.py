"""The rows of the guests: machines, where they were sighted, their definitions, and their consoles."""

from vms.models.console import ConsoleSession, ConsoleTicket
from vms.models.definition import DefinitionVersion, TypedSecrets
from vms.models.machine import Sighting, Tag, VirtualMachine
from vms.models.move import MoveRecord, MoveSettings
from vms.models.plan import MovePlan, PlanStep
from vms.models.schedule import SnapshotSchedule
from vms.models.serial import SerialLine, SerialLog
from vms.models.systems import SystemDatabase

__all__ = [
    "ConsoleSession",
    "ConsoleTicket",
    "DefinitionVersion",
    "MovePlan",
    "MoveRecord",
    "MoveSettings",
    "PlanStep",
    "SerialLine",
    "SerialLog",
    "Sighting",
    "SnapshotSchedule",
    "SystemDatabase",
    "Tag",
    "TypedSecrets",
    "VirtualMachine",
]
