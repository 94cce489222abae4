"""A list of words as one declared property."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from vms.definition import tree
from vms.definition.place import InvalidValue, Property, none_of
from vms.definition.sentences import say


class Words(Property[list[str]]):
    """A list of words, one in each of several elements: boot devices, tags. [] removes them all."""

    form = "words"

    def __init__(self, path: str, choices: Sequence[str] = (), **options: Any) -> None:
        super().__init__(path, **options)
        self.choices = tuple(choices)

    def read(self, node: Any) -> list[str]:
        return [word for word in map(self._word, self._elements(node)) if word]

    def write(self, node: Any, value: list[str] | None) -> None:
        words = list(value or ())
        if words == self.read(node):
            return
        self.check(words)
        elements = self._elements(node)
        for element, word in zip(elements, words, strict=False):
            self._put(element, word)
        for element in elements[len(words) :]:
            node.prune(tree.remove(element), self.steps)
        for word in words[len(elements) :]:
            self._put(self._another(node), word)

    def check(self, value: list[str]) -> None:
        """Raises InvalidValue."""
        for word in value:
            if not isinstance(word, str) or not word.strip():
                raise InvalidValue(self.name, say("It has to be a list of words."))
            if self.choices and word not in self.choices:
                raise InvalidValue(self.name, none_of(word, self.choices))
        super().check(value)

    def encode(self, value: list[str]) -> str:
        return "".join(value)

    def _elements(self, node: Any) -> list[tree.Element]:
        parent = tree.walk(node.element, self.steps[:-1])
        return [] if parent is None else tree.children(parent, self.steps[-1])

    def _another(self, node: Any) -> tree.Element:
        ranks = node.ranks if len(self.steps) == 1 else {}
        return tree.create(tree.reach(node.reach(), self.steps[:-1], node.ranks), self.steps[-1], ranks)

    def _word(self, element: tree.Element) -> str:
        return (self.raw(element) or "").strip()

    def _put(self, element: tree.Element, word: str) -> None:
        if self._word(element) == word:
            return
        if self.attribute:
            element.set(self.attribute, word)
        else:
            tree.set_text(element, word)
