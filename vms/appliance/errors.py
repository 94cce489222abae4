"""What is wrong with an appliance."""

from __future__ import annotations


class BadAppliance(ValueError):
    """It cannot be made into a guest; the message says why, in English as it is stored."""
