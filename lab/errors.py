"""What the lab raises."""

from __future__ import annotations


class LabError(Exception):
    """Something a person can act on; the message is one plain sentence."""


class UnsupportedError(LabError):
    """The machine's kernel or tools cannot do this."""
