"""Comparing two trees: which element corresponds to which, and what differs."""

from __future__ import annotations

from collections.abc import Iterator
from typing import NamedTuple

from lxml import etree

from vms.definition import runtime, tree

#: the attributes that tell elements of one name apart, the first that is there counts
_IDENTITY = ("id", "index", "name", "vcpu", "vcpus", "iothread", "cellid", "dev", "model", "type", "level", "value")
#: … and where they are in children
_DEVICE_IDENTITY = {
    "disk": "target@dev", "interface": "mac@address", "filesystem": "target@dir", "channel": "target@name", "cell": "@id",
    "controller": "@type", "hostdev": "source/address@slot", "input": "@bus", "graphics": "@type", "memory": "target/node",
}  # fmt: skip


class Difference(NamedTuple):
    """``path`` such as 'devices/disk[vda]/driver@cache'; None where there is nothing. Whole elements stand as XML."""

    path: str
    before: str | None
    after: str | None


Pair = tuple[tree.Element, tree.Element | None]


def compare(before: tree.Element, after: tree.Element, path: str = "") -> list[Difference]:
    """Every place that differs, in the order of the definition."""
    found = list(_compare_own(before, after, path))
    pairs, added = match(before, after)
    for mine, its in pairs:
        place = _join(path, mine)
        if its is None:
            found.append(Difference(place, snippet(mine), None))
        else:
            found += compare(mine, its, place)
    found += [Difference(_join(path, new), None, snippet(new)) for new in added]
    return found + _reordered(pairs, path)


def _compare_own(before: tree.Element, after: tree.Element, path: str) -> Iterator[Difference]:
    names = dict.fromkeys(str(name) for name in [*before.attrib, *after.attrib])
    for name in names:
        old, new = before.get(name), after.get(name)
        if old != new:
            yield Difference(f"{path}@{shown(name, before)}", old, new)
    old_text, new_text = tree.get_text(before).strip(), tree.get_text(after).strip()
    if old_text != new_text:
        yield Difference(path, old_text or None, new_text or None)


def _reordered(pairs: list[Pair], path: str) -> list[Difference]:
    """Elements of one name whose order changed: it decides what a guest boots from, and what QEMU is told last."""
    moved = []
    for tag in dict.fromkeys(mine.tag for mine, _its in pairs):
        kept = [(mine, its) for mine, its in pairs if mine.tag == tag and its is not None]
        parent = kept[0][1].getparent() if len(kept) > 1 else None
        if parent is None:
            continue
        place = {element: number for number, element in enumerate(parent)}
        now = sorted(kept, key=lambda pair: place[pair[1]])
        if now != kept:
            before = ", ".join(identity(mine) or "?" for mine, _its in kept)
            moved.append(
                Difference(
                    f"{path}/{shown(tag, kept[0][0])}".lstrip("/"),
                    before,
                    ", ".join(identity(m) or "?" for m, _ in now),
                )
            )
    return moved


def losses(sent: tree.Element, got: tree.Element, path: str = "") -> list[Difference]:
    """What ``sent`` has and ``got`` has not, except what belongs to one run or says no more than the default."""
    found = [
        Difference(f"{path}@{shown(name, sent)}", value, None)
        for name, value in tree.attributes(sent)
        if name not in got.attrib and not runtime.is_no_loss(sent, name)
    ]
    text = tree.get_text(sent).strip()
    if text and not tree.get_text(got).strip() and not len(got):
        found.append(Difference(path, text, None))
    for mine, its in match(sent, got)[0]:
        if runtime.is_no_loss(mine):
            continue
        place = _join(path, mine)
        found += losses(mine, its, place) if its is not None else [Difference(place, snippet(mine), None)]
    return found


def match(before: tree.Element, after: tree.Element) -> tuple[list[Pair], list[tree.Element]]:
    """Every child of ``before`` with the one of ``after`` that is the same thing, or None; and those of ``after`` that are left."""
    left: dict[str, list[tree.Element]] = {}
    for child in _children(after):
        left.setdefault(child.tag, []).append(child)
    mine = list(_children(before))
    found: dict[tree.Element, tree.Element] = {}
    for same in (_is_equal, _has_same_identity, _has_no_identity):
        for child in mine:
            candidates = left.get(child.tag)
            if child in found or not candidates:
                continue
            twin = next((candidate for candidate in candidates if same(child, candidate)), None)
            if twin is not None:
                candidates.remove(twin)
                found[child] = twin
    _match_singles(mine, left, found)
    rest = {element for elements in left.values() for element in elements}
    return [(child, found.get(child)) for child in mine], [child for child in _children(after) if child in rest]


def _match_singles(
    mine: list[tree.Element], left: dict[str, list[tree.Element]], found: dict[tree.Element, tree.Element]
) -> None:
    """An element that is the only one of its name on both sides is the same one, whatever it says."""
    for child in mine:
        candidates = left.get(child.tag, [])
        alone = sum(1 for other in mine if other.tag == child.tag) == 1
        if child not in found and alone and len(candidates) == 1:
            found[child] = candidates.pop()


def _children(element: tree.Element) -> Iterator[tree.Element]:
    return (child for child in element if isinstance(child.tag, str))


def _is_equal(one: tree.Element, other: tree.Element) -> bool:
    if (
        one.attrib != other.attrib
        or len(one) != len(other)
        or tree.get_text(one).strip() != tree.get_text(other).strip()
    ):
        return False
    return all(a.tag == b.tag and _is_equal(a, b) for a, b in zip(one, other, strict=True))


def _has_same_identity(one: tree.Element, other: tree.Element) -> bool:
    own = identity(one)
    return own is not None and own == identity(other)


def _has_no_identity(one: tree.Element, other: tree.Element) -> bool:
    return identity(one) is None or identity(other) is None


def identity(element: tree.Element) -> str | None:
    """What tells an element from others of its name: a disk's target, a MAC address, an id, a name; None when nothing does."""
    place = _DEVICE_IDENTITY.get(element.tag)
    if place is not None:
        steps, attribute = tree.parse_path(place)
        holder = tree.walk(element, steps)
        value = None if holder is None else holder.get(attribute) if attribute else holder.text
        index = element.get("index")
        return f"{value}:{index}" if value and index else value or _first(element)
    return _first(element)


def _first(element: tree.Element) -> str | None:
    return next((value for name in _IDENTITY if (value := element.get(name))), None)


def snippet(element: tree.Element) -> str:
    """The element as XML, without what follows it."""
    return etree.tostring(element, encoding="unicode", with_tail=False)


def shown(name: str, element: tree.Element) -> str:
    """A name with the prefix that the definition has for its namespace."""
    if not name.startswith("{"):
        return name
    uri, _, local = name[1:].partition("}")
    prefix = next((prefix for prefix, known in element.nsmap.items() if known == uri), None)
    return f"{prefix}:{local}" if prefix else local


def _join(path: str, element: tree.Element) -> str:
    own = identity(element)
    step = shown(element.tag, element) + (f"[{own}]" if own is not None and _is_one_of_several(element) else "")
    return f"{path}/{step}" if path else step


def _is_one_of_several(element: tree.Element) -> bool:
    if element.tag in _DEVICE_IDENTITY:
        return True
    parent = element.getparent()
    return parent is not None and sum(1 for _ in parent.iterchildren(element.tag)) > 1
