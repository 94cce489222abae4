"""The rows of the guests: machines, where they were sighted, their definitions, and their consoles."""

from vms.models.console import ConsoleSession, ConsoleTicket
from vms.models.definition import DefinitionVersion, TypedSecrets
from vms.models.machine import Sighting, Tag, VirtualMachine

__all__ = [
    "ConsoleSession",
    "ConsoleTicket",
    "DefinitionVersion",
    "Sighting",
    "Tag",
    "TypedSecrets",
    "VirtualMachine",
]
