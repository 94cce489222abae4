"""The rows of the guests: machines, where they were sighted, and their consoles."""

from vms.models.console import ConsoleSession, ConsoleTicket
from vms.models.machine import Sighting, Tag, VirtualMachine

__all__ = ["ConsoleSession", "ConsoleTicket", "Sighting", "Tag", "VirtualMachine"]
