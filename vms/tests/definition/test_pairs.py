"""Conversations: a definition, what is said about it, and what it is then.

A file in ``pairs/`` has three parts between lines of dashes. What is said is one line each:

    memory is 1048576                          reading gives that
    set memory 2097152
    add devices.disks {"target.dev": "vdb"}
    remove devices.disks[vda]
    refuse memory "plenty"                     writing that raises InvalidValue
"""

import json
from pathlib import Path

import pytest

from vms.definition.changes import apply_to
from vms.definition.domain import Definition
from vms.definition.properties import InvalidValue, Property, Words
from vms.tests.definition.walking import declared, schema, title

PAIRS = {path.stem: path.read_text() for path in sorted((Path(__file__).parent / "pairs").glob("*.txt"))}


@pytest.mark.parametrize("name", PAIRS)
def test_what_is_said_is_done(name):
    before, said, after = parts(PAIRS[name])
    definition, written = hold(before, said)
    assert definition.to_xml() == after
    again = Definition.parse(after).element.getroottree()
    for node, name, value in written:
        (element,) = again.xpath(definition.element.getroottree().getpath(node.element))
        assert getattr(type(node)(element), name) == value, (node, name)


@pytest.mark.parametrize("name", PAIRS)
def test_what_comes_out_is_valid_for_libvirt(name):
    _before, _said, after = parts(PAIRS[name])
    valid = schema().validate(Definition.parse(after).element.getroottree())
    assert valid or "not-valid" in name, schema().error_log.last_error


def test_every_declared_property_is_read_and_written_in_a_conversation(monkeypatch):
    read, written = set(), set()
    for kind in (Property, Words):
        record(monkeypatch, kind, "read", read)
        record(monkeypatch, kind, "write", written)
    for text in PAIRS.values():
        _definition, values = hold(*parts(text)[:2])
        for node, name, _value in values:
            getattr(node, name)
    everything = declared()
    assert everything - read == set()
    assert everything - written == set()


def parts(text):
    """What was, the lines that are said, what is then."""
    before, said, after = text.split("-" * 20 + "\n")
    return before, [line for line in said.splitlines() if line and not line.startswith("#")], after.rstrip("\n")


def record(monkeypatch, kind, name, seen):
    """Note every property for which this method is called."""
    plain = getattr(kind, name)

    def noted(prop, *arguments):
        seen.add(title(prop))
        return plain(prop, *arguments)

    monkeypatch.setattr(kind, name, noted)


def hold(before, said):
    """Say it all; the definition then, and (node, name, value) of what was written last at each place that is still there."""
    definition, written = Definition.parse(before), {}
    for line in said:
        say(definition, line, written)
    here = [(*place, value) for place, value in written.values() if value is not None and is_in(definition, place[0])]
    return definition, here


def is_in(definition, node):
    return node.element is not None and node.element.getroottree().getroot() is definition.element


def say(definition, line, written):
    verb, _, rest = line.partition(" ")
    path, _, words = rest.partition(" ")
    if path == "is":
        assert definition.get(verb) == json.loads(words), line
    elif verb == "refuse":
        with pytest.raises(InvalidValue):
            definition.set(path, json.loads(words))
    elif verb == "set":
        node, name = definition.locate(path)
        apply_to(definition, {"set": path, "to": json.loads(words)})
        written[node.element, name] = (node, name), json.loads(words)
    elif verb in ("add", "remove"):
        apply_to(definition, {verb: path, "with": json.loads(words or "{}")})
    else:
        raise AssertionError(f"not a word of these conversations: {line}")
