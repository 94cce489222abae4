"""Declared properties over live elements.

A class that describes an element declares its facts: ``cache = Choice("driver@cache", CACHES)``. Reading looks at that place and
at nothing else. Writing changes that place and nothing else: missing parents are made where libvirt would write them, parents
that are left empty go, and writing what is there already changes nothing.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from vms.definition import tree
from vms.definition.place import InvalidValue, Property, none_of
from vms.definition.sentences import say
from vms.definition.sizes import factor, in_units, whole_number
from vms.definition.words import Words

__all__ = [
    "Choice", "Flag", "Integer", "InvalidValue", "OnOff", "Presence", "Property", "Size", "State", "Text", "Words", "YesNo",
]  # fmt: skip


class Text(Property[str | None]):
    """Characters. ``pattern``: what may be written, ``hint``: in words. ``keep_space``: white space at the ends counts."""

    def __init__(
        self, path: str, pattern: str = "", hint: str = "", *, keep_space: bool = False, **options: Any
    ) -> None:
        super().__init__(path, **options)
        self.pattern = re.compile(pattern) if pattern else None
        self.hint, self.keep_space = hint, keep_space

    def decode(self, raw: str) -> str | None:
        return raw if self.keep_space else raw.strip()

    def encode(self, value: str | None) -> str:
        return value or ""

    def check(self, value: str | None) -> None:
        if not isinstance(value, str):
            raise InvalidValue(self.name, say("It has to be text."))
        super().check(value)
        if self.pattern is not None and not self.pattern.fullmatch(value):
            raise InvalidValue(self.name, self.hint or say("“%(value)s” does not fit.", value=value))


class Choice(Text):
    """One of some words. Words of newer versions of libvirt are read and kept as they are; only known ones are written."""

    form = "choice"

    def __init__(self, path: str, choices: Sequence[str], **options: Any) -> None:
        super().__init__(path, **options)
        self.choices = tuple(choices)

    def check(self, value: str | None) -> None:
        if value not in self.choices:
            raise InvalidValue(self.name, none_of(str(value), self.choices))


class Integer(Property[int | None]):
    """A whole number. ``digits``: written as hexadecimal, '0x0a' with two; decimal is read, too."""

    form = "integer"

    def __init__(
        self, path: str, minimum: int = 0, maximum: int = 2**64 - 1, *, digits: int = 0, **options: Any
    ) -> None:
        super().__init__(path, **options)
        self.minimum, self.maximum, self.digits = minimum, maximum, digits

    def decode(self, raw: str) -> int | None:
        return whole_number(raw, hexadecimal=self.digits > 0)

    def encode(self, value: int | None) -> str:
        return f"0x{value:0{self.digits}x}" if self.digits else str(value)

    def check(self, value: int | None) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidValue(self.name, say("It has to be a whole number."))
        if not self.minimum <= value <= self.maximum:
            raise InvalidValue(
                self.name, say("It has to be between %(least)s and %(most)s.", least=self.minimum, most=self.maximum)
            )


class Size(Property[int | None]):
    """A size in bytes; the unit that stands in the definition is kept when the size is a whole number of it.

    ``unit``: the attribute that holds the unit. ``default_unit``: what a number without unit is in.
    """

    form = "size"

    def __init__(self, path: str, *, unit: str = "unit", default_unit: str = "KiB", **options: Any) -> None:
        super().__init__(path, **options)
        self.unit, self.default_unit = unit, default_unit

    def take(self, element: tree.Element) -> int | None:
        number = whole_number(self.raw(element) or "")
        times = factor(element.get(self.unit) or self.default_unit)
        return None if number is None or number < 0 or times is None else number * times

    def put(self, element: tree.Element, value: int | None) -> None:
        number, unit = in_units(value or 0, element.get(self.unit), self.default_unit)
        if self.attribute:
            element.set(self.attribute, str(number))
        else:
            tree.set_text(element, str(number))
        if unit is not None:
            element.set(self.unit, unit)

    def make(self, home: tree.Element, ranks: Mapping[str, int]) -> tree.Element:
        """A new element says its unit."""
        element = super().make(home, ranks)
        if not (self.raw(element) or "").strip() and self.unit not in element.attrib:
            element.set(self.unit, self.default_unit)
        return element

    def clear(self, element: tree.Element) -> tree.Element | None:
        tree.drop(element, self.unit)
        return super().clear(element)

    def encode(self, value: int | None) -> str:
        return str(value)

    def check(self, value: int | None) -> None:
        if isinstance(value, bool) or not isinstance(value, int):
            raise InvalidValue(self.name, say("It has to be a whole number of bytes."))
        if not 0 <= value <= 2**64 - 1:
            raise InvalidValue(self.name, say("It has to be between 0 and 16 EiB."))


class Flag(Property[bool | None]):
    """Two words for true and false; use YesNo or OnOff."""

    form = "flag"
    words = ("yes", "no")

    def decode(self, raw: str) -> bool | None:
        return {self.words[0]: True, self.words[1]: False}.get(raw.strip())

    def encode(self, value: bool | None) -> str:
        return self.words[0 if value else 1]

    def check(self, value: bool | None) -> None:
        if not isinstance(value, bool):
            raise InvalidValue(self.name, say("It has to be true or false."))


class YesNo(Flag):
    """'yes' or 'no'."""


class OnOff(Flag):
    """'on' or 'off'."""

    words = ("on", "off")


class State(Flag):
    """A feature's element with ``state``; without the attribute it is on. None removes the element, and what else it said."""

    words = ("on", "off")

    def take(self, element: tree.Element) -> bool | None:
        state = element.get("state")
        return True if state is None else self.decode(state)

    def put(self, element: tree.Element, value: bool | None) -> None:
        element.set("state", self.encode(value))

    def clear(self, element: tree.Element) -> tree.Element | None:
        return tree.remove(element)


class Presence(Flag):
    """True when the element is there at all, as ``<readonly/>``. False removes it, and what else it said."""

    form = "presence"

    def __init__(self, path: str, **options: Any) -> None:
        super().__init__(path, default=False, **options)

    def write(self, node: Any, value: bool | None) -> None:
        super().write(node, None if value is False else value)

    def take(self, element: tree.Element) -> bool:
        return True

    def put(self, element: tree.Element, value: bool | None) -> None:
        """To be there is all."""

    def clear(self, element: tree.Element) -> tree.Element | None:
        return tree.remove(element)
