"""Texts that fit a regular expression."""

from __future__ import annotations

import random
import re
from re import _constants as codes
from re import _parser as parser
from typing import Any

PLAIN = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-_."


def sample(pattern: str, chance: random.Random) -> str:
    """A random text that the whole pattern fits; printable ASCII, and no white space at its ends."""
    tree = parser.parse(pattern)
    for _attempt in range(500):
        text = _sequence(tree, chance)
        if text and text == text.strip() and re.fullmatch(pattern, text):
            return text
    raise AssertionError(f"nothing fits {pattern}")


def _sequence(tree: Any, chance: random.Random) -> str:
    return "".join(_one(code, argument, chance) for code, argument in tree)


def _one(code: Any, argument: Any, chance: random.Random) -> str:
    if code is codes.LITERAL:
        return chr(argument)
    if code is codes.ANY:
        return chance.choice(PLAIN)
    if code is codes.NOT_LITERAL:
        return chance.choice([letter for letter in PLAIN if ord(letter) != argument])
    if code is codes.IN:
        return _of_a_class(argument, chance)
    if code in (codes.MAX_REPEAT, codes.MIN_REPEAT):
        least, most, inner = argument
        times = chance.randint(least, max(least, min(int(most), least + 3)))
        return "".join(_sequence(inner, chance) for _ in range(times))
    if code is codes.SUBPATTERN:
        return _sequence(argument[-1], chance)
    if code is codes.BRANCH:
        return _sequence(chance.choice(argument[1]), chance)
    raise AssertionError(f"{code} is not spoken here")


def _of_a_class(items: Any, chance: random.Random) -> str:
    letters: set[str] = set()
    negated = False
    for code, argument in items:
        if code is codes.NEGATE:
            negated = True
        elif code is codes.LITERAL:
            letters.add(chr(argument))
        elif code is codes.RANGE:
            letters |= {chr(number) for number in range(argument[0], argument[1] + 1)}
        elif argument is codes.CATEGORY_DIGIT:
            letters |= set("0123456789")
        elif argument is codes.CATEGORY_SPACE:
            letters |= {" "}
    known = sorted(set(PLAIN) - letters if negated else letters)
    return chance.choice(known)
