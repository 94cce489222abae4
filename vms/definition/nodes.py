"""Elements with declared properties: single ones that may be missing (Nested), and lists of them (Many)."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import lru_cache
from typing import Any, ClassVar, Generic, Self, TypeVar, overload

from vms.definition import tree
from vms.definition.place import InvalidValue, Property
from vms.definition.properties import Presence, State
from vms.definition.sentences import say

N = TypeVar("N", bound="Node")


class UnknownProperty(LookupError):
    """No property of that name is declared here, or no such device is in the definition."""


class Node:
    """An element of a live tree. A single one that is missing reads as empty and is made by the first write to it."""

    __slots__ = ("_element", "_home", "_nested")
    #: children in the order in which libvirt writes them
    order: ClassVar[str] = ""
    #: attributes ('.' is the text) that a new element has from the start
    born: ClassVar[Mapping[str, str]] = {}
    #: the property that tells one entry of a list from another; '' when there is none
    natural_key: ClassVar[str] = ""
    ranks: ClassVar[Mapping[str, int]] = {}
    properties: ClassVar[Mapping[str, Property[Any]]] = {}
    parts: ClassVar[Mapping[str, Nested[Any]]] = {}
    lists: ClassVar[Mapping[str, Many[Any]]] = {}
    #: tags whose mere presence says something: never removed because they are empty
    lasting: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(cls) -> None:
        super().__init_subclass__()
        declared = {name: value for base in reversed(cls.__mro__) for name, value in vars(base).items()}
        cls.properties = {name: value for name, value in declared.items() if isinstance(value, Property)}
        cls.parts = {name: value for name, value in declared.items() if isinstance(value, Nested)}
        cls.lists = {name: value for name, value in declared.items() if isinstance(value, Many)}
        cls.ranks = {tag: position for position, tag in enumerate(cls.order.split())}
        marks = [value for value in cls.properties.values() if isinstance(value, (Presence, State))]
        cls.lasting = frozenset(mark.steps[-1].tag for mark in marks if mark.steps)

    def __init__(
        self, element: tree.Element | None, home: Node | None = None, nested: Nested[Any] | None = None
    ) -> None:
        self._element, self._home, self._nested = element, home, nested

    @property
    def element(self) -> tree.Element | None:
        """The live element; None when it is missing."""
        if self._nested is None or self._home is None:
            return self._element
        return tree.walk(self._home.element, self._nested.steps)

    @property
    def exists(self) -> bool:
        """Whether the element is there."""
        return self.element is not None

    @property
    def key(self) -> str | None:
        """What tells it from others of its kind, as it stands in a path: the disk's target, the interface's MAC address."""
        return str(value) if self.natural_key and (value := self.get(self.natural_key)) not in (None, "") else None

    def reach(self) -> tree.Element:
        """The live element, made when it is missing."""
        element = self.element
        return element if element is not None else self.make()

    def make(self) -> tree.Element:
        """Make the element, which is missing."""
        home, nested = self._home, self._nested
        if home is None or nested is None:
            raise InvalidValue(type(self).__name__, say("There is no element."))
        return tree.reach(home.reach(), nested.steps, home.ranks, nested.births)

    def remove(self) -> None:
        """Take the element out of the definition with all it holds, and what held nothing but it."""
        element = self.element
        parent = tree.remove(element) if element is not None else None
        if self._home is not None:
            self._home.prune(parent)

    def prune(self, element: tree.Element | None, steps: Sequence[tree.Step] = ()) -> None:
        """Remove an element that became empty, and its parents that become empty by that; ``steps`` led there."""
        own = self.element
        keys = {step.tag: step.key for step in steps}
        while element is not None and element is not own:
            if element.tag in self.lasting or not tree.is_empty(element, keys.get(element.tag, "")):
                return
            element = tree.remove(element)
        home, nested = self._home, self._nested
        if own is None or home is None or nested is None or nested.lasting or own.tag in home.lasting:
            return
        if tree.is_empty(own, nested.steps[-1].key):
            home.prune(tree.remove(own), nested.steps)

    def get(self, path: str) -> Any:
        """The value at a dotted path: ``get("driver.cache")``, ``get("disks[vda].source.file")``. Raises UnknownProperty."""
        node, name = self.locate(path)
        if name not in node.properties:
            raise UnknownProperty(path)
        return getattr(node, name)

    def set(self, path: str, value: Any) -> None:
        """Write the value at a dotted path. Raises UnknownProperty, InvalidValue."""
        node, name = self.locate(path)
        if name not in node.properties:
            raise UnknownProperty(path)
        setattr(node, name, value)

    def update(self, values: Mapping[str, Any]) -> Self:
        """Write several, in order."""
        for path, value in values.items():
            self.set(path, value)
        return self

    def locate(self, path: str) -> tuple[Node, str]:
        """The node that a dotted path leads to, and the last name. Raises UnknownProperty."""
        node = self
        *way, last = split(path)
        for name, key in way:
            node = node.step(name, key)
        return (node, last[0]) if last[1] is None else (node.step(*last), "")

    def step(self, name: str, key: str | None) -> Node:
        """One name further. Raises UnknownProperty."""
        if key is None and name in self.parts:
            return getattr(self, name)  # type: ignore[no-any-return]
        if key is not None and name in self.lists:
            return getattr(self, name)[key]  # type: ignore[no-any-return]
        raise UnknownProperty(name)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} {self.key or ''}>"


@lru_cache(maxsize=2048)
def split(path: str) -> tuple[tuple[str, str | None], ...]:
    """'disks[vda].driver.cache' → (('disks', 'vda'), ('driver', None), ('cache', None)). Raises UnknownProperty."""
    pieces: list[tuple[str, str | None]] = []
    rest = path
    while rest:
        stop = min((place for place in (rest.find("."), rest.find("[")) if place >= 0), default=len(rest))
        name, rest, key = rest[:stop], rest[stop:], None
        if rest.startswith("["):
            key, closed, rest = rest[1:].partition("]")
            if not closed or (rest and not rest.startswith(".")):
                raise UnknownProperty(path)
        pieces.append((name, key))
        rest = rest[1:]
    if not pieces:
        raise UnknownProperty(path)
    return tuple(pieces)


class Nested(Generic[N]):
    """A child element with properties of its own, of which there is one at most."""

    def __init__(self, path: str, kind: type[N], *, lasting: bool = False) -> None:
        self.path, self.kind, self.lasting = path, kind, lasting
        self.steps, _ = tree.parse_path(path)
        self.births = tree.births(self.steps, kind.born) if kind.born else ()

    @overload
    def __get__(self, node: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, node: Node, owner: type[Any]) -> N: ...
    def __get__(self, node: Node | None, owner: type[Any]) -> Self | N:
        return self if node is None else self.kind(None, node, self)


class Many(Generic[N]):
    """Child elements with properties of their own, any number of them."""

    def __init__(self, path: str, kind: type[N]) -> None:
        self.path, self.kind = path, kind
        self.steps, _ = tree.parse_path(path)
        self.way, self.step = self.steps[:-1], self.steps[-1]

    @overload
    def __get__(self, node: None, owner: type[Any]) -> Self: ...
    @overload
    def __get__(self, node: Node, owner: type[Any]) -> Nodes[N]: ...
    def __get__(self, node: Node | None, owner: type[Any]) -> Self | Nodes[N]:
        return self if node is None else Nodes(node, self)


class Nodes(Sequence[N]):
    """The entries of one kind, live: what is added or removed is seen at once."""

    __slots__ = ("_home", "_many")

    def __init__(self, home: Node, many: Many[N]) -> None:
        self._home, self._many = home, many

    def _elements(self) -> list[tree.Element]:
        parent = tree.walk(self._home.element, self._many.way)
        return [] if parent is None else tree.children(parent, self._many.step)

    def __len__(self) -> int:
        return len(self._elements())

    def __iter__(self) -> Iterator[N]:
        return (self._node(element) for element in self._elements())

    def _node(self, element: tree.Element) -> N:
        return self._many.kind(element, self._home)

    @overload
    def __getitem__(self, which: int | str) -> N: ...
    @overload
    def __getitem__(self, which: slice) -> list[N]: ...
    def __getitem__(self, which: int | str | slice) -> N | list[N]:
        """By place, or by key (see ``find``). Raises IndexError, UnknownProperty."""
        if isinstance(which, int):
            return self._node(self._elements()[which])
        if isinstance(which, slice):
            return list(self)[which]
        found = self.find(which)
        if found is None:
            raise UnknownProperty(which)
        return found

    def find(self, key: str) -> N | None:
        """The entry with this key ('vda', a MAC address), this alias, or at this place ('#0' is the first)."""
        place = key[1:]
        if key.startswith("#") and place.isascii() and place.isdigit():
            return next((node for number, node in enumerate(self) if number == int(place)), None)
        wanted = key.lower()
        for node in self:
            own = node.key
            if own is not None and own.lower() == wanted:
                return node
        return next((node for node in self if node.properties.get("alias") and node.get("alias") == key), None)

    def add(self, values: Mapping[str, Any] | None = None, *, before: N | None = None) -> N:
        """A new entry behind the others of its kind (or ``before`` one) with these values by dotted path. Raises InvalidValue."""
        many, ranks = self._many, self._home.ranks
        parent = tree.reach(self._home.reach(), many.way, ranks)
        order = tree.NO_ORDER if many.way else ranks
        place = before.element if before is not None else None
        node = self._node(tree.create(parent, many.step, order, many.kind.born, place))
        try:
            return node.update(values or {})
        except (InvalidValue, UnknownProperty):
            node.remove()
            raise
