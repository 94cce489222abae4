"""The rows of the guests: machines, where they were sighted, their definitions, and their consoles."""

from vms.models.console import ConsoleSession, ConsoleTicket
from vms.models.definition import DefinitionVersion, TypedSecrets
from vms.models.machine import Sighting, Tag, VirtualMachine
from vms.models.systems import SystemDatabase
from vms.models.schedule import SnapshotSchedule

__all__ = [
    "ConsoleSession",
    "ConsoleTicket",
    "DefinitionVersion",
    "Sighting",
    "SystemDatabase",
    "SnapshotSchedule",
    "Tag",
    "TypedSecrets",
    "VirtualMachine",
]
