"""Sentences for people, as the boundary says them: English, and marked so that they can be shown in another language.

They are stored and logged as they are; hosts.said translates them where somebody reads them.
"""

from __future__ import annotations


def say(sentence: str, **values: object) -> str:
    """``sentence`` with its ``%(name)s`` filled in. `make messages` finds its first argument, which must be a literal."""
    return sentence % values if values else sentence
