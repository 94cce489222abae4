"""Sentences for people, in English and marked so that they can be shown in another language where they are read."""

from __future__ import annotations


def say(sentence: str, **values: object) -> str:
    """``sentence`` with its ``%(name)s`` filled in. `make messages` finds its first argument, which has to be a literal."""
    return sentence % values if values else sentence
