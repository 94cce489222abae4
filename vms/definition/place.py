"""What all declared properties have in common: a place below an element that is read, written, made and cleared."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar, overload

from vms.definition import tree
from vms.definition.sentences import say

if TYPE_CHECKING:
    from vms.definition.nodes import Node

T = TypeVar("T")
_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_NOTHING: Mapping[str, str] = {}


class InvalidValue(ValueError):
    """A value that a property cannot take; ``name`` is the property, ``message`` says why."""

    def __init__(self, name: str, message: str) -> None:
        super().__init__(f"{name}: {message}")
        self.name, self.message = name, message


def none_of(value: str, choices: Sequence[str]) -> str:
    """The sentence for a word that is not among the choices."""
    return say("“%(value)s” is none of %(choices)s.", value=value, choices=", ".join(choices))


class Property(Generic[T]):
    """One declared place: 'child/grandchild@attribute', '@attribute', 'child' (its text) or '.' (the element's own text).

    ``required``: cannot be removed. ``read_only``: libvirt's to say. ``default``: what is read where nothing is.
    ``born``: attributes ('.' is the text, 'tag@name' one of a parent) that elements are given when they are made for this.
    ``whole``: the element is nothing without it, and goes with it.
    """

    #: what a form needs to know: text, integer, size, choice, flag, presence, words
    form = "text"
    name = ""
    owner: type[Node]

    def __init__(
        self,
        path: str,
        *,
        required: bool = False,
        read_only: bool = False,
        default: Any = None,
        born: Mapping[str, str] = _NOTHING,
        whole: bool = False,
    ) -> None:
        self.path = path
        self.steps, self.attribute = tree.parse_path(path)
        self.births = tree.births(self.steps, born) if born else ()
        self.required, self.read_only, self.default, self.born, self.whole = required, read_only, default, born, whole

    def __set_name__(self, owner: type[Node], name: str) -> None:
        self.owner, self.name = owner, name

    @overload
    def __get__(self, node: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, node: Node, owner: type[Any]) -> T: ...
    def __get__(self, node: Node | None, owner: type[Any]) -> Self | T:
        return self if node is None else self.read(node)

    def __set__(self, node: Node, value: T) -> None:
        self.write(node, value)

    def read(self, node: Node) -> T:
        """What is there, or the default."""
        element = tree.walk(node.element, self.steps)
        found = None if element is None else self.take(element)
        return self.default if found is None else found

    def write(self, node: Node, value: T | None) -> None:
        """Make it so; None removes it. Raises InvalidValue before anything is touched."""
        if self.read_only:
            raise InvalidValue(self.name, say("This is for libvirt to say."))
        if value is None:
            self._remove(node)
            return
        home = node.element
        element = tree.walk(home, self.steps)
        found = None if element is None else self.take(element)
        if value == (self.default if found is None else found):
            return
        self.check(value)
        if element is None:
            element = self.make(node.make() if home is None else home, node.ranks)
        self.put(element, value)

    def is_whole(self, element: tree.Element) -> bool:
        """Whether this very element is nothing without it."""
        return self.whole

    def _remove(self, node: Node) -> None:
        element = tree.walk(node.element, self.steps)
        if element is None:
            return
        if self.required:
            raise InvalidValue(self.name, say("This cannot be left out."))
        there = self.raw(element) is not None if self.attribute else True
        if self.whole and there and not self.steps:
            node.remove()
        elif there:
            node.prune(tree.remove(element) if self.is_whole(element) else self.clear(element), self.steps)

    def make(self, home: tree.Element, ranks: Mapping[str, int]) -> tree.Element:
        """The element at the end of the path, and those on the way that are missing."""
        return tree.reach(home, self.steps, ranks, self.births)

    def raw(self, element: tree.Element) -> str | None:
        """The characters at the place; None when it does not exist."""
        return element.get(self.attribute) if self.attribute else tree.get_text(element)

    def take(self, element: tree.Element) -> T | None:
        """What the element at the end of the path says; None when that cannot be understood."""
        raw = self.raw(element)
        return None if raw is None else self.decode(raw)

    def put(self, element: tree.Element, value: T) -> None:
        """Write a value that was checked."""
        if self.attribute:
            element.set(self.attribute, self.encode(value))
        else:
            tree.set_text(element, self.encode(value))

    def clear(self, element: tree.Element) -> tree.Element | None:
        """Remove the value, which is there; the element that may be empty now."""
        if self.attribute:
            tree.drop(element, self.attribute)
            return element
        tree.set_text(element, "")
        return tree.remove(element) if self.steps and tree.is_remark(element) else element

    def check(self, value: T) -> None:
        """Raises InvalidValue for what must not be written."""
        if _NO_XML.search(self.encode(value)):
            raise InvalidValue(self.name, say("It contains a character that XML cannot hold."))

    def decode(self, raw: str) -> T | None:
        """The value that these characters mean, None when they mean nothing."""
        raise NotImplementedError

    def encode(self, value: T) -> str:
        """The characters for a value."""
        raise NotImplementedError
