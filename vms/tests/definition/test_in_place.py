"""Every property of foreign definitions is read and edited, and nothing else of them changes."""

from collections import Counter
from functools import cache

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from vms.definition.changes import digest
from vms.definition.domain import Definition
from vms.definition.properties import InvalidValue
from vms.tests.definition.untouched import difference, road
from vms.tests.definition.walking import CORPUS, places, values


@pytest.mark.parametrize("name", CORPUS)
def test_reading_never_fails_and_changes_nothing(name):
    definition = Definition.parse(CORPUS[name])
    plain = definition.to_xml()
    for path, _prop in places(definition):
        definition.get(path)
    assert definition.to_xml() == plain
    assert digest(plain) == digest(CORPUS[name])


@pytest.mark.parametrize("name", CORPUS)
def test_writing_what_is_there_changes_nothing(name):
    definition = Definition.parse(CORPUS[name])
    plain = definition.to_xml()
    for path, prop in places(definition):
        if not prop.read_only and definition.get(path) is not None:
            definition.set(path, definition.get(path))
            assert definition.to_xml() == plain, path


@pytest.mark.parametrize("name", CORPUS)
def test_an_edit_changes_only_what_it_names(name):
    text, definition, seen = CORPUS[name], Definition.parse(CORPUS[name]), Counter()
    for number, (path, prop) in enumerate(places(definition)):
        case = (prop.owner, prop.name, is_nothing(definition.get(path), prop))
        seen[case] += 1
        if not prop.read_only and seen[case] == 1:
            wanted = values(prop)
            edit(text, path, wanted[number % len(wanted)])
            # Of two elements where one may be the first is meant, and when that is gone, the other.
            if name != "duplicates" and not case[2]:
                edit(text, path, None)


def edit(text, path, value):
    """Write a value into a fresh definition, and look at all the rest."""
    definition = Definition.parse(text)
    node, name = definition.locate(path)
    prop = node.properties[name]
    way, before = road(node, prop), definition.to_xml()
    try:
        setattr(node, name, value)
    except InvalidValue:
        assert value is None and prop.required, (path, value)
        assert definition.to_xml() == before
        return
    assert value is None or getattr(node, name) == value, path
    assert difference(before, definition.to_xml(), way, prop) == "", (path, value)


@settings(max_examples=60, deadline=None)
@given(st.sampled_from(sorted(set(CORPUS) - {"nonsense_values"})), st.data())
def test_edits_that_are_undone_leave_no_trace(name, data):
    definition = Definition.parse(CORPUS[name])
    written = []
    for path in data.draw(st.lists(st.sampled_from(absent(name)), max_size=6, unique=True)):
        node, last = definition.locate(path)
        if is_nothing(getattr(node, last), node.properties[last]):
            setattr(node, last, data.draw(st.sampled_from(values(node.properties[last]))))
            written.append((node, last))
    for node, last in reversed(written):
        setattr(node, last, None)
    assert digest(definition.to_xml()) == digest(CORPUS[name])


@cache
def absent(name):
    """Places where nothing is, and where nothing is made that has to stay."""
    definition = Definition.parse(CORPUS[name])
    return [path for path, prop in places(definition) if leaves_no_trace(definition, path, prop)]


def leaves_no_trace(definition, path, prop):
    if prop.read_only or prop.required or prop.born or not is_nothing(definition.get(path), prop):
        return False
    node, _name = definition.locate(path)
    if any(step.tag in node.lasting for step in prop.steps) and prop.attribute:
        return False
    while node._nested is not None and not node.exists:
        if node.born or node._nested.lasting:
            return False
        node = node._home
    return True


def is_nothing(value, prop):
    """Zero and "no" are something."""
    return value is None or value == [] or (value is False and prop.form == "presence")


def test_opengl_that_was_never_on_leaves_the_device_that_draws():
    gl = "<gl rendernode='/dev/dri/renderD128'/>"
    text = f"<domain type='kvm'><devices><graphics type='egl-headless'>{gl}</graphics></devices></domain>"
    definition = Definition.parse(text)
    graphics = definition.devices.graphics[0]
    graphics.gl = True
    graphics.gl = None
    assert graphics.gl_render_node == "/dev/dri/renderD128"
    spice = Definition.parse(text.replace("egl-headless", "spice"))
    spice.devices.graphics[0].gl = True
    spice.devices.graphics[0].gl = None
    assert "<gl" not in spice.to_xml()
