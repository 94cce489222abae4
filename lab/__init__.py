"""A real cluster of KVM hosts on one machine, for tests and for trying things out: `python3 -m lab up`."""

from lab.errors import LabError, UnsupportedError
from lab.lab import Lab

__all__ = ["Lab", "LabError", "UnsupportedError"]
